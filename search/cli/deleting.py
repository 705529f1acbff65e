"""The command `delete`: takes a study out of the database, after asking."""

import contextlib
import itertools
from pathlib import Path
from typing import Annotated

import typer

from archloss.search.cli.options import Folder, Storage, StudyName
from archloss.search.cli.studies import open_database
from archloss.search.cli.talking import ask, is_terminal
from archloss.search.report import LANDSCAPE_FILE, REPORT_FILES, REPORT_FOLDER


def delete(
    study: StudyName,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    storage: Storage = None,
    folder: Folder = None,
) -> None:
    """Delete a study: all its trials, and its report. Asks first; there is no way back."""
    with open_database(storage, folder) as (database, home):
        counts = database.count_states(database.get_study(study).study_id)
        if not yes:
            _ask(study, sum(counts.values()))
        database.delete_study(study)
    _delete_files(home / study)
    typer.echo(f"study {study!r} is deleted", err=True)


def _ask(study: str, trials: int) -> None:
    if not is_terminal():
        raise typer.BadParameter("nobody is there to ask: say --yes if you mean it")
    question = f"Delete study {study!r} with its {trials} trials, for good?"
    ask(question)


def _delete_files(folder: Path) -> None:
    """Delete what we wrote for the study, and the folders if nothing else is in them."""
    reports = [folder / REPORT_FOLDER, *folder.glob(f"{REPORT_FOLDER}-*/")]
    (folder / LANDSCAPE_FILE).unlink(missing_ok=True)
    for report, name in itertools.product(reports, REPORT_FILES):
        (report / name).unlink(missing_ok=True)
    for emptied in (*reports, folder):
        with contextlib.suppress(OSError):  # not there, or it holds what is not ours to delete
            emptied.rmdir()
