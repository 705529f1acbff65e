"""A space inside a Ray Tune run of your own: its parameter space, and a trainable.

    tune.Tuner(make_trainable(dimensions, recipe), param_space=make_param_space(dimensions), ...)

This is for those who stay with Tune: a trial is one network (or the replicates of one), never a
pack of trials, and Tune keeps the results. Needs `archloss[tune]`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any, ClassVar

import numpy as np

from archloss.spaces.catalogue import RESIDUAL_MLP, SPACES
from archloss.spaces.design import Design
from archloss.spaces.dimensions import (
    Choice,
    Dimension,
    Float,
    Integer,
    Value,
    is_fixed,
    resolve_conditions,
)
from archloss.spaces.errors import ArchlossError, SpaceError
from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import METRICS, Member, Pack, Report, State
from archloss.spaces.recipe import Recipe


class TuneMissingError(ArchlossError, ImportError):
    """Ray Tune is not installed."""


try:
    from ray import tune
except ImportError as error:
    raise TuneMissingError(
        f"archloss.workers.tune needs Ray Tune, which cannot be imported ({error}): "
        "pip install 'archloss[tune]'"
    ) from error

_SHIFT = "_plus_1"
_ARRAYS_FILE, _PROGRESS_FILE = "members.npz", "progress.json"


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What all trials of a Tune run share."""

    dimensions: Mapping[str, Dimension]
    recipe: Recipe
    space: str
    device: str


def make_param_space(dimensions: Mapping[str, Dimension]) -> dict[str, Any]:
    """Return Tune's `param_space`: a search domain per dimension, a plain value where it is fixed.

    Logarithms start at 1: whole numbers from 0 on a logarithmic scale become `NAME_plus_1`.
    """
    return {_name(key, dimension): _to_domain(dimension) for key, dimension in dimensions.items()}


def make_trainable(
    dimensions: Mapping[str, Dimension],
    recipe: Recipe,
    *,
    space: str = RESIDUAL_MLP.name,
    device: str = "auto",
) -> type["DesignTrainable"]:
    """Return a class for `tune.Tuner` that trains one design of the space.

    Each step is one epoch, all of the recipe's replicates at once, and `recipe.epochs` steps
    are a whole trial. Raises SpaceError for an unknown space.
    """
    if space not in SPACES:
        raise SpaceError(f"space must be one of {sorted(SPACES)}, but got {space!r}")
    job = _Job(dimensions=dict(dimensions), recipe=_locate(recipe), space=space, device=device)
    return type("DesignTrainable", (DesignTrainable,), {"job": job})


def make_design(
    dimensions: Mapping[str, Dimension],
    config: Mapping[str, Any],
    *,
    space: str = RESIDUAL_MLP.name,
) -> Design:
    """Return the design that a Tune trial's config stands for.

    Raises SpaceError where the config lacks a dimension or has one that is unknown.
    """
    names = {_name(key, dimension): key for key, dimension in dimensions.items()}
    if set(config) != set(names):
        missing, unknown = sorted(set(names) - set(config)), sorted(set(config) - set(names))
        raise SpaceError(
            f"a trial's config must have exactly the keys of make_param_space, but it lacks "
            f"{missing} and has {unknown} besides: fix a dimension with Choice(values=(VALUE,))"
        )
    asked = {key: _read(dimensions[key], config[name]) for name, key in names.items()}
    return SPACES[space].make_design(resolve_conditions(dimensions, asked))


