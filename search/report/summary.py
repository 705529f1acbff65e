"""What a study has seen so far: how its trials ended, the best of them, and the best by depth."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from archloss.search.report.points import Ending, Point

CAVEAT = (
    "The best of few noisy trials each: what was seen, not an estimate. "
    "It says nothing yet about which mix is best, nor whether that depends on depth."
)
FINISHED: tuple[Ending, ...] = ("completed", "diverged", "pruned")
"""The endings that say something of a design's error; the budget counts infeasible ones too."""


@dataclass(frozen=True, kw_only=True)
class DepthBin:
    """Depths from `low` to `high`, both included: 0, 1, 2, 3-4, 5-8, 9-16 and so on."""

    low: int
    high: int

    def __str__(self) -> str:
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """The finished trials of some depths, all with or all without residual connections.

    `trials` counts all of them, `pruned` and `diverged` those among them; the best is the best
    of the others, None if there is none.
    """

    depths: DepthBin
    residual: bool
    trials: int
    pruned: int
    diverged: int
    best: Point | None


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What to say at the end of a launch. `finished` counts the trials of the budget.

    `best` is the completed trial with the lowest objective (the earliest of equals), None while
    nothing but diverged or unfinished trials exists. An experiment that `confirms` a study has
    neither a best trial nor cells: its results are read once, and not here.
    """

    study: str
    dataset: str
    objective: str
    budget: int | None
    finished: int
    counts: Mapping[Ending, int]
    best: Point | None
    cells: tuple[Cell, ...] = field(default=())
    confirms: str | None = None


def find_depth_bin(depth: int) -> DepthBin:
    """Return the bin of a depth: 0 and 1 by themselves, then up to each power of two.

    >>> [str(find_depth_bin(depth)) for depth in (0, 1, 2, 3, 5, 33)]
    ['0', '1', '2', '3-4', '5-8', '33-64']
    """
    if depth < 2:
        return DepthBin(low=depth, high=depth)
    high = 1 << (depth - 1).bit_length()
    return DepthBin(low=high // 2 + 1, high=high)


def find_best(points: Iterable[Point]) -> Point | None:
    """Return the completed point with the lowest value, the lowest number among equals."""
    completed = [
        point
        for point in points
        if point.ending == "completed" and point.value is not None and math.isfinite(point.value)
    ]
    return min(completed, key=lambda point: (point.value, point.number), default=None)


def summarise(
    points: Sequence[Point], *, study: str, dataset: str, objective: str, budget: int | None
) -> Summary:
    """Return the summary of a study's trials, finished or not."""
    counts = Counter(point.ending for point in points)
    return Summary(
        study=study,
        dataset=dataset,
        objective=objective,
        budget=budget,
        finished=sum(counts[ending] for ending in (*FINISHED, "infeasible")),
        counts=counts,
        best=find_best(points),
        cells=_make_cells(points),
    )


def _make_cells(points: Iterable[Point]) -> tuple[Cell, ...]:
    groups: dict[tuple[int, bool], list[Point]] = {}
    for point in points:
        if point.ending in FINISHED:
            bin_low = find_depth_bin(point.design.depth).low
            groups.setdefault((bin_low, point.design.residual), []).append(point)
    return tuple(
        Cell(
            depths=find_depth_bin(low),
            residual=residual,
            trials=len(group),
            pruned=sum(point.ending == "pruned" for point in group),
            diverged=sum(point.ending == "diverged" for point in group),
            best=find_best(group),
        )
        for (low, residual), group in sorted(groups.items())
    )


def summary_to_json(summary: Summary) -> dict[str, object]:
    """Return the summary as plain values that `json.dumps` takes; errors are fractions."""
    return {
        "study": summary.study,
        "dataset": summary.dataset,
        "objective": summary.objective,
        "budget": summary.budget,
        "finished": summary.finished,
        "counts": dict(summary.counts),
        "best": _point_to_json(summary.best),
        "best_seen_by_depth": [_cell_to_json(cell) for cell in summary.cells],
        "caveat": CAVEAT,
        "confirms": summary.confirms,
    }


def _point_to_json(point: Point | None) -> dict[str, object] | None:
    if point is None:
        return None
    return {"number": point.number, "value": point.value, "design": asdict(point.design)}


def _cell_to_json(cell: Cell) -> dict[str, object]:
    return {
        "depth_low": cell.depths.low,
        "depth_high": cell.depths.high,
        "residual": cell.residual,
        "trials": cell.trials,
        "pruned": cell.pruned,
        "diverged": cell.diverged,
        "number": None if cell.best is None else cell.best.number,
        "value": None if cell.best is None else cell.best.value,
        "ce_weight": None if cell.best is None else cell.best.design.ce_weight,
    }
