"""From a TOML file, options and overrides to one document, and from errors to sentences."""

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from archloss.search.errors import SpecError
from archloss.search.spec_space import RULES, DimensionSpec, default_tables
from archloss.spaces.catalogue import SPACES


def read_values(
    path: str | Path | None, overrides: Sequence[str], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the file's document with `values` (by dotted key), then `overrides`, laid over."""
    document = {} if path is None else read_toml(Path(path))
    for key, value in values.items():
        set_key(document, key, parse_value(value) if isinstance(value, str) else value)
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise SpecError(
                f"--set takes KEY=VALUE, but got {text!r}: give for example --set recipe.epochs=50"
            )
        set_key(document, key.strip(), parse_value(value.strip()))
    return document


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
        raise SpecError(f"the study file must be text in UTF-8, but {str(path)!r} is not") from None
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"the study file must be TOML, but {str(path)!r} is not: {error}") from None


def parse_value(text: str) -> Any:
    """Return a TOML value, or the text itself where it is none: no quotes are needed.

    >>> [parse_value(text) for text in ("64", "0.5", "true", "[1, 2]", "tpe", "none")]
    [64, 0.5, True, [1, 2], 'tpe', 'none']
    """
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def set_key(document: dict[str, Any], key: str, value: Any) -> None:
    """Set a dotted key. A dimension's part starts from the dimension's default."""
    *parents, last = key.split(".")
    if len(parents) == 2 and parents[0] == "space" and parents[1] in RULES:
        _spell_out_dimension(document, parents[1], last)
    table = document
    for parent in parents:
        table = table.setdefault(parent, {})
        if not isinstance(table, dict):
            raise SpecError(f"{key} cannot be set, because {parent} is no table but {table!r}")
    table[last] = value


def _spell_out_dimension(document: dict[str, Any], name: str, part: str) -> None:
    space = document.setdefault("space", {})
    if not isinstance(space, dict) or isinstance(space.get(name), dict):
        return
    if name in space:
        space[name] = DimensionSpec.model_validate(space[name]).model_dump(exclude_defaults=True)
    else:
        known = space.get("name", "residual-mlp")
        space[name] = dict(default_tables(known if known in SPACES else "residual-mlp")[name])
    if part in ("low", "high", "log"):
        space[name].pop("choices", None)
    elif part == "choices":
        space[name] = {k: v for k, v in space[name].items() if k in ("when", "otherwise")}


def explain_errors(error: ValidationError, model: type[BaseModel], where: str) -> str:
    """Return a line for every rule that is broken."""
    lines = list(dict.fromkeys(_explain(error, model)))
    if len(lines) == 1:
        return f"{lines[0]} ({where})"
    return "\n".join([f"{len(lines)} rules are broken in {where}:", *(f"  {x}" for x in lines)])


def _explain(error: ValidationError, model: type[BaseModel]) -> Iterator[str]:
    for details in error.errors():
        place = tuple(str(part) for part in details["loc"] if _is_key(part))
        key = ".".join(place)
        kind, message = details["type"], details["msg"].removeprefix("Value error, ")
        if kind == "extra_forbidden":
            yield _explain_unknown(model, place)
        elif kind == "missing":
            yield f"{key} must be given: {_describe(model, place)}"
        elif kind == "value_error":
            yield message if key.split(".")[-1] in message.split(" ")[0] else f"{key}: {message}"
        else:
            rule = message[0].lower() + message[1:]
            yield f"{key}: {rule}, but got {details['input']!r}. {_describe(model, place)}".strip()


def _is_key(part: int | str) -> bool:
    """Say whether a part of a location is a key, and not a branch of a union or an index."""
    return isinstance(part, str) and part.replace("_", "").isalpha() and part not in _BRANCHES


_BRANCHES = {"int", "float", "str", "bool"}


def _explain_unknown(model: type[BaseModel], place: tuple[str, ...]) -> str:
    keys = sorted(_fields(model, place[:-1]))
    near = difflib.get_close_matches(place[-1], keys, n=1, cutoff=0.5)
    hint = f"did you mean {'.'.join((*place[:-1], near[0]))!r}?" if near else ""
    if not hint:
        hint = f"there are {', '.join(keys)}"
    return f"unknown key {'.'.join(place)!r}: {hint}"


def _fields(model: type[BaseModel], place: tuple[str, ...]) -> Mapping[str, Any]:
    """Return the fields of the table at a place."""
    fields = model.model_fields
    for part in place:
        annotation = fields[part].annotation
        candidates = getattr(annotation, "__args__", (annotation,))
        inner = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
        fields = inner[0].model_fields
    return fields


def _describe(model: type[BaseModel], place: tuple[str, ...]) -> str:
    field = _fields(model, place[:-1]).get(place[-1]) if place else None
    return field.description or "" if field is not None else ""
