"""Leases: which driver works on a study, whether it still lives, and whether it is to stop."""

import functools
import os
import socket
from collections.abc import Collection, Set
from pathlib import Path
from typing import Any

import psutil
import sqlalchemy as sa

from archloss.storage.dialects import (
    get_dialect,
    lock_study,
    read_clock_s,
    read_up_since_s,
)
from archloss.storage.tables import leases, studies

LEASE_TIMEOUT_S = 60.0
_SAME_START_S = 5.0
"""The system computes a process's start anew each time, from a clock that may be corrected."""


def open_lease(connection: sa.Connection, study_id: int, token: str) -> int:
    """Insert a lease of this process.

    One is opened at a time on a study, so that all with a smaller id can be seen: drivers that
    start together must not take each other's place.
    """
    lock_study(connection, studies, study_id, alone=True)
    now = read_clock_s(connection)
    row = {
        "study_id": study_id,
        "host": name_machine(),
        "kernel": name_kernel(),
        "pid": os.getpid(),
        "process_started_s": psutil.Process().create_time(),
        "opened_s": now,
        "renewed_s": now,
        "closed": False,
        "token": token,
    }
    insert = sa.insert(leases).values(row).returning(leases.c.lease_id)
    return int(connection.execute(insert).scalar_one())


def find_opened(connection: sa.Connection, study_id: int, token: str) -> int | None:
    """Return the lease that the call with this token opened, if it did."""
    query = sa.select(leases.c.lease_id)
    query = query.where(leases.c.study_id == study_id, leases.c.token == token)
    return connection.execute(query).scalar()


def renew_lease(connection: sa.Connection, lease_id: int) -> bool:
    """Say that the driver lives; return whether it is asked to stop."""
    asked = sa.select(studies.c.stop_requested_s).where(studies.c.study_id == leases.c.study_id)
    update = sa.update(leases).where(leases.c.lease_id == lease_id)
    update = update.values(renewed_s=get_dialect(connection).get_clock())
    row = update.returning(asked.scalar_subquery() > leases.c.opened_s)
    return bool(connection.execute(row).scalar())


def close_lease(connection: sa.Connection, lease_id: int) -> None:
    """Say that the driver is done: what it left RUNNING may be taken over at once."""
    update = sa.update(leases).where(leases.c.lease_id == lease_id)
    connection.execute(update.values(closed=True))


def request_stop(connection: sa.Connection, study_id: int) -> bool:
    """Ask the drivers of a study to stop, those that have a lease; return whether it is there."""
    update = sa.update(studies).where(studies.c.study_id == study_id)
    done = connection.execute(update.values(stop_requested_s=read_clock_s(connection)))
    return done.rowcount > 0


def is_stop_requested(connection: sa.Connection, lease_id: int) -> bool:
    """Say whether the lease's driver is asked to stop, since the lease was opened."""
    query = (
        sa.select(studies.c.stop_requested_s > leases.c.opened_s)
        .join_from(leases, studies, studies.c.study_id == leases.c.study_id)
        .where(leases.c.lease_id == lease_id)
    )
    return bool(connection.execute(query).scalar())


def count_leases(connection: sa.Connection, study_id: int, *, before: int | None = None) -> int:
    """Return how many leases were ever opened on a study, or how many before one of them."""
    query = sa.select(sa.func.count()).where(leases.c.study_id == study_id)
    if before is not None:
        query = query.where(leases.c.lease_id < before)
    return int(connection.execute(query).scalar_one())


def find_study(connection: sa.Connection, lease_id: int) -> int | None:
    """Return the study that the lease is on; None if it was deleted."""
    query = sa.select(leases.c.study_id).where(leases.c.lease_id == lease_id)
    return connection.execute(query).scalar()


def find_live(connection: sa.Connection, lease_ids: Set[int | None]) -> set[int]:
    """Return those of the leases whose driver lives, as far as one can tell."""
    query = sa.select(leases).where(leases.c.lease_id.in_(lease_ids - {None}))
    rows = connection.execute(query).all()
    return {row.lease_id for row in _keep_live(connection, rows)}


def read_live(connection: sa.Connection, study_id: int) -> list[sa.Row[Any]]:
    """Return the leases on a study whose driver lives, as far as one can tell, by id."""
    query = sa.select(leases).where(leases.c.study_id == study_id, leases.c.closed.is_(False))
    rows = connection.execute(query.order_by(leases.c.lease_id)).all()
    return _keep_live(connection, rows)


def find_elsewhere(connection: sa.Connection) -> str | None:
    """Return the name of another machine with a live lease in the database, if there is one."""
    query = sa.select(leases).where(leases.c.closed.is_(False))
    rows = [row for row in connection.execute(query) if not _is_here(row)]
    return next((show_host(row.host) for row in _keep_live(connection, rows)), None)


def show_host(name: str) -> str:
    """Return the host's part of what `name_machine` gave."""
    return name.partition(" ")[0]


def _keep_live(connection: sa.Connection, rows: Collection[sa.Row[Any]]) -> list[sa.Row[Any]]:
    if not rows:
        return []
    now, up_since = read_clock_s(connection), read_up_since_s(connection)
    return [row for row in rows if _is_alive(row, now, up_since)]


def _is_alive(lease: sa.Row[Any], now: float, up_since: float) -> bool:
    """Say whether a lease holds: renewed of late, and its process there, if one can look.

    While the database's server was away nobody could renew: the time counts from its return.
    """
    if lease.closed or now - max(lease.renewed_s, up_since) > LEASE_TIMEOUT_S:
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


def _is_here(lease: sa.Row[Any]) -> bool:
    """Say whether a lease is of this machine, be it in another container."""
    if lease.kernel and name_kernel():
        return bool(lease.kernel == name_kernel())
    return show_host(lease.host) == socket.gethostname()


@functools.cache
def name_machine() -> str:
    """Return the name of what numbers this process: the host, and on Linux its container."""
    try:
        space = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        space = ""
    return f"{socket.gethostname()} {space}".strip()


@functools.cache
def name_kernel() -> str:
    """Return what the containers of one running machine have in common; "" where nothing says."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
