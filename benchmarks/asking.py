"""What asking costs, and what asking in packs costs the search: plain Optuna TPE against ours.

    python benchmarks/asking.py times       CPU milliseconds an ask, by number of finished trials
    python benchmarks/asking.py quality     regret after 200 trials, over seeds and objectives
    python benchmarks/asking.py history     regret after 1,500 trials, with and without a bound

The objectives are known functions of a space like ours (depth, residual, mix, learning rate,
weight decay, dropout), in units of validation error, with noise; their least value is 0.
"""

import argparse
import functools
import math
import time
from collections.abc import Callable

import numpy as np
import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from scipy.stats import binom

from archloss.search import batch_tpe
from archloss.search.asking import ask_many
from archloss.search.batch_tpe import BatchTPESampler

PACK = 32
NOISE = 0.003
SPACE: dict[str, BaseDistribution] = {
    "depth": IntDistribution(1, 32, log=True),
    "residual": CategoricalDistribution((False, True)),
    "ce_weight": FloatDistribution(0, 1),
    "learning_rate": FloatDistribution(3e-4, 3e-2, log=True),
    "weight_decay": FloatDistribution(1e-5, 1e-1, log=True),
    "dropout": FloatDistribution(0, 0.5),
}
OTHERS: dict[str, BaseDistribution] = {
    "activation": CategoricalDistribution(("relu", "gelu", "silu")),
    "width": CategoricalDistribution((16, 32, 64)),
}
MakeSampler = Callable[[int], BaseSampler]
Point = tuple[float, bool, float, float, float, float]


def to_unit(params: dict[str, float]) -> Point:
    """Return depth, residual, mix, rate, decay and dropout, all but residual in [0, 1]."""
    return (
        math.log(params["depth"]) / math.log(32),
        bool(params["residual"]),
        params["ce_weight"],
        math.log10(params["learning_rate"] / 3e-4) / 2,
        math.log10(params["weight_decay"] / 1e-5) / 4,
        params["dropout"] / 0.5,
    )


def bowl(point: Point) -> float:
    """Return an error whose best mix rises and best rate falls with depth; plain nets suffer."""
    depth, residual, mix, rate, decay, dropout = point
    plain = 0.0 if residual else 0.06 * max(0.0, depth - 0.4)
    return (
        plain
        + 0.12 * (depth - 0.6) ** 2
        + 0.06 * (mix - 0.2 - 0.6 * depth) ** 2
        + 0.10 * (rate - 0.8 + 0.6 * depth) ** 2
        + 0.02 * (decay - 0.6) ** 2
        + 0.02 * (dropout - 0.2) ** 2
    )


def valley(point: Point) -> float:
    """Return an error that is flat but for a narrow valley oblique to depth and rate."""
    depth, residual, mix, rate, decay, _ = point
    across = (rate - 0.75 + 0.5 * depth) ** 2 / 0.02
    along = (mix - 0.3) ** 2 / 0.05 + (depth - 0.6) ** 2 / 0.05
    plain = 0.0 if residual else 0.02
    return 0.05 * (1 - math.exp(-across - along)) + plain + 0.01 * decay


def two_basins(point: Point) -> float:
    """Return an error with a good basin of shallow plain and a better one of deep residual nets."""
    depth, residual, mix, rate, decay, dropout = point
    shallow = 0.1 * ((depth - 0.2) ** 2 + (mix - 0.8) ** 2 + (rate - 0.7) ** 2)
    deep = 0.1 * ((depth - 0.8) ** 2 + (mix - 0.3) ** 2 + 2 * (rate - 0.35) ** 2)
    shallow += 0.04 if residual else 0.02
    deep += 0.0 if residual else 0.08
    return min(shallow, deep) + 0.01 * (decay - 0.5) ** 2 + 0.01 * dropout


OBJECTIVES = (bowl, valley, two_basins)


def make_ours(seed: int, *, history: int = batch_tpe.LONGEST_HISTORY) -> BaseSampler:
    """Return our sampler with the settings of a study file that says nothing."""
    return BatchTPESampler(startup_trials=10, candidates=24, seed=seed, history=history)


def make_tpe(seed: int) -> BaseSampler:
    """Return Optuna's sampler as it comes: multivariate, with a constant liar."""
    return TPESampler(seed=seed)


def make_random(seed: int) -> BaseSampler:
    """Return chance."""
    return RandomSampler(seed=seed)


