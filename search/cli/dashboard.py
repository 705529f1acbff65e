"""The command `dashboard`: shows studies in a web browser, with their answer on their pages."""

import contextlib
import os
import sys
import threading
import webbrowser
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from archloss.search.cli.options import Folder, Storage, takes
from archloss.search.cli.studies import NoStudiesError, open_database

if TYPE_CHECKING:
    from archloss.storage.database import Database
    from archloss.storage.records import StudyRecord


@dataclass(frozen=True, kw_only=True)
class DashboardOptions:
    """What `archloss dashboard` takes."""

    study: Annotated[
        str | None,
        typer.Argument(
            metavar="STUDY", help="Whose page to show; without it, all studies.", show_default=False
        ),
    ] = None
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="Port on this machine. Without it: 8080, or a free one if that is in use.",
            show_default=False,
        ),
    ] = None
    write: Annotated[
        bool, typer.Option("--write", help="Let the pages change and delete studies.")
    ] = False
    open_page: Annotated[bool, typer.Option("--open", help="Show the page in a web browser.")] = (
        False
    )
    storage: Storage = None
    folder: Folder = None


@takes(DashboardOptions)
def dashboard(options: DashboardOptions) -> None:
    """Show studies in the Optuna dashboard, on this machine alone, until Ctrl-C.

    A study's page has its answer as plots and a note: those of STUDY are brought up to date first.
    """
    from archloss.search.dashboard.serving import (
        HOST,
        check_installed,
        make_application,
        open_server,
        serve,
        warm_up,
    )

    check_installed()
    with (
        contextlib.suppress(KeyboardInterrupt),
        open_database(options.storage, options.folder) as (database, _),
    ):
        study_id = _find_study(options, database)
        application = make_application(
            database,
            may_write=options.write,
            tell=lambda reason: typer.echo(f"refused: {reason}", err=True),
        )
        server = open_server(application, options.port)
        page = "/dashboard" if study_id is None else f"/dashboard/studies/{study_id}"
        url = f"http://{HOST}:{server.effective_port}{page}"
        _explain(options, url)
        if study_id is not None:
            threading.Thread(target=warm_up, args=(application, study_id), daemon=True).start()
        if options.open_page:
            threading.Thread(target=_open_page, args=(url,), daemon=True).start()
        serve(server)


def _find_study(options: DashboardOptions, database: "Database") -> int | None:
    """Return the id of the study whose page to show, which is brought up to date."""
    if options.study is not None:
        record = database.get_study(options.study)
        _publish(database, record)
        return record.study_id
    if not database.list_studies():
        raise NoStudiesError(
            "the database holds no study yet: `archloss launch --dataset digits` makes a first one"
        )
    return None


def _publish(database: "Database", record: "StudyRecord") -> None:
    """Bring the study's note and plots up to date; a page without them is better than none."""
    from archloss.search.dashboard.publishing import publish
    from archloss.storage.errors import StorageError

    try:
        remark = publish(database, record)
    except StorageError as error:
        remark = f"the study's note could not be brought up to date: {error}"
    if remark is not None:
        typer.echo(remark, err=True)


def _explain(options: DashboardOptions, url: str) -> None:
    """Say where the pages are, in a line that another program can read, and what they can do."""
    typer.echo(url)
    sys.stdout.flush()
    if options.study is not None:
        typer.echo(f"its answer as a note: {url}/note", err=True)
    mode = (
        "the pages can change and delete studies" if options.write else "read-only without --write"
    )
    typer.echo(f"on this machine alone; {mode}; Ctrl-C ends it", err=True)


def _open_page(url: str) -> None:
    """Show the page; in a thread of its own, because some browsers return when they are closed."""
    if not _has_display() or not webbrowser.open(url):
        typer.echo(f"no web browser was found here: open {url} in one", err=True)


def _has_display() -> bool:
    """Say whether windows can be shown: a browser in this terminal could not draw the page."""
    if sys.platform != "linux":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
