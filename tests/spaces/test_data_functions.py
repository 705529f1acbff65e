"""Data sets that a user's own function returns."""

import pytest

from archloss.spaces.data import load_dataset
from archloss.spaces.errors import DataError

MODULE = """
import numpy as np
import pandas as pd
from archloss.spaces.data import load_dataset

X, y = np.arange(24.0).reshape(12, 2), [0, 1, 2] * 4
table = pd.DataFrame({"a": range(12), "label": list("xyz") * 4})
number = 3

def arrays(): return X, y
def lists(): return X.tolist(), y
def with_target(): return table, "label"
def with_labels(): return table[["a"]], table["label"]
def lone(): return table
def dataset(): return load_dataset("iris")
def nothing(): return None
def fails(): raise RuntimeError("no disk")
def needs(argument): return X, y
def late():
    import helper_of_late
    return helper_of_late.X, y
def short(): return table, [1, 2]
"""


@pytest.fixture
def module(tmp_path, monkeypatch) -> str:
    """A module in the current folder, and nowhere else."""
    name = f"module_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / "helper_of_late.py").write_text("X = [[i, 0.5] for i in range(12)]")
    (tmp_path / "broken_module.py").write_text("1 / 0")
    (tmp_path / "incomplete_module.py").write_text("import there_is_no_such_module")
    monkeypatch.chdir(tmp_path)
    return name


def test_function_may_return_arrays_or_lists(module):
    arrays, lists = load_dataset(f"{module}:arrays"), load_dataset(f"{module}:lists")
    assert arrays.x.shape == (12, 2)
    assert arrays.classes == ("0", "1", "2")
    assert lists.fingerprint == arrays.fingerprint


def test_function_may_return_tables(module):
    named = load_dataset(f"{module}:with_target")
    assert named.classes == ("x", "y", "z")
    assert [feature.name for feature in named.features] == ["a"]
    for made in (
        load_dataset(f"{module}:with_labels"),
        load_dataset(f"{module}:lone", "label"),
    ):
        assert made.fingerprint == named.fingerprint


def test_function_may_import_what_lies_beside_it(module):
    assert load_dataset(f"{module}:late").x[11].tolist() == [11, 0.5]


def test_function_may_return_a_data_set(module):
    assert load_dataset(f"{module}:dataset").fingerprint == load_dataset("iris").fingerprint


@pytest.mark.parametrize(
    ("function", "target", "message"),
    [
        ("nothing", None, "must return .* but it returned NoneType: change its last line"),
        ("fails", None, "but it raised RuntimeError: no disk"),
        ("needs", None, "when called without arguments, but it raised TypeError"),
        ("absent", None, "has none called 'absent'; it has load_dataset, arrays, lists"),
        ("number", None, "has none called 'number'"),
        ("lone", None, "needs `target`, the column that holds the classes"),
        ("arrays", "label", "brings its own: leave `target` out"),
        ("short", None, "the table has 12 rows and the target 2: check"),
    ],
)
def test_bad_functions_are_refused(module, function, target, message):
    with pytest.raises(DataError, match=message):
        load_dataset(f"{module}:{function}", target)


@pytest.mark.usefixtures("module")
def test_modules_that_cannot_be_imported_are_refused():
    with pytest.raises(DataError, match=r"there is no module 'absent_module' .*: check the name"):
        load_dataset("absent_module:load")
    with pytest.raises(DataError, match="importing 'broken_module' raised ZeroDivisionError"):
        load_dataset("broken_module:load")
    with pytest.raises(DataError, match=r"raised ModuleNotFoundError.*there_is_no_such_module"):
        load_dataset("incomplete_module:load")
