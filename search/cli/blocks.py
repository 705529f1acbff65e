"""Tables that may be wider than the terminal: their columns in blocks, one below the other."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

MOST_BLOCKS = 4
"""More of them no one compares."""
_BETWEEN = 2

Column = Sequence[str]
"""Its name, then a cell for each row, which may have several lines."""


def print_blocks(console: Console, first: Column, others: Sequence[Column]) -> None:
    """Print the columns `others`, with the first one to the left of each block."""
    for place, block in enumerate(split_columns(first, others, width=console.width)):
        if place:
            console.print()
        console.print(_make_table([first, *block]))


def count_blocks(console: Console, first: Column, others: Sequence[Column]) -> int:
    """Return how many blocks it takes."""
    return sum(1 for _ in split_columns(first, others, width=console.width))


def split_columns(first: Column, others: Sequence[Column], *, width: int) -> Iterator[list[Column]]:
    """Give the columns that stand beside each other, at least one, and no more than fit."""
    block: list[Column] = []
    taken = _measure(first)
    for column in others:
        needed = _BETWEEN + _measure(column)
        if block and taken + needed > width:
            yield block
            block, taken = [], _measure(first)
        block.append(column)
        taken += needed
    yield block


def _measure(column: Column) -> int:
    return max(cell_len(line) for cell in column for line in cell.split("\n"))


def _make_table(columns: Sequence[Column]) -> Table:
    table = Table(box=None, padding=(0, _BETWEEN // 2), pad_edge=False)
    for name, *_ in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for row in zip(*(cells for _, *cells in columns), strict=True):
        table.add_row(*row)
    return table
