"""Can importances tell that the best mix depends on depth, and that it matters?

    python benchmarks/importances.py run --repetitions 12 --out results.jsonl
    python benchmarks/importances.py show results.jsonl

Each repetition draws trials from a surface whose truth is known, as calibration.py does, and asks
Optuna's importances, HyperSHAP's and archloss about the same trials. HyperSHAP takes part where it
can be imported; no part of archloss needs it:

    pip install hypershap==0.0.6 --constraint constraints.txt

A score has no threshold of its own. Each gets the best there is, chosen with the truth known.
`run` leaves out what the file has already, so that it can be stopped and gone on with.
"""

import argparse
import json
import multiprocessing
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process per core, and no more threads

import numpy as np
import optuna
from calibration import BOUND, draw_trials
from importance_measures import (
    find_cost,
    measure_fanova,
    measure_forest_cost,
    measure_hypershap,
    measure_ped_anova,
)
from sklearn.metrics import roc_auc_score, roc_curve
from surfaces import AXES, CONTRASTS, DEPTH, MIX, TRUTHS

from archloss.search.analysis.answer import answer
from archloss.search.analysis.coverage import AnalysisError
from archloss.search.analysis.importance import find_importance
from archloss.search.analysis.verdict import Verdict

SURFACES = TRUTHS | CONTRASTS
CHOSEN = (
    *("none", "flat", "edge", "two valleys", "shift", "diverges", "digits", "edge to edge"),
    *CONTRASTS,
)
"""Those of TRUTHS without two whose cost is the bound, which nobody can tell, and near doubles."""
SAMPLERS = ("random", "tpe")
PLACES = np.unique(AXES[DEPTH].decode(np.linspace(0, 1, 10)))
DRAWS = 200
COST = "archloss's cost"
SHARE = "archloss's share, depth and mix"
SCALES = {
    "HyperSHAP tunability": 100,
    "HyperSHAP sensitivity": 100**2,
    "the cost from a random forest": 100,
    COST: 100,
}
"""What turns scores that are errors into accuracy points, or points squared; all else is shares."""
Cell = tuple[str, str, int, int]


def find_true_cost(name: str) -> float:
    """Return a surface's true cost of one mix for all depths, the higher of residual and plain."""
    profile = SURFACES[name].get_profile(AXES[DEPTH].encode(PLACES), np.linspace(0, 1, 201))
    return max(find_cost(level) for level in profile)


def check(cell: Cell) -> dict[str, Any]:
    """Return what every measure says of one repetition's trials."""
    name, sampler, count, seed = cell
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    trials = draw_trials(SURFACES[name], sampler, count, seed)
    try:
        found = answer(trials, bound=BOUND, seed=seed)
    except AnalysisError as error:
        return {"cell": cell, "refused": str(error)}
    assert found.fitted is not None
    pair = {AXES[DEPTH].name, AXES[MIX].name}
    terms = find_importance(found.fitted.surface).terms
    scores = {
        **measure_ped_anova(trials),
        **measure_fanova(trials, seed),
        **measure_hypershap(trials),
        SHARE: next(term.share.estimate for term in terms if set(term.axes) == pair),
        **measure_forest_cost(trials, AXES[DEPTH].encode(PLACES), seed),
        COST: max(level.cost.estimate for level in found.levels),
    }
    return {
        "cell": cell,
        "true": find_true_cost(name),
        "scores": scores,
        "verdict": found.verdict.name,
    }


def run(options: argparse.Namespace) -> None:
    """Add repetitions to the file."""
    path: Path = options.out
    known = set()
    if path.exists():
        known = {tuple(json.loads(line)["cell"]) for line in path.read_text().splitlines()}
    cells = [
        (name, sampler, options.trials, seed)
        for seed in range(options.repetitions)
        for sampler in options.samplers
        for name in options.surfaces
    ]
    context = multiprocessing.get_context("spawn")
    with context.Pool(options.jobs) as pool, path.open("a") as file:
        left = [cell for cell in cells if cell not in known]
        for result in pool.imap_unordered(check, left, chunksize=4):
            file.write(json.dumps(result) + "\n")
            file.flush()


def show(options: argparse.Namespace) -> None:
    """Print three tables: mean scores on each surface, how well they part, and verdicts.

    Surfaces whose cost is within a tenth of the bound are in the first alone. "Area" is that under
    the ROC curve, 0.5 for a coin: of all surfaces, and of those that matter against the surfaces
    of TRUTHS, or of CONTRASTS, that do not. A verdict is wrong on the other side of the bound.
    """
    lines = [json.loads(line) for line in options.file.read_text().splitlines()]
    results = [line for line in lines if "refused" not in line]
    print(f"{len(lines)} repetitions, {len(lines) - len(results)} refused\n")
    show_scores(results)
    show_areas(results)
    show_verdicts(results)


