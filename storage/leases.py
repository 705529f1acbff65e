"""Leases: which driver is running a trial, and whether that driver is still alive."""

import os
import platform
import time
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Connection, delete, insert, select, update

from archloss.storage import tables

LEASE_TIMEOUT_S = 60.0


def describe_host() -> str:
    """Return what must be equal for process ids to be comparable: host, boot and namespace."""
    parts = [platform.node()]
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), "/proc/self/ns/pid"
    if boot.exists():
        parts.append(boot.read_text(encoding="ascii").strip())
    if os.path.islink(namespace):
        parts.append(os.readlink(namespace))
    return "|".join(parts)[:255]


def open_lease(connection: Connection, study_id: int) -> int:
    """Write a lease of this process on a study; return its id."""
    row = {
        "study_id": study_id,
        "host": describe_host(),
        "pid": os.getpid(),
        "process_started": psutil.Process().create_time(),
        "renewed_at": time.time(),
    }
    statement = insert(tables.leases).values(row).returning(tables.leases.c.lease_id)
    return int(connection.execute(statement).scalar_one())


def renew_lease(connection: Connection, lease_id: int) -> None:
    """Say that the driver of this lease is alive."""
    leases = tables.leases
    connection.execute(
        update(leases).where(leases.c.lease_id == lease_id).values(renewed_at=time.time())
    )


def close_lease(connection: Connection, lease_id: int) -> None:
    """Give a lease back: what is RUNNING under it may be taken over."""
    connection.execute(delete(tables.leases).where(tables.leases.c.lease_id == lease_id))


def find_live_leases(connection: Connection, study_id: int) -> set[int]:
    """Return the leases whose drivers live, and delete the study's others.

    A driver on this host is dead as soon as its process is gone; one on another host when it
    has not renewed its lease for a minute.
    """
    leases = tables.leases
    rows = connection.execute(select(leases).where(leases.c.study_id == study_id)).all()
    host, now = describe_host(), time.time()
    live = {row.lease_id for row in rows if _is_alive(row, host=host, now=now)}
    for row in rows:
        if row.lease_id not in live:
            close_lease(connection, row.lease_id)
    return live


def _is_alive(row: Any, *, host: str, now: float) -> bool:
    if row.host != host:
        return bool(now - row.renewed_at < LEASE_TIMEOUT_S)
    try:
        started = psutil.Process(row.pid).create_time()
    except psutil.NoSuchProcess:
        return False
    return bool(abs(started - row.process_started) < 1.0)
