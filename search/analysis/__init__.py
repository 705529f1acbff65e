"""The answer: how the best choice depends on a context: an interval, a verdict and its size."""
