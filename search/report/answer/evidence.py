"""The tables under the answer: what is known of each level, and of each context in it."""

from dataclasses import dataclass
from functools import partial

from archloss.search.analysis.answer import LevelAnswer
from archloss.search.analysis.verdict import Change, Interval, Verdict
from archloss.search.report.answer.findings import Findings
from archloss.search.report.answer.sentences import name_level, say_verdict_of
from archloss.search.report.wording import format_setting

_SIGNIFICANT = 0.05


@dataclass(frozen=True, kw_only=True)
class Row:
    """A context: the best choice, the objective there, and what the common choice adds to it.

    Each is written out; `choice_range` and `value_range` are the 95% intervals.
    """

    context: str
    choice: str
    choice_range: str
    value: str
    value_range: str
    extra: str


@dataclass(frozen=True, kw_only=True)
class LevelTable:
    """A level of `by`: its name, verdict, some numbers with their names, and a row per context."""

    name: str
    verdict: str
    facts: tuple[tuple[str, str], ...]
    columns: tuple[str, str, str, str]
    rows: tuple[Row, ...]


def make_tables(findings: Findings) -> tuple[LevelTable, ...]:
    """Return a table per level of `by`, in the answer's order."""
    return tuple(_make_table(findings, index) for index in range(len(findings.answer.levels)))


def find_extra(findings: Findings, level: LevelAnswer) -> list[float]:
    """Return, for each context, how much the common choice's expected objective is above the best.

    Both are of the profile's mean; the average over contexts is the cost, but for its shrinkage.
    """
    choices = list(findings.answer.choices)
    common = choices.index(level.common)
    return [float(row[common] - row.min()) for row in level.profile]


def _make_table(findings: Findings, index: int) -> LevelTable:
    answer, measure = findings.answer, findings.measure
    level = answer.levels[index]
    common = findings.format_choice(level.common)
    rows = tuple(
        Row(
            context=findings.format_context(best.context),
            choice=findings.format_choice(best.choice.estimate),
            choice_range=_format_choices(findings, best.choice),
            value=measure.format_value(best.objective.estimate),
            value_range=measure.format_range(best.objective),
            extra=f"+{measure.format_difference(extra)}",
        )
        for best, extra in zip(level.bests, find_extra(findings, level), strict=True)
    )
    return LevelTable(
        name=name_level(findings, level.level),
        verdict=say_verdict_of(findings, level),
        facts=(
            (
                f"Cost of one {answer.choice} for every {answer.context}",
                f"{measure.format_difference(level.cost.estimate)} {measure.name_difference()} "
                f"({measure.format_difference(level.cost.low)} to "
                f"{measure.format_difference(level.cost.high)})",
            ),
            (f"That one {answer.choice}", common),
            (
                f"Change of the best {answer.choice}, {answer.context} "
                f"{findings.format_context(level.bests[0].context)} to "
                f"{findings.format_context(level.bests[-1].context)}",
                _say_change(findings, level.change),
            ),
            *(_say_test(findings, level, p) for p in findings.p_values[index : index + 1]),
        ),
        columns=(answer.context, f"best {answer.choice}", measure.label, f"with {common}"),
        rows=rows,
    )


def _say_change(findings: Findings, change: Change) -> str:
    """Return by how much the best choice changes, or how many times it is where ratios count."""
    if findings.counts_ratios and change.ratio is not None:
        shown, write = change.ratio, _times
    else:
        shown, write = change.difference, partial(_sign, findings)
    return f"{write(shown.estimate)} ({write(shown.low)} to {write(shown.high)})"


def _say_test(findings: Findings, level: LevelAnswer, p_value: float) -> tuple[str, str]:
    """Return the test's name, and its p-value; where the verdict is no "Yes", what it is of."""
    answer = findings.answer
    shown = f"p = {p_value:.3f}" if p_value >= 0.001 else "p < 0.001"
    if 0.001 <= p_value <= findings.smallest_p:
        shown += ", the lowest that so few replicates can give"
    if p_value < _SIGNIFICANT and level.verdict is not Verdict.INTERACTION:
        shown += (
            f"; how much worse others are than the best {answer.choice} changes with "
            f"{answer.context}, which says neither that the best one moves nor that it matters"
        )
    return f"Test that differences between choices are the same at every {answer.context}", shown


def _format_choices(findings: Findings, interval: Interval) -> str:
    return f"{findings.format_choice(interval.low)} to {findings.format_choice(interval.high)}"


def _sign(findings: Findings, change: float) -> str:
    return f"{'-' if change < 0 else '+'}{findings.format_choice(abs(change))}"


def _times(ratio: float) -> str:
    """Return a ratio as a factor.

    >>> [_times(ratio) for ratio in (0.31623, 1.0, 128.0)]
    ['× 0.316', '× 1', '× 128']
    """
    return f"× {format_setting(ratio)}"
