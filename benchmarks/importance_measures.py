"""What importances say of depth and mix: Optuna's, HyperSHAP's, and a cost from a random forest.

Each function takes a study's trials, of benchmarks/surfaces.py, and returns scores that are meant
to be high where the best mix depends on depth. Trials that diverged are left out: their penalty
would drown all else.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import optuna
from calibration import make_space
from optuna.importance import (
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from sklearn.ensemble import RandomForestRegressor
from surfaces import AXES, DEPTH, MIX, RESIDUAL, WIDTH

from archloss.search.analysis.axes import Array, Category
from archloss.search.analysis.trials import Kind, Trials

try:
    import hypershap
    from ConfigSpace import (
        CategoricalHyperparameter,
        Configuration,
        ConfigurationSpace,
        UniformFloatHyperparameter,
        UniformIntegerHyperparameter,
    )
except ImportError:
    hypershap = None

TREES = 64
"""As many as Optuna's forest has."""
HYPERSHAP_SAMPLES = 1_000
"""HyperSHAP takes 10,000 unless told otherwise."""
_DEPTH, _MIX = AXES[DEPTH].name, AXES[MIX].name
_CHOICES, _OTHERS = 21, 100


def measure_ped_anova(trials: Trials) -> dict[str, float]:
    """Return the share of the mix by PED-ANOVA, and by how much it differs from shallow to deep.

    It has no importance of a pair. The second is of two studies, one of the shallower half of the
    trials, one of the deeper half.
    """
    points, values = _get_completed(trials)
    order = np.argsort(points[:, DEPTH], kind="stable")
    half = len(order) // 2
    whole, shallow, deep = (
        get_param_importances(
            _make_study(points[chosen], values[chosen]), evaluator=PedAnovaImportanceEvaluator()
        )[_MIX]
        for chosen in (order, order[:half], order[half:])
    )
    return {"PED-ANOVA, mix": whole, "PED-ANOVA, deep against shallow": abs(deep - shallow)}


def measure_fanova(trials: Trials, seed: int) -> dict[str, float]:
    """Return fANOVA's share of the mix, and of depth and mix together.

    With the settings of Optuna's `FanovaImportanceEvaluator`, which gives single parameters alone,
    takes logarithmic ranges for linear ones, and needs 8 seconds for 300 trials; here all axes are
    as they are searched. The pair also for residual and plain networks apart: the higher counts.
    """
    points, values = _get_completed(trials)
    own, pair = find_shares(points, values, seed)
    kinds = [points[:, RESIDUAL] == level for level in np.unique(points[:, RESIDUAL])]
    return {
        "fANOVA, mix": own,
        "fANOVA, depth and mix": pair,
        "fANOVA, depth and mix, kinds apart": max(
            find_shares(points[kind], values[kind], seed)[1] for kind in kinds
        ),
    }


def find_shares(points: Array, values: Array, seed: int) -> tuple[float, float]:
    """Return the shares of variance of the mix, and of depth and mix together: means over trees.

    Hutter, Hoos and Leyton-Brown 2014, algorithm 2, on each tree's leaves: the variance of the
    marginal of both, less those of either. Optuna's `_Fanova`, which is not public, gives the same
    numbers from the same forest, and takes 0.4 seconds a tree for the pair.
    """
    shares = []
    for tree in _grow_forest(points, values, seed).estimators_:
        low, high, leaves = _list_leaves(tree.tree_, points.shape[1])
        sizes = np.prod(high - low, axis=1)
        whole = sizes @ (leaves - sizes @ leaves) ** 2
        if whole > 0:
            depth, mix, both = (
                _find_marginal_variance(low, high, leaves, axes)
                for axes in ([DEPTH], [MIX], [DEPTH, MIX])
            )
            shares.append((mix / whole, max(both - depth - mix, 0.0) / whole))
    own, pair = np.mean(shares, axis=0)
    return float(own), float(pair)


def measure_hypershap(trials: Trials) -> dict[str, float]:
    """Return HyperSHAP's second-order index (FSII) of depth and mix; nothing where it is missing.

    The surrogate, the baseline (the middle of each range) and the index are those that it takes
    unless told otherwise; what is explained is the accuracy.
    """
    if hypershap is None:
        return {}
    space = ConfigurationSpace()
    space.add([_make_hyperparameter(axis) for axis in AXES])
    points, values = _get_completed(trials)
    data = [
        (Configuration(space, values=params), 1 - value)
        for params, value in zip(_decode(points), values, strict=True)
    ]
    task = hypershap.ExplanationTask.from_data(space, data)
    explainer = hypershap.HyperSHAP(task)
    scores = {}
    for name, game in (
        ("tunability", explainer.tunability),
        ("sensitivity", explainer.sensitivity),
    ):
        found = explainer.get_interaction_values_with_names(game(n_samples=HYPERSHAP_SAMPLES))
        pair = next(value for key, value in found.items() if set(key) == {_DEPTH, _MIX})
        scores[f"HyperSHAP {name}"] = float(pair)
    return scores


