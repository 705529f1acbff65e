"""From pydantic's errors to sentences: the key, the rule, the value, the way out, the place."""

import difflib
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

_RULES = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "above {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "below {lt}",
    "finite_number": "a finite number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "string_type": "text",
    "bool_type": "true or false",
    "literal_error": "{expected}",
    "string_too_short": "at least {min_length} character long",
    "string_too_long": "at most {max_length} characters long",
    "too_short": "at least {min_length} long",
    "tuple_type": "a list",
    "model_type": "a table",
    "model_attributes_type": "a table",
}


def explain_errors(
    error: ValidationError, model: type[BaseModel], origins: Mapping[str, str], where: str
) -> str:
    """Return a line for every rule that is broken; `origins` says how some keys were given."""
    by_key: dict[tuple[str, ...], list[Any]] = {}
    for details in error.errors():
        by_key.setdefault(_find_place(model, details["loc"]), []).append(details)
    lines = []
    for place, broken in by_key.items():
        key = ".".join(place)
        lines.append(f"{_explain(model, place, broken)} ({_find_origin(key, origins) or where})")
    if len(lines) == 1:
        return lines[0]
    return "\n".join([f"{len(lines)} rules are broken:", *(f"  {line}" for line in lines)])


def find_field(model: type[BaseModel], place: Sequence[str]) -> FieldInfo | None:
    """Return the field at a place, if there is one."""
    field = None
    table: type[BaseModel] | None = model
    for part in place:
        field = None if table is None else table.model_fields.get(part)
        table = None if field is None else _find_table(field)
    return field


def _find_table(field: FieldInfo) -> type[BaseModel] | None:
    kinds = (field.annotation, *typing.get_args(field.annotation))
    tables = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)]
    return tables[0] if tables else None


def _find_place(model: type[BaseModel], location: Sequence[int | str]) -> tuple[str, ...]:
    """Return the keys of a location, without the branches of unions and the places in lists."""
    place: tuple[str, ...] = ()
    for part in location:
        below = model if not place else _find_table(find_field(model, place) or FieldInfo())
        if below is None:
            break
        place = (*place, str(part))
    return place


def _find_origin(key: str, origins: Mapping[str, str]) -> str | None:
    """Return how the key, a part of it or what it is part of was given beside the file."""
    for given, origin in origins.items():
        if f"{given}.".startswith(f"{key}.") or f"{key}.".startswith(f"{given}."):
            return origin
    return None


def _explain(model: type[BaseModel], place: tuple[str, ...], broken: Sequence[Any]) -> str:
    """Return a sentence about one key; several errors are of the branches of a union."""
    key = ".".join(place)
    first = broken[0]
    if first["type"] == "extra_forbidden":
        return _explain_unknown(model, place)
    if first["type"] == "missing":
        return f"{key} must be given: {_describe(model, place)}"
    if first["type"] == "value_error":
        message = str(first["ctx"]["error"])
        return message if not key else key + ("" if message[0] in ".: " else ": ") + message
    rules = dict.fromkeys(describe_rule(details) for details in broken)
    if first["type"] == "string_pattern_mismatch":
        return (
            f"{key} must be of another form, but got {first['input']!r}: {_describe(model, place)}"
        )
    near = _find_nearest(first["input"], " ".join(rules).split("'")[1::2])
    hint = f": did you mean {near!r}?" if near else ""
    return f"{key} must be {' or '.join(rules)}, but got {first['input']!r}{hint}"


def _describe(model: type[BaseModel], place: tuple[str, ...]) -> str:
    field = find_field(model, place)
    return "" if field is None else field.description or ""


def describe_rule(details: Mapping[str, Any]) -> str:
    """Return what a value must be, for a sentence with "must be" before it."""
    rule = _RULES.get(details["type"], "of another kind")
    bounds = {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in details.get("ctx", {}).items()
    }
    return rule.format(**bounds)


def _find_nearest(word: object, known: Iterable[str]) -> str | None:
    near = difflib.get_close_matches(str(word), list(known), n=1)
    return near[0] if near else None


def _explain_unknown(model: type[BaseModel], place: tuple[str, ...]) -> str:
    """Return what is wrong with a key that is none, and which one comes nearest."""
    *above, last = place
    tables = dict(walk_tables(model))
    here = tables[tuple(above)].model_fields
    elsewhere = {key: (*path, key) for path, table in tables.items() for key in table.model_fields}
    near = _find_nearest(last, here)
    far = _find_nearest(last, elsewhere)
    if near is not None:
        hint = f"did you mean {'.'.join((*above, near))!r}?"
    elif far is not None:
        hint = f"did you mean {'.'.join(elsewhere[far])!r}?"
    else:
        hint = f"there are {', '.join(here)}"
    return f"unknown key {'.'.join(place)!r}: {hint}"


def walk_tables(
    model: type[BaseModel], place: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], type[BaseModel]]]:
    """Yield a table and all tables below it, each with its place."""
    yield place, model
    for key, field in model.model_fields.items():
        table = _find_table(field)
        if table is not None:
            yield from walk_tables(table, (*place, key))