def show_scores(results: list[dict[str, Any]]) -> None:
    """Print the mean score of every measure on each surface; costs are in accuracy points."""
    cells: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        cells[result["cell"][1], result["cell"][0]].append(result)
    names = list_scores(results)
    print_row("sampler", "surface", "true cost", *names, "interaction", "none")
    print_row(*["---"] * (len(names) + 5))
    order = list(SURFACES)
    for (sampler, surface), some in sorted(
        cells.items(), key=lambda item: (item[0][0], order.index(item[0][1]))
    ):
        scores = {name: np.mean([one["scores"][name] for one in some]) for name in names}
        print_row(
            sampler,
            surface,
            f"{100 * some[0]['true']:.2f}",
            *(f"{SCALES.get(name, 1) * score:.2f}" for name, score in scores.items()),
            *(f"{count_verdict(some, one):.0%}" for one in (Verdict.INTERACTION, Verdict.NONE)),
        )
    print()


def show_areas(results: list[dict[str, Any]]) -> None:
    """Print how well every score parts what matters from what does not.

    In brackets a standard error: other trials of the same surfaces, by the bootstrap.
    """
    headings = ("area", "against TRUTHS", "against CONTRASTS", "false alarms", "missed")
    print_row("sampler", "score", *headings)
    print_row(*["---"] * (len(headings) + 2))
    for sampler in list_samplers(results):
        some = [one for one in results if one["cell"][1] == sampler and find_label(one) is not None]
        truth = np.array([find_label(one) for one in some])
        known = np.array([one["cell"][0] in TRUTHS for one in some])
        surfaces = np.array([one["cell"][0] for one in some])
        for name in list_scores(results):
            score = np.array([one["scores"][name] for one in some])
            areas = [
                f"{roc_auc_score(truth[kept], score[kept]):.2f}"
                for kept in (truth | ~truth, truth | known, truth | ~known)
            ]
            areas[0] += f" ({find_error(truth, score, surfaces):.2f})"
            alarms, found, _ = roc_curve(truth, score)
            best = int(np.argmax(found - alarms))  # Youden's index
            print_row(sampler, name, *areas, f"{alarms[best]:.0%}", f"{1 - found[best]:.0%}")
    print()


def find_error(truth: np.ndarray, score: np.ndarray, surfaces: np.ndarray) -> float:
    """Return the standard error of the area, drawing repetitions anew within each surface."""
    random = np.random.default_rng(0)
    places = [np.flatnonzero(surfaces == surface) for surface in np.unique(surfaces)]
    areas = []
    for _ in range(DRAWS):
        drawn = np.concatenate([random.choice(some, len(some)) for some in places])
        areas.append(roc_auc_score(truth[drawn], score[drawn]))
    return float(np.std(areas))


def show_verdicts(results: list[dict[str, Any]]) -> None:
    """Print how many of archloss's verdicts, as they come, are right."""
    headings = ("repetitions", "right", "wrong", "cannot tell")
    print_row("sampler", "the cost is", *headings)
    print_row(*["---"] * (len(headings) + 2))
    for sampler in list_samplers(results):
        for label, said in ((True, "above the bound"), (False, "below")):
            some = [
                one for one in results if one["cell"][1] == sampler and find_label(one) is label
            ]
            right = Verdict.INTERACTION if label else Verdict.NONE
            wrong = Verdict.NONE if label else Verdict.INTERACTION
            shares = [count_verdict(some, one) for one in (right, wrong, Verdict.UNDECIDED)]
            print_row(sampler, said, str(len(some)), *(f"{share:.1%}" for share in shares))


def find_label(result: dict[str, Any]) -> bool | None:
    """Say whether a result's true cost is above the bound; None within a tenth of it."""
    if abs(result["true"] - BOUND) < 0.1 * BOUND:
        return None
    return bool(result["true"] > BOUND)


def count_verdict(results: list[dict[str, Any]], verdict: Verdict) -> float:
    """Return the share of a verdict."""
    return float(np.mean([result["verdict"] == verdict.name for result in results]))


def list_samplers(results: list[dict[str, Any]]) -> list[str]:
    """Return the samplers in the results."""
    return sorted({result["cell"][1] for result in results})


def list_scores(results: list[dict[str, Any]]) -> list[str]:
    """Return the scores that every result has, in their order."""
    names = list(results[0]["scores"])
    return [name for name in names if all(name in result["scores"] for result in results)]


def print_row(*texts: str) -> None:
    """Print a row of a Markdown table."""
    print(f"| {' | '.join(texts)} |")


def main() -> None:
    """Run or show."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    commands = parser.add_subparsers(required=True)
    runs = commands.add_parser("run", help="add repetitions to a file")
    runs.add_argument("--surfaces", nargs="+", default=list(CHOSEN), choices=list(SURFACES))
    runs.add_argument("--samplers", nargs="+", default=list(SAMPLERS), choices=list(SAMPLERS))
    runs.add_argument("--trials", type=int, default=300)
    runs.add_argument("--repetitions", type=int, default=20)
    runs.add_argument("--jobs", type=int, default=2)
    runs.add_argument("--out", type=Path, required=True)
    runs.set_defaults(do=run)
    shows = commands.add_parser("show", help="print the tables of a file")
    shows.add_argument("file", type=Path)
    shows.set_defaults(do=show)
    options = parser.parse_args()
    options.do(options)


if __name__ == "__main__":
    main()
