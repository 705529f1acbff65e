"""How often the answer is right: coverage of its intervals and rates of false verdicts.

    python benchmarks/calibration.py run --repetitions 200 --out results.jsonl
    python benchmarks/calibration.py show results.jsonl

Each repetition draws trials from a surface whose truth is known (benchmarks/surfaces.py), with a
sampler at work on its noisy errors, and answers as `archloss report` does, after the first 100
trials, 300 and 1,000. `run` leaves out what the file has already, so that it can be stopped and
gone on with; `--known` names a file of results from before, which may be packed by gzip. Studies
whose trials are pruned have to be named: --surfaces "none, halved" "shift, halved" ...
"""

import argparse
import gzip
import json
import multiprocessing
import os
import time
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process per core, and no more threads

import numpy as np
import optuna
from digits_surface import DigitsSurface
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState
from surfaces import AXES, DEPTH, HALVED, MIX, PENALTY, RESIDUAL, TRUTHS, Truth

from archloss.search.analysis.answer import answer
from archloss.search.analysis.axes import Category
from archloss.search.analysis.basis import Roles
from archloss.search.analysis.coverage import AnalysisError
from archloss.search.analysis.trials import Kind, Trials, take
from archloss.search.analysis.verdict import Interval, Verdict
from archloss.search.asking import RandomSampler, ask_many
from archloss.search.batch_tpe import BatchTPESampler
from archloss.search.memory import MemoryStorage
from archloss.search.planned import SequenceSampler
from archloss.search.profile_sampler import ProfileSampler
from archloss.search.pruners import HalvingPruner

BOUND = 0.005
PACK = 32
RUNGS = (2, 7, 20)
SURFACES: dict[str, Truth | DigitsSurface] = TRUTHS | HALVED
ROLES = Roles(context=DEPTH, choice=MIX, by=RESIDUAL)
SAMPLERS = {
    "random": lambda seed: RandomSampler(seed=seed),
    "qmc": lambda seed: SequenceSampler(seed=seed),
    "profile": lambda seed: ProfileSampler(
        context="depth",
        choice="ce_weight",
        by="residual",
        startup_trials=20,
        penalty=PENALTY,
        seed=seed,
    ),
    "tpe": lambda seed: BatchTPESampler(startup_trials=20, candidates=24, seed=seed),
}
Cell = tuple[str, str, int, int]
Study = tuple[str, str, int, tuple[int, ...]]
KEYS = ("true", "estimate", "best", "change", "error", "cost", "width", "off")
HEADINGS = (
    *("surface", "sampler", "trials", "repetitions", "refused", "true cost", "estimate"),
    *("best covered", "change covered", "error covered", "cost covered", "width", "off"),
    *("interaction", "none", "false", "seconds"),
)


def make_space() -> dict[str, BaseDistribution]:
    """Return the surfaces' axes as Optuna's distributions."""
    space: dict[str, BaseDistribution] = {}
    for axis in AXES:
        if isinstance(axis, Category):
            space[axis.name] = CategoricalDistribution(axis.levels)
        elif axis.whole:
            space[axis.name] = IntDistribution(int(axis.low), int(axis.high), log=axis.log)
        else:
            space[axis.name] = FloatDistribution(axis.low, axis.high, log=axis.log)
    return space


def encode(params: Iterable[dict[str, Any]]) -> np.ndarray:
    """Return trials' parameters as places on AXES."""
    rows = list(params)
    columns = []
    for axis in AXES:
        values = [row[axis.name] for row in rows]
        columns.append(
            axis.encode(values)
            if isinstance(axis, Category)
            else axis.encode(np.array(values, dtype=float))
        )
    return np.stack(columns, axis=1)


