"""How many devices one driver keeps busy: a real driver against workers that only pretend.

    python benchmarks/scale.py --devices 1 10 100 1000 --pack 8 --seconds 60

The driver, the sampler, the pruner and the database are the real ones; a worker waits for as
long as a rung takes and answers with numbers off a surface, pickled as a real answer is. Rung
times are those of packs that were trained just before, scaled to a mean of `--rung` seconds. The
share of busy device time is taken once every device has had its first pack.
"""

import argparse
import heapq
import math
import pickle
import random
import tempfile
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np

from archloss.search import ledger as ledger_module
from archloss.search.driver import Jobs, Run, run_study
from archloss.search.launch import describe_environment
from archloss.search.progress import SilentObserver
from archloss.search.score import Score
from archloss.search.spec import Spec
from archloss.spaces.catalogue import SPACES
from archloss.spaces.outcome import Outcome
from archloss.spaces.pack import METRICS, Member, Pack, PackReport, Report, State
from archloss.storage.database import Database
from archloss.workers.executor import Box

STATE = Box(State(arrays={"parameters": np.zeros(10_000, dtype=np.float32)}, steps=1))
"""What a member of width 32 and some eight blocks would have left on its device."""


class SimulatedWorkers:
    """An executor of so many devices, each of which takes as long as a rung would."""

    def __init__(self, devices: int, durations: list[float], seed: int) -> None:
        self.kinds = {"simulated": devices}
        self.slots = devices
        self.spans: list[tuple[float, float]] = []
        self._random = random.Random(seed)
        self._durations = durations
        self._due: list[tuple[float, int, bytes, list[object], Future[object]]] = []
        self._wake = threading.Condition()
        self._number = 0
        threading.Thread(target=self._answer, daemon=True).start()

    def submit_holding(self, function, argument, held, *, count, kind=None):
        """Answer after a rung's time; the states stay where they are, and are not looked at."""
        pack = argument.pack
        now = time.monotonic()
        duration = self._random.choice(self._durations)
        answer = pickle.dumps(pretend(pack, duration))
        future: Future[object] = Future()
        with self._wake:
            self._number += 1
            states = [STATE] * count
            heapq.heappush(self._due, (now + duration, self._number, answer, states, future))
            self.spans.append((now, now + duration))
            self._wake.notify()
        return future

    def close(self, *, now: bool = False) -> None:
        """Nothing is open."""

    def _answer(self) -> None:
        while True:
            with self._wake:
                while not self._due or self._due[0][0] > time.monotonic():
                    wait = self._due[0][0] - time.monotonic() if self._due else None
                    self._wake.wait(wait if wait is None else max(wait, 0.0))
                _, _, answer, states, future = heapq.heappop(self._due)
            future.set_result((pickle.loads(answer), tuple(states)))


def pretend(pack: Pack, seconds: float) -> PackReport:
    """Return what a rung would report, off a surface with noise."""
    epochs = range(pack.members[0].epochs_done + 1, pack.until_epoch + 1)
    noise = random.Random(repr([member.trial_number for member in pack.members]))
    reports = []
    for member in pack.members:
        design = member.design
        error = 0.05 + 0.1 * (design.ce_weight - 0.6) ** 2
        error += 0.02 * abs(math.log10(design.learning_rate) + 2.5) + noise.gauss(0, 0.005)
        curve = tuple(error + 0.3 / epoch for epoch in epochs)
        reports.append(
            Report(
                trial_number=member.trial_number,
                replicate=member.replicate,
                outcome=Outcome.TRAINED,
                epochs_done=pack.until_epoch,
                curves=dict.fromkeys(METRICS, curve),
                seconds=seconds / len(pack.members),
                test={"test_error": error} if pack.until_epoch == pack.recipe.epochs else {},
            )
        )
    return PackReport(reports=tuple(reports), seconds=seconds)


def measure_rungs(spec: Spec, mean_s: float, packs: int = 16) -> list[float]:
    """Train a few packs of random designs; return their times, scaled to a mean."""
    import optuna

    from archloss.search.distributions import to_design
    from archloss.spaces.training import train_pack

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    from archloss.search.distributions import to_distributions

    dimensions = spec.dimensions()
    recipe = replace(spec.make_recipe(), epochs=2)
    times = []
    for _ in range(packs + 1):
        members = tuple(
            Member(
                trial_number=number,
                replicate=0,
                design=to_design(
                    SPACES[spec.space.name],
                    dimensions,
                    study.ask(to_distributions(dimensions)).params,
                ),
            )
            for number in range(8)
        )
        times.append(train_pack(Pack(members=members, recipe=recipe, until_epoch=2)).seconds)
    warm = sorted(times[1:])[: packs - 2]  # the slowest are the machine's, not the rungs'
    return [mean_s * one / float(np.mean(warm)) for one in warm]


