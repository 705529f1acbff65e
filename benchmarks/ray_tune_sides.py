"""One contender of benchmarks/ray_tune.py, in a process of its own: run a study, say how it went.

    python benchmarks/ray_tune_sides.py SIDE FOLDER --trials 60 --width 32 --pruner none

SIDE is "archloss", "optuna", or "tune" with settings after it: "tune+reuse+wal+quiet+rungs+3".
All sides keep an Optuna study in SQLite, and trial number n gets point n of one list of designs.
"""

import argparse
import json
import math
import multiprocessing
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from pathlib import Path
from typing import Any, ClassVar

import optuna
import sqlalchemy as sa

from archloss.search.distributions import to_design, to_distributions
from archloss.search.planned import SequenceSampler
from archloss.search.spec import Spec
from archloss.spaces.catalogue import SPACES
from archloss.spaces.dimensions import Dimension
from archloss.spaces.jobs import guess, train
from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import Member, Pack, Report
from archloss.spaces.recipe import Recipe

STUDY = "digits"
CORES = 2
SETTINGS = ("reuse", "wal", "quiet", "rungs")


@dataclass(frozen=True, kw_only=True)
class Task:
    """What every side does; `folder` takes its database and whatever else it writes."""

    folder: Path
    spec: Spec

    @property
    def url(self) -> str:
        """Return the URL of the study's database."""
        return f"sqlite:///{self.folder / 'studies.db'}"

    @property
    def rungs(self) -> tuple[int, ...]:
        """Return the epochs at which archloss reports."""
        return self.spec.search.list_rungs(self.spec.recipe.epochs)


def make_spec(*, width: int, epochs: int, trials: int, pruner: str) -> Spec:
    """Return the digits study of `make demo`, with designs from a list that learns nothing."""
    return Spec.model_validate(
        {
            "name": STUDY,
            "dataset": "digits",
            "trials": trials,
            "space": {
                "depth": {"low": 1, "high": 32, "log": True},
                "residual": [False, True],
                "ce_weight": {"low": 0.0, "high": 1.0},
                "width": width,
            },
            "recipe": {"epochs": epochs},
            "search": {"sampler": "qmc", "pruner": pruner},
            "workers": {"executor": "ray", "device": "cpu"},
        }
    )


class ListSampler(optuna.samplers.BaseSampler):
    """Gives trial number n what archloss gives it, in no time."""

    def __init__(self, spec: Spec) -> None:
        distributions = to_distributions(spec.dimensions())
        sequence = SequenceSampler(seed=spec.search.seed)
        self._points = sequence.choose(optuna.create_study(), spec.trials or 0, distributions)

    def infer_relative_search_space(self, study, trial):  # type: ignore[no-untyped-def]
        """Return nothing: every parameter is sampled by itself."""
        return {}

    def sample_relative(self, study, trial, search_space):  # type: ignore[no-untyped-def]
        """Return nothing."""
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):  # type: ignore[no-untyped-def]
        """Return what the list has."""
        return self._points[trial.number][param_name]


def run_archloss(task: Task) -> int:
    """Launch the study as a user does; no trial need be left out as warm-up."""
    import archloss

    archloss.launch(task.spec, storage=task.url, folder=task.folder)
    return 0


def run_tune(task: Task, settings: Sequence[str]) -> int:
    """Run Ray Tune with OptunaSearch; return how many trials warmed it up.

    "reuse" reuses actors, "wal" gives SQLite a write-ahead log and Optuna its cache, "quiet"
    turns off loggers and snapshots, "rungs" reports only where something is decided, and a
    number says how many trials share the cores.
    """
    import ray
    from ray import tune
    from ray.tune.schedulers import ASHAScheduler, FIFOScheduler
    from ray.tune.search.optuna import OptunaSearch

    from archloss.workers.tune import make_param_space, make_trainable

    at_once = next((int(setting) for setting in settings if setting.isdigit()), CORES)
    dimensions, recipe = task.spec.dimensions(), task.spec.make_recipe()
    ray.init(
        address="local",
        num_cpus=CORES,
        include_dashboard=False,
        log_to_driver=False,
        _temp_dir=str(task.folder / "r"),
    )
    if "rungs" in settings:
        trainable: Any = make_rung_trainable(dimensions, recipe, task.rungs)
    else:
        trainable = make_trainable(dimensions, recipe, device="cpu")
    if at_once != CORES:
        trainable = tune.with_resources(trainable, {"CPU": CORES / at_once})
    scheduler: Any = FIFOScheduler()
    if task.spec.search.pruner != "none":
        scheduler = ASHAScheduler(
            max_t=recipe.epochs,
            grace_period=task.rungs[0],
            reduction_factor=task.spec.search.reduction_factor,
        )
    no_checkpoints = tune.CheckpointConfig(checkpoint_at_end=False)
    tuner = tune.Tuner(
        trainable,
        param_space=make_param_space(dimensions),
        tune_config=tune.TuneConfig(
            metric="validation_error",
            mode="min",
            num_samples=task.spec.trials or 0,
            scheduler=scheduler,
            search_alg=OptunaSearch(
                storage=open_storage(task.url, wal="wal" in settings),
                sampler=ListSampler(task.spec),
                study_name=STUDY,
            ),
            reuse_actors="reuse" in settings,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(task.folder),
            **({"verbose": 0} if "quiet" in settings else {}),
            **({"checkpoint_config": no_checkpoints} if "rungs" in settings else {}),
        ),
    )
    tuner.fit()
    ray.shutdown()
    return at_once


