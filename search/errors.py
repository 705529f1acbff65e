"""The errors of a study file."""

from archloss.spaces.errors import ArchlossError


class SpecError(ArchlossError):
    """The study file, or an option that stands for one of its keys, breaks a rule."""
