"""A whole study on machines of which one joins, and another dies, while it runs."""

import threading
import time
from pathlib import Path

import pytest
from plans import CHOICES, CONTEXTS, LEVELS, make_document

from archloss.search.driver import Jobs, Run, run_study
from archloss.search.executors import make_executor
from archloss.search.progress import SilentObserver
from archloss.search.score import Score
from archloss.search.spec import Spec, WorkersSpec
from archloss.spaces.data import load_dataset
from archloss.storage.database import Database
from archloss.workers.executor import HeldLostError, WorkerLostError
from archloss.workers.inline import InlineExecutor

SPEC = {
    "dataset": "iris",
    "trials": 60,
    # large enough for states to stay on the machines where they were made
    "space": {"depth": {"low": 1, "high": 3}, "width": 160},
    "recipe": {"epochs": 9},
    "search": {"sampler": "random", "pruner": "successive-halving", "seed": 1},
    "workers": {"executor": "ray", "gpus_per_worker": 0.5, "pack": 3},
}


class Recorder:
    """An executor that remembers what it was given, and how that ended."""

    def __init__(self, inner):
        self.inner = inner
        self.calls = []

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def submit_holding(self, function, argument, held, *, count, kind=None):
        future = self.inner.submit_holding(function, argument, held, count=count, kind=kind)
        self.calls.append((argument.pack, future))
        return future


def run(database, name, train, executor, document=SPEC):
    spec = Spec.model_validate(document | {"name": name})
    study = database.create_study(
        name=name,
        spec=spec.to_json(),
        digest=spec.digest(),
        fingerprint=load_dataset(spec.dataset).fingerprint,
        environment={},
    )
    score = Score(objective="validation_error", penalty=0.67)
    jobs = Jobs(train=train)
    run_study(
        Run(database=database, study=study, spec=spec, score=score, jobs=jobs),
        executor,
        SilentObserver(),
    )
    return {trial.number: trial for trial in database.read_trials(study.study_id)}


def wait_for(condition):
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "it never came about"
        time.sleep(0.02)


def list_steps_back(calls):
    """Return, for each time that a member was not where it had got to, by how many rungs."""
    rungs = {}
    found = []
    for pack, future in calls:
        for member in pack.members:
            done = rungs.setdefault((member.trial_number, member.replicate), [0])
            if member.epochs_done != done[-1]:
                found.append(len(done) - 1 - done.index(member.epochs_done))
                del done[done.index(member.epochs_done) + 1 :]
            if future.exception() is None:
                done.append(pack.until_epoch)
    return found


def test_study_goes_through_a_machine_that_joins_and_one_that_dies(
    machines, ray_here, jobs, tmp_path
):
    first = machines.add(cpus=2, gpus=1)
    executor = Recorder(make_executor(WorkersSpec.model_validate(SPEC["workers"])))

    def change_machines():
        wait_for(lambda: executor.slots == 2 and len(executor.calls) > 4)
        second.extend(machines.add(cpus=2, gpus=1))
        wait_for(lambda: executor.slots == 4)
        Path(jobs.__file__).with_name("joined").touch()
        seen = len(executor.calls)
        wait_for(lambda: len(executor.calls) > seen + 4)
        machines.kill(first)

    second = []
    weather = threading.Thread(target=change_machines)
    weather.start()
    database = Database(f"sqlite:///{tmp_path / 'studies.db'}")
    try:
        trials = run(database, "stormy", jobs.train_slowly, executor)
        wait_for(lambda: executor.slots == 2)
    finally:
        weather.join()
        executor.close(now=True)
    ends = [type(future.exception()) for _, future in executor.calls]
    assert 1 <= ends.count(WorkerLostError) <= 2
    assert set(ends) <= {type(None), WorkerLostError, HeldLostError}
    assert max(list_steps_back(executor.calls), default=0) <= 1

    states = [trial.state for trial in trials.values()]
    assert sorted(set(states)) == ["COMPLETE", "PRUNED"]
    assert len(states) == SPEC["trials"]
    undisturbed = run(database, "calm", jobs.train, InlineExecutor())
    for number, trial in trials.items():
        calm = undisturbed[number]
        assert trial.params == calm.params
        for epoch in trial.intermediate.keys() & calm.intermediate.keys():
            assert trial.intermediate[epoch] == pytest.approx(calm.intermediate[epoch], abs=1e-6)
    database.close()
    machines.kill(second)


def test_an_experiment_says_the_same_wherever_it_is_trained(ray_here, jobs, tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'studies.db'}")
    document = make_document(
        workers={"executor": "ray", "processes": 2, "gpus_per_worker": 0, "pack": 4}
    )
    executor = make_executor(WorkersSpec.model_validate(document["workers"]))
    try:
        afar = run(database, "afar", jobs.train, executor, document)
    finally:
        executor.close(now=True)
    here = run(database, "here", jobs.train, InlineExecutor(), document)
    database.close()

    def order(trials):
        keys = ("residual", "depth", "ce_weight", "replicate")
        return {tuple(trial.params[key] for key in keys): trial for trial in trials.values()}

    ours, theirs = order(here), order(afar)
    assert ours.keys() == theirs.keys()
    assert len(ours) == len(afar) == 3 * len(LEVELS) * len(CONTEXTS) * len(CHOICES)
    for key, trial in ours.items():
        assert theirs[key].state == trial.state == "COMPLETE"
        assert theirs[key].value == pytest.approx(trial.value, abs=1e-6)
