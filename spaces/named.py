"""How a data set is named with parameters: "spirals:classes=3,noise=0.5"."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from archloss.spaces.errors import DataError


@dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """A data set that is known by name, as `archloss datasets` lists it."""

    name: str
    examples: int
    features: int
    classes: int
    description: str


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A number in a data set's name: from `low` to `high`, whole if its default is."""

    name: str
    default: int | float
    low: int | float
    high: int | float

    def read(self, text: str, *, dataset: str) -> int | float:
        """Return the number in `text`; raise DataError if it is none or out of range."""
        kind = type(self.default)
        try:
            number = kind(text)
        except ValueError:
            number = kind(self.low) - 1
        if not self.low <= number <= self.high:
            noun = "a whole number" if kind is int else "a number"
            raise DataError(
                f"{self.name} of {dataset!r} must be {noun} from {self.low} to {self.high}, but "
                f"got {text!r}: the default is {self.default}"
            )
        return number


LABEL_NOISE = Parameter(name="label_noise", default=0.0, low=0.0, high=0.95)


def read_parameters(
    text: str, parameters: Sequence[Parameter], *, dataset: str
) -> Mapping[str, int | float]:
    """Return a number for each parameter, from "key=value,key=value"; others by default.

    Raises DataError for a key that is unknown or repeated, or a value out of range.
    """
    known = {parameter.name: parameter for parameter in parameters}
    values = {parameter.name: parameter.default for parameter in parameters}
    seen = set()
    for item in text.split(",") if text else []:
        key, equals, value = (part.strip() for part in item.partition("="))
        if not equals or key not in known or key in seen:
            nearest = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {nearest[0]!r}? " if nearest and key not in known else ""
            raise DataError(
                f"parameters of {dataset!r} are written {dataset}:key=value,key=value, each key "
                f"once, but got {item.strip()!r}: {hint}It has {', '.join(known)}"
            )
        seen.add(key)
        values[key] = known[key].read(value, dataset=dataset)
    return values
