"""The answer: how the best choice depends on a context: an interval, a verdict and its size."""

FEWEST_REPLICATES = 6
"""An experiment with fewer tells next to nothing: its tests have 5 degrees of freedom or fewer."""
