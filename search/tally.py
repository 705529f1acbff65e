"""How many trials ended how, and the best value so far."""

import bisect

from archloss.spaces.outcome import Outcome


class Tally:
    """Counts trials as they end. Complete and pruned ones are those that a budget counts."""

    def __init__(self) -> None:
        self.complete = self.pruned = self.diverged = self.failed = 0
        self.best_value: float | None = None
        self.best_number: int | None = None
        self._values: list[float] = []
        self._seen: set[int] = set()

    @property
    def finished(self) -> int:
        """Return the number of trials that count."""
        return self.complete + self.pruned

    def count(
        self,
        trial_id: int,
        *,
        number: int,
        state: str | None,
        value: float | None,
        outcome: Outcome | None,
    ) -> None:
        """Take in one trial, once; one that has not ended changes nothing."""
        if state not in ("COMPLETE", "PRUNED", "FAIL") or trial_id in self._seen:
            return
        self._seen.add(trial_id)
        self.complete += state == "COMPLETE"
        self.pruned += state == "PRUNED"
        self.failed += state == "FAIL"
        self.diverged += outcome is Outcome.DIVERGED
        if state == "COMPLETE" and value is not None:
            bisect.insort(self._values, value)
            if self.best_value is None or value < self.best_value:
                self.best_value, self.best_number = value, number

    def is_among_best(self, value: float, count: int) -> bool:
        """Say whether fewer than `count` of the trials so far are better than `value`."""
        return bisect.bisect_left(self._values, value) < count
