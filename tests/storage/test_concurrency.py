"""Several drivers on one study at the same time: threads and processes, budget and tells."""

import threading
from concurrent.futures import ThreadPoolExecutor

import optuna
import pytest
from optuna.distributions import FloatDistribution

from archloss.spaces.outcome import Outcome
from archloss.storage.database import Database, StudyExistsError
from archloss.storage.records import TrialStart, TrialTell


def work(url: str, study_id: int, budget: int, pack: int) -> list[int]:
    """Start and tell packs until the budget is spent; return the numbers of the trials told."""
    database = Database(url)
    told = drive(database, study_id, budget, pack)
    database.close()
    return told


def drive(database: Database, study_id: int, budget: int, pack: int) -> list[int]:
    lease_id = database.open_lease(study_id)
    start = TrialStart(params={"x": 0.5}, distributions={"x": FloatDistribution(0, 1)})
    told: list[int] = []
    while handles := database.start_trials(study_id, lease_id, [start] * pack, budget=budget):
        tells = [
            TrialTell(
                trial_id=handle.trial_id,
                state="COMPLETE",
                value=handle.number / 100,
                outcome=Outcome.COMPLETED,
                intermediate={1: 1.0},
            )
            for handle in handles
        ]
        assert database.tell(lease_id, tells, keep_weights=0) == {t.trial_id for t in tells}
        told += [handle.number for handle in handles]
    database.close_lease(lease_id)
    return told


def check(bench, told, budget):
    assert sorted(told) == list(range(budget))
    trials = bench.trials()
    assert [trial.number for trial in trials] == list(range(budget))
    assert {trial.state for trial in trials} == {"COMPLETE"}
    assert [trial.value for trial in trials] == [number / 100 for number in range(budget)]


def test_processes_share_a_budget_exactly(each_bench, processes):
    arguments = (each_bench.url, each_bench.study_id, 203)
    jobs = [processes.submit(work, *arguments, pack) for pack in (3, 4, 5, 7)]
    told = [number for job in jobs for number in job.result()]
    check(each_bench, told, 203)


@pytest.mark.parametrize("way", ["slow"], indirect=True)
def test_processes_share_a_budget_exactly_by_the_slow_way(bench, way):
    databases = [Database(bench.url) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        jobs = [pool.submit(drive, database, bench.study_id, 20, 3) for database in databases]
        told = [number for job in jobs for number in job.result()]
    for database in databases:
        database.close()
    check(bench, told, 20)


def test_threads_share_one_database(each_bench):
    with ThreadPoolExecutor(4) as pool:
        arguments = (each_bench.database, each_bench.study_id, 120, 4)
        jobs = [pool.submit(drive, *arguments) for _ in range(4)]
        told = [number for job in jobs for number in job.result()]
    check(each_bench, told, 120)


def test_paused_trials_are_taken_over_once(each_bench):
    handles = each_bench.start(30)
    each_bench.tell(*(TrialTell(trial_id=handle.trial_id, state="WAITING") for handle in handles))
    barrier = threading.Barrier(4)

    def take(_: int) -> list[int]:
        lease_id = each_bench.database.open_lease(each_bench.study_id)
        barrier.wait()
        taken = each_bench.database.take_over(each_bench.study_id, lease_id)
        return [record.number for record, _ in taken]

    with ThreadPoolExecutor(4) as pool:
        taken = [number for numbers in pool.map(take, range(4)) for number in numbers]
    assert sorted(taken) == list(range(30))


def test_plain_optuna_may_work_on_the_study_at_the_same_time(each_bench):
    """Numbers come from one lock, so both may start trials; ours also keep within the budget."""
    study = optuna.load_study(study_name="study", storage=each_bench.database.optuna_storage())
    study.sampler = optuna.samplers.RandomSampler(seed=0)
    with ThreadPoolExecutor(2) as pool:
        ours = pool.submit(drive, each_bench.database, each_bench.study_id, 60, 2)
        for _ in range(10):
            study.tell(study.ask(), 1.0)
        ours.result()
    trials = each_bench.trials()
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert 60 <= len(trials) <= 70
    assert {trial.state for trial in trials} == {"COMPLETE"}


@pytest.mark.parametrize("_round", range(5))
def test_a_study_launched_twice_at_once_is_made_once(each_url, _round):
    databases = [Database(each_url) for _ in range(4)]
    together = threading.Barrier(len(databases))

    def make(database: Database) -> bool:
        together.wait()
        try:
            database.create_study(
                name="one", spec="{}", digest="d", fingerprint="f", environment={}
            )
        except StudyExistsError:
            return False
        return True

    with ThreadPoolExecutor(len(databases)) as pool:
        made = list(pool.map(make, databases))
    assert made.count(True) == 1
    assert [study.name for study in databases[0].list_studies()] == ["one"]
    for database in databases:
        database.close()
