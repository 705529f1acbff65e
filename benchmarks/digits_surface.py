"""A surface learned from truly trained networks: the digits of `archloss report --example`.

A Gaussian process for the logarithm of a cell's mean error, residual and plain networks apart, with
Matern kernels (smoothness 5/2) whose lengths were fitted once. It is none of the functions that the
analysis is made of, and has what made-up surfaces lack: in residual networks the best mix lies next
to a cliff, at mean squared error alone, that rises with depth.
"""

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy.interpolate import RegularGridInterpolator
from scipy.linalg import cho_factor, cho_solve
from scipy.spatial.distance import cdist

from archloss.search.analysis.example import read_example

if TYPE_CHECKING:
    from archloss.search.analysis.axes import Array

RELATIVE_NOISE = 0.16
"""The deviation between seeds, as a share of the error: it is the same for good and bad cells."""
_DEPTHS, _RATES = (1.0, 32.0), (1e-4, 1e-1)
_KERNELS = {
    False: (0.877, np.array([0.27, 1.52, 0.22]), 0.00717),
    True: (3.96, np.array([1.35, 0.604, 0.562]), 0.00744),
}
"""Deviation, lengths along depth, the root of the mix and learning rate, and noise variance."""
_GRID = (np.linspace(0, 1, 31), np.linspace(0, 1, 81) ** 2, np.linspace(0, 1, 41))


@dataclass(frozen=True, kw_only=True)
class DigitsSurface:
    """A truth as those of `surfaces.py`; `order` gives the axes of depth, residual, mix, rate."""

    order: tuple[int, int, int, int]
    worst: float

    def expect(self, points: "Array") -> "Array":
        """Return the expected error at places `[..., D]`."""
        depth, residual, mix, rate = (points[..., axis] for axis in self.order)
        plain, skipping = _interpolate()
        places = np.stack([depth, mix, rate], axis=-1)
        return np.asarray(np.exp(np.where(residual > 0, skipping(places), plain(places))))

    def draw(
        self, points: "Array", random: np.random.Generator
    ) -> tuple["Array", npt.NDArray[np.bool_]]:
        """Return a noisy error for each point `[N]`; none diverges."""
        noise = np.exp(RELATIVE_NOISE * random.standard_normal(len(points)) - RELATIVE_NOISE**2 / 2)
        return np.minimum(self.expect(points) * noise, self.worst), np.zeros(len(points), bool)

    def get_profile(self, depths: "Array", mixes: "Array") -> "Array":
        """Return the lowest expected error `[2, U, M]` for each residual, depth and mix."""
        grid = np.stack(np.meshgrid([0.0, 1.0], depths, mixes, _GRID[2], indexing="ij"), axis=-1)
        points = np.zeros((*grid.shape[:-1], max(self.order) + 1))
        depth, residual, mix, rate = self.order
        points[..., residual], points[..., depth] = grid[..., 0], grid[..., 1]
        points[..., mix], points[..., rate] = grid[..., 2], grid[..., 3]
        return np.asarray(self.expect(points).min(axis=-1))


@functools.cache
def _interpolate() -> tuple[RegularGridInterpolator, RegularGridInterpolator]:
    """Return the logarithm of the error over depth, mix and rate: plain, residual."""
    table = read_example()
    mean = table.groupby(["residual", "depth", "ce_weight", "learning_rate"])["validation_error"]
    cells = mean.mean().reset_index()
    plain, skipping = (
        _fit(cells[cells["residual"] == residual], *_KERNELS[residual])
        for residual in (False, True)
    )
    return plain, skipping


def _fit(cells, deviation: float, lengths: "Array", noise: float) -> RegularGridInterpolator:
    known = _stretch(
        *(cells[name].to_numpy(float) for name in ("depth", "ce_weight", "learning_rate"))
    )
    target = np.log(cells["validation_error"].to_numpy(float))
    centre, unit = target.mean(), target.std()
    matrix = _correlate(known, known, deviation, lengths) + noise * np.eye(len(known))
    weights = cho_solve(cho_factor(matrix), (target - centre) / unit)
    depth, mix, rate = np.meshgrid(*_GRID, indexing="ij")
    depths = np.clip(_DEPTHS[0] * (_DEPTHS[1] / _DEPTHS[0]) ** depth, 1, cells["depth"].max())
    rates = _RATES[0] * (_RATES[1] / _RATES[0]) ** rate
    rates = np.maximum(rates, cells["learning_rate"].min())
    asked = _stretch(depths.ravel(), mix.ravel(), rates.ravel())
    values = np.concatenate(
        [
            _correlate(part, known, deviation, lengths) @ weights
            for part in np.array_split(asked, 50)
        ]
    )
    return RegularGridInterpolator(_GRID, (centre + unit * values).reshape(depth.shape))


def _stretch(depths: "Array", mixes: "Array", rates: "Array") -> "Array":
    log_depth = np.log(depths) / np.log(_DEPTHS[1])
    return np.stack([log_depth, np.sqrt(mixes), np.log(rates / 1e-4) / np.log(1e3)], axis=1)


def _correlate(one: "Array", other: "Array", deviation: float, lengths: "Array") -> "Array":
    """Return Matern's covariance with smoothness 5/2 (Rasmussen and Williams 2006, eq. 4.17)."""
    distance = np.sqrt(5) * cdist(one / lengths, other / lengths)
    return np.asarray(deviation**2 * (1 + distance + distance**2 / 3) * np.exp(-distance))
