"""Bundled and generated data sets, and how they are named."""

import subprocess
import sys

import numpy as np
import pytest
import sklearn.datasets
from sklearn.neighbors import KNeighborsClassifier

from archloss.spaces.data import list_datasets, load_dataset, split_dataset
from archloss.spaces.errors import DataError
from archloss.spaces.generated import spirals_bayes_error


@pytest.mark.parametrize("info", list_datasets(), ids=lambda info: info.name)
def test_listed_data_sets_are_what_the_list_says(info):
    dataset = load_dataset(info.name)
    assert dataset.x.shape == (info.examples, info.features)
    assert len(dataset.classes) == info.classes
    assert load_dataset(info.name).fingerprint == dataset.fingerprint


def test_bundled_data_are_those_of_scikit_learn():
    dataset = load_dataset("breast-cancer")
    x, y = sklearn.datasets.load_breast_cancer(return_X_y=True)
    np.testing.assert_array_equal(dataset.x, x)
    np.testing.assert_array_equal(dataset.y, y)
    assert dataset.classes == ("malignant", "benign")


def test_data_modules_load_no_torch_and_no_pandas():
    code = (
        "import sys, archloss.spaces.data as data; data.list_datasets();"
        "heavy = {'torch', 'pandas', 'sklearn', 'scipy'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def nearest_spiral(x: np.ndarray, classes: int, turns: float) -> np.ndarray:
    turn = np.arctan2(x[:, 1], x[:, 0]) / (2 * np.pi) - turns * np.hypot(x[:, 0], x[:, 1])
    return np.rint(turn * classes).astype(int) % classes


@pytest.mark.parametrize(("classes", "noise"), [(3, 0.5), (2, 1.0), (4, 0.8), (3, 3.0)])
def test_best_guess_on_spirals_errs_as_often_as_is_said(classes, noise):
    name = f"spirals:classes={classes},turns=1.5,noise={noise},examples=100000"
    dataset = load_dataset(name)
    error = (nearest_spiral(dataset.x, classes, 1.5) != dataset.y).mean()
    expected = spirals_bayes_error(classes, noise)
    assert error == pytest.approx(expected, abs=5 * np.sqrt(expected / 100000))
    assert f"{expected:.4g}" in dataset.notes[0]


def test_bayes_error_of_spirals_by_hand():
    assert spirals_bayes_error(3, 0.0) == 0
    assert spirals_bayes_error(3, 0.5) == pytest.approx(0.0455003, abs=1e-7)  # 2 Phi(-2)
    assert spirals_bayes_error(4, 10.0) == pytest.approx(0.75, abs=1e-3)  # chance


def test_teacher_with_noise_differs_from_itself_without_by_the_noise():
    clean = load_dataset("teacher:noise=0,examples=50000")
    noisy = load_dataset("teacher:noise=0.3,examples=50000")
    np.testing.assert_array_equal(clean.x, noisy.x)
    assert (clean.y != noisy.y).mean() == pytest.approx(0.3, abs=0.01)
    assert noisy.notes == ("generated; no classifier can expect an error below 0.3",)
    assert np.bincount(clean.y).min() > 50000 / 4 / 2


def test_teacher_can_be_learnt():
    dataset = load_dataset("teacher:noise=0,features=2,examples=4000")
    splits = split_dataset(dataset, validation_fraction=0.2, test_fraction=0.2, seed=0)
    model = KNeighborsClassifier().fit(splits.x_train, splits.y_train)
    assert model.score(splits.x_validation, splits.y_validation) > 0.9


@pytest.mark.parametrize("name", ["spirals", "teacher"])
def test_generated_data_follow_their_seed(name):
    first, same, other = (load_dataset(f"{name}:seed={seed}") for seed in (0, 0, 1))
    assert first.fingerprint == same.fingerprint
    assert first.fingerprint != other.fingerprint
    assert load_dataset(name).fingerprint == first.fingerprint


def test_parameters_shape_generated_data():
    dataset = load_dataset("spirals:classes=5, examples=500, label_noise=0.1")
    assert dataset.x.shape == (500, 2)
    assert len(dataset.classes) == 5
    assert dataset.label_noise == 0.1
    assert load_dataset("teacher:features=7,classes=2,depth=0").x.shape == (5000, 7)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("spirals:clases=3", r"got 'clases=3': did you mean 'classes'\? It has classes, turns"),
        ("spirals:classes", "are written spirals:key=value,key=value.* got 'classes'"),
        ("spirals:noise=1,noise=2", "each key once, but got 'noise=2'"),
        ("spirals:classes=2.5", "must be a whole number from 2 to 100, but got '2.5'"),
        ("spirals:noise=much", "must be a number from 0.0 to 10.0, but got 'much'"),
        ("spirals:noise=nan", "must be a number from 0.0 to 10.0, but got 'nan'"),
        ("digits:label_noise=1.5", "label_noise of 'digits' must be a number from 0.0 to 0.95"),
        ("digits:noise=0.1", "It has label_noise"),
        ("teacher:classes=2,noise=0.6", r"at most 1 - 1 / classes = 0.5.* got 0.6.*: lower it"),
        ("spirals:classes=9,examples=10", "of 9 classes in 10 examples '0' has 2"),
    ],
)
def test_bad_parameters_are_refused(name, message):
    with pytest.raises(DataError, match=message):
        load_dataset(name)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("digts", r"no data set 'digts': did you mean 'digits'\? Known are digits, wine, breast"),
        ("spirals?noise=0.2", r"did you mean 'spirals'\? .* written spirals:classes=3,noise=0.5"),
        ("something", r"no data set 'something': Known are"),
        ("", "no data set ''"),
    ],
)
def test_unknown_name_is_refused(name, message):
    with pytest.raises(DataError, match=message):
        load_dataset(name)


def test_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "data.xlsx").write_text("x")
    with pytest.raises(DataError, match=r"must end in one of .csv, .* convert it, or load it"):
        load_dataset(str(tmp_path / "data.xlsx"))


def test_target_of_what_brings_its_own_is_refused():
    with pytest.raises(DataError, match="'digits' brings its own target, and got 'label': leave"):
        load_dataset("digits", "label")
