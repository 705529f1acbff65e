"""Planned studies: their spec, the order of their trainings, and that each is done once."""

import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState
from plans import CHOICES, CONTEXTS, make_document, make_plan, make_planned

from archloss.search.asking import ask_many
from archloss.search.confirm.results import IncompleteError, read_experiment
from archloss.search.driver import Jobs, Run, run_study
from archloss.search.loop import StudyStoppedError
from archloss.search.plan import list_planned, list_replicates, make_distributions
from archloss.search.planned import PlanSampler
from archloss.search.progress import SilentObserver
from archloss.search.samplers import make_sampler
from archloss.search.score import Score
from archloss.search.spec import Spec, SpecError, differing_keys, override_spec, read_spec
from archloss.storage.database import Database
from archloss.workers.inline import InlineExecutor
from archloss.workers.local import LocalExecutor


def get_key(params):
    return frozenset(params.items())


def list_keys(trials):
    return [get_key(trial.params) for trial in trials]


def test_a_plan_comes_back_from_its_json_with_its_digest():
    spec = make_planned()
    again = Spec.from_json(spec.to_json())
    assert again == spec
    assert again.digest() == spec.digest()
    assert spec.trials == 12 * 3
    assert spec.make_recipe().split == "redrawn"


@pytest.mark.parametrize(
    "change", [{"replicates": 4}, {"bound": 0.01}, {"power": 0.9}, {"confirms": "other"}]
)
def test_all_of_a_plan_is_in_the_digest(change):
    other = make_planned(plan=make_plan(**change))
    assert other.digest() != make_planned().digest()
    assert differing_keys(make_planned(), other) == [f"plan.{next(iter(change))}"]


def test_a_study_without_a_plan_is_stored_and_told_apart_as_ever():
    spec = read_spec(None, [], {"name": "a", "dataset": "digits"})
    assert "plan" not in json.loads(spec.to_json())
    # As it was before there were plans.
    assert spec.digest() == "568a4918d51a2586af962e0fa28989dfa288876f136a4258009b80f110e6fa85"
    assert spec.make_recipe().split == "fixed"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (make_document(search={"sampler": "tpe"}), 'search.sampler must be "plan" where there is'),
        (make_document(plan=None) | {"plan": None}, "got 'plan' without one"),
        (make_document(trials=7), "trials must be 36 with this [plan], but got 7"),
        (
            make_document(recipe={"replicates": 2}),
            "recipe.replicates must be 1 with this [plan], but got 2",
        ),
        (
            make_document(search={"sampler": "plan", "pruner": "median"}),
            "search.pruner must be 'none' with this [plan]",
        ),
        (
            make_document(plan=make_plan(designs=make_plan()["designs"][:-1])),
            "one for each of the 12 combinations",
        ),
        (
            make_document(plan=make_plan(designs=make_plan()["designs"][::-1])),
            "in their order",
        ),
        (make_document(plan=make_plan(contexts=(3, 1))), "plan.contexts must increase"),
        (make_document(plan=make_plan(by=None)), "plan.levels must be given with by"),
        (
            make_document(plan=make_plan(deviations=(0.1,))),
            "plan.deviations must be 2 numbers, one for each of levels",
        ),
        (make_document(plan=make_plan(choice="depth")), "must be different"),
        (make_document(plan=make_plan(replicates=1)), "plan.replicates must be at least 2"),
        (
            make_document(space={"depth": {"low": 1, "high": 2}, "width": 8}),
            "plan.designs[3].depth",
        ),
        (
            make_document(plan=make_plan(designs=[{"depth": 1}] * 12)),
            "plan.designs[0] must have every dimension",
        ),
        (
            make_document(
                space={
                    "width": 8,
                    "ce_weight": {
                        "low": 0.0,
                        "high": 1.0,
                        "when": {"parent": "residual", "values": [True]},
                        "otherwise": 1.0,
                    },
                }
            ),
            "plan.choice must be a dimension of the space without a condition",
        ),
    ],
)
def test_a_plan_that_breaks_a_rule_is_refused_with_the_key(document, message):
    with pytest.raises(SpecError) as caught:
        override_spec(make_planned(), document)
    assert message in str(caught.value)


