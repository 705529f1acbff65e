"""Trains the table of `archloss report --example`: digits with label noise, a full grid.

    python benchmarks/trained_table.py --folder FOLDER --out search/analysis/example.parquet

8,424 trainings, a quarter of an hour on two cores. Studies in FOLDER that were stopped are gone on
with, and what they have is not trained again.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

import archloss
from archloss.search.launch import Study
from archloss.search.spec import read_spec

DEPTHS = [1, 2, 3, 4, 6, 8, 12, 16, 24]
RATES = [3e-4, 7e-4, 1.5e-3, 3e-3, 7e-3, 1.5e-2, 3e-2, 7e-2]
MIXES = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]
AXES = ["depth", "residual", "ce_weight", "learning_rate"]
METRICS = ["validation_error", "validation_nll", "validation_brier"]
GRIDS = {
    "digits-noise-grid": (MIXES, RATES),
    "digits-noise-steep": (MIXES, [0.15]),
    "digits-noise-brier": ([0.02, 0.05], [*RATES, 0.15]),
}
"""Mixes and learning rates of each study. The first one showed what the others add: that plain
networks learn best at its highest rate, and residual ones next to its lowest mix."""


def train(name: str, mixes: list[float], rates: list[float], folder: Path) -> Study:
    """Return the study of one grid, trained to its end."""
    values: dict[str, Any] = {
        "name": name,
        "dataset": "digits:label_noise=0.2",
        "space.depth": DEPTHS,
        "space.residual": [False, True],
        "space.ce_weight": mixes,
        "space.learning_rate": rates if len(rates) > 1 else rates[0],
        "space.weight_decay": 1e-4,
        "recipe.epochs": 20,
        "recipe.replicates": 4,
        "search.sampler": "grid",
        "search.keep_weights": 0,
    }
    return archloss.launch(read_spec(None, [], values), folder=folder)


def list_trainings(study: Study, mixes: list[float], rates: list[float]) -> list[dict[str, Any]]:
    """Return a row for each training."""
    study_id = study.database.get_study(study.name).study_id
    rows = []
    for trial in study.trials():
        curves = {
            (curve.replicate, curve.metric): curve.values
            for curve in study.database.read_curves(study_id, trial.number)
        }
        tests = study.database.read_test(study_id, trial.number)
        design = {"ce_weight": mixes[0], "learning_rate": rates[0], **trial.params}
        rows += [
            {
                **{axis: design[axis] for axis in AXES},
                "replicate": replicate,
                **{metric: curves[replicate, metric][-1] for metric in METRICS},
                "test_error": tests[replicate]["error"],
            }
            for replicate in sorted({replicate for replicate, _ in curves})
        ]
    return rows


def main() -> None:
    """Train what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for name, (mixes, rates) in GRIDS.items():
        rows += list_trainings(train(name, mixes, rates, options.folder), mixes, rates)
    table = pd.DataFrame(rows).sort_values([*AXES, "replicate"], ignore_index=True)
    types = dict.fromkeys([*METRICS, "test_error"], "float32")
    table.astype({"depth": "int16", "replicate": "int8", **types}).to_parquet(
        options.out, compression="zstd"
    )
    print(f"{len(table):,} trainings in {options.out}")


if __name__ == "__main__":
    main()
