"""What rows and columns of a table are called in a sentence."""

from collections.abc import Sequence


def name_row(index: int) -> str:
    """Return what a row of a table is called, by its index."""
    return f"row {int(index) + 1} (of the data, from 1)"


def choose_names(names: Sequence[str], most: int = 5) -> str:
    """Return the first of some names, as they stand in a sentence.

    >>> choose_names(["lr", "width"]), choose_names(["a", "b", "c"], most=2)
    ("'lr' and 'width'", "'a', 'b' and 1 more")
    """
    shown = [repr(name) for name in names[:most]]
    if len(names) > most:
        return f"{', '.join(shown)} and {len(names) - most} more"
    return " and ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))
