"""Follows a study from any machine that reaches its database."""

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from archloss.search.cli.shown import describe_counts, print_summary
from archloss.search.cli.studies import Opened
from archloss.search.report.wording import format_objective

if TYPE_CHECKING:
    from archloss.search.report.summary import Summary
    from archloss.storage.records import DriverRecord


def watch(console: Console, opened: Opened, *, every_s: float) -> None:
    """Show the study anew every so many seconds, until it is at its budget or Ctrl-C.

    A terminal is cleared each time; where it is piped, a line comes with each change.
    """
    said = ""
    while True:
        summary = opened.summarise()
        drivers = opened.database.list_drivers(opened.record.study_id)
        if console.is_terminal:
            console.clear()
            print_summary(console, summary)
            console.print(describe_drivers(drivers), highlight=False, markup=False)
        elif (line := describe_study(summary, drivers)) != said:
            console.print(line, highlight=False, markup=False, soft_wrap=True)
            said = line
        if summary.budget is not None and summary.finished >= summary.budget:
            return
        time.sleep(every_s)


def describe_study(summary: "Summary", drivers: "Sequence[DriverRecord]") -> str:
    """Return how far the study is and who works on it, as one line."""
    best = ""
    if summary.best is not None:
        value = format_objective(summary.best.value, summary.objective)
        best = f" Best {value} (trial {summary.best.number})."
    return f"{describe_counts(summary)}{best} {describe_drivers(drivers)}"


def describe_drivers(drivers: "Sequence[DriverRecord]") -> str:
    """Return who works on the study, one clause for each driver."""
    if not drivers:
        return "Nobody works on it."
    told = (
        f"process {driver.pid} on {driver.host} ({driver.running} running)" for driver in drivers
    )
    return f"At work: {', '.join(told)}."
