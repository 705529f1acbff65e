"""Which sampler tells the most about every depth's best mix, from the same number of trials?

    python benchmarks/samplers.py --trials 200 --repetitions 20

Studies of the table of truly trained networks that comes with archloss: a design gets the error of
one training, drawn from the four of the nearest cell. The truth is the surface that was learned
from the whole table (benchmarks/digits_surface.py). `told` is what no sampler can be: told the
best learning rate of each design, it spreads the rest.
"""

import argparse
import multiprocessing
import os
from collections import defaultdict

os.environ.setdefault("OMP_NUM_THREADS", "1")  # a process per core, and no more threads

import numpy as np
import optuna
from digits_surface import DigitsSurface
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import GPSampler

from archloss.search.analysis.answer import answer
from archloss.search.analysis.axes import Category, Numeric
from archloss.search.analysis.basis import Roles
from archloss.search.analysis.example import read_example
from archloss.search.analysis.trials import Kind, Trials
from archloss.search.asking import Distributions, PackSampler, Params, RandomSampler, ask_many
from archloss.search.batch_tpe import BatchTPESampler
from archloss.search.memory import MemoryStorage
from archloss.search.planned import SequenceSampler
from archloss.search.profile_sampler import ProfileSampler, decode_all
from archloss.search.sobol import draw_sobol

AXES = (
    Numeric(name="depth", low=1, high=24, log=True, whole=True),
    Category(name="residual", levels=(False, True)),
    Numeric(name="ce_weight", low=0.0, high=1.0),
    Numeric(name="learning_rate", low=3e-4, high=1e-1, log=True),
)
ROLES = Roles(context=0, choice=2, by=1)
SPACE = {
    "depth": IntDistribution(1, 24, log=True),
    "residual": CategoricalDistribution((False, True)),
    "ce_weight": FloatDistribution(0.0, 1.0),
    "learning_rate": FloatDistribution(3e-4, 1e-1, log=True),
}
SURFACE = DigitsSurface(order=(0, 1, 2, 3), worst=0.9)
STARTUP, PACK, BOUND = 20, 32, 0.005
NEAR = 0.08
"""Deviation of what `told` takes from the best learning rate, as a share of the range."""


class ToldSampler(PackSampler):
    """Designs spread over depth, residual and mix by a Sobol sequence, near the best true rates."""

    looks_at_others = False

    def choose(self, study: optuna.Study, count: int, distributions: Distributions) -> list[Params]:
        """Return the parameters of `count` trials."""
        places = draw_sobol(len(AXES), count, seed=self._generator)
        places[:, ROLES.by] = np.floor(2 * places[:, ROLES.by])
        rates = np.linspace(0, 1, 41)
        varied = np.repeat(places[:, None], len(rates), axis=1)
        varied[..., 0], varied[..., 3] = _widen(varied[..., 0]), _shift(rates)
        best = rates[SURFACE.expect(varied).argmin(axis=1)]
        near = best + NEAR * self._generator.standard_normal(count)
        places[:, 3] = np.clip(near, 0, 1)
        return decode_all(AXES, places)


SAMPLERS = {
    "random": lambda seed: RandomSampler(seed=seed),
    "qmc": lambda seed: SequenceSampler(seed=seed),
    "tpe": lambda seed: BatchTPESampler(startup_trials=STARTUP, candidates=24, seed=seed),
    "gp": lambda seed: GPSampler(
        seed=seed, n_startup_trials=STARTUP, deterministic_objective=False
    ),
    "profile": lambda seed: ProfileSampler(
        context="depth",
        choice="ce_weight",
        by="residual",
        startup_trials=STARTUP,
        penalty=0.9,
        seed=seed,
    ),
    "told": lambda seed: ToldSampler(seed=seed),
}


HEADINGS = (
    *("sampler", "off", "plain", "residual", "points lost by that", "plain", "residual"),
    *("regret of the best trial", "repetitions"),
)


class Table:
    """The trainings, by cell."""

    def __init__(self) -> None:
        table = read_example()
        names = [axis.name for axis in AXES]
        groups = table.groupby(names)["validation_error"].apply(np.array)
        keys = groups.index.to_frame(index=False)
        self._places = np.stack(
            [
                axis.encode(list(keys[axis.name]))
                if isinstance(axis, Category)
                else axis.encode(keys[axis.name].to_numpy(float))
                for axis in AXES
            ],
            axis=1,
        )
        self._errors = np.stack(list(groups))

    def train(self, place: np.ndarray, random: np.random.Generator) -> float:
        """Return the error of one training of the cell nearest to a place."""
        far = np.abs(self._places - place)
        far[:, ROLES.by] *= 10  # residual or not is never rounded
        return float(random.choice(self._errors[far.sum(axis=1).argmin()]))


