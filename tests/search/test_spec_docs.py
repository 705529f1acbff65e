"""docs/study-file.md documents every key as it is, and shows only what can be read."""

import json
import re
from pathlib import Path

import pytest

from archloss.search.spec import Spec, read_spec
from archloss.search.spec_dimension import DimensionSpec, WhenSpec
from archloss.search.spec_plan import PlanSpec
from archloss.search.spec_space import SpaceSpec, default_tables
from archloss.search.spec_tables import RecipeSpec, SearchSpec, WorkersSpec

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "study-file.md"
TABLES = (Spec, SpaceSpec, DimensionSpec, WhenSpec, RecipeSpec, SearchSpec, WorkersSpec, PlanSpec)


def make_rows(table):
    """Return the row that the page has for each key of a table."""
    dimensions = default_tables("residual-mlp") if table is SpaceSpec else {}
    rows = []
    for key, field in table.model_fields.items():
        if key in dimensions:
            default = f"`{write_dimension(dimensions[key])}`"
        elif field.is_required():
            default = "needed"
        elif field.default_factory is not None or field.default in (None, ()):
            default = ""
        else:
            default = f"`{json.dumps(field.default)}`"
        rows.append(f"| `{key}` | {default} | {field.description} |")
    return rows


def write_dimension(table):
    """Return a dimension as one writes it in a file: in its shortest way."""
    if "choices" in table:
        choices = list(table["choices"])
        return json.dumps(choices[0] if len(choices) == 1 else choices)
    log = ", log = true" if table["log"] else ""
    return f"{{ low = {table['low']}, high = {table['high']}{log} }}"


@pytest.mark.parametrize("table", TABLES)
def test_every_key_is_documented_as_it_is(table):
    lines = PAGE.read_text().splitlines()
    assert [row for row in make_rows(table) if row not in lines] == []


def read_blocks():
    return re.findall(r"```toml\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("block", read_blocks())
def test_every_study_file_on_the_page_is_one(block, tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(block)
    missing = {key: "x" for key in ("name", "dataset") if f"{key} =" not in block}
    assert read_spec(path, [], missing).trials != 0


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.toml")), ids=lambda p: p.name)
def test_every_example_is_a_study_file(path):
    assert read_spec(path).name.startswith(path.stem)
