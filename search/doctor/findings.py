"""What the doctor found: a sentence, how bad it is, and what to do about it."""

from dataclasses import dataclass
from typing import Literal

Level = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at. A problem stops studies; a warning slows or endangers them.

    `advice` is what to do, empty where all is well.
    """

    area: str
    level: Level
    message: str
    advice: str = ""


def is_well(area: str, message: str) -> Finding:
    """Return a finding that needs nothing to be done."""
    return Finding(area=area, level="ok", message=message)


def warn(area: str, message: str, advice: str) -> Finding:
    """Return a finding that studies can live with."""
    return Finding(area=area, level="warning", message=message, advice=advice)


def object_to(area: str, message: str, advice: str) -> Finding:
    """Return a finding that studies cannot live with."""
    return Finding(area=area, level="problem", message=message, advice=advice)