def encode(params: dict[str, object]) -> np.ndarray:
    """Return a trial's place on AXES."""
    return np.array(
        [
            axis.encode([params[axis.name]])[0]
            if isinstance(axis, Category)
            else axis.encode(np.array([float(params[axis.name])]))[0]  # type: ignore[arg-type]
            for axis in AXES
        ]
    )


def run(cell: tuple[str, int, int]) -> tuple[str, list[float]]:
    """Return the sampler, how far best mixes are off, what that costs, and the best one's regret.

    Off is the mean over depths, of all networks, of plain and of residual ones, and so is what it
    costs; where there are too few of a kind for an answer the middle of the range is taken. Costs
    and regret are in accuracy points. The regret is how much the expected error of the best trial
    is above the lowest.
    """
    sampler, count, seed = cell
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    random, table = np.random.default_rng([seed, 7]), Table()
    study = optuna.create_study(storage=MemoryStorage(), sampler=SAMPLERS[sampler](seed))
    places, values = [], []
    while len(places) < count:
        for trial in ask_many(study, min(PACK, count - len(places)), SPACE):
            places.append(encode(trial.params))
            values.append(table.train(places[-1], random))
            study.tell(trial.number, values[-1])
    trials = Trials(
        axes=AXES,
        roles=ROLES,
        points=np.array(places),
        kinds=np.full(count, Kind.COMPLETED.value),
        values=np.array(values),
        early=np.zeros((count, 0)),
        rungs=(),
        penalty=float("nan"),
        sampler=sampler,
    )
    found = answer(trials, bound=BOUND, seed=seed)
    depths, mixes = np.linspace(0, 1, 41), np.linspace(0, 1, 201)
    lowest = float(SURFACE.get_profile(_widen(depths), mixes).min())
    best = np.array(places)[[int(np.argmin(values))]]
    best[:, 0], best[:, 3] = _widen(best[:, 0]), _shift(best[:, 3])
    profile = SURFACE.get_profile(_widen(AXES[0].encode(np.array(found.contexts))), mixes)
    said = {
        (level.level, best.context): best.choice.estimate
        for level in found.levels
        for best in level.bests
    }
    off: dict[bool, list[float]] = {False: [], True: []}
    loss: dict[bool, list[float]] = {False: [], True: []}
    for level, curves in zip((False, True), profile, strict=True):
        for context, curve in zip(found.contexts, curves, strict=True):
            own = said.get((level, context), 0.5)  # a sampler may leave too few trials there
            off[level].append(abs(own - mixes[curve.argmin()]))
            loss[level].append(100 * (np.interp(own, mixes, curve) - curve.min()))
    regret = 100 * (float(SURFACE.expect(best)[0]) - lowest)
    return sampler, [*_average(off), *_average(loss), regret]


def _average(parts: dict[bool, list[float]]) -> list[float]:
    """Return the mean of all, of plain and of residual networks."""
    return [
        float(np.mean([*parts[False], *parts[True]])),
        *map(float, map(np.mean, parts.values())),
    ]


def _widen(depths: np.ndarray) -> np.ndarray:
    """Return places of depths from 1 to 24 on the surface's axis, which ends at 32."""
    return np.asarray(depths * np.log(24) / np.log(32))


def _shift(rates: np.ndarray) -> np.ndarray:
    """Return places of rates from 0.0003 to 0.1 on the surface's axis, which begins at 0.0001."""
    return np.asarray((np.log(3e-4 / 1e-4) + rates * np.log(1e-1 / 3e-4)) / np.log(1e3))


def main() -> None:
    """Run all samplers and print a table of means and their standard errors."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--repetitions", type=int, default=20)
    parser.add_argument("--samplers", nargs="+", default=list(SAMPLERS), choices=list(SAMPLERS))
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    cells = [
        (sampler, options.trials, seed)
        for seed in range(options.repetitions)
        for sampler in options.samplers
    ]
    results = defaultdict(list)
    with multiprocessing.get_context("spawn").Pool(options.jobs) as pool:
        for sampler, numbers in pool.imap_unordered(run, cells):
            results[sampler].append(numbers)
    print(f"| {' | '.join(HEADINGS)} |\n|{'---|' * len(HEADINGS)}")
    for sampler in options.samplers:
        numbers = np.array(results[sampler])
        shown = [
            f"{mean:.3f} ({error:.3f})"
            for mean, error in zip(
                numbers.mean(axis=0), numbers.std(axis=0, ddof=1) / len(numbers) ** 0.5, strict=True
            )
        ]
        print(f"| {sampler} | {' | '.join(shown)} | {len(numbers)} |")


if __name__ == "__main__":
    main()
