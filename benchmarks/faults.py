"""A fault campaign: studies by two drivers, while workers, nodes, drivers and databases die.

    python benchmarks/faults.py --place local --place cluster --faults 60 --trials 300 --seed 1

Faults are drawn from the seed, kinds and moments alike: each comes when a certain number of trials
has finished. A driver that was killed, or that ended with an error, is launched again. After each
study its budget must be exact, nothing may be left running, no trial may have changed since
it was first seen to be finished, and every result must be that of training the same design
undisturbed. Prints a table, and ends with 1 if anything is wrong. Filling a disk needs leave to
mount one, as root has; without it that kind is left out.
"""

import argparse
import contextlib
import random
import re
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from fault_check import Findings, check_study, read_finished
from fault_places import ClusterPlace, Driver, LocalPlace, Place, make_disk, make_nodes
from postgres_server import PostgresServer

from archloss.search.spec import Spec

DRIVERS = 2
OVER_AFTER = 0.95
"""All faults come before this share of the budget has finished."""
_AGAIN = re.compile(r"its (\d+) trials are tried again")
_BACK = re.compile(r"its (\d+) trials go back")
_PLACE = re.compile(r"\S+://\S+")
STUDY = """
name = "faults"
dataset = "digits"
trials = {trials}
[space]
depth = {{ low = 1, high = 8 }}
width = 16
[recipe]
epochs = 18
batch_size = 32
replicates = 2
precision = "float64"
[search]
sampler = "random"
pruner = "successive-halving"
seed = {seed}
[workers]
executor = "{executor}"
pack = 8
device = "cpu"
"""


class Campaign:
    """One study and what is done to it. `struck` has a row for each fault that came."""

    def __init__(self, place: Place, *, seed: int, trials: int, faults: int, folder: Path) -> None:
        self.place, self.trials = place, trials
        self.rng = random.Random(seed)
        self.struck: list[tuple[str, int]] = []
        self.ended: Counter[str] = Counter()
        self.findings = Findings()
        self._folder = folder
        self._launches = 0
        self._past: list[Driver] = []
        self._study = folder / "study.toml"
        text = STUDY.format(trials=trials, seed=seed, executor=place.executor)
        self._study.write_text(text)
        self.spec = make_spec(text)
        kinds = ["driver", *place.faults]
        moments = sorted(self.rng.randint(1, int(OVER_AFTER * trials)) for _ in range(faults))
        # each kind as often as the next, in a random order
        drawn = [kinds[index % len(kinds)] for index in range(faults)]
        self.rng.shuffle(drawn)
        self._schedule = list(zip(moments, drawn, strict=True))
        self._seen: dict[int, Any] = {}
        self._started = time.monotonic()

    def run(self) -> None:
        """Launch, strike, and launch again until the budget is spent; then check everything."""
        self.place.drivers[:] = [self._launch() for _ in range(DRIVERS)]
        done: set[int] = set()
        try:
            while len(done) < DRIVERS:
                time.sleep(self.rng.uniform(0.05, 0.4))
                finished = self._look()
                if self._schedule and finished >= self._schedule[0][0]:
                    self._strike(finished)
                for index, driver in enumerate(self.place.drivers):
                    if index not in done and driver.process.poll() is not None:
                        self._note_end(driver)
                        if driver.process.returncode == 0 and self._look() == self.trials:
                            done.add(index)
                        else:
                            self.place.drivers[index] = self._launch()
        finally:
            for driver in self.place.drivers:
                driver.kill()
        self.seconds = time.monotonic() - self._started
        check_study(self.place.database, self.spec, self._seen, self.findings)
        left = [kind for _, kind in self._schedule]
        self.findings.expect(not left, f"the study was over before these faults came: {left}")

    def count_retrained(self) -> dict[str, int]:
        """Return how many trials lost a rung with a worker, or a state with a node."""
        logs = [driver.read_log() for driver in (*self._past, *self.place.drivers)]
        again = sum(int(number) for log in logs for number in _AGAIN.findall(log))
        back = sum(int(number) for log in logs for number in _BACK.findall(log))
        return {"again": again, "back": back}

    def count_failed(self) -> int:
        """Return how many trials were told FAIL."""
        study_id = self.place.database.get_study(self.spec.name).study_id
        return self.place.database.count_states(study_id).get("FAIL", 0)

    def _launch(self) -> Driver:
        self._launches += 1
        return self.place.launch(self._study, self._folder / f"driver-{self._launches}.log")

    def _look(self) -> int:
        """Return how many trials have finished; remember them, and note any that has changed."""
        if not any(study.name == self.spec.name for study in self.place.database.list_studies()):
            return 0
        study_id = self.place.database.get_study(self.spec.name).study_id
        now = read_finished(self.place.database, study_id)
        for number, trial in self._seen.items():
            same = now.get(number) == trial
            self.findings.expect(same, f"trial {number} changed after it had finished")
        self._seen = now
        return sum(trial.state != "FAIL" for trial in now.values())

    def _strike(self, finished: int) -> None:
        kind = self._schedule[0][1]
        running = self._count_running()
        hit = self._kill_driver() if kind == "driver" else self.place.faults[kind](self.rng)
        if hit:
            self._schedule.pop(0)
            interrupted = running - self._count_running() if kind == "driver" else 0
            self.struck.append((kind, interrupted))
            at = time.monotonic() - self._started
            say(f"  {at:6.1f} s  {finished:3d} finished  {len(self.struck):3d}. {kind}")

    def _kill_driver(self) -> bool:
        alive = [one for one in self.place.drivers if one.process.poll() is None]
        if alive:
            self.rng.choice(alive).kill()
        return bool(alive)

    def _count_running(self) -> int:
        """Return how many trials living drivers are running."""
        database = self.place.database
        if not any(study.name == self.spec.name for study in database.list_studies()):
            return 0
        study_id = database.get_study(self.spec.name).study_id
        return sum(one.running for one in database.list_drivers(study_id))

    def _note_end(self, driver: Driver) -> None:
        self._past.append(driver)
        if driver.process.returncode > 0:
            text = " ".join(driver.read_log().rpartition("error: ")[2].split())
            reason = _PLACE.sub("...", text)[:200]
            self.ended[reason] += 1
            say(f"  a driver ended with {driver.process.returncode}: {reason}")


