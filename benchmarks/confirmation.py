"""How often an experiment's answer is right: type I error, power, coverage.

    python benchmarks/confirmation.py run --repetitions 200 --out results.jsonl
    python benchmarks/confirmation.py show results.jsonl

Each repetition draws an experiment of the size that `archloss confirm` plans, 6 depths and 7 mixes
with residual and plain networks, from a surface whose truth is known (benchmarks/surfaces.py),
everything else at its best, with noise shared by the cells of a replicate on top of each training's
own; and analyses it. On "twins" errors are counted on 30 examples, and all mixes but the last make
exactly the same ones, whatever the replicate. `run` leaves out what the file, or a packed one from
before (`--known`), has.
"""

import argparse
import json
import multiprocessing
import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process per core, and no more threads

import numpy as np
from calibration import BOUND, covers, read_results
from digits_surface import RELATIVE_NOISE, DigitsSurface
from surfaces import AXES, DEPTH, TIES, TRUTHS, Truth

from archloss.search.analysis.confirmation import confirm
from archloss.search.analysis.experiment import Experiment
from archloss.search.analysis.power import combine_noise, find_power
from archloss.search.analysis.verdict import Verdict

CONTEXTS, CHOICES = 6, 7
SPLIT_NOISE, CONTEXT_NOISE = 0.01, 0.005
"""Deviations of what a replicate does to all its cells, and to those of one depth of one kind."""
EXAMPLES = 30
Cell = tuple[str, int, int]


@dataclass(frozen=True)
class Twins:
    """Errors of 30 examples; the last mix has fewer than all others at first, and more further on.

    `most` is how far it is from them at either end, as a share of the examples.
    """

    most: float = 0.05
    errors: float = 0.4

    def get_profile(self, depths: np.ndarray, mixes: np.ndarray) -> np.ndarray:
        """Return the expected error `[2, U, M]` for each residual, depth and mix."""
        last = self.most * np.outer(2 * depths - 1, mixes == 1)
        return np.broadcast_to(self.errors + last, (2, *last.shape))

    def draw(self, profile: np.ndarray, replicates: int, random: np.random.Generator) -> np.ndarray:
        """Return an experiment's errors `[L, D, M, R]`, whose truth is `profile` `[L, D, M]`."""
        shape = (*profile.shape[:2], replicates)
        counts = random.binomial(EXAMPLES, self.errors, shape)
        apart = EXAMPLES * (profile[:, :, -1:] - self.errors)
        moved = np.sign(apart) * random.poisson(np.abs(apart), shape) + random.integers(
            -1, 2, shape
        )
        values = np.repeat(counts[:, :, None], profile.shape[2], axis=2) / EXAMPLES
        values[:, :, -1] += moved / EXAMPLES
        return values


SURFACES: dict[str, Truth | DigitsSurface | Twins] = TRUTHS | TIES | {"twins": Twins()}


def make_experiment(truth: Truth | DigitsSurface | Twins, replicates: int, seed: int) -> Experiment:
    """Return an experiment on a surface."""
    random = np.random.default_rng([seed, replicates])
    contexts = np.unique(AXES[DEPTH].decode(np.linspace(0, 1, CONTEXTS)))
    choices = np.linspace(0, 1, CHOICES)
    profile = truth.get_profile(AXES[DEPTH].encode(contexts), choices)
    values = (
        truth.draw(profile, replicates, random)
        if isinstance(truth, Twins)
        else draw_values(truth, profile[..., None], replicates, random)
    )
    return Experiment(
        context="depth",
        choice="ce_weight",
        by="residual",
        levels=(False, True),
        contexts=tuple(contexts),
        choices=tuple(choices),
        bound=BOUND,
        values=values,
        diverged=np.zeros(values.shape, dtype=bool),
    )


def draw_values(
    truth: Truth | DigitsSurface, profile: np.ndarray, replicates: int, random: np.random.Generator
) -> np.ndarray:
    """Return the errors of an experiment `[L, D, M, R]` whose truth is `profile` `[L, D, M, 1]`."""
    shared = SPLIT_NOISE * random.standard_normal((1, 1, 1, replicates))
    shared = shared + CONTEXT_NOISE * random.standard_normal((*profile.shape[:2], 1, replicates))
    own = find_noise(truth, profile) * random.standard_normal((*profile.shape[:3], replicates))
    return profile + shared + own


def find_noise(truth: Truth | DigitsSurface | Twins, profile: np.ndarray) -> np.ndarray:
    """Return the deviation of a training in each cell `[L, D, M, 1]`."""
    if isinstance(truth, Twins):
        return np.sqrt(profile * (1 - profile) / EXAMPLES)
    if isinstance(truth, DigitsSurface):
        return RELATIVE_NOISE * profile
    depths = np.linspace(0, 1, profile.shape[1])
    return np.broadcast_to(truth.noise(depths)[None, :, None, None], profile.shape)


