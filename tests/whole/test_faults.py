"""The fault campaign in short: a study survives kills, and full disks where one can be mounted."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CAMPAIGN = ROOT / "benchmarks" / "faults.py"
FAULTS = 3


@pytest.mark.timeout(300)
def test_study_is_exact_and_equals_undisturbed_training_after_random_faults():
    seed = random.SystemRandom().randrange(1_000_000)
    ended = subprocess.run(
        [
            *(sys.executable, str(CAMPAIGN), "--place", "local", "--seed", str(seed)),
            *("--faults", str(FAULTS), "--trials", "32"),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, f"seed {seed}: {ended.stdout}\n{ended.stderr}"
    row = re.search(rf"\| local \| {seed} \| (\d+) \|", ended.stdout)
    assert row is not None, f"seed {seed}: {ended.stdout}"
    assert int(row[1]) == FAULTS, f"seed {seed}: {ended.stderr}"
