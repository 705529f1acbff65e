"""How an objective and differences of it are said: as percentages and accuracy points, or plain."""

from dataclasses import dataclass
from typing import Literal

from archloss.search.analysis.verdict import Interval
from archloss.search.report.wording import OBJECTIVE_LABELS

Unit = Literal["fraction", "percent", "number"]

DEFAULT_POINTS = 0.5
"""The smallest cost that matters where nothing else is said, in accuracy points."""
DEFAULT_DIFFERENCE = 0.005
"""The same for the other objectives of a study, in their own units."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """An objective: what it is called, and what its numbers are.

    `unit` is "fraction" for a share of errors from 0 to 1, "percent" for one from 0 to 100; both
    are shown in %, and their differences in accuracy points. "number" is shown as it is.
    """

    label: str
    unit: Unit

    @property
    def is_error_rate(self) -> bool:
        """Say whether its differences are accuracy points."""
        return self.unit != "number"

    @property
    def factor(self) -> float:
        """Return what a stored number is multiplied by to be shown."""
        return 100.0 if self.unit == "fraction" else 1.0

    def format_value(self, value: float) -> str:
        """Return a value as it is shown, with its unit.

        >>> Measure(label="validation error", unit="fraction").format_value(0.03611)
        '3.61%'
        """
        return f"{self.factor * value:.2f}%" if self.is_error_rate else f"{value:.4g}"

    def format_range(self, interval: Interval) -> str:
        """Return the ends of a value's interval, without a unit.

        >>> interval = Interval(estimate=0.036, low=0.03, high=0.0451)
        >>> Measure(label="validation error", unit="fraction").format_range(interval)
        '3.00 to 4.51'
        """
        if self.is_error_rate:
            return f"{self.factor * interval.low:.2f} to {self.factor * interval.high:.2f}"
        return f"{interval.low:.4g} to {interval.high:.4g}"

    def format_difference(self, difference: float) -> str:
        """Return a difference of values as a bare number.

        >>> Measure(label="validation error", unit="fraction").format_difference(0.0123)
        '1.23'
        """
        if self.is_error_rate:
            return f"{self.factor * difference:.2f}"
        return f"{difference:.3g}"

    def format_bound(self, bound: float) -> str:
        """Return the smallest cost that matters, with its unit.

        >>> Measure(label="validation error", unit="fraction").format_bound(0.005)
        '0.5 accuracy points'
        """
        return f"{self.factor * bound:.3g} {self.name_difference()}"

    def name_difference(self) -> str:
        """Return the unit of a difference, as it follows the number."""
        return "accuracy points" if self.is_error_rate else f"in {self.label}"


def make_study_measure(objective: str) -> Measure:
    """Return the measure of a study's objective; errors are stored as fractions."""
    unit: Unit = "fraction" if objective == "validation_error" else "number"
    return Measure(label=OBJECTIVE_LABELS[objective], unit=unit)
