"""How many devices one driver keeps busy: a real driver against workers that only pretend.

    python benchmarks/scale.py --devices 1 10 100 1000 --pack 8 --seconds 60

The driver, the sampler, the pruner and the database are the real ones. All devices together are
one other process: what it gets and what it answers are pickled as for a real worker, so that the
driver pays for them, and the devices' own work is none of the driver's. A device waits for as
long as a rung takes and answers with numbers off a surface. Rung times are drawn from those of
packs of random designs that were trained, scaled to a mean of `--rung` seconds. All is measured
for `--seconds` once every device has had its first two packs.
"""

import argparse
import heapq
import math
import multiprocessing
import pickle
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import optuna
from postgres_server import PostgresServer

from archloss.search import ledger as ledger_module
from archloss.search.distributions import to_design, to_distributions
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
RUNG_PERCENT = (
    *(
        55,
        55,
        58,
        61,
        64,
        66,
        68,
        68,
        68,
        69,
        72,
        72,
        76,
        77,
        81,
        82,
        85,
        87,
        90,
        92,
        92,
        96,
        96,
        97,
    ),
    *(98, 99, 101, 101, 102, 103, 107, 108, 108, 112, 113, 115, 116, 116, 117, 120, 121, 121, 122),
    *(123, 124, 126, 126, 126, 127, 127, 129, 132, 133, 133, 133, 134),
)
"""Rung times in percent of their mean, as `--measure` found them on a quiet core of an AMD EPYC."""
Span = tuple[float, float]


class SimulatedWorkers:
    """An executor of so many devices, each of which takes as long as a rung would."""

    def __init__(self, devices: int, durations: list[float], seed: int) -> None:
        self.kinds = {"simulated": devices}
        self.slots = devices
        self.spans: list[Span] = []
        self._waiting: dict[int, tuple[Future[object], int]] = {}
        self._number = 0
        spawn = multiprocessing.get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(
            target=run_devices, args=(theirs, durations, seed), daemon=True
        )
        self._process.start()
        theirs.close()
        self._pipe.recv()  # it is up
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def submit_holding(self, function, argument, held, *, count, kind=None):
        """Answer after a rung's time; the states stay where they are, and are not looked at."""
        self._number += 1
        future: Future[object] = Future()
        self._waiting[self._number] = future, count
        self._pipe.send((self._number, argument.pack))
        return future

    def close(self, *, now: bool = False) -> None:
        """Stop the devices, and learn when each was busy."""
        self._pipe.send(None)
        self._listener.join()
        self._process.join()

    def _listen(self) -> None:
        while True:
            number, answer = self._pipe.recv()
            if number is None:
                self.spans = answer
                return
            future, count = self._waiting.pop(number)
            future.set_result((answer, tuple([STATE] * count)))


def run_devices(pipe: Connection, durations: list[float], seed: int) -> None:
    """Be all devices: answer each pack when its time has come; at the end tell when."""
    chance = random.Random(seed)
    due: list[tuple[float, int, bytes]] = []
    spans: list[Span] = []
    pipe.send("up")
    while True:
        now = time.monotonic()
        while due and due[0][0] <= now:
            pipe.send_bytes(heapq.heappop(due)[2])
        if not pipe.poll(max(0.0, due[0][0] - time.monotonic()) if due else None):
            continue
        message = pipe.recv()
        if message is None:
            pipe.send((None, spans))
            return
        number, pack = message
        start, seconds = time.monotonic(), chance.choice(durations)
        spans.append((start, start + seconds))
        answer = pickle.dumps((number, pretend(pack, seconds)))
        heapq.heappush(due, (start + seconds, number, answer))


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


def measure_rungs(packs: int = 64) -> tuple[int, ...]:
    """Train packs of random designs in one thread; return their times in percent of the mean."""
    import torch

    from archloss.spaces.training import train_pack

    torch.set_num_threads(1)
    spec = Spec.model_validate({"name": "rungs", "dataset": "digits", "trials": 1})
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
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
    warm = sorted(times[1:])[: packs * 7 // 8]  # the slowest are the machine's, not the rungs'
    return tuple(round(100 * one / float(np.mean(warm))) for one in warm)


class Meter:
    """Adds up the time that the driver's parts take between two moments.

    The "loop" is the thread that makes the meter, "CPU" the whole process; both are processor
    time.
    """

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}
        self._loop = time.pthread_getcpuclockid(threading.get_ident())
        self._undo = ExitStack()
        self._readings: list[dict[str, float]] = []

    def watch(self, owner: object, *names: str, label: str, clock: Callable[[], float]) -> None:
        """Replace methods by themselves and a clock."""
        self._seconds[label] = 0.0
        for name in names:
            self._watch(owner, name, label, clock)

    def _watch(self, owner: object, name: str, label: str, clock: Callable[[], float]) -> None:
        original = getattr(owner, name)

        def timed(*args, **rest):
            started = clock()
            try:
                return original(*args, **rest)
            finally:
                self._seconds[label] += clock() - started

        setattr(owner, name, timed)
        self._undo.callback(setattr, owner, name, original)

    def read_at(self, moments: Sequence[float]) -> None:
        """Read all clocks at these moments to come."""

        def read() -> None:
            for moment in moments:
                time.sleep(max(0.0, moment - time.monotonic()))
                loop, cpu = time.clock_gettime(self._loop), time.process_time()
                self._readings.append({**self._seconds, "loop": loop, "CPU": cpu})

        threading.Thread(target=read, daemon=True).start()

    def close(self) -> dict[str, float]:
        """Put the methods back; return the seconds between the first moment and the last."""
        self._undo.close()
        first, last = self._readings[0], self._readings[-1]
        return {label: last[label] - first[label] for label in last}