def make_spec(text: str) -> Spec:
    """Return the spec that a launch makes of the study file."""
    return Spec.model_validate(tomllib.loads(text))


@contextlib.contextmanager
def make_place(name: str, *, study: int) -> Iterator[Place]:
    """Build a place up, for one study."""
    if name == "local":
        with make_disk() as (folder, can_be_filled):
            yield LocalPlace(folder, disk=can_be_filled)
    else:
        with PostgresServer() as server, make_nodes() as nodes:
            yield ClusterPlace(server, nodes, f"faults_{study}")


def run_campaign(name: str, *, seed: int, trials: int, faults: int) -> Campaign:
    """Run one study at a place, and check it."""
    say(f"{name}, seed {seed}: {faults} faults over {trials} trials by {DRIVERS} drivers")
    with make_place(name, study=seed) as place, tempfile.TemporaryDirectory() as folder:
        campaign = Campaign(place, seed=seed, trials=trials, faults=faults, folder=Path(folder))
        campaign.run()
        show(name, seed, campaign)
        place.database.close()
    return campaign


def show(name: str, seed: int, campaign: Campaign) -> None:
    """Print what came of one study."""
    findings, retrained = campaign.findings, campaign.count_retrained()
    say(
        f"  {campaign.seconds:.0f} s; {findings.compared} numbers compared with undisturbed "
        f"training, largest relative difference {findings.largest:.1e}; wrong: "
        f"{len(findings.wrong)}"
    )
    for reason, count in campaign.ended.items():
        say(f"  {count} drivers ended by themselves: {reason}")
    for wrong in findings.wrong[:20]:
        say(f"  WRONG: {wrong}")
    print(
        f"| {name} | {seed} | {len(campaign.struck)} | {_show_kinds(campaign)} | "
        f"{sum(lost for _, lost in campaign.struck)} | {retrained['again']} | "
        f"{retrained['back']} | {sum(campaign.ended.values())} | {campaign.count_failed()} | "
        f"{findings.compared:,} | {len(findings.wrong)} |",
        flush=True,
    )


def _show_kinds(campaign: Campaign) -> str:
    counts: Mapping[str, int] = Counter(kind for kind, _ in campaign.struck)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(counts.items()))


def say(text: str) -> None:
    """Print to standard error."""
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Run the campaign that the command line asks for."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and leave nothing running
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--place", choices=("local", "cluster"), action="append", required=True)
    parser.add_argument("--faults", type=int, default=60, help="for each study")
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--seed", type=int, action="append", required=True)
    options = parser.parse_args()
    print(
        "| place | seed | faults | of which | trials of killed drivers | tried again | sent back "
        "| drivers ended by themselves | told FAIL | numbers compared | wrong |\n"
        "|---|---|---|---|---|---|---|---|---|---|---|",
        flush=True,
    )
    wrong = 0
    for place in options.place:
        for seed in options.seed:
            campaign = run_campaign(place, seed=seed, trials=options.trials, faults=options.faults)
            wrong += len(campaign.findings.wrong)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
