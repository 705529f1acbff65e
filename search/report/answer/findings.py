"""All that a report shows: the answer, the trials that it is of, and where these came from."""

from dataclasses import dataclass, field
from typing import Literal

from archloss.search.analysis.answer import Answer
from archloss.search.analysis.axes import Array, Numeric
from archloss.search.analysis.evidence import Evidence
from archloss.search.analysis.experiment import Experiment
from archloss.search.analysis.trials import Kind, Trials
from archloss.search.report.answer.measure import Measure
from archloss.search.report.wording import format_setting


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where trials came from, and what it takes to make the report again.

    `data` is the data set of a study, or the file of a table; `digest` the SHA-256 of the study's
    spec, or of the file. The seeds are None where there are none to choose. `made_at` is a time in
    UTC. `notes` are sentences about the trials that a reader should know, such as that more are
    under way. `another` is the command that plans an experiment like this one, but for its name and
    replicates.
    """

    kind: Literal["study", "table", "experiment"]
    name: str
    data: str
    digest: str
    command: str
    made_at: str
    seed: int | None = None
    search_seed: int | None = None
    notes: tuple[str, ...] = field(default=())
    another: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """What a report is made of; of a search there is no `experiment`.

    `p_values`, of no interaction, are an experiment's, by level; `smallest_p` is the lowest that so
    few replicates can give. The evidence may be left out.
    """

    answer: Answer
    trials: Trials
    measure: Measure
    source: Source
    experiment: Experiment | None = None
    p_values: tuple[float, ...] = field(default=())
    smallest_p: float = 0.0
    evidence: Evidence = field(default_factory=Evidence)

    @property
    def context_axis(self) -> Numeric:
        """Return the axis of the context."""
        return self._get_axis(self.trials.roles.context)

    @property
    def choice_axis(self) -> Numeric:
        """Return the axis of the choice."""
        return self._get_axis(self.trials.roles.choice)

    @property
    def counts_ratios(self) -> bool:
        """Say whether equal ratios of the choice count as equally far."""
        experiment = self.experiment
        return self.choice_axis.log or (experiment is not None and experiment.logarithmic)

    def list_places(self, kind: Kind, level: int) -> tuple[Array, Array]:
        """Return contexts and choices `[N]` of the trials of a kind at a level of the answer."""
        fitted = self.answer.fitted
        trials = self.trials if fitted is None else fitted.trials  # those of the answer's levels
        roles = trials.roles
        points = trials.points[trials.find(kind) & trials.find_level(level)]
        return (
            self.context_axis.decode(points[:, roles.context]),
            self.choice_axis.decode(points[:, roles.choice]),
        )

    def format_context(self, value: float) -> str:
        """Return a context as a person reads it."""
        return format_place(self.context_axis, value)

    def format_choice(self, value: float) -> str:
        """Return a choice as a person reads it."""
        return format_place(self.choice_axis, value)

    def _get_axis(self, index: int) -> Numeric:
        axis = self.trials.axes[index]
        assert isinstance(axis, Numeric)
        return axis


def format_place(axis: Numeric, value: float) -> str:
    """Return a place on an axis as a person reads it: all on a plain range with the same digits.

    These are as many as tell the values of a grid apart, and two at least.

    >>> format_place(Numeric(name="depth", low=1, high=32, log=True, whole=True), 16.0)
    '16'
    >>> format_place(Numeric(name="ce_weight", low=0.0, high=1.0), 0.5)
    '0.50'
    """
    if axis.whole:
        return str(round(value))
    if not axis.log and 0.5 <= axis.high - axis.low <= 50:
        return f"{value:.{_count_decimals(axis.steps)}f}"
    return format_setting(float(value))


def _count_decimals(steps: tuple[float, ...]) -> int:
    fewest, most = 2, 6
    return next(
        (
            decimals
            for decimals in range(fewest, most)
            if len({f"{step:.{decimals}f}" for step in steps}) == len(steps)
        ),
        most,
    )