def measure_times() -> None:
    """Print CPU milliseconds an ask with 8 parameters: plain one by one, and ours in packs."""
    space = SPACE | OTHERS
    print(f"CPU milliseconds an ask, 8 parameters, packs of {PACK}")
    for trials in (100, 1000, 5000):
        cells = []
        for make in (make_tpe, make_ours):
            study = optuna.create_study(sampler=RandomSampler(seed=0))
            rng = np.random.default_rng(0)
            for trial in ask_many(study, trials, space):
                study.tell(trial.number, float(rng.random()))
            study.sampler = make(0)
            ask_many(study, 1, space)
            started = time.process_time()
            ask_many(study, PACK, space)
            cells.append(1e3 * (time.process_time() - started) / PACK)
        print(f"  n = {trials:5,}  plain {cells[0]:6.1f}   ours {cells[1]:5.1f}", flush=True)


def search(
    objective: Callable[[Point], float], sampler: BaseSampler, seed: int, *, pack: int, trials: int
) -> float:
    """Return the true value of the trial that looks best after `trials`, asked in packs."""
    study = optuna.create_study(sampler=sampler)
    rng = np.random.default_rng([seed, 1])
    done = 0
    while done < trials:
        asked = ask_many(study, min(pack, trials - done), SPACE)
        for trial in asked:
            value = objective(to_unit(trial.params)) + NOISE * rng.standard_normal()
            study.tell(trial.number, value)
        done += len(asked)
    return objective(to_unit(study.best_trial.params))


def compare(
    rows: dict[str, tuple[MakeSampler, int]], *, reference: str, seeds: int, trials: int
) -> None:
    """Print each row's median regret, and its paired difference to the reference row."""
    regrets = {}
    for name, (make, pack) in rows.items():
        started = time.perf_counter()
        regrets[name] = np.array(
            [
                [
                    100 * search(objective, make(seed), seed, pack=pack, trials=trials)
                    for seed in range(seeds)
                ]
                for objective in OBJECTIVES
            ]
        )
        print(f"  {name}: {time.perf_counter() - started:.0f} s", flush=True)
    print(f"regret in accuracy points after {trials} trials, {seeds} seeds:")
    print("median (and median paired difference to the reference with its 95% interval)")
    print(" " * 28, "".join(f"{objective.__name__:>28s}" for objective in OBJECTIVES))
    for name, values in regrets.items():
        cells = []
        for one, base in zip(values, regrets[reference], strict=True):
            low, middle, high = bound_median(one - base)
            difference = "" if name == reference else f" ({middle:+.2f}: {low:+.2f} {high:+.2f})"
            cells.append(f"{np.median(one):.2f}{difference}")
        print(f"{name:28s}", "".join(f"{cell:>28s}" for cell in cells))


def bound_median(values: np.ndarray) -> tuple[float, float, float]:
    """Return a 95% interval of the median from order statistics, around the median."""
    ranked = np.sort(values)
    below = int(binom.ppf(0.025, len(ranked), 0.5)) - 1
    below = max(below, 0)
    return float(ranked[below]), float(np.median(ranked)), float(ranked[-1 - below])


def compare_quality(seeds: int) -> None:
    """Print what asking in packs costs the search, and what TPE is worth."""
    rows: dict[str, tuple[MakeSampler, int]] = {
        "ours, packs of 32": (make_ours, PACK),
        "plain TPE, packs of 32": (make_tpe, PACK),
        "plain TPE, one by one": (make_tpe, 1),
        "random": (make_random, PACK),
    }
    compare(rows, reference="ours, packs of 32", seeds=seeds, trials=200)


def compare_histories(seeds: int) -> None:
    """Print whether the bound of the history costs anything, where it binds."""
    rows: dict[str, tuple[MakeSampler, int]] = {
        "ours, 300 bad trials back": (make_ours, PACK),
        "ours, all trials": (functools.partial(make_ours, history=1_000_000), PACK),
    }
    compare(rows, reference="ours, 300 bad trials back", seeds=seeds, trials=1500)


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("times", "quality", "history"))
    parser.add_argument("--seeds", type=int, default=24)
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if arguments.what == "times":
        measure_times()
    elif arguments.what == "quality":
        compare_quality(arguments.seeds)
    else:
        compare_histories(arguments.seeds)


if __name__ == "__main__":
    main()
