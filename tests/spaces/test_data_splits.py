"""Splits, standardisation, encoding, label noise and fingerprints."""

from dataclasses import replace

import numpy as np
import pytest

from archloss.spaces.data import Dataset, Feature, load_dataset, split_dataset
from archloss.spaces.dataset import list_some
from archloss.spaces.encoding import fit_encoder
from archloss.spaces.errors import DataError

FRACTIONS = {"validation_fraction": 0.2, "test_fraction": 0.2}
NAN = float("nan")


def make_dataset(counts, **fields):
    """A data set with `counts[c]` examples of class c, each example its own number."""
    y = np.repeat(np.arange(len(counts)), counts).astype(np.int64)
    values = {
        "name": "made",
        "x": np.arange(len(y), dtype=np.float64)[:, None],
        "y": y,
        "features": (Feature(name="number"),),
        "classes": tuple(f"class {code}" for code in range(len(counts))),
    }
    return Dataset(**(values | fields))


def rows_of(x, dataset):
    """The rows that the parts came from, read back from the only feature."""
    splits = split_dataset(dataset, **x)
    encoder = splits.encoder
    return [
        np.rint((part * encoder.scale + encoder.mean)[:, 0]).astype(int)
        for part in (splits.x_train, splits.x_validation, splits.x_test)
    ]


def test_split_is_stratified_and_complete():
    dataset = make_dataset([50, 30, 20])
    train, validation, test = rows_of({**FRACTIONS, "seed": 3}, dataset)
    assert sorted([*train, *validation, *test]) == list(range(100))
    assert np.bincount(dataset.y[validation]).tolist() == [10, 6, 4]
    assert np.bincount(dataset.y[test]).tolist() == [10, 6, 4]


def test_split_follows_its_seed_alone():
    dataset = make_dataset([50, 30, 20])
    first, again, other = (
        rows_of({**FRACTIONS, "seed": seed}, dataset)[0].tolist() for seed in (3, 3, 4)
    )
    assert first == again
    assert first != other


def test_test_part_stays_when_the_validation_fraction_changes():
    dataset = make_dataset([50, 30, 20])
    tests = [
        rows_of({"validation_fraction": share, "test_fraction": 0.2, "seed": 0}, dataset)[2]
        for share in (0.1, 0.5)
    ]
    np.testing.assert_array_equal(*tests)


def test_many_small_classes_add_up_to_the_fractions():
    _, validation, test = rows_of({**FRACTIONS, "seed": 0}, make_dataset([12] * 50))
    assert (len(validation), len(test)) == (120, 120)


@pytest.mark.parametrize("fraction", [0.01, 0.3, 0.49])
def test_a_class_of_three_has_one_example_in_each_part(fraction):
    dataset = make_dataset([100, 3])
    fractions = {"validation_fraction": fraction, "test_fraction": fraction}
    parts = rows_of({**fractions, "seed": 0}, dataset)
    assert [int((dataset.y[part] == 1).sum()) for part in parts] == [1, 1, 1]


@pytest.mark.parametrize(("validation", "test"), [(0.0, 0.2), (0.2, 0.0), (0.5, 0.5), (NAN, 0.2)])
def test_fractions_that_leave_a_part_empty_are_refused(validation, test):
    with pytest.raises(DataError, match=r"must be above 0 and leave something to train on"):
        split_dataset(
            make_dataset([9, 9]), validation_fraction=validation, test_fraction=test, seed=0
        )


