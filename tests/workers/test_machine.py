"""What the machine offers, without loading anything of CUDA."""

import os

import pytest

from archloss.workers.machine import count_cores, describe_device, list_gpus


@pytest.mark.parametrize(
    ("visible", "gpus"), [("0,1", ("0", "1")), ("GPU-ab", ("GPU-ab",)), ("", ()), ("-1", ())]
)
def test_list_gpus_believes_the_variable(monkeypatch, visible, gpus):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert list_gpus() == gpus


@pytest.mark.parametrize(
    ("script", "gpus"),
    [("echo 0; echo 1", ("0", "1")), ("echo 'No devices were found'; exit 6", ()), ("true", ())],
)
def test_list_gpus_asks_the_driver(monkeypatch, tmp_path, script, gpus):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert list_gpus() == gpus


def test_list_gpus_finds_none_without_a_driver(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert list_gpus() == ()


def test_count_cores_counts_those_of_this_process():
    assert 1 <= count_cores() <= (os.cpu_count() or 1)


LISTING = """
GPU 0: NVIDIA H200 (UUID: GPU-11)
  MIG 1g.18gb     Device  0: (UUID: MIG-aa)
  MIG 3g.71gb     Device  1: (UUID: MIG-bb)
GPU 1: NVIDIA A100-SXM4-80GB (UUID: GPU-22)
"""


@pytest.mark.parametrize(
    ("visible", "device"),
    [
        (None, "NVIDIA H200"),
        ("0,1", "NVIDIA H200"),
        ("1,0", "NVIDIA A100-SXM4-80GB"),
        ("GPU-2", "NVIDIA A100-SXM4-80GB"),
        ("MIG-bb", "NVIDIA H200 MIG 3g.71gb"),
        ("", "cpu"),
        ("-1", "cpu"),
        ("7", "cpu"),
    ],
)
def test_describe_device_names_the_first_that_is_visible(monkeypatch, tmp_path, visible, device):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\ncat <<'END'\n{LISTING}END\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert describe_device() == device


def test_describe_device_is_the_processor_without_a_driver(monkeypatch, tmp_path):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert describe_device() == "cpu"
