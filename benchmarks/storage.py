"""Trials a second into SQLite: archloss, a pack at a time, beside plain Optuna.

A trial has 8 parameters. "20 values": an intermediate value for each of 20 epochs, in Optuna's
tables. "1 value + curves": what archloss does in use, one intermediate value and five metrics of
20 epochs in its own table; plain Optuna, which has no place for curves, then writes the one value.
Plain Optuna runs as it comes, and with SQLite's WAL and synchronous=NORMAL, as archloss sets them.

All take turns on one disk, each round on fresh databases; what is printed are medians over the
rounds. Every database is then read back through plain Optuna and compared with what was meant.

    python benchmarks/storage.py [--rounds 5]
"""

import argparse
import math
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import optuna
import sqlalchemy as sa
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import METRICS
from archloss.storage.database import Database
from archloss.storage.records import Curve, TrialStart, TrialTell

EPOCHS = 20
PACK_SIZES = (8, 32, 128)
PLAIN_TRIALS = 40
PACKED_TRIALS = 512
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    "depth": IntDistribution(1, 32, log=True),
    "residual": CategoricalDistribution((False, True)),
    "ce_weight": FloatDistribution(0.0, 1.0),
    "mse_on": CategoricalDistribution(("probabilities", "logits")),
    "width": CategoricalDistribution((16, 32, 64)),
    "learning_rate": FloatDistribution(3e-4, 3e-2, log=True),
    "weight_decay": FloatDistribution(1e-5, 1e-1, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
}


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A trial to be written: parameters, and the objective and metrics at every epoch."""

    params: Mapping[str, bool | int | float | str]
    errors: tuple[float, ...]
    curves: tuple[Curve, ...]

    def choose_intermediate(self, values: int) -> dict[int, float]:
        """Return the objective by epoch: at the last epoch, or at all of them."""
        return {epoch: self.errors[epoch - 1] for epoch in range(EPOCHS - values + 1, EPOCHS + 1)}


def plan_trials(count: int, seed: int) -> list[Planned]:
    """Make up trials."""
    numbers = random.Random(seed)
    planned = []
    for _ in range(count):
        params = {
            "depth": numbers.randint(1, 32),
            "residual": numbers.random() < 0.5,
            "ce_weight": numbers.random(),
            "mse_on": numbers.choice(("probabilities", "logits")),
            "width": numbers.choice((16, 32, 64)),
            "learning_rate": math.exp(numbers.uniform(math.log(3e-4), math.log(3e-2))),
            "weight_decay": math.exp(numbers.uniform(math.log(1e-5), math.log(1e-1))),
            "dropout": numbers.uniform(0.0, 0.5),
        }
        curves = tuple(
            Curve(
                replicate=0,
                metric=metric,
                first_epoch=1,
                values=tuple(numbers.random() for _ in range(EPOCHS)),
            )
            for metric in METRICS
        )
        errors = next(curve.values for curve in curves if curve.metric == "validation_error")
        planned.append(Planned(params=params, errors=errors, curves=curves))
    return planned


class PlannedSampler(optuna.samplers.BaseSampler):
    """Suggests the parameters of the planned trials, so that no time goes into sampling."""

    def __init__(self, planned: Sequence[Planned]) -> None:
        self._planned = planned

    def infer_relative_search_space(self, study, trial):  # type: ignore[no-untyped-def]
        """Return nothing: every parameter is sampled by itself."""
        return {}

    def sample_relative(self, study, trial, search_space):  # type: ignore[no-untyped-def]
        """Return nothing."""
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):  # type: ignore[no-untyped-def]
        """Return what was planned."""
        return self._planned[trial.number].params[param_name]


def write_plainly(path: Path, planned: Sequence[Planned], *, values: int, tuned: bool) -> float:
    """Write trials as a user of Optuna would; return the seconds it took."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    if tuned:
        _tune(storage.engine)
    study = optuna.create_study(
        study_name="study", storage=storage, sampler=PlannedSampler(planned)
    )
    began = time.perf_counter()
    for one in planned:
        trial = study.ask(DISTRIBUTIONS)
        for epoch, error in one.choose_intermediate(values).items():
            trial.report(error, epoch)
        study.tell(trial, one.errors[-1])
    took = time.perf_counter() - began
    storage.remove_session()
    storage.engine.dispose()
    return took


