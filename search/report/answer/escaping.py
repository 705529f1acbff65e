"""Text that Markdown shows as it stands."""

import re

_SPECIAL = re.compile(r"([\\`*_\[\]<>|#~$])")


def escape(text: str) -> str:
    """Return text that Markdown shows as it stands, also in a table's cell.

    >>> print(escape("a|b <c>"))
    a\\|b \\<c\\>
    """
    return _SPECIAL.sub(r"\\\1", text).replace("\n", " ")
