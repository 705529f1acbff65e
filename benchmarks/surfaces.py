"""Error surfaces whose truth is known, over depth, residual, mix, learning rate and width.

Errors are fractions. The best learning rate falls with depth, and a little with the mix; deeper
networks are worse, plain ones more so. What differs is how the error depends on the mix.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from digits_surface import DigitsSurface

from archloss.search.analysis.axes import Category, Numeric

if TYPE_CHECKING:
    from archloss.search.analysis.axes import Array

AXES = (
    Numeric(name="depth", low=1, high=32, log=True, whole=True),
    Category(name="residual", levels=(False, True)),
    Numeric(name="ce_weight", low=0.0, high=1.0),
    Numeric(name="learning_rate", low=1e-4, high=1e-1, log=True),
    Numeric(name="width", low=16, high=128, log=True, whole=True),
)
DEPTH, RESIDUAL, MIX, RATE, WIDTH = range(5)
PENALTY = 0.9
_STEPS = 201


def _bowl(mix: "Array", centre: "Array | float") -> "Array":
    return 0.08 * (mix - centre) ** 2


def _shift(size: float, *, plain_only: bool = False) -> Callable[..., "Array"]:
    def valley(depth: "Array", residual: "Array", mix: "Array") -> "Array":
        moves = np.where(residual > 0, 0.0, 1.0) if plain_only else 1.0
        return _bowl(mix, 0.5 + size * (depth - 0.5) * moves)

    return valley


def _edge(_depth: "Array", _residual: "Array", mix: "Array") -> "Array":
    return _bowl(mix, 1.1)


def _flat(_depth: "Array", _residual: "Array", mix: "Array") -> "Array":
    return 0.1 * np.maximum(np.abs(mix - 0.5) - 0.25, 0.0) ** 2


def _two_valleys(depth: "Array", _residual: "Array", mix: "Array") -> "Array":
    left, right = (np.exp(-(((mix - centre) / 0.2) ** 2)) for centre in (0.15, 0.85))
    return 0.02 * (1 - (0.8 - 0.4 * (depth - 0.5)) * left - (0.8 + 0.4 * (depth - 0.5)) * right)


def _steep_shift(*, plain_only: bool = False) -> Callable[..., "Array"]:
    shift = _shift(1.0, plain_only=plain_only)
    return lambda depth, residual, mix: 2 * shift(depth, residual, mix)


def _jump(depth: "Array", _residual: "Array", mix: "Array") -> "Array":
    return 1.5 * _bowl(mix, 0.5 + 0.35 * np.tanh(8 * (depth - 0.6)))


def _swap(depth: "Array", _residual: "Array", mix: "Array") -> "Array":
    left, right = (np.exp(-(((mix - centre) / 0.2) ** 2)) for centre in (0.15, 0.85))
    return 0.05 * (1 - (0.8 - 1.2 * (depth - 0.5)) * left - (0.8 + 1.2 * (depth - 0.5)) * right)


def _heights(depth: "Array", _residual: "Array", mix: "Array") -> "Array":
    return (0.02 + 0.3 * depth) * (mix - 0.75) ** 2


def _cliff(depth: "Array", _residual: "Array", mix: "Array") -> "Array":
    return _bowl(mix, 0.6) + 0.3 / (1 + np.exp(-20 * (depth - 0.5 - 2 * mix)))


def _ties(depth: "Array", _residual: "Array", mix: "Array") -> "Array":
    end = np.abs(2 * mix - 1) ** 30
    worse = np.where((mix < 0.5) == (depth < 0.5), 0.0, 0.043)
    return end * worse + (1 - end) * (0.02 + 0.006 * np.abs(mix - 0.5))


@dataclass(frozen=True, kw_only=True)
class Truth:
    """A surface: its `valley` along the mix, the noise, and whether a tenth of trials diverge.

    Depth and mix are from 0 to 1; `noise` gives the deviation at a depth, and `tilt` says how far
    the best learning rate falls with the mix. Where it is `halved`, trials are seen at two rungs
    before the end, and successive halving stops two thirds of them at each.
    """

    valley: Callable[..., "Array"]
    noise: Callable[["Array"], "Array"] = lambda depth: np.full_like(depth, 0.01)
    diverges: bool = False
    tilt: float = 0.15
    halved: bool = False

    def get_error(self, points: "Array") -> "Array":
        """Return the expected error of what does not diverge, at places `[..., D]` of AXES."""
        depth, residual, mix = points[..., DEPTH], points[..., RESIDUAL], points[..., MIX]
        rate = 0.7 - 0.4 * depth - self.tilt * (mix - 0.5)
        error = 0.06 + 0.06 * depth**2 * (1 - 0.6 * residual)
        error += 0.14 * (points[..., RATE] - rate) ** 2 + 0.04 * (points[..., WIDTH] - 0.6) ** 2
        return error + self.valley(depth, residual, mix)

    def get_divergence(self, points: "Array") -> "Array":
        """Return the chance to diverge: a tenth over the whole search, nearly all at high rates."""
        if not self.diverges:
            return np.zeros(points.shape[:-1])
        return 1 / (1 + np.exp(-25 * (points[..., RATE] + 0.15 * points[..., DEPTH] - 1.0)))

    def expect(self, points: "Array") -> "Array":
        """Return the expected error, with what diverges at PENALTY."""
        error, chance = self.get_error(points), self.get_divergence(points)
        return error + chance * (PENALTY - error)

    def draw(
        self, points: "Array", random: np.random.Generator
    ) -> tuple["Array", npt.NDArray[np.bool_]]:
        """Return a noisy error for each point `[N]`, and which diverged."""
        diverged = random.uniform(size=len(points)) < self.get_divergence(points)
        noise = self.noise(points[:, DEPTH]) * random.standard_normal(len(points))
        values = np.clip(self.get_error(points) + noise, 0.0, PENALTY)
        return np.where(diverged, PENALTY, values), diverged

    def begin(self, points: "Array", values: "Array", random: np.random.Generator) -> "Array":
        """Return the errors `[N, 2]` at two rungs of trials that end at `values` `[N]`.

        They are higher where networks are deep and learning rates low, the more so with another
        mix, and have a noise of their own of 2 points and of 1.
        """
        depth, mix = points[:, DEPTH], points[:, MIX]
        slow = 0.05 * (depth - points[:, RATE]) + 0.1 * (depth - 0.5) * (mix - 0.5)
        first = 0.35 + 0.6 * values + 2 * slow + 0.02 * random.standard_normal(len(points))
        second = 0.12 + 0.8 * values + slow + 0.01 * random.standard_normal(len(points))
        return np.stack([first, second], axis=1)

    def get_profile(self, depths: "Array", mixes: "Array") -> "Array":
        """Return the lowest expected error `[2, U, M]` for each residual, depth and mix."""
        rates = np.linspace(0, 1, _STEPS)
        grid = np.stack(np.meshgrid([0.0, 1.0], depths, mixes, rates, indexing="ij"), axis=-1)
        points = np.zeros((*grid.shape[:-1], len(AXES)))
        points[..., RESIDUAL], points[..., DEPTH] = grid[..., 0], grid[..., 1]
        points[..., MIX], points[..., RATE], points[..., WIDTH] = grid[..., 2], grid[..., 3], 0.6
        return np.asarray(self.expect(points).min(axis=-1))


TRUTHS: dict[str, Truth | DigitsSurface] = {
    "none": Truth(valley=_shift(0.0)),
    "small shift": Truth(valley=_shift(0.3)),
    "shift": Truth(valley=_shift(0.6)),
    "large shift": Truth(valley=_shift(0.8)),
    "edge to edge": Truth(valley=_shift(1.0)),
    "plain only": Truth(valley=_shift(0.8, plain_only=True)),
    "edge": Truth(valley=_edge),
    "flat": Truth(valley=_flat),
    "two valleys": Truth(valley=_two_valleys),
    "noise grows": Truth(valley=_shift(0.6), noise=lambda depth: 0.004 + 0.016 * depth),
    "diverges": Truth(valley=_shift(0.6), diverges=True),
    "digits": DigitsSurface(order=(DEPTH, RESIDUAL, MIX, RATE), worst=PENALTY),
}

HALVED: dict[str, Truth] = {
    f"{name}, halved": Truth(valley=_shift(size), halved=True)
    for name, size in (("none", 0.0), ("shift", 0.6), ("edge to edge", 1.0))
}
"""What pruned trials say: the early errors also depend on depth and mix together, as speed does."""

TIES: dict[str, Truth] = {"near ties": Truth(valley=_ties)}
"""For confirmation.py alone: each end of the mix is by far the best for half of the depths, and all
mixes are nearly as good for all of them."""

CONTRASTS: dict[str, Truth] = {
    "steep edge to edge": Truth(valley=_steep_shift()),
    "steep plain only": Truth(valley=_steep_shift(plain_only=True)),
    "jump": Truth(valley=_jump),
    "valleys swap": Truth(valley=_swap),
    "same best, other heights": Truth(valley=_heights),
    "same best, other rates": Truth(valley=_shift(0.0), tilt=0.6),
    "same best, cliff": Truth(valley=_cliff),
}
"""For importances.py alone: four where the best mix moves at a high cost, and three where depth and
mix act together, strongly, without moving it: in how much the mix matters, in where the best
learning rate is, and in where errors are far too high to be of interest."""
