"""CSV and Parquet files: what is read, how, and what is refused."""

import datetime
import random

import numpy as np
import pandas as pd
import pytest

from archloss.spaces.data import load_dataset, split_dataset
from archloss.spaces.errors import DataError
from archloss.spaces.tables import make_table_dataset


@pytest.fixture
def table() -> pd.DataFrame:
    rng = random.Random(0)
    return pd.DataFrame(
        {
            "age": [rng.choice([20.5, 31.25, 47.0, None]) for _ in range(60)],
            "colour": [rng.choice(["red", "blue", None]) for _ in range(60)],
            "member": [rng.random() < 0.5 for _ in range(60)],
            "label": [rng.choice(["yes", "no"]) for _ in range(60)],
        }
    )


@pytest.fixture
def write(tmp_path):
    """Write a table as CSV, and return the path as a name of a data set."""

    def write(table: pd.DataFrame | str, name: str = "table.csv") -> str:
        path = tmp_path / name
        if isinstance(table, str):
            path.write_text(table)
        elif name.endswith(".parquet"):
            table.to_parquet(path)
        else:
            table.to_csv(path, index=False)
        return str(path)

    return write


def test_table_becomes_numbers_and_categories(table, write):
    dataset = load_dataset(write(table), "label")
    assert dataset.classes == ("no", "yes")
    assert [(f.name, f.categories) for f in dataset.features] == [
        ("age", ()),
        ("colour", ("blue", "red")),
        ("member", ()),
    ]
    codes = table["colour"].map({"blue": 0.0, "red": 1.0})
    np.testing.assert_array_equal(dataset.x[:, 0], table["age"])
    np.testing.assert_array_equal(dataset.x[:, 1], codes)
    np.testing.assert_array_equal(dataset.x[:, 2], table["member"])
    np.testing.assert_array_equal(dataset.y, table["label"] == "yes")


def test_table_is_split_with_its_gaps_filled(table, write):
    dataset = load_dataset(write(table), "label")
    splits = split_dataset(dataset, validation_fraction=0.2, test_fraction=0.2, seed=0)
    assert [column.name for column in splits.encoder.columns] == [
        "age",
        "age is missing",
        "colour=blue",
        "colour=red",
        "colour is missing",
        "member",
    ]
    assert all(np.isfinite(x).all() for x in (splits.x_train, splits.x_validation, splits.x_test))


@pytest.mark.parametrize("name", ["table.parquet", "other.csv", "other.csv.gz"])
def test_the_same_table_has_the_same_fingerprint_in_every_file(table, write, name):
    first = load_dataset(write(table), "label")
    second = load_dataset(write(table, name), "label")
    assert first.fingerprint == second.fingerprint
    table.loc[5, "age"] = 99
    assert load_dataset(write(table, name), "label").fingerprint != first.fingerprint


def test_numbers_are_read_to_the_last_bit(write):
    numbers = np.random.default_rng(0).standard_normal(1000) * 10.0 ** np.arange(-100, 100, 0.2)
    table = pd.DataFrame({"x": numbers, "label": [0, 1] * 500})
    np.testing.assert_array_equal(load_dataset(write(table), "label").x[:, 0], numbers)


@pytest.mark.parametrize(
    ("labels", "classes"),
    [
        ([1, 2, 10], ("1", "2", "10")),
        ([1.0, 2.0, 10.0], ("1", "2", "10")),
        ([True, False, True], ("False", "True")),
        (["b", "a", "c"], ("a", "b", "c")),
    ],
)
@pytest.mark.parametrize("name", ["table.csv", "table.parquet"])
def test_whole_numbers_text_and_booleans_are_classes(write, labels, classes, name):
    table = pd.DataFrame({"x": range(12), "label": labels * 4})
    dataset = load_dataset(write(table, name), "label")
    assert dataset.classes == classes
    assert [dataset.classes[code] for code in dataset.y[:3]] == [
        str(int(label)) if isinstance(label, float) else str(label) for label in labels
    ]


def test_pandas_types_are_read_as_what_they_hold():
    table = pd.DataFrame(
        {
            "whole": pd.array([1, None, 3] * 3, dtype="Int64"),
            "yes": pd.array([True, None, False] * 3, dtype="boolean"),
            "size": pd.Categorical(["s", "m", None] * 3),
            "code": pd.Categorical([7, 30, 7] * 3),
            "label": [0, 1, 2] * 3,
        }
    )
    dataset = make_table_dataset(table, "label", name="table")
    assert [f.categories for f in dataset.features] == [(), (), ("m", "s"), ("30", "7")]
    nan = np.nan
    np.testing.assert_array_equal(dataset.x[:3], [[1, 1, 1, 1], [nan, nan, 0, 0], [3, 0, nan, 1]])


def test_booleans_with_gaps_are_numbers(write):
    rows = "\n".join(["True,a", ",b", "False,a", "True,b", "True,a", ",b"])
    dataset = load_dataset(write(f"flag,label\n{rows}\n"), "label")
    np.testing.assert_array_equal(dataset.x[:3, 0], [1, np.nan, 0])


def test_row_numbers_written_by_pandas_are_dropped(table, tmp_path):
    table.to_csv(tmp_path / "indexed.csv")
    dataset = load_dataset(str(tmp_path / "indexed.csv"), "label")
    assert [feature.name for feature in dataset.features] == ["age", "colour", "member"]


@pytest.mark.parametrize("name", ["nowhere.csv", "nowhere.parquet", "nowhere.npz"])
def test_missing_file_is_refused(tmp_path, name):
    with pytest.raises(DataError, match=r"nowhere.* does not exist: check the path, which is"):
        load_dataset(str(tmp_path / name), "label")


