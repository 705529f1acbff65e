"""Leases: which driver works on a study, and whether it still lives."""

import functools
import os
import socket
from collections.abc import Set
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from archloss.storage.dialects import read_clock_s
from archloss.storage.tables import leases

LEASE_TIMEOUT_S = 60.0
_SAME_START_S = 5.0
"""The system computes a process's start anew each time, from a clock that may be corrected."""


def open_lease(connection: sa.Connection, study_id: int) -> int:
    """Insert a lease of this process."""
    row = {
        "study_id": study_id,
        "host": name_machine(),
        "pid": os.getpid(),
        "process_started_s": psutil.Process().create_time(),
        "renewed_s": read_clock_s(connection),
        "closed": False,
    }
    insert = sa.insert(leases).values(row).returning(leases.c.lease_id)
    return int(connection.execute(insert).scalar_one())


def renew_lease(connection: sa.Connection, lease_id: int) -> None:
    """Say that the driver lives."""
    update = sa.update(leases).where(leases.c.lease_id == lease_id)
    connection.execute(update.values(renewed_s=read_clock_s(connection)))


def close_lease(connection: sa.Connection, lease_id: int) -> None:
    """Say that the driver is done: what it left RUNNING may be taken over at once."""
    update = sa.update(leases).where(leases.c.lease_id == lease_id)
    connection.execute(update.values(closed=True))


def find_study(connection: sa.Connection, lease_id: int) -> int | None:
    """Return the study that the lease is on; None if it was deleted."""
    query = sa.select(leases.c.study_id).where(leases.c.lease_id == lease_id)
    return connection.execute(query).scalar()


def find_live(connection: sa.Connection, lease_ids: Set[int | None]) -> set[int]:
    """Return those of the leases whose driver lives, as far as one can tell."""
    query = sa.select(leases).where(leases.c.lease_id.in_(lease_ids - {None}))
    now = read_clock_s(connection)
    return {row.lease_id for row in connection.execute(query) if _is_alive(row, now)}


def _is_alive(lease: sa.Row[Any], now: float) -> bool:
    """Say whether a lease holds: renewed of late, and its process there, if one can look."""
    if lease.closed or now - lease.renewed_s > LEASE_TIMEOUT_S:
        return False
    if lease.host != name_machine():
        return True
    try:
        process = psutil.Process(lease.pid)
        started = process.create_time()
        gone = process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
    return not gone and abs(started - lease.process_started_s) < _SAME_START_S


@functools.cache
def name_machine() -> str:
    """Return the name of what numbers this process: the host, and on Linux its container."""
    try:
        space = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        space = ""
    return f"{socket.gethostname()} {space}".strip()
