"""What an error surface is made of: orthonormal functions of one to four axes.

A function of several axes is a product of functions of one (functions.py). All have mean 0 and
variance 1 where the axes are independent and uniform, so that the surface's variance is the sum of
its squared weights, and each group of functions is one term of its functional analysis of variance
(Sobol 1993). Of the products those are left out that are of a high degree along several axes at
once: they are many, and tell the least (Blatman and Sudret 2011, J. Comput. Phys. 230(6)).

N point, D axis, P function, G term.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from archloss.search.analysis.axes import Array, Axis, Category
from archloss.search.analysis.functions import evaluate_axis


@dataclass(frozen=True, kw_only=True)
class Roles:
    """Which axes the question is about, by index.

    How does the best `choice` move with `context`, and is it the same for all levels of `by`?
    """

    context: int
    choice: int
    by: int | None

    def list_others(self, axes: int) -> list[int]:
        """Return which of so many axes the question is not about."""
        return [axis for axis in range(axes) if axis not in (self.context, self.choice, self.by)]


@dataclass(frozen=True, kw_only=True)
class Term:
    """The functions of some axes together: up to `degrees` along each, and less along several."""

    axes: tuple[int, ...]
    degrees: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Detail:
    """The degrees of terms: of one axis (context, choice, another), of the question's two, ...

    Those of context, choice, another axis and `by` together are left out where `four` is 0.
    """

    one: tuple[int, int, int]
    question: tuple[int, int]
    pair: int
    three: int
    four: int


_COARSE = Detail(one=(7, 10, 6), question=(5, 8), pair=3, three=2, four=0)
_MIDDLE = Detail(one=(7, 10, 6), question=(5, 8), pair=4, three=3, four=3)
_FINE = Detail(one=(8, 12, 8), question=(7, 12), pair=8, three=4, four=4)
_MOST_MIDDLE, _MOST_FINE = 5, 3
"""With more other axes than these the next coarser terms are taken: time counts."""
_FEW_TRIALS, _MANY_TRIALS = 200, 2000


class Basis:
    """The functions of a surface, in the order of their terms.

    `powers` `[P, D]` is by how many degrees each function is more than a parabola along each axis.
    `detail` is what the terms were made by, and `bent` the axis whose functions see the ends of its
    range enlarged, if any does.
    """

    def __init__(
        self,
        axes: Sequence[Axis],
        terms: Sequence[Term],
        *,
        detail: Detail,
        bent: int | None = None,
    ) -> None:
        self.axes = tuple(axes)
        self.terms = tuple(terms)
        self.detail = detail
        self.bent = bent
        self._used = [_choose_products(axes, term) for term in terms]
        steps = [np.argwhere(used) for used in self._used]
        self.groups = np.repeat(np.arange(len(terms)), [len(step) for step in steps])
        self.powers = np.zeros((len(self.groups), len(axes)))
        for group, (term, step) in enumerate(zip(terms, steps, strict=True)):
            for place, axis in enumerate(term.axes):
                if not isinstance(axes[axis], Category):
                    self.powers[self.groups == group, axis] = np.maximum(step[:, place] - 1, 0)
        self._deepest = [
            max((t.degrees[t.axes.index(axis)] for t in terms if axis in t.axes), default=0)
            for axis in range(len(axes))
        ]

    def coarsen(self, *, alone: int, together: int) -> "Basis":
        """Return the terms of one axis and of two, of these degrees at most; no pairs for 0."""
        terms = [
            Term(
                axes=term.axes,
                degrees=tuple(
                    degree
                    if isinstance(self.axes[axis], Category)
                    else min(degree, alone if len(term.axes) == 1 else together)
                    for axis, degree in zip(term.axes, term.degrees, strict=True)
                ),
            )
            for term in self.terms
            if len(term.axes) <= (2 if together else 1)
        ]
        return Basis(self.axes, terms, detail=self.detail, bent=self.bent)

    def bend(self, axis: int | None) -> "Basis":
        """Return the same terms, with the ends of this axis enlarged, or of none."""
        return Basis(self.axes, self.terms, detail=self.detail, bent=axis)

    def evaluate(self, points: Array) -> Array:
        """Return the functions' values `[N, P]` at points `[N, D]`."""
        columns = self._evaluate_axes(points)
        return np.concatenate(
            [
                _multiply(columns, term)[:, used.ravel()]
                for term, used in zip(self.terms, self._used, strict=True)
            ],
            axis=1,
        )

    def unpack(self, weights: Array, group: int) -> Array:
        """Return a term's weights `[N, ...]`, by degree along each of its axes, of all `[N, P]`.

        Those of products that were left out are 0.
        """
        used = self._used[group]
        whole = np.zeros((len(weights), *used.shape))
        whole[:, used] = weights[:, self.groups == group]
        return whole

    def vary(self, points: Array, axis: int, steps: Array, weights: Array) -> Array:
        """Return the weighted sums of the functions `[N, S]` where one axis of `points` is varied.

        It is put to each of the places `steps`, `[S]` or `[N, S]`; `weights` are `[P]` or `[N, P]`.
        What the other axes contribute is worked out once for all steps.
        """
        columns = self._evaluate_axes(points)
        factors = np.zeros((len(points), 1 + self._deepest[axis]))  # of each function of the axis
        rows = weights if weights.ndim == 2 else weights[None, :]
        for group, term in enumerate(self.terms):
            own = self.unpack(rows, group)
            if axis not in term.axes:
                factors[:, 0] += (_multiply(columns, term) * own.reshape(len(rows), -1)).sum(axis=1)
                continue
            place = term.axes.index(axis)
            degree = term.degrees[place]
            others = _multiply(columns, term, without=axis)
            last = np.moveaxis(own, 1 + place, -1).reshape(len(rows), -1, degree)
            factors[:, 1 : 1 + degree] += (others[:, None, :] @ last)[:, 0]
        functions = self._evaluate_axis(axis, steps)
        along = (
            (functions @ factors[:, 1:, None])[..., 0]
            if steps.ndim == 2
            else (factors[:, 1:] @ functions.T)
        )
        return factors[:, :1] + along

    def _evaluate_axes(self, points: Array) -> list[Array]:
        return [self._evaluate_axis(axis, points[:, axis]) for axis in range(len(self.axes))]

    def _evaluate_axis(self, axis: int, places: Array) -> Array:
        bent = axis == self.bent
        return evaluate_axis(self.axes[axis], places, self._deepest[axis], bent=bent)