class Meter:
    """Adds up the time that the driver's parts take."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def watch(self, owner: object, name: str, label: str) -> None:
        """Replace a method by itself and a clock."""
        original = getattr(owner, name)

        def timed(*args, **rest):
            started = time.perf_counter()
            try:
                return original(*args, **rest)
            finally:
                self.seconds[label] = self.seconds.get(label, 0.0) + time.perf_counter() - started

        setattr(owner, name, timed)


def run(devices: int, durations: list[float], options: argparse.Namespace) -> None:
    """Run one study for a while, and print what became of the devices' time."""
    spec = Spec.model_validate(
        {
            "name": f"scale-{devices}-{time.time_ns()}",
            "dataset": "digits",
            "minutes": options.seconds / 60,
            "trials": None,
            "search": {"sampler": options.sampler, "pruner": options.pruner},
            "workers": {"executor": "local", "pack": options.pack},
        }
    )
    meter = Meter()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(options.storage or f"sqlite:///{Path(folder) / 'studies.db'}")
        study = database.create_study(
            name=spec.name,
            spec=spec.to_json(),
            digest=spec.digest(),
            fingerprint="simulated",
            environment=describe_environment(),
        )
        meter.watch(database, "start_trials", "database: start")
        meter.watch(database, "tell", "database: tell")
        meter.watch(ledger_module.Mirror, "ask", "sampler: ask")
        for name in ("report", "find_pruned", "finish"):
            meter.watch(ledger_module.Mirror, name, f"pruner and sampler: {name}")
        meter.watch(ledger_module.Ledger, "ask", "all of asking")
        meter.watch(ledger_module.Ledger, "tell_reports", "all of telling")
        workers = SimulatedWorkers(devices, durations, seed=devices)
        started, cpu = time.monotonic(), time.process_time()
        run_study(
            Run(
                database=database,
                study=study,
                spec=spec,
                score=Score(objective="validation_error", penalty=0.9),
                jobs=Jobs(),
            ),
            workers,
            SilentObserver(),
        )
        cpu = time.process_time() - cpu
        counts = database.count_states(study.study_id)
        database.close()
    window = started + 5.0 + 2 * options.rung, started + options.seconds
    busy = sum(
        max(0.0, min(end, window[1]) - max(begin, window[0])) for begin, end in workers.spans
    )
    share = busy / (devices * (window[1] - window[0]))
    finished = counts.get("COMPLETE", 0) + counts.get("PRUNED", 0)
    elapsed = window[1] - started
    print(
        f"| {devices} | {options.pack} | {100 * share:.1f}% | {len(workers.spans) / elapsed:.1f} | "
        f"{finished / elapsed:.0f} | {100 * cpu / (time.monotonic() - started):.0f}% | "
        + ", ".join(
            f"{label} {100 * seconds / elapsed:.0f}%"
            for label, seconds in sorted(meter.seconds.items())
        )
        + " |",
        flush=True,
    )


def main() -> None:
    """Read the command line, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 10, 100, 300, 1000])
    parser.add_argument("--pack", type=int, default=8, help="trials in a pack")
    parser.add_argument("--rung", type=float, default=10.0, help="mean seconds of a rung")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of each run")
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--pruner", default="successive-halving")
    parser.add_argument("--storage", help="a database; without it, an SQLite file of its own")
    options = parser.parse_args()
    spec = Spec.model_validate({"name": "rungs", "dataset": "digits", "trials": 1})
    durations = measure_rungs(spec, options.rung)
    spread = np.std(durations) / np.mean(durations)
    print(f"rungs: mean {options.rung:g} s, standard deviation {100 * spread:.0f}% of it")
    print("| devices | pack | busy | packs/s | finished trials/s | CPU | share of the time |")
    print("|---|---|---|---|---|---|---|")
    for devices in options.devices:
        run(devices, durations, options)


if __name__ == "__main__":
    main()