def _tune(engine: sa.Engine) -> None:
    engine.dispose()

    @sa.event.listens_for(engine, "connect")
    def _set(connection, _record):  # type: ignore[no-untyped-def]
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")


def write_packed(
    path: Path, planned: Sequence[Planned], *, values: int, curves: bool, pack: int
) -> float:
    """Write trials as archloss does, a pack at a time; return the seconds it took."""
    database = Database(f"sqlite:///{path}")
    study = database.create_study(
        name="study", spec="{}", digest="", fingerprint="", environment={}
    )
    lease_id = database.open_lease(study.study_id)
    starts = [TrialStart(params=one.params, distributions=DISTRIBUTIONS) for one in planned]
    began = time.perf_counter()
    for first in range(0, len(planned), pack):
        handles = database.start_trials(
            study.study_id, lease_id, starts[first : first + pack], budget=len(planned)
        )
        tells = [
            TrialTell(
                trial_id=handle.trial_id,
                state="COMPLETE",
                value=one.errors[-1],
                outcome=Outcome.COMPLETED,
                intermediate=one.choose_intermediate(values),
                curves=one.curves if curves else (),
                seconds=0.5,
            )
            for handle, one in zip(handles, planned[first : first + pack], strict=True)
        ]
        assert len(database.tell(lease_id, tells, keep_weights=0)) == len(handles)
    took = time.perf_counter() - began
    if curves:
        for number, one in enumerate(planned):
            read = {curve.metric: curve for curve in database.read_curves(study.study_id, number)}
            assert read == {curve.metric: curve for curve in one.curves}
    database.close()
    return took


def check(path: Path, planned: Sequence[Planned], *, values: int) -> None:
    """Read a database through plain Optuna, and compare it with what was meant."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{path}")
    trials = optuna.load_study(study_name="study", storage=storage).trials
    storage.remove_session()
    storage.engine.dispose()
    assert len(trials) == len(planned)
    for number, (trial, one) in enumerate(zip(trials, planned, strict=True)):
        assert (trial.number, trial.state.name) == (number, "COMPLETE")
        assert trial.params == one.params
        assert trial.distributions == DISTRIBUTIONS
        assert trial.value == one.errors[-1]
        assert trial.intermediate_values == one.choose_intermediate(values)


def measure(values: int, *, curves: bool, rounds: int) -> dict[str, list[float]]:
    """Return the trials a second of each contender in each round."""
    plain = plan_trials(PLAIN_TRIALS, seed=values)
    packed = plan_trials(PACKED_TRIALS, seed=values)
    contenders: dict[str, tuple[Sequence[Planned], Callable[[Path], float]]] = {
        "plain Optuna, as it comes": (
            plain,
            lambda path: write_plainly(path, plain, values=values, tuned=False),
        ),
        "plain Optuna, WAL + NORMAL": (
            plain,
            lambda path: write_plainly(path, plain, values=values, tuned=True),
        ),
    }
    for pack in PACK_SIZES:
        contenders[f"archloss, packs of {pack}"] = (
            packed,
            lambda path, pack=pack: write_packed(
                path, packed, values=values, curves=curves, pack=pack
            ),
        )
    rates: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, (planned, write) in contenders.items():
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "studies.db"
                rates[name].append(len(planned) / write(path))
                check(path, planned, values=values)
    return rates


def show(title: str, rates: Mapping[str, Sequence[float]]) -> None:
    """Print medians, their spread, and how many times plain Optuna's they are."""
    medians = {name: statistics.median(values) for name, values in rates.items()}
    as_it_comes, tuned, *_ = medians.values()
    print(f"| {title} | trials/s | lowest to highest | times plain | times plain with WAL |")
    print("|---|---|---|---|---|")
    for name, median in medians.items():
        spread = f"{min(rates[name]):,.1f} to {max(rates[name]):,.1f}"
        times = f"{median / as_it_comes:,.1f} | {median / tuned:,.1f}"
        print(f"| {name} | {median:,.1f} | {spread} | {times} |")
    print(flush=True)


def main() -> None:
    """Measure both kinds of trials."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    show("20 values", measure(20, curves=False, rounds=rounds))
    show("1 value + curves", measure(1, curves=True, rounds=rounds))


if __name__ == "__main__":
    main()
