"""Options that several commands share, and how a command takes many of them as one object."""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

T = TypeVar("T")

Storage = Annotated[
    str | None,
    typer.Option(
        envvar="ARCHLOSS_STORAGE",
        metavar="URL",
        help="Database of the studies: sqlite:///FILE or postgresql://USER@HOST/DATABASE. Without "
        "it: studies.db in the folder.",
        show_default=False,
    ),
]
Folder = Annotated[
    Path | None,
    typer.Option(
        envvar="ARCHLOSS_FOLDER",
        help="Where studies keep their files. Without it: archloss-studies.",
        show_default=False,
    ),
]
_WORKERS = "Where it runs"
ExecutorName = Annotated[
    str | None, typer.Option(help="inline, local or ray.", rich_help_panel=_WORKERS)
]
Processes = Annotated[
    str | None,
    typer.Option(help="Worker processes: a number, or auto.", rich_help_panel=_WORKERS),
]
PackSize = Annotated[
    str | None,
    typer.Option(help="Members trained together: a number, or auto.", rich_help_panel=_WORKERS),
]
RayAddress = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Ray cluster to join: auto, HOST:PORT or ray://HOST:PORT. Without it: that of "
        "ARCHLOSS_RAY_ADDRESS, or a Ray of its own.",
        rich_help_panel=_WORKERS,
    ),
]
Device = Annotated[
    str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.", rich_help_panel=_WORKERS)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON to standard output.")]
StudyName = Annotated[str, typer.Argument(metavar="STUDY", help="Name of the study.")]


def choose_ray(values: dict[str, Any], ray_address: str | None) -> None:
    """Let `values` of a study file have the executor that a Ray cluster's address needs."""
    if ray_address is not None and values.setdefault("workers.executor", "ray") != "ray":
        raise typer.BadParameter(
            f"--ray-address needs --executor ray, but got {values['workers.executor']!r}"
        )


def takes(options: type[T]) -> Callable[[Callable[[T], None]], Callable[..., None]]:
    """Make a function of one options object into one with a parameter per field.

    `options` is a dataclass whose fields are annotated as Typer wants parameters to be; every
    field but arguments needs a default.
    """

    def decorate(function: Callable[[T], None]) -> Callable[..., None]:
        def command(**values: Any) -> None:
            function(options(**values))

        command.__name__ = function.__name__
        command.__doc__ = function.__doc__
        command.__annotations__ = get_type_hints(options, include_extras=True)
        command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # inspect reads it
            [
                _make_parameter(field, command.__annotations__[field.name])
                for field in fields(options)  # type: ignore[arg-type]  # T is a dataclass
            ]
        )
        return command

    return decorate


def _make_parameter(field: Any, annotation: Any) -> inspect.Parameter:
    default = field.default
    if field.default_factory is not MISSING:
        default = field.default_factory()
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is MISSING else default,
        annotation=annotation,
    )
