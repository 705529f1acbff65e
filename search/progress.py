"""What a running study tells whoever watches it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from archloss.search.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Progress:
    """How far a study is. `finished` counts complete and pruned trials: those of the budget.

    `running` counts this driver's unfinished trials, `diverged` is part of `finished`, and
    `failed` is not. `elapsed_s` is this launch's time; `started_from` the trials that were
    finished when it began, so that a rate counts only its own.
    """

    finished: int
    budget: int | None
    running: int
    pruned: int
    diverged: int
    failed: int
    best_value: float | None
    best_number: int | None
    elapsed_s: float
    started_from: int


class Observer(Protocol):
    """Watches one launch. Every call comes from the thread that launched."""

    def on_start(self, spec: "Spec", resumed: int) -> None:
        """A launch begins; `resumed` unfinished trials of an earlier one go first."""

    def on_progress(self, progress: Progress) -> None:
        """Something was told."""

    def on_note(self, text: str) -> None:
        """Something a person should know, in one sentence."""

    def on_end(self, progress: Progress) -> None:
        """The launch has ended, at its budget or paused; an exception ends it without this call."""


class SilentObserver:
    """An observer that ignores everything."""

    def on_start(self, spec: "Spec", resumed: int) -> None:
        """Ignore it."""

    def on_progress(self, progress: Progress) -> None:
        """Ignore it."""

    def on_note(self, text: str) -> None:
        """Ignore it."""

    def on_end(self, progress: Progress) -> None:
        """Ignore it."""