def measure_forest_cost(trials: Trials, contexts: Array, seed: int) -> dict[str, float]:
    """Return the cost of one mix at all depths as archloss defines it, read off a random forest.

    It is no importance: it says what the right question gains on the wrong surface.
    """
    points, values = _get_completed(trials)
    forest = _grow_forest(points, values, seed)
    random = np.random.default_rng(seed)
    mixes = np.linspace(0, 1, _CHOICES)
    others = random.uniform(size=(_OTHERS, 2))
    grid = np.meshgrid([0.0, 1.0], contexts, mixes, np.arange(_OTHERS), indexing="ij")
    places = np.zeros((*grid[0].shape, len(AXES)))
    places[..., RESIDUAL], places[..., DEPTH], places[..., MIX] = grid[:3]
    places[..., MIX + 1 : WIDTH + 1] = others
    profile = forest.predict(places.reshape(-1, len(AXES))).reshape(grid[0].shape).min(axis=-1)
    return {"the cost from a random forest": max(find_cost(level) for level in profile)}


def find_cost(profile: Array) -> float:
    """Return what one mix for all depths costs on a profile `[U, M]`."""
    return max(float(profile.mean(axis=0).min() - profile.min(axis=1).mean()), 0.0)


def _get_completed(trials: Trials) -> tuple[Array, Array]:
    known = trials.find(Kind.COMPLETED)
    return trials.points[known], trials.values[known]


def _decode(points: Array) -> Iterable[dict[str, Any]]:
    """Yield the parameters at each place."""
    for point in points:
        params: dict[str, Any] = {}
        for axis, place in zip(AXES, point, strict=True):
            if isinstance(axis, Category):
                params[axis.name] = axis.levels[int(place)]
            else:
                value = min(max(float(axis.decode(np.array(place))), axis.low), axis.high)
                params[axis.name] = int(value) if axis.whole else value
        yield params


def _make_study(points: Array, values: Array) -> optuna.Study:
    space = make_space()
    study = optuna.create_study()
    study.add_trials(
        [
            optuna.create_trial(params=params, distributions=space, value=float(value))
            for params, value in zip(_decode(points), values, strict=True)
        ]
    )
    return study


def _grow_forest(points: Array, values: Array, seed: int) -> RandomForestRegressor:
    """Return a forest with Optuna's settings."""
    return RandomForestRegressor(n_estimators=TREES, max_depth=64, random_state=seed).fit(
        points, values
    )


def _list_leaves(tree: Any, axes: int) -> tuple[Array, Array, Array]:
    """Return the lowest and highest corners `[L, D]` of a tree's L leaves, and their values."""
    low, high = np.zeros((tree.node_count, axes)), np.ones((tree.node_count, axes))
    for node, (left, right) in enumerate(zip(tree.children_left, tree.children_right, strict=True)):
        if left >= 0:  # children come after their parents
            low[[left, right]], high[[left, right]] = low[node], high[node]
            high[left, tree.feature[node]] = low[right, tree.feature[node]] = tree.threshold[node]
    leaves = tree.children_left < 0
    return low[leaves], high[leaves], tree.value[leaves, 0, 0]


def _find_marginal_variance(low: Array, high: Array, leaves: Array, axes: list[int]) -> float:
    """Return the variance over one or two axes of a tree's mean over all others."""
    weights = leaves * np.prod(np.delete(high - low, axes, axis=1), axis=1)
    inside, sizes = [], []
    for axis in axes:
        ends = np.unique(np.concatenate([low[:, axis], high[:, axis]]))
        middle = (ends[1:] + ends[:-1])[:, None] / 2
        inside.append(((low[:, axis] < middle) & (middle < high[:, axis])).astype(float))
        sizes.append(np.diff(ends))
    if len(axes) == 1:
        marginal, size = inside[0] @ weights, sizes[0]
    else:
        marginal, size = (inside[0] * weights) @ inside[1].T, np.outer(*sizes)
    mean = np.sum(marginal * size)
    return float(np.sum((marginal - mean) ** 2 * size))


def _make_hyperparameter(axis: Any) -> Any:
    if isinstance(axis, Category):
        return CategoricalHyperparameter(axis.name, list(axis.levels))
    if axis.whole:
        return UniformIntegerHyperparameter(axis.name, int(axis.low), int(axis.high), log=axis.log)
    return UniformFloatHyperparameter(axis.name, axis.low, axis.high, log=axis.log)