def test_rows_come_replicate_by_replicate_in_the_plans_order():
    rows = list_planned(make_planned())
    assert [row["replicate"] for row in rows] == [0] * 12 + [1] * 12 + [2] * 12
    cells = [(row["residual"], row["depth"], row["ce_weight"]) for row in rows[:12]]
    assert cells[:4] == [(False, 1, 0.0), (False, 1, 0.5), (False, 1, 1.0), (False, 3, 0.0)]
    assert cells[-1] == (True, CONTEXTS[-1], CHOICES[-1])
    assert set(rows[0]) == set(make_distributions(make_planned()))
    assert list_replicates(make_planned(), rows[13]) == (1,)


def make_optuna_study(spec):
    study = optuna.create_study(sampler=make_sampler(spec))
    return study, make_distributions(spec), list_planned(spec)


def test_the_sampler_visits_each_row_once_and_then_again():
    study, distributions, rows = make_optuna_study(make_planned())
    asked = [
        trial.params for count in (5, 30, 1, 3) for trial in ask_many(study, count, distributions)
    ]
    assert asked[:36] == rows
    assert asked[36:] == rows[:3]


def test_the_sampler_visits_a_row_that_failed_before_the_rest():
    study, distributions, rows = make_optuna_study(make_planned())
    for number, trial in enumerate(ask_many(study, 20, distributions)):
        if number in (3, 11):
            study.tell(trial.number, state=TrialState.FAIL)
        else:
            study.tell(trial.number, 0.1)
    asked = [trial.params for trial in ask_many(study, 4, distributions)]
    assert asked == [rows[3], rows[11], rows[20], rows[21]]


def test_the_sampler_takes_up_a_study_that_others_began_and_minds_no_strangers():
    spec = make_planned()
    study, distributions, rows = make_optuna_study(spec)
    ask_many(study, 7, distributions)
    stranger = rows[9] | {"learning_rate": 0.02}
    study.add_trial(
        optuna.trial.create_trial(params=stranger, distributions=distributions, value=0.1)
    )
    study.sampler = make_sampler(spec)
    assert ask_many(study, 1, distributions)[0].params == rows[7]


def test_the_sampler_chooses_from_many_rows_in_no_time():
    rows = [
        {"x": number, "replicate": replicate} for replicate in range(50) for number in range(84)
    ]
    sampler = PlanSampler(rows, seed=0)
    study = optuna.create_study(sampler=sampler)
    distributions = {
        "x": optuna.distributions.IntDistribution(0, 83),
        "replicate": optuna.distributions.IntDistribution(0, 49),
    }
    chosen = [row for _ in range(1050) for row in choose_and_add(study, sampler, distributions)]
    assert chosen == rows


def choose_and_add(study, sampler, distributions):
    return [trial.params for trial in ask_many(study, 4, distributions)]


def test_every_training_is_done_once_and_told_with_its_replicate(bench):
    spec = make_planned()
    bench.run(spec)
    trials = bench.trials(spec.name)
    assert list_keys(trials) == [get_key(row) for row in list_planned(spec)]
    study_id = bench.database.get_study(spec.name).study_id
    for trial in trials:
        replicate = trial.params["replicate"]
        assert trial.value == pytest.approx(
            abs(trial.params["ce_weight"] - 0.3) / 2 + 0.01 * replicate
        )
        curves = bench.database.read_curves(study_id, trial.number)
        assert {curve.replicate for curve in curves} == {replicate}
        assert set(bench.database.read_test(study_id, trial.number)) == {replicate}
    plain = optuna.load_study(
        study_name=spec.name, storage=bench.database.optuna_storage()
    ).trials_dataframe()
    assert plain["params_replicate"].value_counts().to_dict() == {0: 12, 1: 12, 2: 12}


def test_trainings_that_fail_or_lose_their_worker_are_done_again(bench, trainings):
    spec = make_planned()
    bench.run(spec, train=trainings.fail_trial_3)
    assert bench.states(spec.name) == {"COMPLETE": 36, "FAIL": 1}
    done = [trial for trial in bench.trials(spec.name) if trial.state == "COMPLETE"]
    assert sorted(map(hash, list_keys(done))) == sorted(
        hash(get_key(row)) for row in list_planned(spec)
    )
    second = make_planned("second")
    bench.run(second, train=trainings.die_once, executor=LocalExecutor(2))
    assert bench.states("second") == {"COMPLETE": 36}


