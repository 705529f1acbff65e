"""Orthonormal functions of one axis: mean 0 and variance 1 where it is uniform, uncorrelated.

N point, K function.
"""

import functools

import numpy as np

from archloss.search.analysis.axes import Array, Axis, Category

_MOST_FUNCTIONS = 16


def evaluate_axis(axis: Axis, places: Array, count: int, *, bent: bool = False) -> Array:
    """Return the first functions of an axis `[..., K]` at places `[...]`.

    Along a number's axis these are Legendre's polynomials; where it is `bent`, polynomials of the
    place's angle `arcsin(sqrt(place))`, which see the ends of the range enlarged: the angular
    transformation of proportions (Bartlett 1947, Biometrics 3(1)). Along a category's they are
    Helmert's contrasts of its levels.
    """
    if isinstance(axis, Category):
        return make_contrasts(len(axis.levels))[places.astype(int), :count]
    return _evaluate_angular(places, count) if bent else _evaluate_legendre(places, count)


def make_contrasts(levels: int) -> Array:
    """Return Helmert's contrasts `[levels, levels - 1]`: mean 0, variance 1, uncorrelated."""
    contrasts = np.zeros((levels, levels - 1))
    for column in range(levels - 1):
        contrasts[: column + 1, column] = -1.0
        contrasts[column + 1, column] = column + 1.0
    return np.asarray(contrasts / np.sqrt((contrasts**2).mean(axis=0)))


def _evaluate_legendre(places: Array, count: int) -> Array:
    x = 2 * places - 1
    polynomials = [np.ones_like(x), x]
    for n in range(1, count):  # Bonnet's recursion
        polynomials.append(((2 * n + 1) * x * polynomials[n] - n * polynomials[n - 1]) / (n + 1))
    norms = np.sqrt(2 * np.arange(count + 1) + 1)
    return np.stack(polynomials[1 : count + 1], axis=-1) * norms[1:]


def _evaluate_angular(places: Array, count: int) -> Array:
    angles = _find_angle(np.clip(places, 0.0, 1.0))
    norms = _find_norms()
    before, last = np.zeros_like(angles), np.ones_like(angles)
    functions = []
    for n in range(count):
        before, last = last, (angles * last - norms[n] * before) / norms[n + 1]
        functions.append(last)
    return np.stack(functions, axis=-1)


@functools.cache
def _find_norms() -> Array:
    """Return what the recursion of the angle's polynomials divides by (Stieltjes's procedure).

    Their weight is even about the middle of the range, so that no other term appears in it.
    """
    nodes, weights = np.polynomial.legendre.leggauss(8 * _MOST_FUNCTIONS)  # along the angle
    density = weights * np.cos(np.pi / 2 * nodes)  # a uniform place, as seen from its angle
    density /= density.sum()
    norms = np.zeros(_MOST_FUNCTIONS + 1)
    before, last = np.zeros_like(nodes), np.ones_like(nodes)
    for n in range(_MOST_FUNCTIONS):
        new = nodes * last - norms[n] * before
        norms[n + 1] = np.sqrt(density @ new**2)
        before, last = last, new / norms[n + 1]
    return norms


def _find_angle(places: Array) -> Array:
    """Return the angle of places from 0 to 1, as a number from -1 to 1."""
    return np.asarray(4 / np.pi * np.arcsin(np.sqrt(places)) - 1)
