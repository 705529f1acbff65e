"""Runs Ray Tune on a Ray of its own, and writes what came of it as JSON; for test_tune.py.

In a program of its own, so that Ray's warnings and threads stay out of the tests' process.
"""

import json
import sys
from pathlib import Path

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.basic_variant import BasicVariantGenerator
from ray.tune.search.optuna import OptunaSearch

from archloss.spaces.catalogue import RESIDUAL_MLP
from archloss.spaces.dimensions import Choice, Float, Integer
from archloss.spaces.recipe import Recipe
from archloss.workers.tune import make_param_space, make_trainable

DIMENSIONS = {
    **RESIDUAL_MLP.dimensions,
    "depth": Integer(low=0, high=4, log=True),
    "width": Choice(values=(8,)),
    # The steepest rates diverge, and must not stop the run.
    "learning_rate": Float(low=1e-3, high=1e3, log=True),
    "optimizer": Choice(values=("sgd",)),
    "normalisation": Choice(values=("none",)),
}


def run(folder: Path, name: str, recipe: Recipe, tuning: tune.TuneConfig) -> list[dict]:
    tuner = tune.Tuner(
        make_trainable(DIMENSIONS, recipe, device="cpu"),
        param_space=make_param_space(DIMENSIONS),
        tune_config=tuning,
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(folder),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=True),
        ),
    )
    return [
        {
            "config": result.config,
            "metrics": {
                key: value
                for key, value in (result.metrics or {}).items()
                if isinstance(value, (int, float, str))
            },
            "error": repr(result.error) if result.error else None,
            "checkpoint": result.checkpoint.path if result.checkpoint else None,
        }
        for result in tuner.fit()
    ]


def main(folder: Path) -> None:
    recipe = Recipe(dataset="rings.csv", target="class", epochs=9, batch_size=32, replicates=2)
    ray.init(
        address="local",
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        _temp_dir=str(folder / "r"),
    )
    common = {"metric": "validation_error", "mode": "min", "reuse_actors": True}
    asha = tune.TuneConfig(
        search_alg=BasicVariantGenerator(random_state=0),
        scheduler=ASHAScheduler(max_t=9, grace_period=1, reduction_factor=3),
        num_samples=9,
        **common,
    )
    optuna = tune.TuneConfig(search_alg=OptunaSearch(seed=0), num_samples=2, **common)
    outcome = {
        "asha": run(folder, "asha", recipe, asha),
        "optuna": run(folder, "optuna", recipe, optuna),
    }
    (folder / "outcome.json").write_text(json.dumps(outcome), encoding="utf-8")
    ray.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
