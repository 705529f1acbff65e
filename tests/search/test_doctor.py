"""`archloss doctor`: what it finds on real and on broken machines, databases and clusters."""

import json
import os
import pickle
import re
import sqlite3
from dataclasses import replace
from importlib import metadata
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
import torch
from typer.testing import CliRunner

import archloss
from archloss.search.cli.app import app
from archloss.search.doctor import machine as machine_checks
from archloss.search.doctor.cluster import check_cluster, judge_nodes
from archloss.search.doctor.database import check_database, judge
from archloss.search.doctor.machine import check_folder, check_gpus, check_memory, check_packages
from archloss.storage import inspection as database_inspection
from archloss.storage.database import Database
from archloss.workers.inspection import GpuReport, MachineReport, inspect_machine, inspect_node

GPU = "NVIDIA H200, 143771 MiB"
MACHINE = MachineReport(
    host="here",
    system="Linux 6.1 x86_64",
    python="3.11.7",
    archloss="0.1.0",
    source="0123456789ab",
    packages={"torch": "2.13.0", "numpy": "2.4.0", "ray": "2.60.0"},
    cores=4,
    memory=32_000_000_000,
    memory_free=30_000_000_000,
    shared_memory=16_000_000_000,
    gpus=GpuReport(),
)


def run(*arguments):
    return CliRunner(env={"COLUMNS": "160", "TERM": "dumb"}).invoke(
        app, ["doctor", *map(str, arguments)]
    )


def levels(findings):
    return [finding.level for finding in findings]


@pytest.fixture(scope="module")
def this_machine():
    return inspect_machine()


def test_inspect_machine_sees_what_is_here(this_machine):
    assert this_machine.archloss == archloss.__version__
    assert this_machine.packages["torch"] == metadata.version("torch")
    assert this_machine.gpus.by_torch == tuple(
        torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())
    )
    assert 0 < this_machine.memory_free <= this_machine.memory
    assert pickle.loads(pickle.dumps(this_machine)) == this_machine


def test_inspect_node_looks_behind_what_ray_hides(monkeypatch):
    seen = []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(
        "archloss.workers.inspection._inspect_gpus", lambda environment: seen.append(environment)
    )
    inspect_node()
    inspect_machine()
    assert ["CUDA_VISIBLE_DEVICES" in environment for environment in seen] == [False, True]


@pytest.mark.parametrize(
    ("script", "level", "said"),
    [
        (f"echo '{GPU}'; echo '{GPU}'", "warning", "2 GPUs (NVIDIA H200, 143771 MiB)"),
        ("echo 'Driver/library version mismatch'; exit 18", "problem", "version mismatch"),
        ("true", "ok", "none"),
    ],
)
def test_gpus_that_torch_cannot_use_are_found(monkeypatch, tmp_path, script, level, said):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    answer = ('{"cuda": null, "gpus": []}', None)
    real = inspect_machine.__globals__["_run"]
    monkeypatch.setattr(
        "archloss.workers.inspection._run",
        lambda command, **options: real(command, **options) if command[0] == str(tool) else answer,
    )
    finding = check_gpus(inspect_machine().gpus)
    assert (finding.level, said in finding.message) == (level, True)


@pytest.mark.parametrize(
    ("gpus", "level"),
    [
        (GpuReport(), "ok"),
        (GpuReport(by_driver=(GPU,), by_torch=("NVIDIA H200",), torch_cuda="13.0"), "ok"),
        (GpuReport(by_driver=(GPU, GPU), torch_cuda="13.0"), "problem"),
        (
            GpuReport(by_driver=(GPU, GPU), by_torch=(GPU,), torch_cuda="13.0", visible="1"),
            "ok",
        ),
        (GpuReport(by_driver=(GPU,), torch_cuda=None), "warning"),
        (GpuReport(error="torch failed: no libcudart"), "problem"),
    ],
)
def test_gpus_are_a_problem_only_where_torch_should_see_them_and_does_not(gpus, level):
    finding = check_gpus(gpus)
    assert finding.level == level
    assert bool(finding.advice) == (level != "ok")


def test_installed_packages_are_those_that_archloss_asks_for():
    [finding] = check_packages()
    assert finding.level == "ok"
    assert f"torch {metadata.version('torch')}" in finding.message


