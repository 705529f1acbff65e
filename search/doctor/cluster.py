"""What the doctor says about a Ray cluster: does every node have what packs need?"""

from collections.abc import Mapping
from importlib import metadata

from archloss.search.doctor.findings import Finding, is_well, object_to, warn
from archloss.search.doctor.machine import check_gpus
from archloss.workers.inspection import MachineReport, inspect_node

AREA = "Ray"
_ALIKE = ("torch", "numpy")
_SHARED_MEMORY_LITTLE = 1_000_000_000
_TIMEOUT_S = 150.0
"""A node starts a process, asks the driver and loads torch: a while on a busy machine."""


def check_cluster(address: str | None, driver: MachineReport) -> list[Finding]:
    """Join the cluster (without an address: start Ray here), and look at each of its nodes."""
    try:
        version = metadata.version("ray")
    except metadata.PackageNotFoundError:
        return [object_to(AREA, "Ray is not installed", "pip install 'archloss[ray]'")]
    where = "on this machine" if address is None else f"at {address}"
    try:
        from archloss.workers.cluster import run_on_every_node

        nodes = run_on_every_node(inspect_node, address=address, timeout_s=_TIMEOUT_S)
    except Exception as error:  # whatever Ray raises is what the doctor has found
        return [
            object_to(
                AREA,
                f"Ray {version} {where} cannot be used: {error}",
                "start it (`ray start --head`), and check the address and that firewalls let "
                "its ports through; Ray and Python must be of the same version everywhere, and "
                "~/.ray/auth_token the same file if the cluster asks for a token",
            )
        ]
    return [
        is_well(
            AREA, f"Ray {version} {where}: {len(nodes)} {'node' if len(nodes) == 1 else 'nodes'}"
        ),
        *judge_nodes(nodes, driver),
    ]


def judge_nodes(
    nodes: Mapping[str, MachineReport | Exception], driver: MachineReport
) -> list[Finding]:
    """Return what is to be said about each node, compared with the driver's machine."""
    findings = []
    for name, report in nodes.items():
        area = f"node {name}"
        if isinstance(report, Exception):
            findings.append(_judge_failure(area, report))
        else:
            findings += _judge_node(area, report, driver) or [_sum_up(area, report)]
    return findings


def _judge_failure(area: str, error: Exception) -> Finding:
    if isinstance(error, ModuleNotFoundError):
        return object_to(
            area,
            f"archloss cannot be imported there: {error}",
            "install archloss, with the packages it needs, in the Python that runs Ray there",
        )
    return object_to(
        area,
        f"it did not answer: {type(error).__name__}: {error}",
        "look at `ray status` and the node's own log, and take the node out if it is broken",
    )


def _judge_node(area: str, report: MachineReport, driver: MachineReport) -> list[Finding]:
    findings = []
    if (report.archloss, report.source) != (driver.archloss, driver.source):
        findings.append(
            object_to(
                area,
                f"it has another archloss: {report.archloss} (source {report.source}), and the "
                f"driver {driver.archloss} (source {driver.source})",
                "install the same archloss on the driver's machine and on every node",
            )
        )
    different = [
        f"{name} {report.packages[name]} instead of {driver.packages[name]}"
        for name in _ALIKE
        if report.packages[name] != driver.packages[name]
    ]
    if different:
        findings.append(
            warn(
                area,
                f"its packages are not the driver's: {', '.join(different)}",
                "install the same versions everywhere, or results may differ from node to node",
            )
        )
    gpus = check_gpus(report.gpus, area=area)
    if gpus.level != "ok":
        findings.append(gpus)
    if report.shared_memory is not None and report.shared_memory < _SHARED_MEMORY_LITTLE:
        findings.append(
            warn(
                area,
                f"its shared memory (/dev/shm) has {report.shared_memory / 1e9:.2f} GB, and Ray "
                "keeps networks there between rungs",
                "give containers more: docker run --shm-size=4g, or an emptyDir of medium Memory",
            )
        )
    return findings


def _sum_up(area: str, report: MachineReport) -> Finding:
    gpus = ", ".join(report.gpus.by_torch) or "no GPU"
    return is_well(
        area,
        f"{report.cores} cores, {report.memory / 1e9:.1f} GB memory, {gpus}; archloss "
        f"{report.archloss}, torch {report.packages['torch']}",
    )
