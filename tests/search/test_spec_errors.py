"""What a study file may not say: each rule's message names key, rule, value and place."""

from pathlib import Path

import pytest

from archloss.search.errors import SpecError
from archloss.search.spec import read_spec

HEAD = 'name = "a"\ndataset = "digits"\n'


def read_cases(name):
    """Read what is given and, after "=>", what is said about it; a blank line ends a case."""
    text = (Path(__file__).parent / name).read_text().strip()
    return [tuple(case.split("\n=> ")) for case in text.split("\n\n")]


def refuse(tmp_path, text, overrides=(), values=None):
    path = tmp_path / "digits.toml"
    path.write_text(HEAD + text)
    with pytest.raises(SpecError) as caught:
        read_spec(path, overrides, values)
    return str(caught.value).replace(str(path), "digits.toml")


@pytest.mark.parametrize(("text", "message"), read_cases("refused_specs.txt"))
def test_a_broken_rule_is_named(tmp_path, text, message):
    assert refuse(tmp_path, text) == f"{message} (digits.toml)"


def test_all_broken_rules_are_said_at_once(tmp_path):
    text = "[recipe]\nepochs = 0\nbatchsize = 3\n[space]\ndepth = -1\nce_weight = 7\n"
    assert refuse(tmp_path, text).splitlines() == [
        "4 rules are broken:",
        "  space.depth must lie in [0, 1024], but got -1 (digits.toml)",
        "  space.ce_weight must lie in [0, 1], but got 7.0 (digits.toml)",
        "  recipe.epochs must be at least 1, but got 0 (digits.toml)",
        "  unknown key 'recipe.batchsize': did you mean 'recipe.batch_size'? (digits.toml)",
    ]


@pytest.mark.parametrize(("override", "message"), read_cases("refused_overrides.txt"))
def test_an_override_that_breaks_a_rule_is_shown(tmp_path, override, message):
    assert refuse(tmp_path, "", [override]) == message


def test_an_option_that_breaks_a_rule_is_named(tmp_path):
    message = refuse(tmp_path, "", [], {"workers.pack": "0", "recipe.epochs": 0})
    assert "workers.pack must be at least 1 or 'auto', but got 0 (--pack)" in message
    assert "recipe.epochs must be at least 1, but got 0 (--epochs)" in message


def test_what_must_be_given_is_named():
    with pytest.raises(SpecError) as caught:
        read_spec(None, [], {"trials": 3})
    assert "name must be given: The study's name" in str(caught.value)
    assert "dataset must be given: A bundled set" in str(caught.value)
    assert "(the options)" in str(caught.value)


def test_a_long_name_is_refused():
    with pytest.raises(SpecError, match="name must be at most 100 characters long"):
        read_spec(None, [], {"name": "a" * 101, "dataset": "digits"})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"'.*none.toml' is not: No such file or directory\."):
        read_spec(tmp_path / "none.toml")


def test_a_folder_is_no_study_file(tmp_path):
    with pytest.raises(SpecError, match=r"must be readable, but .* is not: Is a directory"):
        read_spec(tmp_path)


def test_a_file_that_is_not_toml_says_where(tmp_path):
    message = refuse(tmp_path, "objective = validation_nll")
    assert "must be TOML, but 'digits.toml' is not: Invalid value (at line 3" in message
    assert "Text needs quotes" in message


def test_a_file_that_is_not_text_is_refused(tmp_path):
    path = tmp_path / "digits.toml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match="must be text in UTF-8"):
        read_spec(path)