def test_packages_that_are_missing_or_too_old_are_named_with_the_way_out(monkeypatch):
    wanted = ["optuna>=99", "no-such-package>=1", "numpy>=1", "neither>=1; extra == 'dev'"]
    monkeypatch.setattr(machine_checks.metadata, "requires", lambda name: wanted)
    old, missing = check_packages()
    assert (old.level, missing.level) == ("problem", "problem")
    assert f"but {metadata.version('optuna')} is installed" in old.message
    assert missing.advice == "pip install 'no-such-package>=1'"


def test_little_memory_says_how_many_workers_fit():
    finding = check_memory(replace(MACHINE, memory_free=1_200_000_000))
    assert finding.level == "warning"
    assert "--processes 2" in finding.advice
    assert check_memory(MACHINE).level == "ok"


def test_folder_is_looked_at_and_not_made(tmp_path, monkeypatch):
    folder = tmp_path / "a" / "b"
    assert check_folder(folder).level == "ok"
    assert list(tmp_path.iterdir()) == []
    for free, level in ((1_000_000_000, "warning"), (1_000_000, "problem")):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr(machine_checks.shutil, "disk_usage", lambda place, usage=usage: usage)
        assert check_folder(folder).level == level


def test_folder_below_a_file_is_a_problem(tmp_path):
    (tmp_path / "file").write_text("")
    finding = check_folder(tmp_path / "file" / "studies")
    assert finding.level == "problem"
    assert "ARCHLOSS_FOLDER" in finding.advice


@pytest.fixture(autouse=True)
def own_disk(monkeypatch):
    """Let no database be on a shared file system, wherever the tests run."""
    monkeypatch.setattr("archloss.storage.mounts.find_network_file_system", lambda path: None)


def test_database_that_is_not_there_is_not_made(tmp_path):
    [finding] = check_database(f"sqlite:///{tmp_path / 'studies.db'}")
    assert (finding.level, list(tmp_path.iterdir())) == ("ok", [])


def test_database_of_ours_is_well_and_stays_as_it_is(tmp_path):
    path = tmp_path / "studies.db"
    Database(f"sqlite:///{path}").close()
    before = path.read_bytes()
    findings = check_database(f"sqlite:///{path}")
    assert levels(findings) == ["ok", "ok"]
    assert "up to date" in findings[1].message
    assert path.read_bytes() == before


def test_database_without_tables_is_well(tmp_path):
    sqlite3.connect(tmp_path / "empty.db").close()
    (tmp_path / "empty.db").touch()
    findings = check_database(f"sqlite:///{tmp_path / 'empty.db'}")
    assert levels(findings) == ["ok", "ok"]
    assert "no study of archloss yet" in findings[1].message


def test_database_on_postgresql_is_well_and_its_password_unseen(postgres_url):
    findings = check_database(postgres_url)
    assert levels(findings) == ["ok", "ok", "ok"]
    assert ["up to date" in finding.message for finding in findings] == [False, True, False]
    assert "connections are free" in findings[2].message
    assert sa.make_url(postgres_url).password not in " ".join(one.message for one in findings)


def test_database_that_lets_us_not_in_is_a_problem_and_its_password_unseen(postgres_url):
    url = sa.make_url(postgres_url)
    hidden = url.set(password=None).update_query_dict({"password": "hunter2"})
    for wrong in (url.set(password="hunter2"), hidden):
        [finding] = check_database(wrong.render_as_string(hide_password=False))
        assert finding.level == "problem"
        assert "password" in finding.message
        assert "hunter2" not in finding.message + finding.advice


def test_database_that_is_damaged_is_a_problem(tmp_path):
    (tmp_path / "broken.db").write_text("this is no database" * 100)
    [finding] = check_database(f"sqlite:///{tmp_path / 'broken.db'}")
    assert finding.level == "problem"
    assert "not a database" in finding.message


def test_database_that_is_held_by_another_program_cannot_be_written_to(tmp_path, monkeypatch):
    path = tmp_path / "studies.db"
    Database(f"sqlite:///{path}").close()
    monkeypatch.setattr(database_inspection, "_CONNECT_TIMEOUT_S", 0.05)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    findings = check_database(f"sqlite:///{path}")
    other.close()
    [problem] = [finding for finding in findings if finding.level == "problem"]
    assert "locked" in problem.message