def draw_trials(truth: Truth | DigitsSurface, sampler: str, count: int, seed: int) -> Trials:
    """Run a study of the surface, in packs, and return its trials."""
    random = np.random.default_rng([seed, 1])
    study = optuna.create_study(storage=MemoryStorage(), sampler=SAMPLERS[sampler](seed))
    space = make_space()
    halved = isinstance(truth, Truth) and truth.halved
    pruner, packs, left = HalvingPruner(RUNGS, factor=3), [], count
    while left:
        asked = ask_many(study, min(PACK, left), space)
        left -= len(asked)
        places = encode(trial.params for trial in asked)
        errors, diverged = truth.draw(places, random)
        kinds = np.where(diverged, Kind.DIVERGED.value, Kind.COMPLETED.value)
        early = np.zeros((len(asked), 0))
        if halved:
            early, stopped = halve(asked, truth.begin(places, errors, random), pruner)
            kinds[stopped] = Kind.PRUNED.value
        for trial, error, kind in zip(asked, errors, kinds, strict=True):
            if kind == Kind.PRUNED.value:
                study.tell(trial.number, state=TrialState.PRUNED)
            else:
                study.tell(trial.number, error)
        values = np.where(kinds == Kind.COMPLETED.value, errors, np.nan)
        packs.append((places, kinds, values, early))
    points, kinds, values, early = (np.concatenate(column) for column in zip(*packs, strict=True))
    return Trials(
        axes=AXES,
        roles=ROLES,
        points=points,
        kinds=kinds,
        values=values,
        early=early,
        rungs=RUNGS[:-1] if halved else (),
        penalty=PENALTY,
        sampler=sampler,
    )


def halve(
    trials: list[FrozenTrial], reached: np.ndarray, pruner: HalvingPruner
) -> tuple[np.ndarray, np.ndarray]:
    """Return what trials are seen to reach at the rungs `[N, R]`, and which are stopped `[N]`."""
    early, going = np.full(reached.shape, np.nan), np.ones(len(trials), dtype=bool)
    for rung, epoch in enumerate(RUNGS[:-1]):
        seen = [(place, trials[place], reached[place, rung]) for place in np.flatnonzero(going)]
        for place, trial, value in seen:
            early[place, rung] = value
            trial.intermediate_values[epoch] = value
            pruner.report(trial.number, epoch=epoch, value=value)
        for place, trial, value in seen:
            going[place] = not pruner.is_pruned(trial.number, epoch=epoch, value=value)
    return early, ~going


def covers(interval: Interval, low: float, high: float) -> bool:
    """Say whether an interval reaches into what is true."""
    return bool(interval.low <= high and interval.high >= low)


def check_study(study: Study) -> list[dict[str, Any]]:
    """Return what the answers of one study got right, after each number of trials."""
    name, sampler, seed, counts = study
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trials = draw_trials(SURFACES[name], sampler, max(counts), seed)
    return [check((name, sampler, count, seed), take(trials, np.arange(count))) for count in counts]


def check(cell: Cell, trials: Trials) -> dict[str, Any]:
    """Return what one answer got right."""
    name, _, _, seed = cell
    truth = SURFACES[name]
    started = time.perf_counter()
    try:
        found = answer(trials, bound=BOUND, seed=seed)
    except AnalysisError as error:
        return {"cell": cell, "refused": str(error)}
    seconds = time.perf_counter() - started
    mixes = np.linspace(0, 1, 201)
    profile = truth.get_profile(AXES[DEPTH].encode(np.array(found.contexts)), mixes)
    step = found.choices[1] - found.choices[0]
    levels = []
    for level in found.levels:  # of which one may have been left out
        trained = [found.contexts.index(best.context) for best in level.bests]
        g = profile[AXES[RESIDUAL].levels.index(level.level)][trained]
        lowest = [mixes[row <= row.min() + 1e-9] for row in g]
        cost = max(float(g.mean(axis=0).min() - g.min(axis=1).mean()), 0.0)  # not -1e-18
        best = [
            covers(b.choice, t.min() - step / 2, t.max() + step / 2)
            for b, t in zip(level.bests, lowest, strict=True)
        ]
        error = [
            covers(b.objective, row.min(), row.min()) for b, row in zip(level.bests, g, strict=True)
        ]
        levels.append(
            {
                "best": float(np.mean(best)),
                "error": float(np.mean(error)),
                "width": float(np.mean([b.choice.high - b.choice.low for b in level.bests])),
                "off": float(
                    np.mean(
                        [
                            np.abs(t - b.choice.estimate).min()
                            for b, t in zip(level.bests, lowest, strict=True)
                        ]
                    )
                ),
                "change": covers(
                    level.change.difference,
                    lowest[-1].min() - lowest[0].max() - step,
                    lowest[-1].max() - lowest[0].min() + step,
                ),
                "cost": covers(level.cost, cost, cost),
                "estimate": level.cost.estimate,
                "true": cost,
                "verdict": level.verdict.name,
            }
        )
    return {
        "cell": cell,
        "seconds": round(seconds, 3),
        "verdict": found.verdict.name,
        "levels": [
            {key: round(one, 6) if isinstance(one, float) else one for key, one in level.items()}
            for level in levels
        ],
    }


