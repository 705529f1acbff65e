"""What goes into a worker and what comes back: packs of members, and a report for each."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from archloss.spaces.design import Design
from archloss.spaces.outcome import Outcome
from archloss.spaces.recipe import Recipe

METRICS = (
    "train_loss",
    "validation_error",
    "validation_nll",
    "validation_brier",
    "validation_ece",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """A member between two rungs: its weights and its optimizer's memory, flat, on the host.

    `arrays` maps "parameters" `[P]` and the optimizer's buffers `[P]` to arrays of one length
    P, which is the member's number of parameters. `steps` counts optimizer steps taken.
    """

    arrays: Mapping[str, npt.NDArray[np.floating]]
    steps: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Member:
    """One replicate of one trial, with what it has reached so far (`state` None: nothing)."""

    trial_number: int
    replicate: int
    design: Design
    epochs_done: int = 0
    state: State | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Pack:
    """Members trained together, on one device, up to and with epoch `until_epoch`.

    Members may differ in everything but width. `device` is "auto", "cpu", "cuda", "cuda:N" or
    "mps". `fingerprint` is the data's; a worker that finds other data refuses to train.
    """

    members: tuple[Member, ...]
    recipe: Recipe
    until_epoch: int
    device: str = "auto"
    fingerprint: str | None = None


@dataclass(frozen=True, kw_only=True)
class PackSizeQuestion:
    """How many members like `design` should a pack have on `device`?"""

    recipe: Recipe
    design: Design
    device: str = "auto"


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """What one member gives back after a rung.

    `curves` maps each of METRICS to one number per epoch trained in this rung. For a diverged
    member the curves end with the last finite epoch and `diverged_epoch` is the one after.
    `seconds` is the member's share of the pack's wall time. `test` holds the metrics on the
    test split, once the last epoch is reached; nothing in the search reads it.
    """

    trial_number: int
    replicate: int
    outcome: Outcome
    epochs_done: int
    curves: Mapping[str, tuple[float, ...]]
    seconds: float
    state: State | None = None
    diverged_epoch: int | None = None
    message: str | None = None
    test: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class PackReport:
    """The reports of one pack's members, in the pack's order, and what is worth telling."""

    reports: tuple[Report, ...]
    seconds: float
    notes: tuple[str, ...] = ()
