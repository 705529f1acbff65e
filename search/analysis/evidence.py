"""What stands below an answer: what matters, how errors move, how far numbers can be trusted."""

from dataclasses import dataclass, field

from archloss.search.analysis.answer import Fitted
from archloss.search.analysis.bands import LearningCurves
from archloss.search.analysis.dependence import Dependence, find_dependence
from archloss.search.analysis.importance import Importance, find_importance
from archloss.search.analysis.selection import Selection, find_selection
from archloss.search.analysis.spread import SeedSpread, find_repeated, find_spread
from archloss.spaces.shape import DataWidths, Size


@dataclass(frozen=True, kw_only=True)
class SizedTrial:
    """A trial that completed, with the size of its network, and whether no other beats it.

    It is on a front where no trial with as few parameters (FLOPs) or fewer has a lower value.
    """

    number: int
    depth: int
    width: int
    residual: bool
    value: float
    size: Size
    on_parameters: bool
    on_flops: bool


@dataclass(frozen=True, kw_only=True)
class Front:
    """All trials that completed, by number; on data of these widths."""

    widths: DataWidths
    trials: tuple[SizedTrial, ...]

    def list_best(self) -> list[SizedTrial]:
        """Return the trials on either front, the smallest first."""
        best = [trial for trial in self.trials if trial.on_parameters or trial.on_flops]
        return sorted(best, key=lambda trial: (trial.size.parameters, trial.size.flops))


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """All of it; None, or empty, where it cannot be computed. `remarks` say why, where one may ask.

    `front` and `curves` are of studies alone.
    """

    importance: Importance | None = None
    dependence: tuple[Dependence, ...] = ()
    spread: SeedSpread | None = None
    selection: Selection | None = None
    front: Front | None = None
    curves: LearningCurves | None = None
    remarks: tuple[str, ...] = field(default=())


def find_evidence(fitted: Fitted | None) -> Evidence:
    """Return what can be computed of any trials, wherever they are from; nothing without a fit."""
    if fitted is None:
        return Evidence()
    return Evidence(
        importance=find_importance(fitted.surface),
        dependence=find_dependence(fitted.surface),
        spread=find_spread(fitted, find_repeated(fitted.trials)),
        selection=find_selection(fitted),
    )