def run(options: argparse.Namespace) -> None:
    """Add repetitions to the file."""
    path: Path = options.out
    files = [one for one in (path, options.known) if one is not None and one.exists()]
    known = {tuple(result["cell"]) for one in files for result in read_results(one)}
    studies = [
        (name, sampler, seed, counts)
        for seed in range(options.repetitions)
        for sampler in options.samplers
        for name in options.surfaces
        if (
            counts := tuple(
                count for count in options.trials if (name, sampler, count, seed) not in known
            )
        )
    ]
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.jobs) as pool, path.open("a") as file:
        for results in pool.imap_unordered(check_study, studies):
            file.writelines(json.dumps(result) + "\n" for result in results)
            file.flush()


def read_results(path: Path) -> list[dict[str, Any]]:
    """Return a file's results; a file whose name ends in .gz is packed."""
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        return [json.loads(line) for line in file]


def show(options: argparse.Namespace) -> None:
    """Print a row for each cell, or for all samplers `together`.

    Shares are of the repetitions, or of these and of both kinds of networks. Costs are in accuracy
    points; `width` is that of the best mix's interval, and `off` how far the estimate is from the
    truth.
    """
    cells: dict[tuple[str, str, int], list[dict[str, Any]]] = defaultdict(list)
    for result in (result for file in options.files for result in read_results(file)):
        name, sampler, count, _ = result["cell"]
        cells[name, "all" if options.together else sampler, count].append(result)
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    for cell, every in sorted(
        cells.items(), key=lambda item: (list(SURFACES).index(item[0][0]), item[0][1:])
    ):
        if answered := [result for result in every if "refused" not in result]:
            print(f"| {' | '.join([*map(str, cell), *describe(every, answered)])} |")


def describe(every: list[dict[str, Any]], answered: list[dict[str, Any]]) -> list[str]:
    """Return a cell's row of numbers, in the order of HEADINGS."""
    levels = [level for result in answered for level in result["levels"]]
    mean = {key: float(np.mean([level[key] for level in levels])) for key in KEYS}
    says = [
        float(np.mean([result["verdict"] == verdict.name for result in answered]))
        for verdict in (Verdict.INTERACTION, Verdict.NONE)
    ]
    return [
        str(len(every)),
        f"{1 - len(answered) / len(every):.0%}",
        *(f"{100 * mean[key]:.2f}" for key in ("true", "estimate")),
        *(f"{mean[key]:.1%}" for key in ("best", "change", "error", "cost")),
        *(f"{mean[key]:.2f}" for key in ("width", "off")),
        *(f"{share:.0%}" for share in says),
        f"{np.mean([is_false(result) for result in answered]):.1%}",
        f"{np.median([result['seconds'] for result in answered]):.1f}",
    ]


def is_false(result: dict[str, Any]) -> bool:
    """Say whether the verdict is one of the two that must not be.

    "Interaction" where one mix costs less than the bound in all kinds of networks, and "none"
    where it costs more than twice the bound in one.
    """
    costs = [level["true"] for level in result["levels"]]
    if result["verdict"] == Verdict.INTERACTION.name:
        return max(costs) < BOUND
    return result["verdict"] == Verdict.NONE.name and max(costs) > 2 * BOUND


def main() -> None:
    """Run or show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run", help="add repetitions to a file")
    runs.add_argument("--surfaces", nargs="+", default=list(TRUTHS), choices=list(SURFACES))
    runs.add_argument("--samplers", nargs="+", default=list(SAMPLERS), choices=list(SAMPLERS))
    runs.add_argument("--trials", type=int, nargs="+", default=[100, 300, 1000])
    runs.add_argument("--repetitions", type=int, default=200)
    runs.add_argument("--jobs", type=int, default=2)
    runs.add_argument("--out", type=Path, required=True)
    runs.add_argument("--known", type=Path)
    runs.set_defaults(do=run)
    shows = commands.add_parser("show", help="print the table of a file")
    shows.add_argument("files", type=Path, nargs="+")
    shows.add_argument("--together", action="store_true")
    shows.set_defaults(do=show)
    options = parser.parse_args()
    options.do(options)


if __name__ == "__main__":
    main()
