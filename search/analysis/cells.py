"""What the cells of a designed experiment are expected to reach: draws, by Gibbs sampling.

`value = context + choice + slope * context's place + scatter + jump + replicate in that context +
noise`, at each level of `by` apart. What a context does to a choice is so of three kinds, each with
a scale that is learned: a slope of each choice over the contexts, as where the best choice moves
steadily; a little in every cell; and jumps in a few. Effects of choices and jumps have
horseshoe priors (Carvalho, Polson and Scott 2010; drawn as Makalic and Schmidt 2016): what is small
shrinks to nothing, so that the least of some noisy cells is not taken for the best, and what is
large, such as a cell in which half of the networks collapse, is left alone and bends nothing beside
it, as smooth curves over choices would. Noise has a variance in each cell, pulled together within a
context, and is no less than that of rounding to the values' steps: mixes that reach exactly the
same, as on few examples, would leave no noise to tell others by. What a replicate does to all cells
of a context is its split's and its seed's: no noise of theirs.

L level, D context, M choice, R replicate, T draw.
"""

from dataclasses import dataclass

import numpy as np

from archloss.search.analysis.axes import Array

_NOISE_PRIOR = 4.0
"""The cells' noise is pulled together as if by so many trainings each."""
_SMALLEST = 1e-12
_STEPS = 0.25
"""The share of gaps between values that may be smaller than their step."""
_SAME = 1e-9
"""Of the range of values; what is closer differs by rounding alone."""


def draw_cells(values: Array, *, random: np.random.Generator, draws: int, burn_in: int) -> Array:
    """Return draws `[T, L, D, M]` of the cells' expectations, from their values `[L, D, M, R]`."""
    centre, unit = float(values.mean()), float(values.std()) or 1.0
    chain = _Chain((values - centre) / unit, random, least=(find_step(values) / unit) ** 2 / 12)
    for _ in range(burn_in):
        chain.sweep()
    return np.stack([chain.sweep() for _ in range(draws)]) * unit + centre


def find_step(values: Array) -> float:
    """Return how far apart values next to each other are, as errors counted on few examples.

    A few odd ones, as what diverged counts as, do not matter; of what is not counted it is next to
    nothing.
    """
    distinct = np.unique(values)
    gaps = np.diff(distinct)
    gaps = gaps[gaps > _SAME * (distinct[-1] - distinct[0])]
    return float(np.quantile(gaps, _STEPS, method="lower")) if len(gaps) else 0.0


@dataclass(kw_only=True, eq=False)
class _Horseshoe:
    """Effects `[L, ...]` with a scale for each and one for all of a level, as squares."""

    own: Array
    whole: Array
    typical: Array

    @property
    def precision(self) -> Array:
        return 1 / np.maximum(self.own * _spread(self.whole, self.own), _SMALLEST)

    def draw(self, effects: Array, random: np.random.Generator) -> None:
        """Draw the scales given the effects; half-Cauchys by two inverse gammas each."""
        mixing = (1 + 1 / self.own) / random.standard_gamma(1.0, self.own.shape)
        shares = effects**2 / _spread(self.whole, effects) / 2
        self.own = _bound((1 / mixing + shares) / random.standard_gamma(1.0, self.own.shape))
        squares = (effects**2 / self.own).reshape(len(effects), -1).sum(axis=1)
        self.whole = _draw_whole(self, squares, effects[0].size, random)


@dataclass(kw_only=True, eq=False)
class _Normal:
    """Effects `[L, ...]` with one variance for all of a level, a half-Cauchy's square."""

    whole: Array
    typical: Array

    def get_precision(self, effects: Array) -> Array:
        """Return the effects' precision, for each level."""
        return 1 / _spread(self.whole, effects)

    def draw(self, effects: Array, random: np.random.Generator) -> None:
        """Draw the variance given the effects; the half-Cauchy by two inverse gammas."""
        squares = (effects**2).reshape(len(effects), -1).sum(axis=1)
        self.whole = _draw_whole(self, squares, effects[0].size, random)


