"""The errors of the database, each with its way out; no message holds a password."""

from archloss.spaces.errors import ArchlossError


class StorageError(ArchlossError):
    """The database cannot be opened, read or written."""


class StudyExistsError(ArchlossError):
    """A study of this name exists already."""


class StudyNotFoundError(ArchlossError):
    """There is no study of this name that archloss made."""
