"""Tables of trials, and `archloss report` on them, for the tests of several files."""

import json

import numpy as np
import pandas as pd
from typer.testing import CliRunner

from archloss.search.cli.app import app


def run(*arguments):
    runner = CliRunner(env={"COLUMNS": "100", "TERM": "dumb"})
    return runner.invoke(app, ["report", *map(str, arguments)])


def make_table(count=120, **changes):
    """Trials whose best mix rises with depth where there are no residual connections."""
    random = np.random.default_rng(5)
    depth = np.round(2 ** random.uniform(0, 5, count)).astype(int)
    residual = np.arange(count) % 2 == 0
    mix = random.random(count)
    rate = 10 ** random.uniform(-4, -2, count)
    best = np.where(residual, 0.5, 0.1 + 0.16 * np.log2(depth))
    error = 0.04 + 0.3 * (mix - best) ** 2 + 0.01 * (np.log10(rate) + 3) ** 2
    columns = {
        "depth": depth,
        "residual": residual,
        "ce_weight": mix,
        "params_learning_rate": rate,
        "value": error + random.normal(0, 0.002, count),
        "state": "COMPLETE",
    }
    return pd.DataFrame(columns | changes)


def ask(table, *options):
    """Return the document of a report that is to be made."""
    result = run("--trials", table, *options, "--json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def check_refusal(result, said, folder):
    words = " ".join(result.stderr.replace("│", " ").split())
    assert result.exit_code == 2, words
    assert said in words
    assert "Traceback" not in words
    assert result.stdout == ""
    assert not [path for path in folder.iterdir() if path.is_dir()]
