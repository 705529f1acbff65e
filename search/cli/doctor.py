"""The command `doctor`: looks at what studies need here, and says what to do."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from archloss.search.cli.failures import FAILED
from archloss.search.cli.options import AsJson, Folder, Storage, takes
from archloss.search.places import resolve_folder, resolve_ray_address, resolve_storage

if TYPE_CHECKING:
    from archloss.search.doctor.findings import Finding

_STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@dataclass(frozen=True, kw_only=True)
class DoctorOptions:
    """What `archloss doctor` takes."""

    executor: Annotated[
        Literal["local", "ray"], typer.Option(help='Where packs shall run; "ray": look at Ray too.')
    ] = "local"
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Ray cluster to look at: auto, HOST:PORT or ray://HOST:PORT. Without it: that of "
            "ARCHLOSS_RAY_ADDRESS.",
            show_default=False,
        ),
    ] = None
    storage: Storage = None
    folder: Folder = None
    as_json: AsJson = False


@takes(DoctorOptions)
def doctor(options: DoctorOptions) -> None:
    """Check this machine, the database and the cluster, and say what to do about each finding.

    Changes nothing. Exits with 1 if there is a problem that studies cannot live with.
    """
    findings = _examine(options)
    problems = sum(finding.level == "problem" for finding in findings)
    warnings = sum(finding.level == "warning" for finding in findings)
    if options.as_json:
        document = {
            "problems": problems,
            "warnings": warnings,
            "findings": [asdict(finding) for finding in findings],
        }
        typer.echo(json.dumps(document, indent=2))
    else:
        _show(findings)
        typer.echo(f"\n{_count(problems, 'problem')}, {_count(warnings, 'warning')}")
    if problems:
        raise typer.Exit(FAILED)


def _examine(options: DoctorOptions) -> "list[Finding]":
    from archloss.search.doctor.database import check_database
    from archloss.search.doctor.machine import check_machine
    from archloss.workers.inspection import inspect_machine

    home = resolve_folder(options.folder)
    machine = inspect_machine()
    findings = check_machine(machine, home)
    findings += check_database(resolve_storage(options.storage, home))
    address = resolve_ray_address(options.ray_address)
    if options.executor == "ray" or address is not None:
        from archloss.search.doctor.cluster import check_cluster

        findings += check_cluster(address, machine)
    return findings


def _show(findings: "Sequence[Finding]") -> None:
    table = Table(box=None, padding=(0, 2), pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for finding in findings:
        said = Text(finding.message)
        if finding.advice:
            said.append(f"\n-> {finding.advice}", style="italic")
        table.add_row(Text(finding.level, style=_STYLES[finding.level]), finding.area, said)
    Console().print(table)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