@contextmanager
def open_url(options: argparse.Namespace) -> Iterator[str]:
    """Give the URL of a new database."""
    if options.postgresql:
        with PostgresServer(durable=True) as server:
            yield server.create_database("scale")
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / 'studies.db'}"


def run(devices: int, durations: list[float], options: argparse.Namespace) -> None:
    """Run one study for a while, and print what became of the devices' time."""
    spec = Spec.model_validate(
        {
            "name": f"scale-{devices}-{time.time_ns()}",
            "dataset": "digits",
            "minutes": (5.0 + 2 * options.rung + options.seconds) / 60,
            "trials": None,
            "search": {"sampler": options.sampler, "pruner": options.pruner},
            "workers": {"executor": "local", "pack": options.pack},
        }
    )
    meter = Meter()
    with open_url(options) as url:
        database = Database(url)
        study = database.create_study(
            name=spec.name,
            spec=spec.to_json(),
            digest=spec.digest(),
            fingerprint="simulated",
            environment=describe_environment(),
        )
        wall, own = time.perf_counter, time.thread_time
        ledger, mirror = ledger_module.Ledger, ledger_module.Mirror
        meter.watch(mirror, "ask", "finish", label="sampler", clock=own)
        meter.watch(mirror, "report", "find_pruned", label="pruner", clock=own)
        meter.watch(database, "start_trials", "tell", label="database", clock=wall)
        meter.watch(ledger, "ask", "tell_reports", label="books", clock=wall)
        workers = SimulatedWorkers(devices, durations, seed=devices)
        begin = time.monotonic() + 5.0 + 2 * options.rung
        end = begin + options.seconds
        meter.read_at([begin, end])
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
        workers.close()
        seconds = meter.close()
        trials = sum(database.count_states(study.study_id).values())
        database.close()
    busy = sum(max(0.0, min(until, end) - max(since, begin)) for since, until in workers.spans)
    packs = sum(begin <= since < end for since, _ in workers.spans)
    print(
        f"| {devices:,} | {100 * busy / (devices * options.seconds):.1f}% "
        f"| {packs / options.seconds:.1f} | {trials:,} | "
        + " | ".join(f"{100 * seconds[label] / options.seconds:.0f}%" for label in LABELS)
        + " |",
        flush=True,
    )


LABELS = "loop", "sampler", "pruner", "database", "books", "CPU"


def main() -> None:
    """Read the command line, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 10, 100, 300, 1000])
    parser.add_argument("--pack", type=int, default=8, help="trials in a pack")
    parser.add_argument("--rung", type=float, default=10.0, help="mean seconds of a rung")
    parser.add_argument("--seconds", type=float, default=60.0, help="seconds to measure")
    parser.add_argument("--sampler", default="tpe")
    parser.add_argument("--pruner", default="successive-halving")
    parser.add_argument(
        "--postgresql",
        action="store_true",
        help="a PostgreSQL that waits for its disk at every commit, instead of an SQLite file",
    )
    parser.add_argument(
        "--measure", action="store_true", help="train packs now for the spread of rung times"
    )
    options = parser.parse_args()
    percent = measure_rungs() if options.measure else RUNG_PERCENT
    durations = [options.rung * one / 100 for one in percent]
    print(
        f"rungs: mean {np.mean(durations):.1f} s, {min(durations):.1f} to {max(durations):.1f} s; "
        f"percent of the mean: {' '.join(map(str, percent))}"
    )
    print(
        "loop, sampler, pruner and CPU: processor time; database and books: time on the clock; "
        "from 5 seconds and two rungs after the start, with a full house, on"
    )
    print(
        "| devices | busy | packs/s | trials | loop | sampler | pruner | database | books | CPU |"
    )
    print("|---" * 10 + "|")
    for devices in options.devices:
        run(devices, durations, options)


if __name__ == "__main__":
    main()
