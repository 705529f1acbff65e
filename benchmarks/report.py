"""How long `archloss report` takes, end to end, on studies made up through the storage layer.

    python benchmarks/report.py --trials 1000 20000

Each study has 6 searched axes, 2 replicates, 20 epochs of curves and 4 metrics on the test split, a
fifth of its trials pruned and some diverged, on the digits. Nothing is trained.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from archloss.search.distributions import to_distributions
from archloss.search.spec import Spec
from archloss.spaces.data import load_dataset
from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import METRICS
from archloss.storage.database import Database
from archloss.storage.records import Curve, TrialStart, TrialTell

EPOCHS, REPLICATES, BLOCK = 20, 2, 500
TESTS = ("error", "nll", "brier", "ece")
GUESSING = 0.9


def make_spec(trials):
    """Return the spec of a study with all that a report may show."""
    return Spec.model_validate(
        {
            "name": f"report-{trials}",
            "dataset": "digits",
            "trials": trials,
            "space": {"width": [16, 32, 64]},
            "recipe": {"epochs": EPOCHS, "replicates": REPLICATES},
        }
    )


def draw_params(distributions, random):
    """Return a value for each parameter, uniform where it is searched."""
    params = {}
    for name, distribution in distributions.items():
        choices = getattr(distribution, "choices", None)
        if choices is not None:
            params[name] = choices[random.integers(len(choices))]
            continue
        low, high = distribution.low, distribution.high
        value = (
            low * (high / low) ** random.random() if distribution.log else random.uniform(low, high)
        )
        params[name] = round(value) if isinstance(low, int) else float(value)
    return params


def get_error(params):
    """Return the error that a design tends to: the best mix and the best rate move with depth."""
    depth = np.log2(params["depth"]) / 5
    rate = np.log10(params["learning_rate"]) + 2.2 + depth / 2
    plain = 0.0 if params["residual"] else 0.25 * depth**3
    return 0.04 + plain + 0.05 * (params["ce_weight"] - 0.2 - 0.6 * depth) ** 2 + 0.06 * rate**2


def make_tell(handle, params, rungs, random):
    """Return what is told of a trial whose training fell towards its error."""
    error = get_error(params)
    if random.random() < 0.1 * error:
        return TrialTell(
            trial_id=handle.trial_id, state="COMPLETE", value=GUESSING, outcome=Outcome.DIVERGED
        )
    pruned = random.random() < 0.2
    epochs = rungs[0] if pruned else EPOCHS
    fall = 1 + 3 * np.exp(-np.arange(epochs) / 3)
    runs = error * fall * np.exp(0.08 * random.standard_normal((REPLICATES, epochs)))
    runs = np.minimum(runs, GUESSING)
    curves = tuple(
        Curve(replicate=replicate, metric=metric, first_epoch=1, values=tuple(run.tolist()))
        for replicate, run in enumerate(runs)
        for metric in METRICS
    )
    value = float(runs[:, -1].mean())
    intermediate = {rung: float(runs[:, rung - 1].mean()) for rung in rungs[:-1] if rung <= epochs}
    if pruned:
        return TrialTell(
            trial_id=handle.trial_id,
            state="PRUNED",
            outcome=Outcome.PRUNED,
            intermediate=intermediate,
            curves=curves,
        )
    return TrialTell(
        trial_id=handle.trial_id,
        state="COMPLETE",
        value=value,
        outcome=Outcome.COMPLETED,
        intermediate=intermediate,
        curves=curves,
        test={replicate: dict.fromkeys(TESTS, 1.1 * value) for replicate in range(REPLICATES)},
    )


def fill(database, trials):
    """Make a study of so many trials; return its name."""
    spec, random = make_spec(trials), np.random.default_rng(trials)
    study = database.create_study(
        name=spec.name,
        spec=spec.to_json(),
        digest=spec.digest(),
        fingerprint=load_dataset(spec.dataset, None).fingerprint,
        environment={},
    )
    lease = database.open_lease(study.study_id)
    distributions = to_distributions(spec.dimensions())
    rungs = spec.search.list_rungs(EPOCHS)
    for first in range(0, trials, BLOCK):
        params = [draw_params(distributions, random) for _ in range(min(BLOCK, trials - first))]
        starts = [TrialStart(params=one, distributions=distributions) for one in params]
        handles = database.start_trials(study.study_id, lease, starts, budget=None)
        tells = [
            make_tell(handle, one, rungs, random)
            for handle, one in zip(handles, params, strict=True)
        ]
        database.tell(lease, tells, keep_weights=0)
    database.close_lease(lease)
    return spec.name


def measure_children():
    """Return the processor time of all programs that have run so far, in seconds."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main():
    """Time the command on studies of each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[1000, 20000])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'studies.db'}"
        database = Database(url)
        names = [(trials, fill(database, trials)) for trials in options.trials]
        database.close()
        command = [sys.executable, "-m", "archloss", "report", "--storage", url, "--folder", folder]
        print("| trials | seconds, median | lowest to highest | CPU seconds | report.html, kB |")
        print("|---|---|---|---|---|")
        for trials, name in names:
            seconds, processor = [], []
            for _ in range(options.rounds):
                begun, used = time.perf_counter(), measure_children()
                subprocess.run([*command, name], check=True, stdout=subprocess.DEVNULL)
                seconds.append(time.perf_counter() - begun)
                processor.append(measure_children() - used)
            page = (Path(folder) / name / "report" / "report.html").stat().st_size
            print(
                f"| {trials:,} | {np.median(seconds):.1f} | {min(seconds):.1f} to "
                f"{max(seconds):.1f} | {np.median(processor):.1f} | {page / 1000:,.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
