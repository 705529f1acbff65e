"""Run a study: put its spec, the database and an executor together, and work."""

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from archloss.search.distributions import to_design
from archloss.search.ledger import Ledger, Rules
from archloss.search.loop import Loop, Plan
from archloss.search.mirror import Mirror
from archloss.search.packing import even_out, limit_pack_size, read_sizes
from archloss.search.plan import list_replicates, make_distributions
from archloss.search.progress import Observer
from archloss.search.pruners import make_pruner, rung_epochs
from archloss.search.samplers import make_sampler
from archloss.search.score import Score
from archloss.search.spec import Spec
from archloss.spaces import jobs
from archloss.spaces.catalogue import SPACES
from archloss.spaces.design import Design
from archloss.spaces.dimensions import Choice, Dimension, Integer, Value
from archloss.spaces.pack import Pack, PackReport, PackSizeQuestion
from archloss.storage.database import Database
from archloss.storage.records import StudyRecord
from archloss.workers.executor import Executor

MOST_WIDTHS_MEASURED = 4
MOST_MEASURING = 8


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """The functions that workers run; both must be importable there by their names."""

    train: Callable[[Pack], PackReport] = jobs.train
    measure: Callable[[PackSizeQuestion], int] = jobs.measure


@dataclass(frozen=True, kw_only=True)
class Run:
    """One launch's needs: what to run, where it is kept, and how a trial is scored."""

    database: Database
    study: StudyRecord
    spec: Spec
    score: Score
    jobs: Jobs = Jobs()


def run_study(run: Run, executor: Executor, observer: Observer) -> None:
    """Work on the study until its budget is spent, its time is up, or Ctrl-C stops it.

    Several drivers may do so at once, and any of them may be killed: the budget stays exact.
    Raises StudyStoppedError when training fails whatever the design.
    """
    spec = run.spec
    counts = run.database.count_states(run.study.study_id)
    finished = counts.get("COMPLETE", 0) + counts.get("PRUNED", 0)
    left = None if spec.trials is None else spec.trials - finished
    rungs = rung_epochs(spec)
    sizes = _choose_pack_sizes(run, executor, left=left)
    largest = max(size for known in sizes.values() for size in known.values())
    ledger = _make_ledger(run, rungs, already=sum(counts.values()))
    plan = Plan(
        recipe=spec.make_recipe(),
        fingerprint=run.study.fingerprint,
        device=spec.workers.device,
        rungs=rungs,
        pack_size=read_sizes(sizes),
        ask_size=largest,
        ask_until=largest * min(max(len(known) for known in sizes.values()), 3),
        minutes=spec.minutes,
        max_retries=spec.workers.max_retries,
        train=run.jobs.train,
    )
    loop = Loop(ledger, plan, executor, observer)
    loop.run(lambda resumed: observer.on_start(spec, resumed))


def _make_ledger(run: Run, rungs: tuple[int, ...], *, already: int) -> Ledger:
    spec = run.spec
    dimensions = spec.dimensions()
    space = SPACES[spec.space.name]
    lease_id = run.database.open_lease(run.study.study_id)
    drivers_before = run.database.count_leases(run.study.study_id, before=lease_id)

    def make_design(params: Mapping[str, Value]) -> Design:
        return to_design(space, dimensions, params)

    mirror = Mirror(
        run.study.name,
        sampler=make_sampler(
            spec, already=already, drivers_before=drivers_before, penalty=run.score.penalty
        ),
        pruner=make_pruner(spec),
        distributions=make_distributions(spec),
        penalty=run.score.penalty,
    )
    rules = Rules(
        budget=spec.trials,
        rungs=rungs,
        list_replicates=functools.partial(list_replicates, spec),
        keep_weights=spec.search.keep_weights,
        score=run.score,
        make_design=make_design,
    )
    return Ledger(run.database, run.study, lease_id=lease_id, mirror=mirror, rules=rules)


def _choose_pack_sizes(
    run: Run, executor: Executor, *, left: int | None
) -> dict[str, dict[int, int]]:
    """Return the trials in a pack for each kind of device and width: as asked for, or measured."""
    spec = run.spec
    replicates = spec.recipe.replicates
    dimensions = spec.dimensions()
    slots = max(1, executor.slots)
    sizes: dict[str, dict[int, int]] = {}
    for kind, workers in (executor.kinds or {"": 0}).items():
        for width in _list_widths(dimensions["width"]):
            if spec.workers.pack == "auto" and workers:
                design = _make_typical(spec, dimensions, width)
                members = _measure(run, executor, design, kind, min(workers, MOST_MEASURING))
                trials = max(1, members // replicates)
                size = limit_pack_size(trials, budget=spec.trials, slots=slots)
            elif spec.workers.pack == "auto":
                size = 1
            else:
                size = max(1, spec.workers.pack // replicates)
            sizes.setdefault(kind, {})[width] = even_out(size, left=left, slots=slots)
    return sizes


def _measure(run: Run, executor: Executor, design: Design, kind: str, workers: int) -> int:
    """Let workers of one kind measure, and take the most that any of them found worthwhile.

    All load what they need meanwhile. What disturbs a measurement makes packing look useless;
    a pack larger than it need be costs nothing but results that come later.
    """
    question = PackSizeQuestion(
        recipe=run.spec.make_recipe(), design=design, device=run.spec.workers.device
    )
    answers = [executor.submit(run.jobs.measure, question, kind=kind) for _ in range(workers)]
    return max(answer.result() for answer in answers)


def _list_widths(dimension: Dimension) -> list[int]:
    """Return the widths worth measuring, the largest among them."""
    if isinstance(dimension, Choice):
        widths = sorted(int(value) for value in dimension.values)
    else:
        widths = sorted({int(dimension.low), int(dimension.high)})
    return widths[-MOST_WIDTHS_MEASURED:]


def _make_typical(spec: Spec, dimensions: Mapping[str, Dimension], width: int) -> Design:
    """Return a design from the middle of every range, with the first of every choice."""
    values = {name: _find_middle(dimension) for name, dimension in dimensions.items()}
    return SPACES[spec.space.name].make_design({**values, "width": width})


def _find_middle(dimension: Dimension) -> Value:
    if isinstance(dimension, Choice):
        return dimension.values[0]
    low, high = dimension.low, dimension.high
    if isinstance(dimension, Integer):
        return round(math.sqrt((low + 1) * (high + 1))) - 1 if dimension.log else (low + high) // 2
    return math.sqrt(low * high) if dimension.log else (low + high) / 2