def test_standardisation_knows_the_training_part_alone():
    dataset = make_dataset([60, 40])
    splits = split_dataset(dataset, **FRACTIONS, seed=0)
    np.testing.assert_allclose(splits.x_train.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(splits.x_train.std(axis=0), 1, atol=1e-12)
    train, _, test = rows_of({**FRACTIONS, "seed": 0}, dataset)
    x = dataset.x.copy()
    x[test] += 1e6
    moved = split_dataset(replace(dataset, x=x), **FRACTIONS, seed=0)
    np.testing.assert_array_equal(moved.x_train, splits.x_train)
    np.testing.assert_array_equal(moved.x_validation, splits.x_validation)
    expected = (x[test] - train.mean()) / train.std()
    np.testing.assert_allclose(moved.x_test, expected)


def test_encoder_fills_marks_and_drops():
    features = (
        Feature(name="age"),
        Feature(name="colour", categories=("blue", "red", "violet")),
        Feature(name="constant"),
        Feature(name="empty"),
    )
    x = np.array([[1.0, 0, 5, NAN], [3.0, 1, 5, NAN], [NAN, NAN, 5, NAN], [10.0, 1, 5, NAN]])
    dataset = make_dataset([3, 3], x=np.concatenate([x, x[:2]]), features=features)
    encoder, notes = fit_encoder(dataset, x)
    names = [column.name for column in encoder.columns]
    assert names == ["age", "age is missing", "colour=blue", "colour=red", "colour is missing"]
    raw = encoder.encode(x) * encoder.scale + encoder.mean
    expected = [[1, 0, 1, 0, 0], [3, 0, 0, 1, 0], [3, 1, 0, 0, 1], [10, 0, 0, 1, 0]]
    np.testing.assert_allclose(raw, expected, atol=1e-12)
    unseen = encoder.encode(np.array([[2.0, 2, 6, 1]])) * encoder.scale + encoder.mean
    np.testing.assert_allclose(unseen, [[2, 0, 0, 0, 0]], atol=1e-12)
    assert notes == (
        "2 of 4 features dropped, constant or empty in the training part: constant, empty",
        "missing values filled with the training median, a column more says where: age",
        "missing values are a category of their own: colour",
        "one column for each category (one-hot): colour",
    )


def test_a_gap_that_training_has_not_seen_becomes_the_median():
    dataset = make_dataset([3, 3])
    encoder, _ = fit_encoder(dataset, np.array([[1.0], [2.0], [6.0]]))
    assert encoder.encode(np.array([[NAN]])) == encoder.encode(np.array([[2.0]]))


def test_features_that_are_all_constant_are_refused():
    dataset = make_dataset([9, 9], x=np.ones((18, 1)))
    with pytest.raises(DataError, match="must have a feature that varies, but all 1 are constant"):
        split_dataset(dataset, **FRACTIONS, seed=0)


def test_numbers_too_large_to_standardise_are_refused():
    dataset = make_dataset([9, 9], x=np.linspace(-1, 1, 18)[:, None] * 1e308)
    with pytest.raises(DataError, match="numbers in 'number' of 'made' are too large"):
        split_dataset(dataset, **FRACTIONS, seed=0)


def test_label_noise_falls_on_training_labels_alone():
    clean = split_dataset(load_dataset("digits"), **FRACTIONS, seed=0)
    noisy = split_dataset(load_dataset("digits:label_noise=0.2"), **FRACTIONS, seed=0)
    changed = noisy.y_train != clean.y_train
    assert changed.sum() == round(0.2 * len(clean.y_train))
    assert set(noisy.y_train[changed]) == set(range(10))
    np.testing.assert_array_equal(noisy.y_validation, clean.y_validation)
    np.testing.assert_array_equal(noisy.y_test, clean.y_test)
    np.testing.assert_array_equal(noisy.x_train, clean.x_train)
    assert noisy.notes[-1] == f"label noise: {changed.sum()} of 1079 training labels replaced"
    assert noisy.fingerprint != clean.fingerprint


def test_majority_class_is_that_of_the_training_part():
    assert split_dataset(make_dataset([10, 30, 20]), **FRACTIONS, seed=0).majority_class == 1
    assert split_dataset(make_dataset([20, 20]), **FRACTIONS, seed=0).majority_class == 0


def test_fingerprint_follows_every_part_of_the_content_and_nothing_else():
    dataset = make_dataset([5, 5])
    y = dataset.y.copy()
    y[0] = 1
    changed = [
        replace(dataset, x=dataset.x + 1e-9),
        replace(dataset, y=y),
        replace(dataset, features=(Feature(name="other"),)),
        replace(dataset, features=(Feature(name="number", categories=("a",) * 10),)),
        replace(dataset, classes=("a", "b")),
        replace(dataset, label_noise=0.1),
    ]
    assert len({each.fingerprint for each in [dataset, *changed]}) == 7
    x = dataset.x.copy()
    x[0] = -0.0
    assert replace(dataset, x=x, name="other", notes=("n",)).fingerprint == dataset.fingerprint


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"x": np.zeros(6)}, r"X of shape \[examples, features\] .* got X \[6\] and y \[6\]"),
        ({"x": np.zeros((5, 1))}, "X has 5 rows and y has 6: check how they were made"),
        ({"x": np.zeros((6, 0)), "features": ()}, "at least one feature beside the target"),
        ({"features": ()}, "X has 1 columns and there are 0 features: give one Feature"),
        ({"classes": ("a",)}, "must index its 1 classes, but it runs from 0 to 1: give codes"),
        ({"label_noise": 1.0}, r"must lie in \[0, 1\), but got 1.0: give for example"),
        ({"x": np.array([[0.0], [NAN], [np.inf], [1], [2], [3]])}, "1 infinite .* 'number'.*row 2"),
        ({"x": np.zeros((0, 1)), "y": np.zeros(0, dtype=np.int64)}, "must have examples"),
    ],
)
def test_a_data_set_that_breaks_a_rule_is_refused(fields, message):
    with pytest.raises(DataError, match=message):
        make_dataset([3, 3], **fields)


def test_one_class_only_is_refused():
    with pytest.raises(DataError, match="at least two classes, but all 4 examples are of class"):
        make_dataset([4])


def test_rare_classes_are_refused_with_numbers_and_a_way_out():
    message = (
        "of 3 classes in 13 examples 'class 1' has 2, 'class 2' has 1: add examples, merge or "
        "remove the rare classes"
    )
    with pytest.raises(DataError, match=message):
        make_dataset([10, 2, 1])


def test_as_many_classes_as_examples_are_refused():
    with pytest.raises(DataError, match=r"of 20 classes in 20 examples .* and 15 more"):
        make_dataset([1] * 20)


def test_list_some_shortens_long_lists():
    assert list_some(["a", "b"], most=2) == "a, b"
    assert list_some(["a", "b", "c", "d"], most=2) == "a, b and 2 more"
