"""`archloss confirm` on a small study, from the plan to the cells, and what it refuses."""

import dataclasses
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from optuna_dashboard import get_note
from plans import make_plan, make_planned
from typer.testing import CliRunner

import archloss
from archloss.search.analysis.power import (
    combine_noise,
    find_noise,
    find_power,
    plan_replicates,
)
from archloss.search.analysis.profile import Profile
from archloss.search.analysis.study import Question, make_trials
from archloss.search.analysis.surface import Scale, Strata, Surface
from archloss.search.analysis.trials import Kind, take
from archloss.search.cli import confirming
from archloss.search.cli.app import app
from archloss.search.cli.experiments import describe_plan
from archloss.search.confirm import name_experiment
from archloss.search.confirm.asked import Asked, check_same
from archloss.search.confirm.enough import find_enough, find_powers
from archloss.search.confirm.estimate import count_workers, describe_estimate, estimate_seconds
from archloss.search.confirm.planning import Wish, derive_seed, plan_experiment
from archloss.search.confirm.proposal import ConfirmError, Size, _choose, propose, settle
from archloss.search.confirm.results import read_experiment
from archloss.search.launch import StudyDiffersError, open_study
from archloss.search.plan import list_planned
from archloss.search.spec import Spec, WorkersSpec
from archloss.search.spec_plan import limit_replicates

PARENT = {
    "name": "flowers",
    "dataset": "iris",
    "trials": 120,
    "space": {
        "name": "residual-mlp",
        "depth": {"low": 1, "high": 4, "log": True},
        "width": 8,
        "optimizer": ["adamw", "sgd"],
    },
    "recipe": {"epochs": 2, "batch_size": 32},
    "search": {"sampler": "random", "seed": 3},
    "workers": {"executor": "inline", "pack": 40, "device": "cpu"},
}


