"""The answer: how the best choice depends on a context, with an interval, a verdict and its size."""
