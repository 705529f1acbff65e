"""What the documents show is true: examples run, study files are valid, links lead somewhere."""

import doctest
import importlib
import re
from pathlib import Path

import pytest

from archloss.search.spec import read_spec

ROOT = Path(__file__).parents[2]
FOLDERS = ("search", "spaces", "storage", "workers")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")


def modules_with_examples():
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if ">>>" in path.read_text(encoding="utf-8"):
                yield "archloss." + ".".join(path.relative_to(ROOT).with_suffix("").parts)


@pytest.mark.parametrize("name", list(modules_with_examples()))
def test_docstring_examples_run(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.attempted > 0
    assert results.failed == 0


def blocks(language):
    for page in PAGES:
        for index, (found, text) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8"))):
            if found == language:
                yield pytest.param(text, id=f"{page.name}-{index}")


@pytest.mark.parametrize("text", list(blocks("toml")))
def test_study_files_that_are_shown_whole_are_valid(text, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(text, encoding="utf-8")
    # A fragment has no name and no data set of its own.
    missing = {
        key: value
        for key, value in {"name": "shown", "dataset": "digits"}.items()
        if not re.search(rf"^{key} *=", text, re.MULTILINE)
    }
    assert read_spec(path, (), missing).name


@pytest.mark.parametrize("text", list(blocks("python")))
def test_python_that_is_shown_compiles_and_imports_what_is_there(text):
    compile(text, "shown", "exec")
    for module, names in re.findall(
        r"^from (archloss[\w.]*) import ([\w, ]+)$", text, re.MULTILINE
    ):
        for name in names.split(","):
            assert hasattr(importlib.import_module(module), name.strip())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda p: p.name)
def test_examples_are_valid(path):
    assert read_spec(path, (), {}).name


def test_studies_that_are_shown_are_launched_somewhere_and_under_one_name_each():
    demo = {read_spec(path, (), {}).name for path in (ROOT / "examples").glob("*.toml")}
    own = set(re.findall(r'^name = "([\w-]+)"', (ROOT / "README.md").read_text(), re.MULTILINE))
    assert own
    assert not own & demo
    launched = {*demo, *own, "digits"}  # the last one from the options alone
    commands = "status|stop|trials|show|report|confirm|dashboard|export|delete"
    for page in PAGES:
        for text in BLOCK.findall(page.read_text(encoding="utf-8")):
            for name in re.findall(rf"^archloss (?:{commands}) (\w[\w-]*)", text[1], re.MULTILINE):
                assert name in launched, f"{page.name} shows a study {name!r}"