def make_rung_trainable(
    dimensions: Mapping[str, Dimension], recipe: Recipe, rungs: Sequence[int]
) -> type:
    """Return a trainable that does as little as it can: a step is a rung, a result one number."""
    from ray import tune

    from archloss.workers.tune import make_design

    class RungTrainable(tune.Trainable):
        """One network, trained from rung to rung."""

        member: ClassVar[Member]

        def setup(self, config: dict[str, Any]) -> None:
            design = make_design(dimensions, config)
            self.member = Member(trial_number=0, replicate=0, design=design)

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            self.setup(new_config)
            return True

        def step(self) -> dict[str, Any]:
            until = next(rung for rung in rungs if rung > self.member.epochs_done)
            report = train_alone(self.member, recipe, until)
            self.member = replace(self.member, epochs_done=until, state=report.state)
            return {
                "validation_error": read_error(report, recipe),
                "training_iteration": until,
                "done": until == recipe.epochs or report.outcome is Outcome.DIVERGED,
            }

    return RungTrainable


def train_alone(member: Member, recipe: Recipe, until: int) -> Report:
    """Train one member by itself, with archloss's own code, which is quicker than plain torch."""
    pack = Pack(members=(member,), recipe=recipe, until_epoch=until, device="cpu")
    return train(pack).reports[0]


def read_error(report: Report, recipe: Recipe) -> float:
    """Return the validation error: what guessing reaches if the member has diverged."""
    if report.outcome is Outcome.DIVERGED:
        return guess(recipe)["validation_error"]
    return report.curves["validation_error"][-1]


def run_optuna(task: Task) -> int:
    """Run plain Optuna, a process per core; return how many trials warmed it up."""
    storage = open_storage(task.url, wal=True)
    optuna.create_study(study_name=STUDY, storage=storage)
    context = multiprocessing.get_context("spawn")
    share = math.ceil((task.spec.trials or 0) / CORES)
    processes = [context.Process(target=optimize, args=(task, share)) for _ in range(CORES)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return CORES


def optimize(task: Task, trials: int) -> None:
    """Run a share of the trials in this process, on one thread."""
    import torch

    torch.set_num_threads(1)
    recipe, dimensions = task.spec.make_recipe(), task.spec.dimensions()
    distributions = to_distributions(dimensions)
    study = optuna.load_study(
        study_name=STUDY,
        storage=open_storage(task.url, wal=True),
        sampler=ListSampler(task.spec),
    )

    def objective(trial: optuna.Trial) -> float:
        params = {key: trial._suggest(key, value) for key, value in distributions.items()}
        design = to_design(SPACES[task.spec.space.name], dimensions, params)
        member = Member(trial_number=trial.number, replicate=0, design=design)
        return read_error(train_alone(member, recipe, recipe.epochs), recipe)

    study.optimize(objective, n_trials=trials)


def open_storage(url: str, *, wal: bool) -> optuna.storages.BaseStorage:
    """Open SQLite as Ray's documentation does, or with all that makes it quick."""
    if not wal:
        return optuna.storages.RDBStorage(url)
    storage = optuna.storages.RDBStorage(url)
    storage.engine.dispose()

    @sa.event.listens_for(storage.engine, "connect")
    def _set(connection, _record):  # type: ignore[no-untyped-def]
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA busy_timeout=60000")

    return optuna.storages.get_storage(storage)


def describe(task: Task, *, warm_ups: int, spawned: float) -> dict[str, Any]:
    """Return what came of the study, from its database, as plain Optuna reads it.

    The rate counts from when the processes were warm: the first trial's start, or the moment at
    which the trials that served as warm-up had ended.
    """
    study = optuna.load_study(study_name=STUDY, storage=task.url)
    trials = [trial for trial in study.trials if trial.state.is_finished()]
    ends = sorted(t.datetime_complete.replace(tzinfo=UTC).timestamp() for t in trials)  # type: ignore[union-attr]
    starts = [t.datetime_start.replace(tzinfo=UTC).timestamp() for t in trials]  # type: ignore[union-attr]
    warm = ends[warm_ups - 1] if warm_ups else min(starts)
    return {
        "trials": len(trials),
        "states": {
            state: sum(t.state.name == state for t in trials)
            for state in ("COMPLETE", "PRUNED", "FAIL")
        },
        "rate": 3600 * (len(trials) - warm_ups) / (ends[-1] - warm),
        "start_up_s": warm - spawned,
        "epochs": sum(trial.last_step or task.spec.recipe.epochs for trial in trials) / len(trials),
        "values": {trial.number: trial.value for trial in trials},
        "params": {trial.number: trial.params for trial in trials},
    }


def main() -> None:
    """Run one side, and write `outcome.json` into the folder."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("side")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--spawned", type=float, default=time.time())
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--pruner", default="none")
    options = parser.parse_args()
    spec = make_spec(
        width=options.width, epochs=options.epochs, trials=options.trials, pruner=options.pruner
    )
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    task = Task(folder=options.folder, spec=spec)
    side, *settings = options.side.split("+")
    run = {"archloss": run_archloss, "optuna": run_optuna}.get(side)
    warm_ups = run(task) if run else run_tune(task, settings)
    outcome = describe(task, warm_ups=warm_ups, spawned=options.spawned)
    (task.folder / "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")


if __name__ == "__main__":
    main()