def test_an_experiment_that_was_stopped_goes_on_with_what_is_missing(bench, trainings):
    spec = make_planned()
    count = iter(range(100))

    def stop_at_the_third(pack):
        if next(count) >= 3:
            raise ZeroDivisionError("enough")
        return trainings.train(pack)

    with pytest.raises(StudyStoppedError):
        bench.run(spec, train=stop_at_the_third)
    before = [trial for trial in bench.trials(spec.name) if trial.state == "COMPLETE"]
    assert 0 < len(before) < 36
    with pytest.raises(IncompleteError, match=f"{36 - len(before)} are not: `archloss confirm par"):
        read_experiment(spec, bench.trials(spec.name))
    bench.run(spec)
    done = [trial for trial in bench.trials(spec.name) if trial.state == "COMPLETE"]
    assert set(list_keys(done)) == {get_key(row) for row in list_planned(spec)}
    assert len(done) == 36
    assert done[: len(before)] == before


def run_beside(url, spec, trainings):
    """Work on the study as a driver of its own."""
    database = Database(url)
    run = Run(
        database=database,
        study=database.get_study(spec.name),
        spec=spec,
        score=Score(objective="validation_error", penalty=0.75),
        jobs=Jobs(train=trainings.finish_slowly, measure=trainings.measure),
    )
    executor = InlineExecutor()
    run_study(run, executor, SilentObserver())
    executor.close()
    database.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_several_drivers_share_a_plan_exactly(bench, trainings, kind, request):
    spec = make_planned(pack=2)
    url = f"sqlite:///{bench.folder / 'studies.db'}"
    if kind == "postgresql":
        url = request.getfixturevalue("postgres_url")
        bench.database.close()
        bench.database = Database(url)
    bench.prepare(spec)
    with ThreadPoolExecutor(3) as threads:
        works = []
        for _ in range(3):
            works.append(threads.submit(run_beside, url, spec, trainings))
            time.sleep(0.05)
        for work in works:
            work.result(timeout=120)
    trials = bench.trials(spec.name)
    assert bench.states(spec.name) == {"COMPLETE": 36}
    assert set(list_keys(trials)) == {get_key(row) for row in list_planned(spec)}


def test_an_experiment_is_read_by_level_context_choice_and_replicate(bench, trainings):
    spec = make_planned()
    bench.run(spec, train=trainings.diverge_when_plain)
    experiment = read_experiment(spec, bench.trials(spec.name))
    assert experiment.values.shape == experiment.diverged.shape == (2, 2, 3, 3)
    assert experiment.levels == (False, True)
    assert (experiment.contexts, experiment.choices) == ((1.0, 3.0), (0.0, 0.5, 1.0))
    assert experiment.diverged[0].all()
    assert not experiment.diverged[1].any()
    assert (experiment.values[0] == 0.75).all()
    expected = np.abs(np.array(CHOICES) - 0.3)[None, :, None] / 2 + 0.01 * np.arange(3)
    assert experiment.values[1] == pytest.approx(np.broadcast_to(expected, (2, 3, 3)))
    assert experiment.means[1, 0] == pytest.approx(expected.mean(axis=2)[0])


def test_a_replicate_that_diverges_gets_its_own_penalty(bench, trainings):
    spec = make_planned()
    score = Score(objective="validation_error", penalty=0.75, penalties={0: 0.6, 2: 0.7})
    run = Run(
        database=bench.database,
        study=bench.prepare(spec),
        spec=spec,
        score=score,
        jobs=Jobs(train=trainings.diverge_when_plain, measure=trainings.measure),
    )
    run_study(run, InlineExecutor(), SilentObserver())
    experiment = read_experiment(spec, bench.trials(spec.name))
    assert experiment.values[0, 0, 0].tolist() == [0.6, 0.75, 0.7]


def test_a_design_that_fits_nowhere_leaves_nothing_to_read(bench, trainings):
    spec = make_planned()
    bench.run(spec, train=trainings.refuse_trial_3)
    with pytest.raises(IncompleteError, match="trial 3 \\(said so\\)"):
        read_experiment(spec, bench.trials(spec.name))