def check(cell: Cell) -> dict[str, Any]:
    """Return what one repetition got right."""
    name, replicates, seed = cell
    truth = SURFACES[name]
    experiment = make_experiment(truth, replicates, seed)
    started = time.perf_counter()
    found = confirm(experiment, seed=seed)
    seconds = time.perf_counter() - started
    mixes = np.array(experiment.choices)
    profile = truth.get_profile(AXES[DEPTH].encode(np.array(experiment.contexts)), mixes)
    levels = []
    for level, g, p_value in zip(found.answer.levels, profile, found.p_values, strict=True):
        lowest = [mixes[row <= row.min() + 1e-9] for row in g]
        cost = max(float(g.mean(axis=0).min() - g.min(axis=1).mean()), 0.0)
        best = [
            covers(b.choice, t.min(), t.max()) for b, t in zip(level.bests, lowest, strict=True)
        ]
        levels.append(
            {
                "true": cost,
                "estimate": level.cost.estimate,
                "cost": covers(level.cost, cost, cost),
                "best": float(np.mean(best)),
                "change": covers(
                    level.change.difference,
                    lowest[-1].min() - lowest[0].max(),
                    lowest[-1].max() - lowest[0].min(),
                ),
                "test": p_value < 0.05,
                "additive": bool(np.ptp(g - g.mean(axis=1, keepdims=True), axis=0).max() < 1e-9),
                "verdict": level.verdict.name,
            }
        )
    noise = find_noise(truth, profile[..., None])[..., 0]
    promised = find_power(
        deviation=float(combine_noise(noise).max()),
        bound=BOUND,
        replicates=replicates,
        levels=len(profile),
    )
    return {
        "cell": cell,
        "seconds": seconds,
        "verdict": found.answer.verdict.name,
        "promised": promised,
        "levels": levels,
    }


def run(options: argparse.Namespace) -> None:
    """Add repetitions to the file."""
    path: Path = options.out
    files = [one for one in (path, options.known) if one is not None and one.exists()]
    known = {tuple(result["cell"]) for one in files for result in read_results(one)}
    cells = [
        (name, replicates, seed)
        for seed in range(options.repetitions)
        for replicates in options.replicates
        for name in options.surfaces
    ]
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.jobs) as pool, path.open("a") as file:
        left = [cell for cell in cells if cell not in known]
        for result in pool.imap_unordered(check, left, chunksize=4):
            file.write(json.dumps(result) + "\n")
            file.flush()


def show(options: argparse.Namespace) -> None:
    """Print a row for each surface and number of replicates; costs are in accuracy points.

    "test" is how often the test of no interaction is below 0.05, "false" how often the verdict is
    one that must not be, "found at a level" how often one kind of networks is said to have an
    interaction, and "promised" what a plan states for that where the cost is twice the bound.
    """
    cells: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    for result in (result for file in options.files for result in read_results(file)):
        cells[tuple(result["cell"][:2])].append(result)
    headings = ["surface", "replicates", "repetitions", "true cost", "estimate", "cost covered"]
    headings += ["best covered", "change covered", "test", "interaction", "none", "false"]
    headings += ["found at a level", "promised", "seconds"]
    print(f"| {' | '.join(headings)} |\n|{'---|' * len(headings)}")
    order = list(SURFACES)
    for cell, results in sorted(cells.items(), key=lambda item: (order.index(item[0][0]), item[0])):
        print(f"| {' | '.join([*map(str, cell), *describe(results)])} |")


def describe(results: list[dict[str, Any]]) -> list[str]:
    """Return a row's numbers."""
    levels = [level for result in results for level in result["levels"]]

    def average(key: str) -> float:
        return float(np.mean([level[key] for level in levels]))

    says = [
        np.mean([result["verdict"] == verdict.name for result in results])
        for verdict in (Verdict.INTERACTION, Verdict.NONE)
    ]
    return [
        str(len(results)),
        f"{100 * average('true'):.2f}",
        f"{100 * average('estimate'):.2f}",
        *(f"{average(key):.1%}" for key in ("cost", "best", "change", "test")),
        *(f"{share:.0%}" for share in says),
        f"{np.mean([is_false(result) for result in results]):.1%}",
        f"{np.mean([level['verdict'] == Verdict.INTERACTION.name for level in levels]):.0%}",
        f"{np.mean([result['promised'] for result in results]):.0%}",
        f"{np.median([result['seconds'] for result in results]):.1f}",
    ]


def is_false(result: dict[str, Any]) -> bool:
    """Say whether the verdict must not be: as in calibration.py."""
    costs = [level["true"] for level in result["levels"]]
    if result["verdict"] == Verdict.INTERACTION.name:
        return max(costs) < BOUND
    return result["verdict"] == Verdict.NONE.name and max(costs) > 2 * BOUND


def main() -> None:
    """Run or show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run", help="add repetitions to a file")
    runs.add_argument("--surfaces", nargs="+", default=list(SURFACES), choices=list(SURFACES))
    runs.add_argument("--replicates", type=int, nargs="+", default=[8, 20])
    runs.add_argument("--repetitions", type=int, default=200)
    runs.add_argument("--jobs", type=int, default=2)
    runs.add_argument("--out", type=Path, required=True)
    runs.add_argument("--known", type=Path)
    runs.set_defaults(do=run)
    shows = commands.add_parser("show", help="print the table of a file")
    shows.add_argument("files", type=Path, nargs="+")
    shows.set_defaults(do=show)
    options = parser.parse_args()
    options.do(options)


if __name__ == "__main__":
    main()
