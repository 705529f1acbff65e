"""Loads a data set by its name: the door to everything that archloss can train on."""

import difflib
from pathlib import Path

from archloss.spaces.arrays import make_array_dataset, read_npz
from archloss.spaces.bundled import BUNDLED, load_bundled
from archloss.spaces.dataset import Dataset, Feature
from archloss.spaces.errors import DataError
from archloss.spaces.functions import is_function_name, load_function_dataset
from archloss.spaces.generated import GENERATED
from archloss.spaces.named import LABEL_NOISE, DatasetInfo, read_parameters
from archloss.spaces.openml import PREFIX, load_openml
from archloss.spaces.splitting import Labels, Splits, split_dataset, split_labels
from archloss.spaces.tables import CSV_SUFFIXES, PARQUET_SUFFIXES, make_table_dataset, read_table

__all__ = [
    "Dataset",
    "DatasetInfo",
    "Feature",
    "Labels",
    "Splits",
    "list_datasets",
    "load_dataset",
    "split_dataset",
    "split_labels",
]

_NPZ_SUFFIX = ".npz"
_SUFFIXES = (*CSV_SUFFIXES, *PARQUET_SUFFIXES, _NPZ_SUFFIX)


def list_datasets() -> tuple[DatasetInfo, ...]:
    """Return what is known by name, with default parameters; loads nothing."""
    return (*BUNDLED.values(), *(generated.info for generated in GENERATED.values()))


def load_dataset(name: str, target: str | None = None) -> Dataset:
    """Return the data set of this name; raise DataError if it cannot be read or trained on.

    A name is one of `list_datasets()`, with parameters if need be ("digits:label_noise=0.2"), a
    path to a CSV, Parquet or npz file, "openml:NAME@VERSION", or "module:function". `target` is
    the target column of a table.
    """
    head, _, parameters = name.partition(":")
    if head in BUNDLED or head in GENERATED:
        _refuse_target(name, target)
        return _load_named(head, parameters)
    if name.startswith(PREFIX):
        return load_openml(name, target)
    if name.lower().endswith(_SUFFIXES):
        return _load_file(name, target)
    if is_function_name(name):
        return load_function_dataset(name, target)
    raise _unknown(name)


def _load_named(head: str, text: str) -> Dataset:
    if head in GENERATED:
        generated = GENERATED[head]
        return generated.make(read_parameters(text, generated.parameters, dataset=head))
    values = read_parameters(text, [LABEL_NOISE], dataset=head)
    return load_bundled(head, label_noise=float(values[LABEL_NOISE.name]))


def _load_file(name: str, target: str | None) -> Dataset:
    path = Path(name).expanduser()
    if not path.is_file():
        reason = "is a folder" if path.is_dir() else "does not exist"
        raise DataError(
            f"a data file must exist, but {name!r} {reason}: check the path, which is taken from "
            f"the current folder, {str(Path.cwd())!r}"
        )
    if name.lower().endswith(_NPZ_SUFFIX):
        _refuse_target(name, target)
        x, y = read_npz(path)
        return make_array_dataset(x, y, name=name)
    return make_table_dataset(read_table(path), target, name=name)


def _refuse_target(name: str, target: str | None) -> None:
    if target is not None:
        raise DataError(
            f"`target` names a column of a table, but {name!r} brings its own target, and got "
            f"{target!r}: leave `target` out"
        )


def _unknown(name: str) -> DataError:
    known = [info.name for info in list_datasets()]
    if Path(name).expanduser().is_file():
        return DataError(
            f"a data file must end in one of {', '.join(_SUFFIXES)}, but got {name!r}: convert "
            "it, or load it with a function of your own and name that as module:function"
        )
    nearest = difflib.get_close_matches(name.partition(":")[0].partition("?")[0], known, n=1)
    hint = f"did you mean {nearest[0]!r}? " if nearest else ""
    return DataError(
        f"there is no data set {name!r}: {hint}Known are {', '.join(known)} (parameters are "
        f"written spirals:classes=3,noise=0.5), files that end in {', '.join(_SUFFIXES)}, "
        "openml:NAME@VERSION and module:function"
    )
