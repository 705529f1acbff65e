"""archloss on Ray against Ray Tune with OptunaSearch, and plain Optuna: trials of digits per hour.

    python benchmarks/ray_tune.py --rounds 3 --width 32

Every side searches `make demo`'s space without pruning, trains the same designs in the same way
(trial n is point n of one Sobol sequence, trained by archloss's own code) and keeps an Optuna
study in SQLite. A round runs each side once, in a process of its own; rates count from when a
side is warm, and what came before is the start-up. Tune and Optuna run fewer trials, for they are
slower: the first of the same list. Results of the same designs are compared.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SIDES = Path(__file__).with_name("ray_tune_sides.py")
AS_IT_COMES = "tune"
AT_ITS_BEST = "tune+reuse+wal+quiet+rungs"


def run_side(side: str, *, trials: int, width: int) -> dict[str, Any]:
    """Run one side in a process of its own, and return what it says."""
    with tempfile.TemporaryDirectory(prefix="rt-") as folder:
        command = [sys.executable, str(SIDES), side, folder]
        command += ["--trials", str(trials), "--width", str(width), "--spawned", str(time.time())]
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1" if "quiet" in side else "0",
        }
        log = Path(folder, "log")
        with log.open("w") as stream:
            ended = subprocess.run(
                command, env=environment, stdout=stream, stderr=subprocess.STDOUT, check=False
            )
        if ended.returncode:
            sys.exit(f"{side} ended with {ended.returncode}: {log.read_text()[-3000:]}")
        outcome: dict[str, Any] = json.loads(Path(folder, "outcome.json").read_text())
        if outcome["states"]["COMPLETE"] != outcome["trials"]:
            sys.exit(f"{side} has failed trials: {outcome['states']}; {log.read_text()[-3000:]}")
    return outcome


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[int, float]:
    """Return how many designs both sides have trained, and the largest difference in error."""
    shared = ours["values"].keys() & theirs["values"].keys()
    for number in shared:
        for name, value in ours["params"][number].items():
            other = theirs["params"][number].get(
                name, theirs["params"][number].get(f"{name}_plus_1")
            )
            if isinstance(value, float) and not math.isclose(value, other, rel_tol=1e-9):
                sys.exit(f"trial {number} differs in {name}: {value} and {other}")
    return len(shared), max(abs(ours["values"][n] - theirs["values"][n]) for n in shared)


def main() -> None:
    """Run the rounds, and print rates, start-ups and ratios."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--trials", type=int, default=400, help="of archloss")
    parser.add_argument("--slow-trials", type=int, default=24, help="of Tune as it comes")
    parser.add_argument("--quick-trials", type=int, default=80, help="of the others")
    parser.add_argument("--best", default=AT_ITS_BEST, help="Tune's settings at its best")
    options = parser.parse_args()
    sides = {
        "archloss": options.trials,
        AS_IT_COMES: options.slow_trials,
        options.best: options.quick_trials,
        "optuna": options.quick_trials,
    }
    rounds: list[dict[str, dict[str, Any]]] = []
    for index in range(options.rounds):
        found = {
            side: run_side(side, trials=trials, width=options.width)
            for side, trials in sides.items()
        }
        rounds.append(found)
        for side, outcome in found.items():
            count, difference = compare(found["archloss"], outcome)
            print(
                f"round {index + 1}: {side}: {outcome['rate']:,.0f} trials/h, start-up "
                f"{outcome['start_up_s']:.1f} s, {outcome['states']}; {count} designs compared, "
                f"largest difference in error {difference:.2g}",
                flush=True,
            )
    print("| side | trials/h | start-up, s | archloss is quicker by |\n|---|---|---|---|")
    for side in sides:
        rates = [found[side]["rate"] for found in rounds]
        starts = [found[side]["start_up_s"] for found in rounds]
        ratios = [found["archloss"]["rate"] / found[side]["rate"] for found in rounds]
        print(
            f"| {side} | {statistics.median(rates):,.0f} | {statistics.median(starts):.1f} | "
            f"{statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f}) |"
        )


if __name__ == "__main__":
    main()