def run(*arguments, **options):
    runner = CliRunner(env={"COLUMNS": "180", "TERM": "dumb"})
    return runner.invoke(app, [str(part) for part in arguments], **options)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A folder with a study, which tests do not change."""
    folder = tmp_path_factory.mktemp("home")
    archloss.launch(Spec.model_validate(PARENT), folder=folder).database.close()
    return folder


@pytest.fixture(scope="module")
def parent(home):
    study = open_study("flowers", folder=home)
    yield study
    study.database.close()


@pytest.fixture
def confirm(home):
    """Run `archloss confirm flowers` under a name of its own and return the result."""
    names = []

    def confirm(*options, study="flowers", name="mine", code=0):
        names.append(name)
        result = run("confirm", study, "--name", name, *options, "--folder", home)
        assert result.exit_code == code, result.output
        return result

    yield confirm
    for name in set(names) - {"flowers"}:
        run("delete", name, "--yes", "--folder", home)


SMALL = ("--contexts", 2, "--choices", 3, "--replicates", 6)


def propose_from(study, **rest):
    spec = Spec.from_json(study.database.get_study("flowers").spec)
    size = Size(contexts=3, choices=4)
    trials = make_trials(spec, study.trials(), Question())
    return (
        spec,
        trials,
        propose(trials, spec.dimensions(), **({"size": size, "bound": 0.01} | rest)),
    )


def test_a_proposal_has_a_valid_tuned_design_for_each_cell(parent):
    spec, _, proposal = propose_from(parent)
    assert proposal.contexts == (1.0, 2.0, 4.0)
    assert (proposal.choices[0], proposal.choices[-1], len(proposal.choices)) == (0.0, 1.0, 4)
    assert all(float(f"{choice:.2g}") == choice for choice in proposal.choices)
    assert proposal.levels == (False, True)
    wish = Wish(name="e", bound=0.01, replicates=6, power=0.8, asked=(3, 4))
    experiment = plan_experiment(spec, proposal, wish)  # which checks the designs
    assert experiment.trials == 2 * 3 * 4 * 6
    assert experiment.plan.confirms_digest == spec.digest()
    seeds = [derive_seed(spec, name) for name in (name_experiment(spec.name), "e", "f")]
    assert experiment.recipe.seed == seeds[1]
    assert len({spec.recipe.seed, *seeds}) == 4  # each experiment is trained anew
    assert (experiment.search.sampler, experiment.search.keep_weights) == ("plan", 0)
    assert {design["optimizer"] for design in proposal.designs} <= {"adamw", "sgd"}
    assert Spec.from_json(experiment.to_json()).digest() == experiment.digest()


def test_choices_are_close_together_where_the_best_may_be(parent):
    _, trials, _ = propose_from(parent)
    mix = trials.points[:, trials.roles.choice]
    known = dataclasses.replace(trials, values=0.1 + 2.0 * (mix - 0.2) ** 2)
    dimensions = Spec.from_json(parent.database.get_study("flowers").spec).dimensions()
    proposal = propose(known, dimensions, size=Size(contexts=2, choices=9), bound=0.01)
    near = [choice for choice in proposal.choices if 0.1 <= choice <= 0.3]
    assert len(proposal.choices) == 9
    assert len(near) >= 4


def test_a_proposal_is_tuned_to_where_the_surface_is_lowest(parent):
    _, trials, proposal = propose_from(parent)
    rate = next(axis for axis in trials.axes if axis.name == "learning_rate")
    middle = float(rate.decode(np.array([0.5]))[0])
    tuned = [design["learning_rate"] for design in proposal.designs]
    assert min(tuned) > middle  # two epochs: only fast ones get anywhere
    assert all(float(f"{value:.4g}") == value for value in tuned)


def test_cells_of_a_context_are_tuned_apart_only_where_that_is_sure():
    class Valleys:
        """Best at rate 0.3 or 0.7: at the first choice a little, and at the last by far."""

        def __init__(self, noise):
            self.noise = noise

        def predict(self, points):
            choice, rate = points[:, 1], points[:, 2]
            return 0.1 + np.where(choice == 0, 0.001, 0.05 * (choice == 1)) * (rate < 0.5)

        def draw(self, points):
            random = np.random.default_rng(0)
            noise = random.standard_normal((200, 1)) * (points[:, 2] - 0.5) * self.noise
            return self.predict(points) + noise

    points = np.array([[0.5, choice, rate] for choice, rate in ((0, 0.7), (0.5, 0.3), (1, 0.7))])
    cells = np.stack([points, points])[None]
    # At the middle choice both valleys are as good, and its own is no reason to part it.
    assert settle(Valleys(0.01), cells, [2])[0, 0, :, 2].tolist() == [0.7, 0.7, 0.7]
    apart = cells.copy()
    apart[..., 0, 2], apart[..., 1, 2] = 0.3, 0.3  # own settings: 0.3, 0.3, 0.7
    # What suits all is 0.7; the first two stay there, as 0.3 is nowhere better.
    assert settle(Valleys(0.01), apart, [2])[0, 1, :, 2].tolist() == [0.7, 0.7, 0.7]

    class Split(Valleys):
        def predict(self, points):
            choice, rate = points[:, 1], points[:, 2]
            return 0.1 + 0.05 * ((choice == 1) == (rate < 0.5))

    split = np.array([[0.5, choice, rate] for choice, rate in ((0, 0.3), (0.5, 0.3), (1, 0.7))])
    assert settle(Split(0.01), split[None, None], [2])[0, 0, :, 2].tolist() == [0.3, 0.3, 0.7]
    assert settle(Split(0.5), split[None, None], [2])[0, 0, :, 2].tolist() == [0.3, 0.3, 0.3]


def test_a_level_with_too_few_trials_is_left_out_and_said(parent):
    spec, trials, _ = propose_from(parent)
    residual = trials.points[:, trials.roles.by] == 1
    few = residual & (np.cumsum(residual) > 10)
    fewer = take(trials, np.flatnonzero(~few))
    proposal = propose(fewer, spec.dimensions(), size=Size(contexts=2, choices=2), bound=0.01)
    assert (proposal.by, proposal.levels) == ("residual", (False,))
    assert {design["residual"] for design in proposal.designs} == {False}
    assert "residual = True was left out" in proposal.notes[0]
    wish = Wish(name="e", bound=0.01, replicates=6, power=0.8, asked=(3, 4))
    experiment = plan_experiment(spec, proposal, wish)
    assert experiment.plan.shape == (1, 2, 2)
    check_same(experiment, Asked(by="residual"))  # as who goes on with it asks


def test_it_says_where_the_search_trained_no_network_of_a_level(parent):
    spec, trials, proposal = propose_from(parent)
    assert proposal.notes == ()
    roles = trials.roles
    deep = (trials.points[:, roles.by] == 0) & (trials.points[:, roles.context] > 0.9)
    kinds = np.where(deep, Kind.DIVERGED.value, trials.kinds)
    trials = dataclasses.replace(
        trials, kinds=kinds, values=np.where(deep, np.nan, trials.values), penalty=0.7
    )
    proposal = propose(trials, spec.dimensions(), size=Size(contexts=4, choices=2), bound=0.01)
    (note,) = proposal.notes
    assert note.startswith("residual = False was not trained to the end at depth 4, where")


@pytest.mark.parametrize("best", [0.0, 0.5, 1.0])
def test_there_are_as_many_choices_as_asked_for_also_where_the_best_is_at_an_end(parent, best):
    _, trials, _ = propose_from(parent)
    places = np.linspace(0, 1, 11)
    profile = SimpleNamespace(
        choices=places, draws=np.tile((places - best) ** 2, (5, 2, 3, 1))
    )  # [T, B, U, M]
    choices = _choose(trials, profile, 7)
    assert len(choices) == 7
    assert best in choices
    assert (choices[0], choices[-1]) == (0.0, 1.0)
    assert all(float(f"{choice:.2g}") == choice for choice in choices)


def test_a_question_about_a_dimension_with_a_condition_is_refused(parent):
    spec = Spec.model_validate(
        PARENT
        | {
            "space": PARENT["space"]
            | {
                "momentum": {
                    "low": 0.5,
                    "high": 0.9,
                    "when": {"parent": "optimizer", "values": ["sgd"]},
                    "otherwise": 0.9,
                }
            }
        }
    )
    trials = make_trials(spec, [], Question(choice="momentum"))
    with pytest.raises(ConfirmError, match="'momentum' matters only where optimizer is sgd"):
        propose(trials, spec.dimensions(), size=Size(), bound=0.01)


def make_surface(*, offset, noise=(0.01, 0.02), spread=1.0):
    """Make a surface whose noise changes at the middle of the context, and that is 0.1 high."""

    class Flat:
        def predict(self, points):
            return np.full(len(points), 0.1 if offset is None else np.log(0.1 + offset))

    from archloss.search.analysis.basis import Roles

    return Surface(
        posterior=Flat(),
        divergence=None,
        scale=Scale(offset=offset),
        strata=Strata(roles=Roles(context=0, choice=1, by=None), edges=np.array([0.5])),
        noise=np.array([noise, noise]),
        smearing=np.ones((2, 2)),
        spread=np.array([spread, spread]),
        penalty=0.9,
        highest=0.9,
        states=(),
        dropped=0,
    )


def make_profile():
    places = np.array([0.0, 1.0])
    grid = np.stack(np.meshgrid(places, np.array([0.0, 0.5, 1.0]), indexing="ij"), axis=-1)
    return Profile(contexts=places, choices=places, points=grid[None], draws=np.zeros((1, 1, 2, 3)))


def test_the_noise_of_a_cost_is_that_of_its_cells():
    noise = find_noise(make_surface(offset=None), make_profile())
    assert noise.tolist() == [[[0.01] * 3, [0.02] * 3]]
    # Two differences of two cells: variances 2 * 0.0001 and 2 * 0.0004, and the mean of both.
    assert combine_noise(noise) == pytest.approx([np.sqrt(0.0002 + 0.0008) / 2])
    shares = find_noise(make_surface(offset=0.05, noise=(0.1, 0.1)), make_profile())
    assert shares == pytest.approx(0.15 * np.sqrt(np.exp(0.01) - 1))
    # No trial lies further off than all of them vary, however heavy the tail of a lognormal.
    heavy = find_noise(make_surface(offset=0.05, noise=(3.0, 3.0), spread=0.04), make_profile())
    assert heavy == pytest.approx(0.04)


def test_where_nobody_knows_the_noise_it_is_all_that_trials_differ_by():
    surface = make_surface(offset=0.05, noise=(1e-9, 1e-9), spread=0.04)
    strata = dataclasses.replace(surface.strata, edges=np.array([]), silent=True)
    silent = dataclasses.replace(surface, strata=strata)
    assert find_noise(silent, make_profile()) == pytest.approx(0.04)


def test_noise_is_that_of_one_training_where_trials_were_means_of_several():
    one, four = (
        plan_replicates(
            make_surface(offset=None), make_profile(), bound=0.01, power=0.8, trainings=trainings
        )
        for trainings in (1, 4)
    )
    assert four.deviations == pytest.approx(2 * np.array(one.deviations))
    assert four.power < one.power


def test_what_may_diverge_is_noise_too():
    class Rarely:
        def predict(self, points):
            return np.full(len(points), 0.05)

    surface = dataclasses.replace(make_surface(offset=None), divergence=Rarely())
    [[[noise, *_], _]] = find_noise(surface, make_profile())
    random = np.random.default_rng(0)
    drawn = 0.1 + 0.01 * random.standard_normal(400_000)
    drawn[random.uniform(size=400_000) < 0.05] = 0.9
    assert noise == pytest.approx(drawn.std(), rel=0.01)


def test_power_is_that_of_a_one_sided_t_test():
    assert find_power(deviation=0.0, bound=0.005, replicates=6, levels=2) == 1.0
    # 8 replicates of deviation 0.01 at 0.02 against 0.01; their mean varies more than one of 8
    # independent values. 2.5% of t with 7 degrees are above 2.3646, and 5%/3 above 2.6419.
    random = np.random.default_rng(0)
    spread = np.sqrt(1 / 8 + 1 / 7)
    means = random.normal(0.02, 0.01 * spread, size=200_000)
    t = (means - 0.01) / (0.01 * np.sqrt(random.chisquare(7, size=200_000) / 7) * spread)
    for levels, reached in ((1, 2.3646), (2, 2.3646), (3, 2.6419)):
        assert find_power(deviation=0.01, bound=0.01, replicates=8, levels=levels) == pytest.approx(
            (t > reached).mean(), abs=0.005
        )


@pytest.mark.parametrize(
    ("bound", "power", "replicates"), [(1.0, 0.8, 6), (0.01, 0.8, 42), (0.001, 0.8, 50)]
)
def test_replicates_are_the_fewest_that_give_the_power(bound, power, replicates):
    replication = plan_replicates(
        make_surface(offset=None), make_profile(), bound=bound, power=power
    )
    deviation = np.sqrt(0.0002 + 0.0008) / 2
    assert replication.deviations == pytest.approx((deviation,))
    assert replication.effect == 2 * bound
    assert replication.replicates == replicates
    assert replication.power == find_power(
        deviation=replication.deviations[0], bound=bound, replicates=replicates, levels=1
    )
    if replicates == 42:
        fewer = find_power(deviation=deviation, bound=bound, replicates=41, levels=1)
        assert fewer < power <= replication.power


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"deviations": ()}, "10 replicates, as asked for."),
        (
            {"deviations": (0.004, 0.02), "power": None},
            "With 10 replicates, as asked for, the chance to find an interaction at twice that "
            "cost is about 68% in plain networks and 7% in residual networks.",
        ),
        (
            {"deviations": (0.004, 0.02)},
            "the chance to find an interaction at twice that cost is about 68% in plain networks "
            "and 7% in residual networks; 80% were asked for: --replicates 260 would do.",
        ),
        (
            {"deviations": (0.004, 0.2)},
            "networks; 80% were asked for: no plan may have enough replicates",
        ),
        (
            {"deviations": (0.004, 0.02), "replicates": 50},
            "With 50 replicates, the most that a plan takes by itself, the chance to find an "
            "interaction at twice that cost is about 100% in plain networks and 23% in residual "
            "networks; 80% were asked for: --replicates 260 would do.",
        ),
        ({"deviations": (0.001, 0.002)}, "about 100% in plain networks and 100% in residual"),
    ],
)
def test_the_plan_says_its_power_for_each_kind_of_networks(changes, said):
    plan = make_plan(replicates=10) | {"power": 0.8, "effect": 0.01} | changes
    *_, last = describe_plan(make_planned(plan=plan))
    assert said in last
    assert ("were asked for" in last) == ("were asked for" in said)


def test_enough_replicates_are_the_fewest_that_reach_the_power_and_that_a_plan_may_have():
    plan = make_planned(plan=make_plan(deviations=(0.004, 0.02))).plan
    enough = find_enough(plan, 0.8)
    reached = [min(find_powers(plan, count)) for count in (enough - 1, enough)]
    assert reached[0] < 0.8 <= reached[1]
    few = make_planned(plan=make_plan(deviations=(0.001, 0.002), replicates=20)).plan
    assert find_enough(few, 0.8) == 20
    assert limit_replicates(12) == 1000
    assert limit_replicates(360) == 277


def test_the_time_is_that_of_the_search_by_depth(parent):
    spec = Spec.model_validate(PARENT)
    records = [
        dataclasses.replace(
            trial, seconds=0.5 + 0.25 * trial.params["depth"], params=dict(trial.params)
        )
        for trial in parent.trials()
    ]
    planned = make_planned()
    # 6 designs of depth 1 and 6 of depth 3, three times.
    assert estimate_seconds(spec, records, planned) == pytest.approx(3 * 6 * (0.75 + 1.25))
    assert estimate_seconds(spec, [], planned) is None
    assert "is not known" in describe_estimate(None, planned.workers)
    two = WorkersSpec(processes=2)
    assert (count_workers(two), count_workers(planned.workers)) == (2, 1)
    assert describe_estimate(240.0, two) == (
        "It takes about 4 minutes of a worker's time at the speed of the search, "
        "or 2 minutes with 2 workers."
    )


def test_confirm_plans_stores_and_trains_nothing_with_plan_only(confirm, home):
    shown = confirm("--plan-only", "--contexts", 3, "--choices", 4, "--bound", 2).stdout
    assert "does the best ce_weight depend on depth, as study 'flowers' suggests?" in shown
    assert "residual no:" in shown
    assert "each cell has its tuned optimizer, learning_rate, weight_decay." in shown
    assert "The smallest cost that matters is 2 accuracy points." in shown
    assert "of a worker's time at the speed of the search" in shown
    assert "0 of " in shown
    study = open_study("mine", folder=home)
    spec = Spec.from_json(study.database.get_study("mine").spec)
    study.database.close()
    assert spec.plan.power == 0.8
    assert spec.plan.bound == 0.02
    assert f"24 designs x {spec.plan.replicates} replicates = {spec.trials} trainings" in shown
    again = confirm("--plan-only").stdout
    assert f"24 designs x {spec.plan.replicates} replicates" in again


def test_confirm_trains_and_shows_the_cells_and_then_only_shows_them(confirm, home):
    result = confirm("--yes", *SMALL)
    assert "experiment 'mine', which confirms 'flowers'" in result.stderr
    assert "best" not in result.stderr
    assert "Mean validation error of 6 trainings, by depth and ce_weight:" in result.stdout
    again = confirm()
    assert again.stdout.endswith(result.stdout[result.stdout.index("Study 'mine'") :])
    assert "starting" not in again.stderr
    document = json.loads(confirm("--json", "--show").stdout)
    assert document["finished"] == document["budget"] == 72
    assert document["best"] is None
    assert not {"caveat", "best_seen_by_depth"} & document.keys()
    study = open_study("mine", folder=home)
    spec = Spec.from_json(study.database.get_study("mine").spec)
    experiment = read_experiment(spec, study.trials())
    study.database.close()
    assert document["cells"]["means"] == experiment.means.tolist()
    assert np.shape(document["cells"]["means"]) == (2, 2, 3)
    report = document["report"]
    assert report["verdict"] in ("interaction", "none", "undecided")
    assert report["trials"]["completed"] + report["trials"]["diverged"] == 72
    assert all(0 < level["p_value"] <= 1 for level in report["levels"])
    assert report["source"]["command"] == "archloss confirm flowers --name mine"
    assert report["sentences"][0] in " ".join(result.stdout.split())
    assert report["sentences"][0] in get_note(study.optuna_study()).replace("\\", "")
    page = (home / "mine" / "report" / "report.html").read_text()
    assert "stored before its first training" in page
    assert "Test that differences between choices are the same at every depth" in page
    by_cell = {get_cell(trial.params): trial.value for trial in study.trials()}
    for row in list_planned(spec):
        level, context = spec.plan.levels.index(row["residual"]), row["depth"]
        place = (
            level,
            spec.plan.contexts.index(context),
            spec.plan.choices.index(row["ce_weight"]),
            row["replicate"],
        )
        assert experiment.values[place] == by_cell[get_cell(row)]


def test_an_experiment_in_a_folder_that_cannot_be_written_is_shown(confirm, monkeypatch):
    def refuse(*_):
        raise OSError(errno.EROFS, "Read-only file system")

    confirm("--yes", *SMALL)
    monkeypatch.setattr("archloss.search.report.answer.writing._replace", refuse)
    shown = confirm("--show")
    assert "Cost of one ce_weight for every depth" in shown.stdout
    assert "report.html" not in shown.stdout
    assert "the report was not written: the folder of the report must be one" in shown.stderr
    assert "mine/report' cannot: Read-only file system" in shown.stderr
    confirm(code=2)


def get_cell(params):
    return tuple(params[name] for name in ("residual", "depth", "ce_weight", "replicate"))


def test_an_experiment_pauses_tells_counts_alone_and_goes_on(confirm, home):
    confirm("--yes", *SMALL, "--minutes", 1e-9, "--pack", 4)
    for shown in (
        confirm("--show").stdout,
        run("status", "mine", "--folder", home).stdout,
        confirm("--plan-only").stdout,
    ):
        assert "when all 72 trainings are done" in shown
        assert "%" not in shown.partition("Study 'mine'")[2]
    document = json.loads(run("status", "mine", "--json", "--folder", home).stdout)
    assert (document["best"], document["best_seen_by_depth"]) == (None, [])
    assert document["confirms"] == "flowers"
    assert document["finished"] < 72
    paused = open_study("mine", folder=home)
    note = get_note(paused.optuna_study())
    paused.database.close()
    assert "There is no answer yet" in note
    assert "all 72 trainings" in note
    confirm("--yes", *SMALL, "--pack", 8, "--executor", "inline")
    assert json.loads(confirm("--show", "--json").stdout)["finished"] == 72
    rows = json.loads(run("trials", "mine", "--format", "json", "--folder", home).stdout)
    assert [row["replicate"] for row in rows] == list(np.repeat(np.arange(6), 12))
    shown = run("show", "mine", 13, "--folder", home).stdout
    assert "replicate" in shown


def test_fewer_choices_than_asked_for_are_the_same_plan_where_there_are_no_more(confirm):
    asked = ("--plan-only", "--context", "ce_weight", "--choice", "depth", "--contexts", 2)
    confirm(*asked, "--choices", 9, "--replicates", 6)
    confirm(*asked, "--choices", 9, "--replicates", 6)
    refused = confirm(*asked, "--choices", 3, "--replicates", 6, code=2)
    assert "9 in the plan, 3 now" in refused.stderr


def test_choices_that_merge_are_the_same_plan_where_as_many_are_asked_for(confirm, home):
    asked = ("--plan-only", "--contexts", 2, "--choices", 300, "--replicates", 6)
    confirm(*asked)
    study = open_study("mine", folder=home)
    plan = Spec.from_json(study.database.get_study("mine").spec).plan
    study.database.close()
    assert plan.asked == (2, 300)
    assert len(plan.choices) < 300
    confirm(*asked)


def test_a_plan_of_too_many_trainings_is_refused_before_it_is_stored(confirm, home):
    options = ("--plan-only", "--contexts", 4, "--choices", 50, "--replicates", 1000)
    said = confirm(*options, code=2).stderr
    assert "an experiment must have at most 100,000 trainings, but 400,000 were asked" in said
    assert "400 designs x 1000 replicates: lower --contexts, --choices or --replicates" in said
    assert "mine" not in run("list", "--folder", home).stdout


def test_choices_that_no_memory_would_hold_are_refused_before_anything_is_fitted(
    confirm, monkeypatch
):
    monkeypatch.setattr("archloss.search.confirm.proposal.fit_surface", None)
    said = confirm("--plan-only", "--contexts", 2, "--choices", 90_000, code=2).stderr
    assert "trainings, but 2,160,000 were asked for, 360,000 designs x 6 replicates" in said
    assert "must be at most 100000, but got" in confirm("--choices", 10**9, code=2).stderr


def test_a_plan_that_is_stored_can_be_taken_away(confirm, home):
    said = confirm("--plan-only", *SMALL).stdout
    [command] = re.findall("`archloss (delete mine)` takes it away", said)
    assert "takes it away" not in confirm("--plan-only").stdout
    assert run(*command.split(), "--yes", "--folder", home).exit_code == 0
    assert "mine" not in run("list", "--folder", home).stdout


def test_a_plan_from_before_says_what_was_asked_for_by_what_it_has():
    old, spec = make_planned(), make_planned(plan=make_plan(asked=(2, 9)))
    assert "asked" not in json.loads(old.to_json())["plan"]  # so that its digest is what it was
    assert Spec.from_json(spec.to_json()).plan.asked == (2, 9)
    assert Spec.from_json(spec.to_json()).digest() == spec.digest() != old.digest()
    check_same(old, Asked(contexts=2, choices=3))
    check_same(spec, Asked(contexts=2, choices=9))
    with pytest.raises(ConfirmError, match="--choices: 3 in the plan, 9 now"):
        check_same(old, Asked(choices=9))


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [("n\n", 1, "nothing was changed\n"), ("", 130, "\nstopped: nothing was changed\n")],
)
def test_a_person_at_a_terminal_is_asked_first(confirm, monkeypatch, home, typed, code, said):
    monkeypatch.setattr(confirming, "is_terminal", lambda: True)
    options = ("--name", "asked", *SMALL, "--folder", home)
    result = run("confirm", "flowers", *options, input=typed)  # the end of it is as Ctrl-C
    assert result.exit_code == code
    assert "12 designs x 6 replicates = 72 trainings" in result.stdout
    assert "Store this plan, and train it?" in result.stderr
    assert result.stderr.endswith(said)
    assert "Aborted" not in result.stderr
    assert "asked" not in run("list", "--folder", home).stdout


@pytest.mark.parametrize(("options", "finished"), [(["--plan-only"], 0), (["--yes"], 72)])
def test_nobody_who_reads_keeps_it_from_nothing(confirm, home, options, finished):
    reading, writing = os.pipe()
    os.close(reading)
    command = ["confirm", "flowers", "--name", "mine", *map(str, SMALL), *options]
    program = subprocess.run(
        [sys.executable, "-m", "archloss", *command, "--folder", str(home)],
        stdout=writing,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        timeout=120,
        check=False,
    )
    os.close(writing)
    assert program.returncode == 0
    assert b"roken" not in program.stderr
    assert json.loads(confirm("--show", "--json").stdout)["finished"] == finished


def test_ctrl_c_where_nothing_was_running_promises_nothing(monkeypatch, home):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("archloss.search.cli.planning.propose", stop)
    result = run("confirm", "flowers", "--name", "never", "--plan-only", "--folder", home)
    assert (result.exit_code, result.stderr) == (130, "stopped at once\n")


@pytest.mark.parametrize(
    ("options", "lines"),
    [
        (("--bound", 1), ["--bound: 0.5 in the plan, 1.0 now"]),
        (("--choices", 5, "--contexts", 4), ["--contexts: 2", "--choices: 3 in the plan, 5 now"]),
        (("--replicates", 7), ["--replicates: 6 in the plan, 7 now"]),
        (("--power", 0.9), ["--power: None in the plan, 0.9 now"]),
        (("--context", "learning_rate"), ["--context: 'depth' in the plan, 'learning_rate' now"]),
    ],
)
def test_another_design_under_the_same_name_is_refused_with_the_difference(confirm, options, lines):
    confirm("--plan-only", *SMALL)
    said = confirm(*options, code=2).stderr
    assert "the plan of experiment 'mine' is stored, and does not change:" in said
    assert all(line in said for line in lines)
    assert "--name" in said


def test_an_empty_name_is_no_name(home):
    said = run("confirm", "flowers", "--name", "", "--plan-only", *SMALL, "--folder", home)
    assert said.exit_code == 2
    assert "but got ''" in said.stderr


def test_an_experiment_of_an_earlier_study_of_the_same_name_is_told_apart(home, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(home, folder)

    def confirm(*options, code=0):
        result = run("confirm", "flowers", "--name", "mine", *options, "--folder", folder)
        assert result.exit_code == code, result.output
        return result.stderr

    confirm("--plan-only", *SMALL)
    assert run("delete", "flowers", "--yes", "--folder", folder).exit_code == 0
    assert "earlier study" not in confirm("--plan-only", *SMALL)  # the plan has all it needs
    other = PARENT | {"trials": 1, "recipe": {"epochs": 1, "batch_size": 32}}
    archloss.launch(Spec.model_validate(other), folder=folder).database.close()
    said = confirm("--plan-only", *SMALL, code=2)
    assert "experiment 'mine' was planned from an earlier study 'flowers'" in said
    assert "`archloss delete mine`" in said
    assert "was planned from an earlier study 'flowers'" in confirm("--show")


def test_the_same_number_of_rounded_contexts_is_no_other_design(confirm):
    confirm("--plan-only", "--contexts", 9, "--choices", 3, "--replicates", 6)
    confirm("--plan-only", "--contexts", 9, "--choices", 3, "--replicates", 6)


def test_confirm_refuses_what_is_no_study_to_confirm(confirm, home):
    confirm("--plan-only", *SMALL)
    said = confirm(study="mine", name="deeper", code=2).stderr
    assert "'mine' is itself an experiment, which confirms 'flowers'" in said
    assert "archloss confirm flowers --name mine" in said
    assert "is no experiment" in confirm(study="other", name="flowers", code=2).stderr
    assert "confirms 'flowers': choose another" in confirm(study="other", code=2).stderr
    assert "there is no experiment 'none' yet" in confirm("--show", name="none", code=2).stderr
    said = run("report", "mine", "--folder", home)
    assert said.exit_code == 2
    assert "`archloss confirm flowers --name mine` shows it" in said.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--show", "--plan-only"), "leave out one of them"),
        (("--replicates", 8, "--power", 0.9), "leave out one"),
        (("--power", 1.5), "--power must lie in (0, 1), but got 1.5"),
        (("--bound", -1), "--bound must be above 0, but got -1"),
        (("--bound", 200), "--bound must be below 100 accuracy points"),
        (("--replicates", 3), "'--replicates': must be at least 6, but got '3'"),
        (("--replicates", "many"), "'--replicates': must be a whole number, but got 'many'"),
        (("--choice", "width"), "--choice must name a range of numbers that was searched"),
        (("--ray-address", "auto", "--executor", "local"), "needs --executor ray"),
    ],
)
def test_confirm_refuses_options_that_say_nothing_sensible(confirm, options, message):
    said = confirm(*options, name="none", code=2).stderr
    assert message in " ".join(said.replace("│", " ").split())


def test_confirm_refuses_data_that_have_changed_and_says_who_is_at_work(tmp_path):
    rows = [f"{number % 7},{number % 5},{number % 2}" for number in range(80)]
    data = tmp_path / "data.csv"
    data.write_text("\n".join(["a,b,y", *rows]))
    document = PARENT | {"dataset": str(data), "target": "y", "trials": 60}
    study = archloss.launch(Spec.model_validate(document), folder=tmp_path)
    lease = study.database.open_lease(study.database.get_study("flowers").study_id)
    options = ("confirm", "flowers", *SMALL, "--plan-only", "--folder", tmp_path)
    result = run(*options)
    assert result.exit_code == 0, result.stderr
    assert "'flowers' is still at work" in result.stderr
    study.database.close_lease(lease)
    study.database.close()
    data.write_text("\n".join(["a,b,y", *rows, "9,9,1"]))
    result = run(*options, "--name", "again")
    assert result.exit_code == 2
    assert "the data of study 'flowers' have changed" in result.stderr


def test_confirm_refuses_a_study_with_too_few_trials(tmp_path):
    archloss.launch(Spec.model_validate(PARENT | {"trials": 8}), folder=tmp_path).database.close()
    result = run("confirm", "flowers", "--folder", tmp_path)
    assert result.exit_code == 2
    assert "at least 40 trials must have been trained to the end" in result.stderr


def test_launch_does_not_take_an_experiment_for_a_study(confirm, home):
    confirm("--plan-only", *SMALL)
    with pytest.raises(StudyDiffersError, match="`archloss confirm flowers --name mine`"):
        archloss.launch(Spec.model_validate(PARENT | {"name": "mine"}), folder=home)


def test_export_of_a_training_has_the_error_of_its_own_split(confirm, home, tmp_path):
    import torch

    from archloss.spaces.data import load_dataset, split_dataset
    from archloss.spaces.export import load_network

    confirm("--yes", *SMALL)
    study = open_study("mine", folder=home)
    spec, trial = Spec.from_json(study.database.get_study("mine").spec), study.trials()[17]
    study.database.close()
    result = run("export", "mine", "--trial", 17, "--output", tmp_path, "--folder", home)
    assert result.exit_code == 0, result.stderr
    description = json.loads((tmp_path / "network.json").read_text())
    assert description["replicate"] == trial.params["replicate"] == 1
    splits = split_dataset(
        load_dataset("iris"),
        validation_fraction=0.2,
        test_fraction=0.2,
        seed=spec.make_recipe().find_split_seed(1),
    )
    with torch.no_grad():
        guesses = load_network(tmp_path)(torch.from_numpy(splits.x_validation.astype(np.float32)))
    error = float(np.mean(guesses.argmax(dim=1).numpy() != splits.y_validation))
    assert error == pytest.approx(trial.value, abs=1e-6)
    first = description["inputs"][0]
    assert first["mean"] == pytest.approx(splits.encoder.mean[0])
