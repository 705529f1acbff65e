"""Who imports whom, read from the source, and what loads when."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("search", "spaces", "storage", "workers")
PURE_TYPES = {"dimensions", "design", "recipe", "pack", "outcome", "errors"}
# A whole Tune trainable needs a space by its name, and trains: only where it runs.
TUNE = PURE_TYPES | {"catalogue", "jobs"}
ONLY_HERE = {"torch": "spaces", "sqlalchemy": "storage", "ray": "workers", "typer": "search"}


def imported_modules(path):
    """Every module a file imports, wherever in the file, outside `if TYPE_CHECKING`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def sources():
    return [
        pytest.param(folder, path, id=str(path.relative_to(ROOT)))
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]


@pytest.mark.parametrize(("folder", "path"), sources())
def test_imports_keep_to_the_arrows(folder, path):
    for module in imported_modules(path):
        top, *rest = module.split(".")
        assert ONLY_HERE.get(top, folder) == folder, f"only {ONLY_HERE[top]}/ may import {top}"
        if top != "archloss" or not rest or rest[0] == folder:
            continue
        if folder in ("storage", "workers"):
            assert rest[0] == "spaces", f"{folder}/ may not import {module}"
            assert len(rest) > 1, f"{folder}/ may import the pure types of spaces/ only"
            allowed = TUNE if path.name == "tune.py" else PURE_TYPES
            assert rest[1] in allowed, f"{folder}/ may import the pure types of spaces/ only"
        assert folder != "spaces", f"spaces/ imports none of ours, but {module}"


@pytest.mark.parametrize("module", sorted(TUNE))
def test_pure_types_load_no_torch(module):
    code = f"import sys, archloss.spaces.{module}; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
