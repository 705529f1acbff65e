"""The errors a user can meet.

ArchlossError
├── DataError       the data cannot be read, or cannot be trained on
├── SpaceError      a design or a space breaks a rule
├── SpecError       (search) the study file breaks a rule
└── StorageError    (storage) the database cannot be opened, or refuses

Every message names the key, the rule, the value and the way out. Only the command line turns
them into a line on the terminal; the library raises them.
"""


class ArchlossError(Exception):
    """The base of every error that archloss raises on purpose."""


class DataError(ArchlossError):
    """The data cannot be read, or cannot be trained on."""


class SpaceError(ArchlossError):
    """A design, or a dimension of a space, breaks a rule."""
