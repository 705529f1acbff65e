"""The errors of the database, and of names in it."""

from archloss.spaces.errors import ArchlossError


class StorageError(ArchlossError):
    """The database cannot be opened, or refuses what was asked of it."""


class StorageURLError(ArchlossError):
    """The URL is not that of a database that can be used here."""


class StudyExistsError(ArchlossError):
    """A study of that name is in the database already."""


class StudyMovedError(ArchlossError):
    """The study holds another number of trials than was expected: another driver started some."""


class StudyNotFoundError(ArchlossError):
    """No study of ours has that name or that id."""
