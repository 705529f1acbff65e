"""Which axes the objective depends on: the surface's functional analysis of variance.

The surface is a sum of functions with mean 0 and variance 1 over a range from 0 to 1, uncorrelated
with each other. There a term's variance is the sum of its squared weights, and its share of the
whole is its Sobol index (Sobol 1993; Hutter, Hoos and Leyton-Brown 2014, for hyperparameters). Over
a grid or whole numbers means and variances are others, and part of an interaction falls to the axes
in it: both are worked out for the places that are searched. All is of the surface of trials that do
not diverge, on the scale of the fit.

T draw, P function, G term.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from archloss.search.analysis.axes import Array, Category
from archloss.search.analysis.basis import Basis
from archloss.search.analysis.surface import Surface
from archloss.search.analysis.uniform import list_cells
from archloss.search.analysis.verdict import LEVEL, Interval


@dataclass(frozen=True, kw_only=True)
class Share:
    """The share of the surface's variance that some axes have together, from 0 to 1."""

    axes: tuple[str, ...]
    share: Interval


@dataclass(frozen=True, kw_only=True, eq=False)
class Importance:
    """Shares of the surface's variance, the largest first.

    `terms` are the main effects and interactions, which sum to 1, and `draws` `[T, G]` what they
    are in each draw; `totals` are, for each axis, all terms that it is in. `explained` is the
    surface's share of what a trial's objective varies by, the rest being noise. `known` is how much
    of the surface's variance its draws agree on, from 0 to 1: the shares of what they do not agree
    on are the prior's. `logarithmic` says that all is of the objective's logarithm.
    """

    logarithmic: bool
    explained: Interval
    known: float
    terms: tuple[Share, ...]
    draws: Array
    totals: tuple[Share, ...]

    def add(self, places: Sequence[int]) -> Interval:
        """Return the share of several terms together, given by their places among `terms`."""
        return Interval.of(self.draws[:, list(places)].sum(axis=1))

    def add_orders(self) -> dict[int, Interval]:
        """Return the share of all terms of one axis, of two, and so on."""
        orders = [len(term.axes) for term in self.terms]
        return {
            order: self.add([place for place, one in enumerate(orders) if one == order])
            for order in sorted(set(orders))
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class _Moments:
    """The mean `[A]` of an axis's functions over the search, and their covariance `[A, A]`."""

    mean: Array
    covariance: Array


def find_importance(surface: Surface) -> Importance:
    """Return the shares of the surface's terms, with intervals from its draws."""
    basis = surface.posterior.basis
    names = [axis.name for axis in basis.axes]
    parts = split_variance(basis, surface.posterior.weights)
    variances = np.stack(list(parts.values()), axis=1)
    whole = variances.sum(axis=1)
    shares = variances / np.maximum(whole, np.finfo(float).tiny)[:, None]
    order = np.argsort(-shares.mean(axis=0), kind="stable")
    keys = list(parts)
    totals = [
        Share(
            axes=(name,),
            share=Interval.of(shares[:, [axis in key for key in keys]].sum(axis=1)),
        )
        for axis, name in enumerate(names)
    ]
    return Importance(
        logarithmic=surface.scale.offset is not None,
        explained=_find_explained(surface),
        known=_find_known(surface, whole),
        terms=tuple(
            Share(
                axes=tuple(names[axis] for axis in keys[place]),
                share=Interval.of(shares[:, place]),
            )
            for place in order
        ),
        draws=shares[:, order],
        totals=tuple(sorted(totals, key=lambda total: -total.share.estimate)),
    )


def _find_explained(surface: Surface) -> Interval:
    """Return the share of the surface in what trials vary by.

    A draw varies by what is not known too, and would explain a lot of mere noise. What two draws
    that have nothing to do with each other have in common does not.
    """
    weights, noise = surface.posterior.weights, (surface.noise**2).mean(axis=1)
    half = len(weights) // 2
    one, other = weights[:half], weights[half : 2 * half]
    basis = surface.posterior.basis
    common = (_sum_variance(basis, one + other) - _sum_variance(basis, one - other)) / 4
    mean = float(_sum_variance(basis, weights.mean(axis=0)[None])[0])
    common = np.maximum(common, 0.0)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(common / (common + noise[:half]), [tail, 1 - tail])
    estimate = mean / (mean + float(noise.mean()))
    return Interval.around(estimate, low, high)


def _find_known(surface: Surface, whole: Array) -> float:
    """Return the variance of the mean surface as a part of that of a draw, `whole` `[T]`."""
    mean = surface.posterior.weights.mean(axis=0)[None]
    known = _sum_variance(surface.posterior.basis, mean)[0]
    return float(known / max(float(whole.mean()), np.finfo(float).tiny))


def _sum_variance(basis: Basis, weights: Array) -> Array:
    return np.asarray(sum(split_variance(basis, weights).values()))


def split_variance(basis: Basis, weights: Array) -> dict[tuple[int, ...], Array]:
    """Return the variance `[T]` over the search of each term, by its axes, from weights `[T, P]`.

    A function of several axes is split into those of fewer, where one of them has a mean, and the
    rest: Sobol's components for independent axes, whatever the places on them.
    """
    moments = [_find_moments(basis, axis) for axis in range(len(basis.axes))]
    names = {frozenset(term.axes): term.axes for term in basis.terms}
    parts: dict[tuple[int, ...], Array] = {}
    for group, term in enumerate(basis.terms):
        own = basis.unpack(weights, group)
        for kept in _list_subsets(term.axes):
            left = _take_means(own, term.axes, kept, moments)
            key = names.get(frozenset(kept), kept)
            left = np.moveaxis(left, [1 + kept.index(axis) for axis in key], range(1, 1 + len(key)))
            parts[key] = left if key not in parts else _add(parts[key], left)
    return {
        key: _find_variance(part, [moments[axis] for axis in key]) for key, part in parts.items()
    }


def _find_moments(basis: Basis, index: int) -> _Moments:
    """Return the moments of an axis's functions, which its own term has all of."""
    own = next(group for group, term in enumerate(basis.terms) if term.axes == (index,))
    count = basis.terms[own].degrees[0]
    axis = basis.axes[index]
    cells = None if isinstance(axis, Category) else list_cells(axis)
    if cells is None:
        return _Moments(mean=np.zeros(count), covariance=np.eye(count))
    points = np.zeros((len(cells.places), len(basis.axes)))
    points[:, index] = cells.places
    functions = basis.evaluate(points)[:, basis.groups == own]
    mean = cells.chances @ functions
    away = functions - mean
    return _Moments(mean=mean, covariance=(away * cells.chances[:, None]).T @ away)


def _list_subsets(axes: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [kept for size in range(1, len(axes) + 1) for kept in combinations(axes, size)]


def _take_means(
    weights: Array, axes: tuple[int, ...], kept: tuple[int, ...], moments: Sequence[_Moments]
) -> Array:
    """Return weights `[T, ...]` of the functions of the axes `kept`: the mean over the others."""
    for place in reversed(range(len(axes))):
        if axes[place] not in kept:
            degree = weights.shape[1 + place]
            mean = moments[axes[place]].mean[:degree]
            weights = np.tensordot(weights, mean, axes=(1 + place, 0))
    return weights


def _add(one: Array, other: Array) -> Array:
    """Return the sum of weights `[T, ...]`, of which either may have more functions of an axis."""
    whole = np.zeros(np.maximum(one.shape, other.shape))
    for part in (one, other):
        whole[tuple(slice(size) for size in part.shape)] += part
    return whole


def _find_variance(weights: Array, moments: Sequence[_Moments]) -> Array:
    """Return the variance `[T]` of the product functions of weights `[T, ...]`."""
    spread = weights
    for place, one in enumerate(moments, start=1):
        count = weights.shape[place]
        turned = np.tensordot(spread, one.covariance[:count, :count], axes=(place, 0))
        spread = np.moveaxis(turned, -1, place)
    return np.asarray((weights * spread).reshape(len(weights), -1).sum(axis=1))
