"""The answer: how the best choice depends on a context, with interval, verdict and size."""
