"""Many drivers at once on one PostgreSQL, with training that takes no time, against plain Optuna.

    python benchmarks/load.py --drivers 2 4 16 --trials 20000

Both sides have the same designs (drawn at random), the same values at the same rungs, and the
same server, which waits for its disk (`fsync`) at every commit. Ours runs whole drivers: leases,
asks in packs, tells in packs, curves. Plain Optuna runs several numbers of processes, each asking,
reporting at every rung and telling, one trial after the other, for a shorter while: it is slower.
Both are timed from when all processes are ready. The budget must come out exact, no design may be
trained twice, and no driver may see an error.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from multiprocessing.synchronize import Barrier

import numpy as np
import optuna
from postgres_server import PostgresServer

from archloss.search.distributions import to_distributions
from archloss.search.driver import Jobs, Run, run_study
from archloss.search.progress import SilentObserver
from archloss.search.score import Score
from archloss.search.spec import Spec
from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import METRICS, Pack, PackReport, Report, State
from archloss.storage.database import Database
from archloss.workers.inline import InlineExecutor

RUNGS = (2, 7, 20)
WEIGHTS = np.zeros(1000, dtype=np.float32)


def make_spec(trials: int, pack: int) -> Spec:
    """Return a study that prunes nothing until its last rung, so that both sides do the same."""
    return Spec.model_validate(
        {
            "name": "load",
            "dataset": "digits",
            "trials": trials,
            "search": {"sampler": "random", "pruner": "median", "startup_trials": trials + 1},
            "workers": {"executor": "inline", "pack": pack},
        }
    )


def get_error(number: int, epoch: int) -> float:
    """Return a value that both sides can work out from a trial's number."""
    return 0.1 + (number * 7919 % 1000) / 2000 + 0.3 / epoch


def train(pack: Pack) -> PackReport:
    """Report at once."""
    reports = []
    for member in pack.members:
        epochs = range(member.epochs_done + 1, pack.until_epoch + 1)
        curve = tuple(get_error(member.trial_number, epoch) for epoch in epochs)
        reports.append(
            Report(
                trial_number=member.trial_number,
                replicate=member.replicate,
                outcome=Outcome.TRAINED,
                epochs_done=pack.until_epoch,
                curves=dict.fromkeys(METRICS, curve),
                seconds=0.0,
                state=State(arrays={"parameters": WEIGHTS}, steps=pack.until_epoch),
            )
        )
    return PackReport(reports=tuple(reports), seconds=0.0)


def drive(barrier: Barrier, url: str, spec_text: str) -> None:
    """Work on the study to its budget, once all are ready."""
    spec = Spec.from_json(spec_text)
    database = Database(url)
    run = Run(
        database=database,
        study=database.get_study(spec.name),
        spec=spec,
        score=Score(objective="validation_error", penalty=0.9),
        jobs=Jobs(train=train),
    )
    barrier.wait()
    run_study(run, InlineExecutor(), SilentObserver())
    database.close()


def run_plain(barrier: Barrier, url: str, spec_text: str, trials: int) -> None:
    """Do the same with plain Optuna: ask, report at every rung, tell."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    distributions = to_distributions(Spec.from_json(spec_text).dimensions())
    sampler = optuna.samplers.RandomSampler(seed=os.getpid())
    study = optuna.load_study(study_name="plain", storage=url, sampler=sampler)
    study.get_trials()  # connects
    barrier.wait()
    for _ in range(trials):
        trial = study.ask(distributions)
        for rung in RUNGS:
            trial.report(get_error(trial.number, rung), rung)
        trial.set_user_attr("outcome", "COMPLETED")
        trial.set_user_attr("seconds", 0.0)
        study.tell(trial, get_error(trial.number, RUNGS[-1]))


def time_all(target, count: int, *arguments: object) -> float:
    """Run a function in so many processes; return the seconds from when all are ready to the end.

    Stops at an error in any of them.
    """
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(count + 1)
    processes = [context.Process(target=target, args=(barrier, *arguments)) for _ in range(count)]
    for process in processes:
        process.start()
    barrier.wait()
    started = time.monotonic()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        sys.exit(f"exit codes: {Counter(process.exitcode for process in processes)}")
    return time.monotonic() - started


def run_ours(server: PostgresServer, spec: Spec, drivers: int) -> float:
    """Return our trials per second; the budget must come out exact."""
    url = server.create_database(f"ours_{drivers}")
    database = Database(url)
    study = database.create_study(
        name="load", spec=spec.to_json(), digest=spec.digest(), fingerprint="f", environment={}
    )
    seconds = time_all(drive, drivers, url, spec.to_json())
    counts = database.count_states(study.study_id)
    assert counts == {"COMPLETE": spec.trials}, counts
    trials = database.read_trials(study.study_id)
    assert [trial.number for trial in trials] == list(range(len(trials)))
    designs = {tuple(sorted(trial.params.items())) for trial in trials}
    assert len(designs) == len(trials), "a design was trained twice"
    database.close()
    return len(trials) / seconds


def main() -> None:
    """Run both sides, each with several numbers of processes, and print trials per second."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--drivers", type=int, nargs="+", default=[2, 4, 16])
    parser.add_argument("--trials", type=int, default=20_000)
    parser.add_argument("--plain-trials", type=int, default=960)
    parser.add_argument("--plain-processes", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--pack", type=int, default=32)
    options = parser.parse_args()
    spec = make_spec(options.trials, options.pack)
    assert spec.search.list_rungs(spec.recipe.epochs) == RUNGS
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    own: dict[int, float] = {}
    plain: dict[int, float] = {}
    print("| what | processes | trials | trials/s |\n|---|---|---|---|")
    with PostgresServer(durable=True, settings={"autovacuum_naptime": "1min"}) as server:
        for count in options.drivers:
            own[count] = run_ours(server, spec, count)
            print(f"| archloss | {count} | {options.trials:,} | {own[count]:.0f} |", flush=True)
        for count in options.plain_processes:
            url = server.create_database(f"plain_{count}")
            optuna.create_study(study_name="plain", storage=url)
            share = options.plain_trials // count
            seconds = time_all(run_plain, count, url, spec.to_json(), share)
            plain[count] = share * count / seconds
            print(f"| Optuna | {count} | {share * count:,} | {plain[count]:.1f} |", flush=True)
    print(f"the best of both: {max(own.values()) / max(plain.values()):.1f} times")
    for count in sorted(own.keys() & plain.keys()):
        print(f"{count} processes on both sides: {own[count] / plain[count]:.1f} times")


if __name__ == "__main__":
    main()