class DesignTrainable(tune.Trainable):
    """One trial of Tune: the replicates of one design, an epoch per step.

    A step's result has the mean over replicates of each metric that all of them have, `epoch`,
    and `diverged`, the number of replicates that have diverged: these count with what guessing
    reaches, and have no `train_loss` and no `validation_ece`. When all have diverged the trial
    is done. Make one with `make_trainable`.
    """

    job: ClassVar[_Job]

    def setup(self, config: dict[str, Any]) -> None:
        """Begin a trial."""
        self.design = make_design(self.job.dimensions, config, space=self.job.space)
        self.epochs_done = 0
        self.states: dict[int, State | None] = dict.fromkeys(range(self.job.recipe.replicates))
        self.diverged: set[int] = set()

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begin another trial in the same process (`reuse_actors`, population based training)."""
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Train one epoch; return its metrics."""
        from archloss.spaces.jobs import guess, train

        members = self._make_members()
        if not members:
            raise SpaceError(
                f"the trial has trained its {self.job.recipe.epochs} epochs, or diverged: "
                "raise the recipe's epochs to train longer"
            )
        pack = Pack(
            members=members,
            recipe=self.job.recipe,
            until_epoch=self.epochs_done + 1,
            device=self.job.device,
        )
        last = [self._take(report) for report in train(pack).reports]
        self.epochs_done += 1
        rows: list[Mapping[str, float]] = [row for row in last if row is not None]
        rows += [guess(self.job.recipe)] * len(self.diverged)
        return {
            **{
                metric: fmean(row[metric] for row in rows)
                for metric in METRICS
                if all(metric in row for row in rows)
            },
            "epoch": self.epochs_done,
            "diverged": len(self.diverged),
            "done": not self._make_members(),
        }

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the replicates' weights and optimizer memory."""
        folder = Path(checkpoint_dir)
        states = {key: state for key, state in self.states.items() if state is not None}
        progress = {
            "epochs_done": self.epochs_done,
            "diverged": sorted(self.diverged),
            "steps": {key: state.steps for key, state in states.items()},
        }
        (folder / _PROGRESS_FILE).write_text(json.dumps(progress), encoding="utf-8")
        arrays = {
            f"{key}/{name}": array
            for key, state in states.items()
            for name, array in state.arrays.items()
        }
        np.savez(folder / _ARRAYS_FILE, allow_pickle=False, **arrays)

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Go on from the folder that `save_checkpoint` wrote."""
        folder = Path(checkpoint)
        progress = json.loads((folder / _PROGRESS_FILE).read_text(encoding="utf-8"))
        arrays: dict[int, dict[str, Any]] = {}
        with np.load(folder / _ARRAYS_FILE, allow_pickle=False) as saved:
            for key in saved.files:
                replicate, _, name = key.partition("/")
                arrays.setdefault(int(replicate), {})[name] = saved[key]
        self.epochs_done = progress["epochs_done"]
        self.diverged = set(progress["diverged"])
        steps = {int(key): value for key, value in progress["steps"].items()}
        self.states = {
            key: State(arrays=arrays[key], steps=steps[key]) if key in arrays else None
            for key in self.states
        }

    def _make_members(self) -> tuple[Member, ...]:
        """Return the replicates that go on."""
        if self.epochs_done >= self.job.recipe.epochs:
            return ()
        return tuple(
            Member(
                trial_number=0,
                replicate=replicate,
                design=self.design,
                epochs_done=self.epochs_done,
                state=state,
            )
            for replicate, state in self.states.items()
            if replicate not in self.diverged
        )

    def _take(self, report: Report) -> dict[str, float] | None:
        """Bring a replicate up to date; return its metrics, or None if it has diverged."""
        if report.outcome is Outcome.INFEASIBLE:
            raise SpaceError(report.message or report.outcome.value)
        self.states[report.replicate] = report.state
        if report.outcome is Outcome.DIVERGED:
            self.diverged.add(report.replicate)
            return None
        return {metric: values[-1] for metric, values in report.curves.items()}


def _name(key: str, dimension: Dimension) -> str:
    return key + _SHIFT if _is_shifted(dimension) else key


def _is_shifted(dimension: Dimension) -> bool:
    return (
        isinstance(dimension, Integer)
        and dimension.log
        and dimension.low < 1
        and not is_fixed(dimension)
    )


def _to_domain(dimension: Dimension) -> Any:
    if is_fixed(dimension):
        return dimension.values[0] if isinstance(dimension, Choice) else dimension.low
    if isinstance(dimension, Choice):
        return tune.choice(list(dimension.values))
    if isinstance(dimension, Float):
        draw_float = tune.loguniform if dimension.log else tune.uniform
        return draw_float(dimension.low, dimension.high)
    shift = 1 if _is_shifted(dimension) else 0
    draw_integer = tune.lograndint if dimension.log else tune.randint
    return draw_integer(dimension.low + shift, dimension.high + shift + 1)  # Tune: end left out


def _read(dimension: Dimension, value: Any) -> Value:
    """Return a dimension's value from a config's, in Python's own types and inside the range."""
    if isinstance(dimension, Choice):
        return value  # type: ignore[no-any-return]  # one of the values that went in
    if isinstance(dimension, Integer):
        number = int(value) - (1 if _is_shifted(dimension) else 0)
        return min(max(number, dimension.low), dimension.high)
    return min(max(float(value), float(dimension.low)), float(dimension.high))


def _locate(recipe: Recipe) -> Recipe:
    """Return the recipe with a data file's whole path: Tune runs each trial in its own folder."""
    path = Path(recipe.dataset).expanduser()
    is_file = bool(path.suffix) and path.is_file()  # no set known by its name has a suffix
    return replace(recipe, dataset=str(path.resolve())) if is_file else recipe