def test_database_on_a_network_file_system_is_warned_of(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "archloss.storage.mounts.find_network_file_system",
        lambda path: "nfs4" if path == tmp_path / "studies.db" else None,
    )
    well, warning = check_database(f"sqlite:///{tmp_path / 'studies.db'}")
    assert (well.level, warning.level) == ("ok", "warning")
    assert "(nfs4)" in warning.message
    assert "PostgreSQL" in warning.advice


def test_url_that_is_none_is_a_problem_with_the_way_out():
    [finding] = check_database("studies")
    assert finding.level == "problem"
    assert "--storage" in finding.advice


@pytest.fixture
def database_report(tmp_path):
    path = tmp_path / "studies.db"
    Database(f"sqlite:///{path}").close()
    return database_inspection.inspect_database(f"sqlite:///{path}")


@pytest.mark.parametrize(
    ("changes", "level", "said"),
    [
        ({"schema_version": 999}, "problem", "newer archloss"),
        ({"schema_version": 0}, "warning", "older archloss"),
        ({"optuna_revision": "v9.9.9"}, "warning", "slow"),
        ({"latency_s": 0.08}, "warning", "80.0 ms"),
        ({"refusal": "permission denied"}, "problem", "permission denied"),
        ({"free_connections": 3, "most_connections": 100}, "warning", "3 of 100"),
    ],
)
def test_what_is_wrong_with_a_database_is_said(database_report, changes, level, said):
    [finding] = [f for f in judge(replace(database_report, **changes)) if f.level != "ok"]
    assert finding.level == level
    assert said in finding.message
    assert finding.advice


def test_nodes_like_the_driver_are_well():
    [finding] = judge_nodes({"node-1": MACHINE}, MACHINE)
    assert (finding.level, finding.area) == ("ok", "node node-1")


@pytest.mark.parametrize(
    ("node", "level", "said"),
    [
        (replace(MACHINE, archloss="0.0.9"), "problem", "another archloss: 0.0.9"),
        (replace(MACHINE, source="ffff"), "problem", "ffff"),
        (
            replace(MACHINE, packages=MACHINE.packages | {"torch": "2.6.0"}),
            "warning",
            "torch 2.6.0 instead of 2.13.0",
        ),
        (
            replace(MACHINE, gpus=GpuReport(by_driver=(GPU,), torch_cuda="13.0")),
            "problem",
            "can use 0",
        ),
        (replace(MACHINE, shared_memory=64_000_000), "warning", "0.06 GB"),
        (ModuleNotFoundError("No module named 'archloss'"), "problem", "cannot be imported"),
        (TimeoutError("no answer within 60 s"), "problem", "did not answer"),
    ],
)
def test_a_node_that_differs_is_named_with_what_to_do(node, level, said):
    findings = judge_nodes({"good": MACHINE, "bad": node}, MACHINE)
    assert [finding.area for finding in findings] == ["node good", "node bad"]
    assert findings[1].level == level
    assert said in findings[1].message
    assert findings[1].advice


def test_ray_that_is_not_installed_is_a_problem_with_the_way_to_install_it(monkeypatch):
    def find(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("archloss.search.doctor.cluster.metadata.version", find)
    [finding] = check_cluster("auto", MACHINE)
    assert (finding.level, finding.advice) == ("problem", "pip install 'archloss[ray]'")


def test_doctor_exits_with_0_and_changes_nothing_where_all_is_well(tmp_path):
    folder = tmp_path / "studies"
    result = run("--folder", folder, "--json")
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["problems"] == 0
    assert {"machine", "packages", "memory", "disk", "GPUs", "database"} == {
        finding["area"] for finding in document["findings"]
    }
    assert list(tmp_path.iterdir()) == []


def test_doctor_exits_with_1_and_says_what_to_do_where_there_is_a_problem(tmp_path):
    (tmp_path / "studies.db").write_text("this is no database" * 100)
    result = run("--folder", tmp_path)
    assert result.exit_code == 1
    assert re.search(r"^problem +database +the database ", result.stdout, re.MULTILINE)
    assert "-> put it right, or name another with --storage" in result.stdout
    assert result.stdout.splitlines()[-1].startswith("1 problem, ")
