"""The command `stop`: asks whoever works on a study to finish its rungs and leave."""

import typer

from archloss.search.cli.options import Folder, Storage, StudyName
from archloss.search.cli.studies import open_study


def stop(study: StudyName, storage: Storage = None, folder: Folder = None) -> None:
    """Ask every driver of a study, wherever it runs, to finish its rungs, save and end.

    It takes what is left of the running rungs, and ten seconds. Launching it again goes on.
    """
    with open_study(study, storage=storage, folder=folder) as opened:
        drivers = opened.database.list_drivers(opened.record.study_id)
        if drivers:
            opened.database.request_stop(opened.record.study_id)
    if not drivers:
        typer.echo(f"nobody works on {study!r}: there is nothing to stop")
        return
    for driver in drivers:
        typer.echo(
            f"asked process {driver.pid} on {driver.host} to stop, which runs "
            f"{driver.running} trials"
        )
    typer.echo("it ends with its running rungs; `archloss status --watch` shows when")
