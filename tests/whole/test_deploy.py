"""The image and the Kubernetes manifest: they parse, keep to their schema, and name what exists."""

import copy
import fnmatch
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import jsonschema
import pytest
import yaml

from archloss.search.spec import read_spec

ROOT = Path(__file__).parents[2]
INSTRUCTIONS = {
    "ARG": r"\w+(=\S+)?",
    "CMD": r"\[.*\]",
    "COPY": r"(--from=\w+ )?\S+( \S+)+",
    "ENV": r"(\w+=\S+ ?)+",
    "FROM": r"\S+( AS \w+)?",
    "RUN": r".+",
    "USER": r"\w+",
    "WORKDIR": r"/\S+",
}


def read_instructions():
    """Return the Dockerfile's (instruction, argument) pairs, comments and line ends gone."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [tuple(line.split(" ", 1)) for line in joined.splitlines()]


def copied_from_the_context():
    for name, argument in read_instructions():
        if name == "COPY" and not argument.startswith("--from"):
            yield from argument.split()[:-1]


@pytest.fixture(scope="module")
def manifests():
    return list(yaml.safe_load_all((ROOT / "deploy" / "rayjob.yaml").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def check():
    schema = json.loads((ROOT / "deploy" / "rayjob.schema.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_every_instruction_of_the_dockerfile_parses():
    instructions = read_instructions()
    assert {"ARG", "FROM", "COPY", "RUN", "USER"} <= {name for name, _ in instructions}
    for name, argument in instructions:
        assert re.fullmatch(INSTRUCTIONS[name], argument), (name, argument)
        if name == "CMD":
            assert all(isinstance(word, str) for word in json.loads(argument))
        if name == "RUN":
            subprocess.run(["sh", "-n", "-c", argument], check=True, timeout=20)


def test_every_argument_of_the_image_is_used_and_documented():
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    for name, argument in read_instructions():
        if name == "ARG":
            assert f"${{{argument.partition('=')[0]}}}" in text
    assert "TORCH_INDEX" in (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")


def test_stages_that_are_copied_from_exist():
    stages = set()
    for name, argument in read_instructions():
        if name == "FROM" and " AS " in argument:
            stages.add(argument.split(" AS ")[1])
        if name == "COPY" and argument.startswith("--from="):
            assert argument.split()[0].removeprefix("--from=") in stages


def test_the_image_runs_as_a_user_who_is_made_and_is_not_root():
    instructions = read_instructions()
    last = max(index for index, (name, _) in enumerate(instructions) if name == "FROM")
    [user] = [argument for name, argument in instructions[last:] if name == "USER"]
    made = [argument for name, argument in instructions if "useradd" in argument]
    assert user != "root"
    assert made
    assert made[0].split()[-1] == user
    # Kubernetes refuses runAsNonRoot for a user without a number that it knows.
    [number] = re.findall(r"--uid (\d+)", made[0])
    manifest = (ROOT / "deploy" / "rayjob.yaml").read_text(encoding="utf-8")
    assert set(re.findall(r"runAsUser: (\d+)", manifest)) == {number}


def test_files_that_the_image_copies_exist_and_are_let_into_its_context():
    allowed = [
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line.startswith("!")
    ]
    copied = list(copied_from_the_context())
    assert sorted(copied) == sorted(allowed)
    for name in copied:
        assert (ROOT / name).exists(), name


def test_a_wheel_of_the_copied_files_alone_is_the_whole_package(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    for name in copied_from_the_context():
        origin = ROOT / name
        if origin.is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(origin, source / name, symlinks=True, ignore=ignored)
        else:
            shutil.copy(origin, source / name)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path)],
        cwd=source,
        check=True,
        capture_output=True,
        timeout=120,
    )
    [wheel] = tmp_path.glob("*.whl")
    [pattern] = re.findall(r"/wheels/(archloss-\S+?)\)", (ROOT / "Dockerfile").read_text())
    assert fnmatch.fnmatch(wheel.name, pattern)
    packed = set(zipfile.ZipFile(wheel).namelist())
    for folder in ("search", "spaces", "storage", "workers"):
        for path in (ROOT / folder).rglob("*.py"):
            assert f"archloss/{path.relative_to(ROOT)}" in packed


def test_the_ray_of_the_manifest_is_the_ray_of_the_image(manifests):
    pinned = re.search(
        r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert manifests[1]["spec"]["rayClusterSpec"]["rayVersion"] == pinned[1]


def test_the_manifest_keeps_to_the_schema(manifests, check):
    check.validate(manifests[1])


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.entrypoint", None),
        ("spec.entryPoint", "archloss launch"),
        ("spec.rayClusterSpec", None),
        ("spec.rayClusterSpec.headGroupSpec.rayStartParams.num-cpus", 0),
        ("spec.rayClusterSpec.headGroupSpec.template.spec.containers", []),
        ("spec.rayClusterSpec.workerGroupSpecs.0.replicas", "2"),
        ("spec.rayClusterSpec.workerGroupSpecs.0.template", None),
        ("spec.rayClusterSpec.headGroupSpec.template.spec.containers.0.env.0.value", "in clear"),
        ("spec.rayClusterSpec.headGroupSpec.template.spec.volumes.0.emptyDir", {}),
        ("metadata.name", "Arch Loss"),
    ],
)
def test_the_schema_refuses_what_kuberay_would(manifests, check, path, value):
    document = copy.deepcopy(manifests[1])
    *parents, last = path.split(".")
    place = document
    for key in parents:
        place = place[int(key) if isinstance(place, list) else key]
    if value is None:
        del place[last]
    else:
        place[last] = value
    with pytest.raises(jsonschema.ValidationError):
        check.validate(document)


def test_names_in_the_manifest_belong_together(manifests):
    study, job = manifests
    cluster = job["spec"]["rayClusterSpec"]
    head = cluster["headGroupSpec"]["template"]["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in head["containers"][0]["volumeMounts"]}
    [volume] = [v for v in head["volumes"] if v["configMap"]["name"] == study["metadata"]["name"]]
    [file] = study["data"]
    assert f"{mounts[volume['name']]}/{file}" in shlex.split(job["spec"]["entrypoint"])


def test_the_study_of_the_manifest_is_valid(manifests, tmp_path):
    [text] = manifests[0]["data"].values()
    (tmp_path / "study.toml").write_text(text, encoding="utf-8")
    assert read_spec(tmp_path / "study.toml").trials == 2000


def test_the_databases_url_comes_from_a_secret_and_reaches_the_driver_alone(manifests):
    cluster = manifests[1]["spec"]["rayClusterSpec"]
    [head] = cluster["headGroupSpec"]["template"]["spec"]["containers"]
    [variable] = head["env"]
    assert variable["name"] == "ARCHLOSS_STORAGE"
    assert set(variable["valueFrom"]) == {"secretKeyRef"}
    for group in cluster["workerGroupSpecs"]:
        for container in group["template"]["spec"]["containers"]:
            assert "env" not in container
    document = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
    assert f"generic {variable['valueFrom']['secretKeyRef']['name']} " in document