def test_folder_is_refused(tmp_path):
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match=r"folder.csv' is a folder: check the path"):
        load_dataset(str(tmp_path / "folder.csv"), "label")


@pytest.mark.parametrize(
    ("name", "text"),
    [("a.csv", ""), ("a.csv", "\n\n"), ("a.csv", "x,label\n"), ("a.parquet", ""), ("a.csv.gz", "")],
)
def test_empty_file_is_refused(write, name, text):
    with pytest.raises(DataError, match=r"a.* is empty: check how it was written"):
        load_dataset(write(text, name), "label")


@pytest.mark.parametrize("name", ["a.parquet", "a.csv.gz"])
def test_damaged_file_is_refused(write, name):
    with pytest.raises(DataError, match=r"a.* cannot be read .*: check the file and its suffix"):
        load_dataset(write("this is something else", name), "label")


def test_ragged_and_undecodable_csv_are_refused(write, tmp_path):
    with pytest.raises(DataError, match=r"cannot be read .*saw 3"):
        load_dataset(write("a,b\n1,2\n1,2,3\n"), "b")
    (tmp_path / "latin.csv").write_bytes("größe,label\n1,2\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"in UTF-8.* cannot be read"):
        load_dataset(str(tmp_path / "latin.csv"), "label")


def test_target_not_given_is_refused(table, write):
    with pytest.raises(DataError, match=r"needs `target`.* 'age', 'colour', 'member', 'label'"):
        load_dataset(write(table))


def test_target_absent_names_the_nearest_column(table, write):
    with pytest.raises(DataError, match=r"'lable' is not: did you mean 'label'\? Its columns are"):
        load_dataset(write(table), "lable")


def test_target_absent_in_a_file_with_other_separators_says_so(write):
    with pytest.raises(DataError, match="may be separated by something else than commas"):
        load_dataset(write("x;label\n1;2\n"), "label")


def test_target_alone_is_refused(write):
    with pytest.raises(DataError, match="must have at least one feature beside the target"):
        load_dataset(write(pd.DataFrame({"label": [0, 1] * 5})), "label")


@pytest.mark.parametrize("gap", [None, float("nan")])
@pytest.mark.parametrize("labels", [["a", "b"], [0, 1], [True, False]])
@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_missing_targets_are_refused(write, gap, labels, name):
    table = pd.DataFrame({"x": range(9), "label": [*labels * 4, gap]})
    with pytest.raises(DataError, match=r"1 of 9 rows are empty .* the first is row 8 \(from 0\)"):
        load_dataset(write(table, name), "label")


def test_regression_target_is_refused(write):
    table = pd.DataFrame({"x": range(10), "price": np.linspace(0.5, 9.7, 10)})
    with pytest.raises(DataError, match=r"'price' .*the fraction 0.5 and 10 different .*ranges"):
        load_dataset(write(table), "price")


def test_whole_number_regression_target_is_refused_with_a_hint(write):
    table = pd.DataFrame({"x": range(40), "price": range(40)})
    with pytest.raises(DataError, match="if the target is a quantity and no class"):
        load_dataset(write(table), "price")


def test_one_class_only_is_refused(write):
    table = pd.DataFrame({"x": range(10), "label": ["a"] * 10})
    with pytest.raises(DataError, match="all 10 examples are of class 'a': choose another target"):
        load_dataset(write(table), "label")


def test_infinite_features_are_refused(write):
    table = pd.DataFrame({"x": [1.0, np.inf] * 5, "label": [0, 1] * 5})
    with pytest.raises(DataError, match=r"5 infinite values in 'x', the first in row 1"):
        load_dataset(write(table), "label")


def test_free_text_is_refused_by_name(write):
    table = pd.DataFrame({"name": [f"person {i}" for i in range(60)], "label": [0, 1] * 30})
    with pytest.raises(DataError, match=r"'name' .* 60 different values in 60 rows.*: remove the"):
        load_dataset(write(table), "label")


def test_categories_are_limited_by_rows_and_in_number(write):
    def load(distinct: int, rows: int) -> int:
        words = [f"w{i % distinct}" for i in range(rows)]
        table = pd.DataFrame({"word": words, "label": [0, 1] * (rows // 2)})
        return len(load_dataset(write(table), "label").features[0].categories)

    assert load(50, 60) == 50
    assert load(60, 120) == 60
    assert load(1000, 2000) == 1000
    with pytest.raises(DataError, match="51 different values in 100 rows"):
        load(51, 100)
    with pytest.raises(DataError, match="1001 different values in 4000 rows"):
        load(1001, 4000)


def test_numbers_with_a_mark_for_missing_are_refused_with_the_mark(write):
    table = pd.DataFrame({"age": [str(i) for i in range(59)] + ["?"], "label": [0, 1] * 30})
    with pytest.raises(DataError, match=r"'age' .* also holds '\?' \(1 of 60 rows\): leave a cell"):
        load_dataset(write(table), "label")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (datetime.date(2020, 1, 1), "date"),
        (datetime.datetime(2020, 1, 1), "datetime"),
        ([1, 2], "mixed"),
        (b"raw", "bytes"),
    ],
)
def test_columns_of_other_kinds_are_refused_by_name(write, value, kind):
    table = pd.DataFrame({"odd": [value] * 10, "label": [0, 1] * 5})
    with pytest.raises(DataError, match=f"'odd' holds {kind}.* or remove the column"):
        load_dataset(write(table, "a.parquet"), "label")