def list_details(trials: int, others: int) -> tuple[Detail, ...]:
    """Return the details for so many trials over so many other axes, of which the data choose."""
    if others > _MOST_MIDDLE or trials < _FEW_TRIALS:
        return (_COARSE,)
    details = (_MIDDLE, _FINE) if others <= _MOST_FINE else (_MIDDLE,)
    return details[-1:] if trials >= _MANY_TRIALS else details


def make_basis(
    axes: Sequence[Axis], distinct: Sequence[int], roles: Roles, *, detail: Detail
) -> Basis:
    """Return the basis of this detail over axes of which `distinct` values each were tried.

    The axes of the question have the finest functions. No three axes act together unless one of
    them, at least, is of the question, and no four unless three of them are.
    """
    most = [
        len(axis.levels) - 1 if isinstance(axis, Category) else max(count - 1, 1)
        for axis, count in zip(axes, distinct, strict=True)
    ]

    def make(*parts: tuple[int, int]) -> Term:
        degrees = tuple(
            most[axis] if isinstance(axes[axis], Category) else min(degree, most[axis])
            for axis, degree in parts
        )
        return Term(axes=tuple(axis for axis, _ in parts), degrees=degrees)

    context, choice, by = roles.context, roles.choice, roles.by
    others = roles.list_others(len(axes))
    one_context, one_choice, one_other = detail.one
    pair, three = detail.pair, detail.three
    terms = [make((context, one_context)), make((choice, one_choice))]
    terms += [make((context, detail.question[0]), (choice, detail.question[1]))]
    for place, other in enumerate(others):
        terms += [make((other, one_other)), make((context, pair), (other, pair))]
        terms += [make((choice, pair), (other, pair))]
        terms += [make((context, three), (choice, three), (other, three))]
        terms += [make((other, 3), (another, 3)) for another in others[:place]]
    if by is not None:
        terms += [make((by, 1)), make((context, one_context), (by, 1))]
        terms += [make((choice, one_choice), (by, 1))]
        terms += [
            make((context, detail.question[0] - 1), (choice, detail.question[1] - 2), (by, 1))
        ]
        for other in others:
            terms += [
                make((other, one_other), (by, 1)),
                make((context, pair), (other, pair), (by, 1)),
            ]
            terms += [make((choice, three), (other, three), (by, 1))]
            if detail.four:
                four = detail.four
                terms += [make((context, four), (choice, four), (other, four), (by, 1))]
    return Basis(axes, terms, detail=detail)


def _choose_products(axes: Sequence[Axis], term: Term) -> npt.NDArray[np.bool_]:
    """Return which products of a term's functions are taken, by degree along each axis.

    A parabola along one axis, or a bend, uses up a part of what there may be along the others.
    """
    parts = np.zeros(term.degrees)
    for steps, axis in zip(np.indices(term.degrees), term.axes, strict=True):
        if not isinstance(axes[axis], Category):
            parts += steps / max(int(steps.max()), 1)
    return np.asarray(parts < 1 + 1e-9)


def _multiply(columns: Sequence[Array], term: Term, *, without: int | None = None) -> Array:
    """Return a term's products `[N, ...]` of the functions of its axes, but of `without`."""
    product = np.ones((len(columns[0]), 1))
    for axis, degree in zip(term.axes, term.degrees, strict=True):
        if axis != without:
            product = product[:, :, None] * columns[axis][:, None, :degree]
            product = product.reshape(len(product), -1)
    return product
