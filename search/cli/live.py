"""What a person sees while a study runs: a bar on a terminal, plain lines where it is piped."""

import time
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from archloss.search.progress import Progress
from archloss.search.report.wording import format_objective, format_span

if TYPE_CHECKING:
    from archloss.search.spec import Spec

SECONDS_BETWEEN_LINES = 5.0
_STARTING = "starting: reads the data, loads torch, measures how many trials to pack"
_FIRST = "training the first trials"


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What a launch works towards, for the time left: trials, minutes, or both.

    The best value so far is shown, but not of an experiment.
    """

    objective: str
    trials: int | None
    minutes: float | None
    shows_best: bool = True


def estimate_seconds_left(progress: Progress, goal: Goal) -> float | None:
    """Return the time left at this launch's rate so far, None while there is no rate."""
    left = [] if goal.minutes is None else [60.0 * goal.minutes - progress.elapsed_s]
    done = progress.finished - progress.started_from
    if goal.trials is not None and done > 0:
        left.append((goal.trials - progress.finished) * progress.elapsed_s / done)
    return max(0.0, min(left)) if left else None


def describe_progress(progress: Progress, goal: Goal) -> str:
    """Return the progress as one line.

    For example "57/200 trials, best 3.61% (trial 41), 312 trials/min, 0:27 left, 12 pruned,
    3 diverged".
    """
    budget = "" if goal.trials is None else f"/{goal.trials}"
    parts = [f"{progress.finished}{budget} trials"]
    if progress.best_value is not None and goal.shows_best:
        best = format_objective(progress.best_value, goal.objective)
        parts.append(f"best {best} (trial {progress.best_number})")
    done = progress.finished - progress.started_from
    if done > 0 and progress.elapsed_s > 0:
        parts.append(f"{60 * done / progress.elapsed_s:.0f} trials/min")
    left = estimate_seconds_left(progress, goal)
    if left is not None:
        parts.append(f"{format_span(left)} left")
    parts += [f"{progress.pruned} pruned", f"{progress.diverged} diverged"]
    if progress.failed:
        parts.append(f"{progress.failed} failed")
    return ", ".join(parts)


def describe_launch(spec: "Spec", resumed: int) -> str:
    """Return the sentence that opens a launch."""
    budget = "no limit of trials" if spec.trials is None else f"up to {spec.trials} trials"
    minutes = "" if spec.minutes is None else f", at most {spec.minutes:g} minutes"
    again = f"; {resumed} unfinished trials go first" if resumed else ""
    plan = spec.plan
    if plan is not None:
        what = f"experiment {spec.name!r}, which confirms {plan.confirms!r}"
        budget = f"{len(plan.designs)} designs, each trained {plan.replicates} times"
    else:
        what = f"study {spec.name!r}"
    return f"{what}: {spec.space.name} on {spec.dataset}, {budget}{minutes}{again}"


def make_goal(spec: "Spec") -> Goal:
    """Return what a launch of this spec works towards."""
    return Goal(
        objective=spec.objective,
        trials=spec.trials,
        minutes=spec.minutes,
        shows_best=spec.plan is None,
    )


class LineObserver:
    """Says how far a launch is in plain lines, one every few seconds."""

    def __init__(self, console: Console, goal: Goal) -> None:
        self.last: Progress | None = None
        self._console = console
        self._goal = goal
        self._said: Progress | None = None
        self._said_at = -SECONDS_BETWEEN_LINES

    def __enter__(self) -> "LineObserver":
        self.on_note(_STARTING)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing is left open."""

    def on_start(self, spec: "Spec", resumed: int) -> None:
        """Say what is launched."""
        self.on_note(describe_launch(spec, resumed))

    def on_progress(self, progress: Progress) -> None:
        """Say how far it is, unless that was said a moment ago."""
        self.last = progress
        if time.monotonic() - self._said_at >= SECONDS_BETWEEN_LINES:
            self._say(progress)

    def on_note(self, text: str) -> None:
        """Say it."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def on_end(self, progress: Progress) -> None:
        """Say how far it came, unless that was said already."""
        self.last = progress
        if self._said is None or progress.finished != self._said.finished:
            self._say(progress)

    def _say(self, progress: Progress) -> None:
        self._said, self._said_at = progress, time.monotonic()
        self.on_note(describe_progress(progress, self._goal))


class BarObserver:
    """Shows how far a launch is in two lines that stay at the foot of the terminal."""

    def __init__(self, console: Console, goal: Goal) -> None:
        self.last: Progress | None = None
        self._goal = goal
        self._heard_at = time.monotonic()
        self._spinner = Spinner("dots", text=_STARTING)
        self._live = Live(
            console=console, get_renderable=self._render, refresh_per_second=4, transient=True
        )

    def __enter__(self) -> "BarObserver":
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Take the two lines away, also after an error."""
        self._live.stop()

    def on_start(self, spec: "Spec", resumed: int) -> None:
        """Say what is launched, above the bar."""
        self._spinner.update(text=_FIRST)
        self.on_note(describe_launch(spec, resumed))

    def on_progress(self, progress: Progress) -> None:
        """Move the bar."""
        self.last, self._heard_at = progress, time.monotonic()

    def on_note(self, text: str) -> None:
        """Say it, above the bar."""
        self._live.console.print(text, markup=False, highlight=False)

    def on_end(self, progress: Progress) -> None:
        """Say how far it came, above the bar."""
        self.on_progress(progress)
        self.on_note(describe_progress(progress, self._goal))

    def _render(self) -> RenderableType:
        progress = self.last
        if progress is None:
            return self._spinner
        total, done = self._measure(progress)
        row = Table.grid(padding=(0, 1))
        row.add_row(
            ProgressBar(total=total, completed=done, width=40),
            Text(f"{100 * done / total:.0f}%" if total else ""),
        )
        return Group(row, Text(describe_progress(progress, self._goal)))

    def _measure(self, progress: Progress) -> tuple[float | None, float]:
        """Return the whole and the part of it that is done, in trials or else in seconds."""
        if self._goal.trials is not None:
            return self._goal.trials, progress.finished
        if self._goal.minutes is not None:
            elapsed = progress.elapsed_s + time.monotonic() - self._heard_at
            return 60.0 * self._goal.minutes, min(elapsed, 60.0 * self._goal.minutes)
        return None, progress.finished


def make_observer(console: Console, goal: Goal) -> BarObserver | LineObserver:
    """Return the observer for what is at the other end: a terminal, or a pipe."""
    interactive = console.is_interactive and console.file.isatty()
    return BarObserver(console, goal) if interactive else LineObserver(console, goal)
