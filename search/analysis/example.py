"""A table of truly trained networks that comes with archloss, to try the analysis at once.

8,424 trainings of digits with 20% of the training labels replaced: all of 9 depths, residual and
plain, 13 mixes, 9 learning rates and 4 seeds, 20 epochs each, on one split. Made by
benchmarks/trained_table.py.
"""

from pathlib import Path

import pandas as pd

EXAMPLE_FILE = Path(__file__).with_name("example.parquet")
EXAMPLE_ERROR = "validation_error"
EXAMPLE_DATA = "digits:label_noise=0.2"
EXAMPLE_AXES = ("depth", "ce_weight", "learning_rate", "residual")
EXAMPLE_LOG = ("depth", "learning_rate")


def read_example() -> pd.DataFrame:
    """Return the table, a row for each training."""
    return pd.read_parquet(EXAMPLE_FILE)
