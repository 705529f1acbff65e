"""From the spec's `workers` to processes: one per GPU where torch can use GPUs, else per core."""

import os
from importlib import metadata

import pytest

from archloss.search.executors import make_executor
from archloss.search.spec import WorkersSpec
from archloss.workers.inline import InlineExecutor
from archloss.workers.machine import count_cores


def test_make_executor_inline():
    assert isinstance(make_executor(WorkersSpec(executor="inline")), InlineExecutor)


@pytest.mark.parametrize(
    ("torch", "device", "processes", "slots", "seen"),
    [
        ("2.13.0", "auto", "auto", 3, {"4", "5", "6"}),
        ("2.13.0", "cuda", 2, 2, {"4", "5"}),
        ("2.13.0", "cpu", "auto", count_cores(), {"4,5,6"}),
        ("2.13.0+cpu", "auto", 1, 1, {"4,5,6"}),
    ],
)
def test_make_executor_shows_each_process_its_gpu(
    monkeypatch, torch, device, processes, slots, seen
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6")
    monkeypatch.setattr(metadata, "version", lambda name: torch)
    executor = make_executor(WorkersSpec(executor="local", device=device, processes=processes))
    try:
        assert executor.slots == slots
        answers = [executor.submit(os.getenv, "CUDA_VISIBLE_DEVICES") for _ in range(20)]
        found = {answer.result(30) for answer in answers}
        assert found
        assert found <= seen
    finally:
        executor.close()
