"""Data sets of OpenML, read from a local cache; the network is cut."""

import gzip
import hashlib
import json
from urllib.error import URLError

import numpy as np
import pytest

from archloss.spaces.data import load_dataset
from archloss.spaces.errors import DataError

ROWS = ["1.5,red,yes", "2.5,?,no", "?,blue,yes", "4.5,red,no"] * 3
ARFF = "\n".join(
    [
        "@RELATION toy",
        "@ATTRIBUTE size NUMERIC",
        "@ATTRIBUTE colour {blue,red}",
        "@ATTRIBUTE label {no,yes}",
        "@DATA",
        *ROWS,
    ]
)


def describe_column(index: int, name: str, kind: str, **more) -> dict:
    return {
        "index": str(index),
        "name": name,
        "data_type": kind,
        "is_target": "true" if name == "label" else "false",
        "is_ignore": "false",
        "is_row_identifier": "false",
        "number_of_missing_values": "0",
    } | more


@pytest.fixture
def openml_cache(tmp_path, monkeypatch):
    """A copy of a data set "toy" (versions 1 and 2) as scikit-learn keeps it, and no network."""
    folder = tmp_path / "openml" / "openml.org"

    def put(path: str, content: object) -> None:
        file = folder / f"{path}.gz"
        file.parent.mkdir(parents=True, exist_ok=True)
        text = content if isinstance(content, str) else json.dumps(content)
        file.write_bytes(gzip.compress(text.encode()))

    versions = [{"did": 7, "name": "toy", "version": v, "status": "active"} for v in (1, 2)]
    by_name = "api/v1/json/data/list/data_name/toy/limit/2"
    put(f"{by_name}/status/active/", {"data": {"dataset": versions}})
    put(f"{by_name}/data_version/2", {"data": {"dataset": [versions[1]]}})
    description = {
        "id": "7",
        "name": "toy",
        "version": "2",
        "description": "",
        "format": "ARFF",
        "status": "active",
        "url": "https://www.openml.org/data/v1/download/7/toy.arff",
        "md5_checksum": hashlib.md5(ARFF.encode()).hexdigest(),
    }
    put("api/v1/json/data/7", {"data_set_description": description})
    sparse = description | {"id": "8", "format": "Sparse_ARFF"}
    put(
        "api/v1/json/data/list/data_name/sparse/limit/2/data_version/1",
        {"data": {"dataset": [{"did": 8}]}},
    )
    put("api/v1/json/data/8", {"data_set_description": sparse})
    columns = [
        describe_column(0, "size", "numeric", number_of_missing_values="3"),
        describe_column(1, "colour", "nominal", nominal_values=["blue", "red"]),
        describe_column(2, "label", "nominal", nominal_values=["no", "yes"]),
    ]
    put("api/v1/json/data/features/7", {"data_features": {"feature": columns}})
    qualities = [{"name": "NumberOfInstances", "value": "12"}]
    put("api/v1/json/data/qualities/7", {"data_qualities": {"quality": qualities}})
    put("data/v1/download/7/toy.arff", ARFF)

    def refuse(*_args, **_kwargs):
        raise URLError("no network")

    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    monkeypatch.setattr("sklearn.datasets._openml.urlopen", refuse)
    monkeypatch.setattr("sklearn.datasets._openml.time.sleep", lambda _seconds: None)
    return put, columns


@pytest.mark.usefixtures("openml_cache")
def test_openml_is_read_from_the_cache():
    dataset = load_dataset("openml:toy@2")
    assert dataset.classes == ("no", "yes")
    assert [(f.name, f.categories) for f in dataset.features] == [
        ("size", ()),
        ("colour", ("blue", "red")),
    ]
    nan = np.nan
    np.testing.assert_array_equal(dataset.x[:4], [[1.5, 1], [2.5, nan], [nan, 0], [4.5, 1]])
    assert dataset.y.tolist() == [1, 0, 1, 0] * 3
    assert dataset.notes == ()


@pytest.mark.usefixtures("openml_cache")
def test_openml_without_a_version_says_which_it_took():
    dataset = load_dataset("openml:toy")
    assert dataset.fingerprint == load_dataset("openml:toy@2").fingerprint
    assert len(dataset.notes) == 1
    assert "returning version 1" in dataset.notes[0]


@pytest.mark.usefixtures("openml_cache")
def test_openml_takes_another_target():
    with pytest.raises(DataError, match="column 'colour' of 'openml:toy@2' must have a class in"):
        load_dataset("openml:toy@2", "colour")
    with pytest.raises(DataError, match="look at its page on OpenML for name, version and columns"):
        load_dataset("openml:toy@2", "color")


@pytest.mark.usefixtures("openml_cache")
def test_openml_that_cannot_be_reached_is_said():
    with pytest.raises(DataError, match="'openml:other@1' must be fetched once, but OpenML cannot"):
        load_dataset("openml:other@1")


def test_openml_without_a_target_is_refused(openml_cache):
    put, columns = openml_cache
    for column in columns:
        column["is_target"] = "false"
    put("api/v1/json/data/features/7", {"data_features": {"feature": columns}})
    with pytest.raises(DataError, match="must have one target, but OpenML names 0: set `target`"):
        load_dataset("openml:toy@2")


@pytest.mark.usefixtures("openml_cache")
def test_sparse_openml_is_refused():
    with pytest.raises(DataError, match=r"'openml:sparse@1' must be .* a table .* \(Sparse ARFF"):
        load_dataset("openml:sparse@1")


@pytest.mark.parametrize("name", ["openml:", "openml:toy@", "openml:toy@new", "openml:toy@0"])
def test_malformed_openml_names_are_refused(name):
    with pytest.raises(DataError, match="must be named openml:NAME or openml:NAME@VERSION"):
        load_dataset(name)
