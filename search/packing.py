"""Which trials train together: as many of one width and one rung as a pack takes."""

import functools
import math
from collections.abc import Callable, Iterable, Mapping

from archloss.search.running import RunningTrial

FEWEST_PACKS = 8
"""A study is asked at least this often: what is asked in one pack is chosen blindly."""
PACKS_PER_SLOT = 4
"""Every slot gets at least this many packs, so that none waits long for the others."""


def limit_pack_size(measured: int, *, budget: int | None, slots: int) -> int:
    """Return the trials in a pack, `measured` being the most that pays on the device."""
    if budget is None:
        return max(measured, 1)
    return max(1, min(measured, budget // max(FEWEST_PACKS, PACKS_PER_SLOT * slots)))


def even_out(size: int, *, left: int | None, slots: int) -> int:
    """Return the largest size up to `size` by which all slots end together with `left` trials."""
    if left is None or left <= 0:
        return size
    rounds = math.ceil(left / (size * slots))
    return math.ceil(left / (rounds * slots))


class ReadyTrials:
    """The trials that wait for a slot, in the order they came.

    `sizes` gives the most trials of a pack for each kind of device and width.
    """

    def __init__(self, sizes: Callable[[str, int], int]) -> None:
        self._sizes = sizes
        self._pools: dict[tuple[int, int], list[RunningTrial]] = {}

    def add(self, trials: Iterable[RunningTrial]) -> None:
        """Let these wait too."""
        for trial in trials:
            self._pools.setdefault((trial.epochs_done, trial.design.width), []).append(trial)

    def count_fresh(self) -> int:
        """Return how many trials wait that have not begun."""
        return sum(len(pool) for (epochs, _), pool in self._pools.items() if epochs == 0)

    def __len__(self) -> int:
        return sum(len(pool) for pool in self._pools.values())

    def take_full(self, kind: str) -> list[RunningTrial]:
        """Return a full pack, of those that have come furthest; nothing if there is none."""
        full = [key for key, pool in self._pools.items() if len(pool) >= self._sizes(kind, key[1])]
        if not full:
            return []
        key = max(full)
        return self._take(key, self._sizes(kind, key[1]))

    def take_some(self, kind: str, *, slots: int = 1) -> list[RunningTrial]:
        """Return what there is, shared out over `slots`; the least trained go first.

        Their survivors may then still join the others.
        """
        if not self._pools:
            return []
        key = min(self._pools)
        share = math.ceil(len(self._pools[key]) / slots)
        return self._take(key, min(self._sizes(kind, key[1]), share))

    def _take(self, key: tuple[int, int], count: int) -> list[RunningTrial]:
        pool = self._pools.pop(key)
        if pool[count:]:
            self._pools[key] = pool[count:]
        return pool[:count]


def read_sizes(sizes: Mapping[str, Mapping[int, int]]) -> Callable[[str, int], int]:
    """Return the size for any kind and width: that of the next measured width that is no narrower.

    A kind of device that was not measured gets the smallest size of all kinds, which is right
    for a device too small to be there at the start, and safe for any other.
    """

    @functools.cache
    def read_size(kind: str, width: int) -> int:
        return min(_look_up(known, width) for known in ([sizes[kind]] if kind in sizes else all_))

    all_ = list(sizes.values())
    return read_size


def _look_up(sizes: Mapping[int, int], width: int) -> int:
    widths = sorted(sizes)
    return sizes[next((known for known in widths if known >= width), widths[-1])]
