"""What the doctor says about the database of the studies."""

from pathlib import Path
from typing import TYPE_CHECKING

from archloss.search.doctor.findings import Finding, is_well, object_to, warn
from archloss.spaces.errors import ArchlossError

if TYPE_CHECKING:
    from archloss.storage.inspection import DatabaseReport

AREA = "database"
_SLOW_S = 0.02
_FEW_CONNECTIONS = 10


def check_database(url: str) -> list[Finding]:
    """Look at the database at a URL, and return what is to be said about it; changes nothing."""
    from archloss.storage.inspection import find_file, inspect_database

    findings = []
    try:
        file = find_file(url)
        if file is not None:
            findings += _judge_file(file)
        if file is not None and not file.exists():
            missing = f"{str(file)!r} is not there yet: the first launch makes it"
            return [is_well(AREA, missing), *findings]
        return [*judge(inspect_database(url)), *findings]
    except ArchlossError as error:
        advice = "put it right, or name another with --storage or ARCHLOSS_STORAGE"
        return [object_to(AREA, str(error), advice), *findings]


def _judge_file(file: Path) -> list[Finding]:
    from archloss.storage.mounts import find_network_file_system

    kind = find_network_file_system(file)
    if kind is None:
        return []
    return [
        warn(
            AREA,
            f"{str(file)!r} lies on a file system that machines share ({kind}), where SQLite's "
            "locks cannot be trusted",
            "keep it on a disk of this machine, or use PostgreSQL: docs/cluster.md",
        )
    ]


def judge(report: "DatabaseReport") -> list[Finding]:
    """Return what is to be said about a database that answers."""
    return [
        _judge_latency(report),
        *_judge_writing(report),
        *_judge_tables(report),
        *_judge_connections(report),
    ]


def _judge_latency(report: "DatabaseReport") -> Finding:
    message = (
        f"{report.url}: {report.kind} {report.version}, a round trip takes "
        f"{report.latency_s * 1000:.1f} ms"
    )
    if report.latency_s <= _SLOW_S:
        return is_well(AREA, message)
    return warn(
        AREA,
        message,
        "run the drivers near the database: each pack of trials waits for a few round trips",
    )


def _judge_writing(report: "DatabaseReport") -> list[Finding]:
    if report.refusal is None:
        return []
    return [
        object_to(
            AREA,
            f"it cannot be written to: {report.refusal}",
            "give the user of the URL the right to make tables and rows, or make room",
        )
    ]


def _judge_tables(report: "DatabaseReport") -> list[Finding]:
    if report.schema_version is None:
        return [
            is_well(AREA, "it holds no study of archloss yet: the first launch makes its tables")
        ]
    findings = []
    if report.schema_version > report.expected_version:
        findings.append(
            object_to(
                AREA,
                f"a newer archloss made its tables: their version is {report.schema_version}, "
                f"and this archloss knows {report.expected_version}",
                "upgrade archloss",
            )
        )
    elif report.schema_version < report.expected_version:
        findings.append(
            warn(
                AREA,
                f"an older archloss made its tables: their version is {report.schema_version}, "
                f"this archloss's {report.expected_version}",
                "stop drivers of the older version before the next launch, which migrates them",
            )
        )
    if report.optuna_revision != report.expected_revision:
        findings.append(
            warn(
                AREA,
                f"Optuna's tables have revision {report.optuna_revision}, and archloss knows "
                f"{report.expected_revision}: it writes through Optuna itself, which is slow",
                "install the versions of optuna and archloss that belong together",
            )
        )
    if not findings:
        findings.append(
            is_well(
                AREA,
                f"its tables are up to date: version {report.schema_version}, Optuna's revision "
                f"{report.optuna_revision}",
            )
        )
    return findings


def _judge_connections(report: "DatabaseReport") -> list[Finding]:
    free, most = report.free_connections, report.most_connections
    if free is None or most is None:
        return []
    message = f"{free} of {most} connections are free"
    if free >= _FEW_CONNECTIONS:
        return [is_well(AREA, message)]
    return [
        warn(
            AREA,
            message,
            "close other programs, raise max_connections, or run fewer drivers",
        )
    ]
