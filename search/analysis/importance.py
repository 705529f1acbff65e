"""Which axes the objective depends on: the surface's functional analysis of variance.

The surface is a sum of functions with mean 0 and variance 1 over the uniform search, uncorrelated
with each other. So a term's variance is the sum of its squared weights, and its share of the
whole is its Sobol index (Sobol 1993; Hutter, Hoos and Leyton-Brown 2014, for hyperparameters). It
is of the surface of trials that do not diverge, on the scale of the fit.

T draw, P function, G term.
"""

from dataclasses import dataclass

import numpy as np

from archloss.search.analysis.axes import Array
from archloss.search.analysis.surface import Surface
from archloss.search.analysis.verdict import LEVEL, Interval


@dataclass(frozen=True, kw_only=True)
class Share:
    """The share of the surface's variance that some axes have together, from 0 to 1."""

    axes: tuple[str, ...]
    share: Interval


@dataclass(frozen=True, kw_only=True)
class Importance:
    """Shares of the surface's variance, the largest first.

    `terms` are the main effects and interactions, which sum to 1; `totals` are, for each axis, all
    terms that it is in. `explained` is the surface's share of what a trial's objective varies by,
    the rest being noise. `logarithmic` says that all is of the objective's logarithm.
    """

    logarithmic: bool
    explained: Interval
    terms: tuple[Share, ...]
    totals: tuple[Share, ...]


def find_importance(surface: Surface) -> Importance:
    """Return the shares of the surface's terms, with intervals from its draws."""
    basis = surface.posterior.basis
    names = [axis.name for axis in basis.axes]
    starts = np.flatnonzero(np.diff(basis.groups, prepend=-1))
    variances = np.add.reduceat(surface.posterior.weights**2, starts, axis=1)  # [T, G]
    whole = variances.sum(axis=1)
    noise = (surface.noise**2).mean(axis=1)
    shares = variances / np.maximum(whole, np.finfo(float).tiny)[:, None]
    terms = [
        Share(axes=tuple(names[axis] for axis in term.axes), share=make_interval(shares[:, group]))
        for group, term in enumerate(basis.terms)
    ]
    totals = [
        Share(
            axes=(name,),
            share=make_interval(shares[:, [axis in term.axes for term in basis.terms]].sum(axis=1)),
        )
        for axis, name in enumerate(names)
    ]
    return Importance(
        logarithmic=surface.scale.offset is not None,
        explained=make_interval(whole / np.maximum(whole + noise, np.finfo(float).tiny)),
        terms=_sort(terms),
        totals=_sort(totals),
    )


def make_interval(draws: Array) -> Interval:
    """Return the mean of draws `[T]`, and the interval that leaves out equal parts of them."""
    tail = (1 - LEVEL) / 2
    estimate = float(draws.mean())
    low, high = (float(end) for end in np.quantile(draws, [tail, 1 - tail]))
    return Interval(estimate=estimate, low=min(low, estimate), high=max(high, estimate))


def _sort(shares: list[Share]) -> tuple[Share, ...]:
    return tuple(sorted(shares, key=lambda share: -share.share.estimate))
