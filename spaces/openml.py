"""Fetches data sets of OpenML through scikit-learn, which keeps a copy on this machine."""

import re
import warnings
from dataclasses import replace
from urllib.error import URLError

from archloss.spaces.dataset import Dataset
from archloss.spaces.errors import DataError
from archloss.spaces.tables import make_table_dataset

PREFIX = "openml:"
_NAME = re.compile(r"openml:(?P<name>[^@\s]+)(@(?P<version>[1-9][0-9]*))?")


def load_openml(name: str, target: str | None) -> Dataset:
    """Return the data set "openml:NAME" or "openml:NAME@VERSION"; the target is OpenML's own.

    `target` names another column instead. Raises DataError for a name that is malformed or
    unknown, where the network fails, and for what no table of classes is.
    """
    from sklearn.datasets import fetch_openml, get_data_home

    match = _NAME.fullmatch(name)
    if match is None:
        raise DataError(
            f"a data set of OpenML must be named openml:NAME or openml:NAME@VERSION with a whole "
            f"version, but got {name!r}: write for example openml:credit-g@1"
        )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            bunch = fetch_openml(
                match["name"],
                version=int(match["version"]) if match["version"] else "active",
                target_column=target or "default-target",
                as_frame=True,
                parser="auto",
            )
        except URLError as error:
            raise DataError(
                f"{name!r} must be fetched once, but OpenML cannot be reached ({error}): try again "
                f"later, or put a copy into {get_data_home()!r} (SCIKIT_LEARN_DATA names another "
                "folder)"
            ) from error
        except (ValueError, KeyError, OSError) as error:
            raise DataError(
                f"{name!r} must be a data set of OpenML with a table and a target, but reading it "
                f"failed ({error}): look at its page on OpenML for name, version and columns"
            ) from error
    if len(bunch.target_names) != 1:
        raise DataError(
            f"{name!r} must have one target, but OpenML names {len(bunch.target_names)}: set "
            f"`target` to one of its columns, {', '.join(map(str, bunch.frame.columns))}"
        )
    dataset = make_table_dataset(bunch.frame, str(bunch.target_names[0]), name=name)
    return replace(dataset, notes=_read_warnings(caught))


def _read_warnings(caught: list[warnings.WarningMessage]) -> tuple[str, ...]:
    """Keep what OpenML says of the data; retries and what libraries say of themselves go."""
    said = [str(warning.message).splitlines()[0] for warning in caught]
    marks = ("Multiple active versions", "is inactive", "OpenML r")
    return tuple(dict.fromkeys(line for line in said if any(mark in line for mark in marks)))