class _Chain:
    """One Markov chain over all levels at once; they share nothing."""

    def __init__(self, values: Array, random: np.random.Generator, *, least: float) -> None:
        levels, contexts, choices, replicates = values.shape
        self._values, self._random = values, random
        self._least = max(least, _SMALLEST)  # of noise, a variance
        self._replicates = replicates
        means = values.mean(axis=3)
        self._contexts = np.median(means, axis=2)  # [L, D]
        self._choices = np.zeros((levels, choices))
        self._slopes = np.zeros((levels, choices))
        self._scatter = np.zeros_like(means)
        self._jumps = means - self._contexts[:, :, None]
        self._blocks = np.median(values - means[..., None], axis=2)  # [L, D, R]
        rest = values - means[..., None] - self._blocks[:, :, None]
        self._noise = np.maximum((rest**2).mean(axis=3), self._least)  # [L, D, M], variances
        self._pooled = np.median(self._noise, axis=2)  # [L, D]
        self._block_variance = np.maximum((self._blocks**2).mean(axis=2), _SMALLEST)
        typical = np.median(self._noise, axis=(1, 2)) / replicates
        places = np.linspace(-1, 1, contexts)
        self._places = (places / places.std())[:, None]  # [D, 1]
        self._choice_scales = _Horseshoe(
            own=np.ones((levels, choices)), whole=typical.copy(), typical=typical
        )
        self._slope_scales = _Normal(whole=typical.copy(), typical=typical)
        self._scatter_scales = _Normal(whole=typical.copy(), typical=typical)
        # Wide enough for what is seen: else jumps would begin as nothing and large noise, and stay.
        own = np.maximum(self._jumps**2 / typical[:, None, None], 1.0)
        self._jump_scales = _Horseshoe(own=own, whole=typical.copy(), typical=typical)

    def sweep(self) -> Array:
        """Draw everything once; return the cells' expectations `[L, D, M]`."""
        cells = (self._values - self._blocks[:, :, None]).mean(axis=3)
        precision = self._replicates / self._noise
        along = self._places * self._slopes[:, None]
        rest = cells - self._choices[:, None] - along - self._scatter - self._jumps
        self._contexts = self._draw_normal((precision * rest).sum(axis=2), precision.sum(axis=2))
        rest += self._choices[:, None] - self._contexts[:, :, None]
        self._choices = self._draw_normal(
            (precision * rest).sum(axis=1),
            precision.sum(axis=1) + self._choice_scales.precision,
        )
        rest += along - self._choices[:, None]
        self._slopes = self._draw_normal(
            (precision * self._places * rest).sum(axis=1),
            (precision * self._places**2).sum(axis=1)
            + self._slope_scales.get_precision(self._slopes),
        )
        rest += self._scatter - self._places * self._slopes[:, None]
        self._scatter = self._draw_normal(
            precision * rest, precision + self._scatter_scales.get_precision(rest)
        )
        rest += self._jumps - self._scatter
        self._jumps = self._draw_normal(precision * rest, precision + self._jump_scales.precision)
        self._choice_scales.draw(self._choices, self._random)
        self._slope_scales.draw(self._slopes, self._random)
        self._scatter_scales.draw(self._scatter, self._random)
        self._jump_scales.draw(self._jumps, self._random)
        expected = cells - rest + self._jumps
        self._draw_blocks(expected)
        expected += self._shift()[..., None]
        self._draw_noise(expected)
        return np.asarray(expected)

    def _draw_normal(self, side: Array, precision: Array) -> Array:
        noise = self._random.standard_normal(side.shape)
        return np.asarray(side / precision + noise / np.sqrt(precision))

    def _draw_blocks(self, expected: Array) -> None:
        rest = (self._values - expected[..., None]) / self._noise[..., None]
        precision = (1 / self._noise).sum(axis=2) + 1 / self._block_variance  # [L, D]
        sides = rest.sum(axis=2)
        self._blocks = self._draw_normal(sides, np.broadcast_to(precision[..., None], sides.shape))
        squares = (self._blocks**2).sum(axis=2) + self._pooled
        shape = (self._replicates + 1) / 2
        chance = self._random.standard_gamma(shape, squares.shape)
        self._block_variance = _bound(squares / 2 / chance)

    def _shift(self) -> Array:
        """Move contexts against their replicates by a draw `[L, D]`: no value is moved by that.

        Where there is next to no noise, contexts and replicates given each other stay where they
        are, and what the replicates' mean leaves unknown of the context would not be seen.
        """
        shift = self._draw_normal(
            self._blocks.sum(axis=2) / self._block_variance,
            self._replicates / self._block_variance,
        )
        self._contexts += shift
        self._blocks -= shift[..., None]
        return shift

    def _draw_noise(self, expected: Array) -> None:
        """Draw each cell's noise, and what those of a context are pulled to.

        The latter is also the scale of what replicates vary by, and learns nothing from that (a
        cut; Plummer 2015, Statistics and Computing 25(1)): it would move intervals by 1%.
        """
        rest = self._values - expected[..., None] - self._blocks[:, :, None]
        squares = (rest**2).sum(axis=3) + _NOISE_PRIOR * self._pooled[..., None]
        shape = (self._replicates + _NOISE_PRIOR) / 2
        drawn = squares / 2 / self._random.standard_gamma(shape, squares.shape)
        self._noise = _bound(drawn, self._least)
        choices = self._noise.shape[2]
        rate = (_NOISE_PRIOR * (1 / self._noise).sum(axis=2)) / 2
        shape = choices * _NOISE_PRIOR / 2
        self._pooled = _bound(self._random.standard_gamma(shape, rate.shape) / rate)


def _draw_whole(
    scales: _Horseshoe | _Normal, squares: Array, count: int, random: np.random.Generator
) -> Array:
    """Return a draw of the square of what all effects of a level have in common."""
    mixing = (1 / scales.typical + 1 / scales.whole) / random.standard_gamma(1.0, squares.shape)
    shape = (count + 1) / 2
    return _bound((1 / mixing + squares / 2) / random.standard_gamma(shape, squares.shape))


def _spread(scales: Array, effects: Array) -> Array:
    return scales.reshape(-1, *(1,) * (effects.ndim - 1))


def _bound(squares: Array, least: float = _SMALLEST) -> Array:
    """Return squares that neither vanish nor overflow, as draws from heavy tails may."""
    return np.minimum(np.maximum(squares, least), 1 / _SMALLEST)
