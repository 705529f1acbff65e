"""From a TOML file, options and overrides to one document, and to where its keys were given."""

import tomllib
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from archloss.search.errors import SpecError
from archloss.search.spec_dimension import RULES
from archloss.search.spec_errors import find_field
from archloss.search.spec_space import DEFAULT_SPACE, default_tables
from archloss.spaces.catalogue import SPACES


def read_document(
    path: Path | str | None,
    overrides: Sequence[str],
    values: Mapping[str, Any],
    model: type[BaseModel],
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the file's document with `values` (by dotted key), then `overrides`, laid over.

    And, for each key that was laid over, how it was given.
    """
    document = {} if path is None else read_toml(Path(path))
    origins = lay_over(document, values, model)
    for text in overrides:
        key, equals, value = (part.strip() for part in text.partition("="))
        if not equals or not all(key.split(".")):
            raise SpecError(
                f"--set takes KEY=VALUE, but got {text!r}: give for example --set recipe.epochs=50"
            )
        set_key(document, key, parse_value(value, key, model))
        origins[key] = f"--set {key}={value}"
    return document, origins


def lay_over(
    document: dict[str, Any], values: Mapping[str, Any], model: type[BaseModel]
) -> dict[str, str]:
    """Set `values` (by dotted key) in the document; return the option that gave each."""
    origins = {}
    for key, value in values.items():
        parsed = parse_value(value, key, model) if isinstance(value, str) else value
        set_key(document, key, parsed)
        origins[key] = f"--{key.rpartition('.')[2].replace('_', '-')}"
    return origins


def read_toml(path: Path) -> dict[str, Any]:
    """Return a TOML file's document; raise SpecError if there is none, or it is not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SpecError(
            f"the study file must be readable, but {str(path)!r} is not: {error.strerror}. "
            "`archloss launch --dataset digits` needs no file"
        ) from None
    except UnicodeDecodeError:
        raise SpecError(
            f"the study file must be text in UTF-8, but {str(path)!r} is not: save it as such"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise SpecError(
            f"the study file must be TOML, but {str(path)!r} is not: {error}. "
            'Text needs quotes there, as in dataset = "digits"'
        ) from None


def parse_value(text: str, key: str, model: type[BaseModel]) -> Any:
    """Return the TOML value that `text` is; the text itself where it is none, or is asked for.

    So text needs no quotes, and `name = 2026` is a name.
    """
    try:
        value = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    if len(value) > 1 or (not isinstance(value["value"], str) and _is_text(key, model)):
        return text
    return value["value"]


def _is_text(key: str, model: type[BaseModel]) -> bool:
    field = find_field(model, key.split("."))
    kinds = set() if field is None else {field.annotation, *typing.get_args(field.annotation)}
    return str in kinds


def set_key(document: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key. A part of a dimension is laid over the dimension, or its default."""
    *parents, last = key.split(".")
    if len(parents) > 1 and parents[0] == "space" and parents[1] in RULES:
        _spell_out_dimension(document, parents[1], part=(*parents, last)[2])
    table = document
    for depth, parent in enumerate(parents, start=1):
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise SpecError(
                f"{'.'.join(parents[:depth])} must be a table for {key} to be set, but got "
                f"{table!r}: write it as one"
            )
    table[last] = value


def _spell_out_dimension(document: dict[str, Any], name: str, *, part: str) -> None:
    """Make a dimension a table that `part` can be set in: of a range or of choices."""
    space = document.setdefault("space", {})
    if not isinstance(space, dict):
        return
    given = space.get(name)
    if given is None:
        known = str(space.get("name"))
        given = default_tables(known if known in SPACES else DEFAULT_SPACE)[name]
    elif not isinstance(given, dict):
        given = {"choices": given if isinstance(given, list) else [given]}
    others = {"low": {"choices"}, "high": {"choices"}, "choices": {"low", "high", "log"}}
    space[name] = {key: old for key, old in given.items() if key not in others.get(part, ())}
