"""The confirmatory experiment: designed from a study, stored, trained, then read once."""

REPLICATE = "replicate"
"""The parameter that says which replicate a trial of an experiment is."""


def name_experiment(study: str) -> str:
    """Return the name of the experiment that confirms a study, where none is given."""
    return f"{study}-confirm"


def make_command(study: str, name: str) -> str:
    """Return the command that goes on with an experiment, or shows what came of it.

    >>> make_command("digits", "digits-confirm"), make_command("digits", "again")
    ('archloss confirm digits', 'archloss confirm digits --name again')
    """
    return f"archloss confirm {study}" + (
        f" --name {name}" if name != name_experiment(study) else ""
    )
