"""The door to one database: transactions, repeated while its server is away."""

import contextlib
import logging
import random
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import optuna
import sqlalchemy as sa
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL

from archloss.storage.dialects import get_dialect, hide_secrets, read_url, show_url
from archloss.storage.errors import StorageError
from archloss.storage.optuna_trials import OptunaTables
from archloss.storage.schema import open_optuna, open_tables

RECONNECT_S = 300.0
_FIRST_WAIT_S = 0.1
_LONGEST_WAIT_S = 5.0
_logger = logging.getLogger(__name__)

R = TypeVar("R")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One try to change the database, inside its transaction.

    A connection may be cut while the server commits: then nobody knows whether it did, and the
    change is tried again. A change that must not be made twice leaves its `token` with what it
    wrote, and looks for it when it is `repeated`.
    """

    connection: sa.Connection
    optuna: OptunaTables
    token: str
    repeated: bool


class Access:
    """An engine on the database at a URL, and the way into Optuna's tables there.

    `busy_timeout_s` is how long a call waits for other writers, `reconnect_s` for a server that
    is away. Raises StorageURLError for a URL that is none, StorageError for any other refusal.
    """

    def __init__(self, text: str, *, busy_timeout_s: float, reconnect_s: float) -> None:
        self.url = read_url(text)
        self.dialect = get_dialect(self.url)
        self._busy_timeout_s = busy_timeout_s
        self._reconnect_s = reconnect_s
        self._closed = threading.Event()
        self.engine = self.dialect.open_engine(self.url, busy_timeout_s=busy_timeout_s)
        self.optuna: OptunaTables
        try:
            # A server that does not answer at all is more likely misspelt than restarting.
            self.optuna, self.notes = self._repeat(
                lambda _: open_tables(self.engine, busy_timeout_s=busy_timeout_s),
                is_passing=self.dialect.is_on_the_way,
                patience_s=reconnect_s,
            )
        except BaseException:
            self.engine.dispose()
            raise

    def close(self) -> None:
        """Let go of all connections; calls that wait for the server give up."""
        self._closed.set()
        self.optuna.close()
        self.engine.dispose()

    def open_optuna(self) -> RDBStorage:
        """Return an Optuna storage on the same database, with an engine of its own."""
        return self._try(lambda _: open_optuna(self.engine, busy_timeout_s=self._busy_timeout_s))

    def read(self, work: Callable[[sa.Connection], R]) -> R:
        """Do work that changes nothing, on the database as it is at one moment."""

        def attempt(_repeated: bool) -> R:
            with self.dialect.reading(self.engine) as connection:
                return work(connection)

        return self._try(attempt)

    def write(self, work: Callable[[Change], R], *, patience_s: float | None = None) -> R:
        """Do work on our tables alone, in one transaction."""
        return self._change(work, lambda: self.dialect.writing(self.engine), patience_s)

    def change(
        self,
        study_id: int | None,
        lease_id: int | None,
        work: Callable[[Change], R],
        *,
        alone: bool = True,
    ) -> R:
        """Do work on Optuna's tables and ours.

        If a study is named, alone on it, or beside others that are not alone.
        """
        return self._change(
            work, lambda: self.optuna.changing(self.engine, study_id, lease_id, alone=alone)
        )

    def _change(
        self,
        work: Callable[[Change], R],
        enter: Callable[[], contextlib.AbstractContextManager[sa.Connection]],
        patience_s: float | None = None,
    ) -> R:
        token = secrets.token_hex(16)

        def attempt(repeated: bool) -> R:
            with enter() as connection:
                return work(
                    Change(
                        connection=connection, optuna=self.optuna, token=token, repeated=repeated
                    )
                )

        return self._try(attempt, patience_s)

    def _try(self, attempt: Callable[[bool], R], patience_s: float | None = None) -> R:
        patience_s = self._reconnect_s if patience_s is None else min(patience_s, self._reconnect_s)
        return self._repeat(attempt, is_passing=self.dialect.is_away, patience_s=patience_s)

    def _repeat(
        self,
        attempt: Callable[[bool], R],
        *,
        is_passing: Callable[[BaseException], bool],
        patience_s: float,
    ) -> R:
        """Call `attempt`, with whether it was before, until it works or fails for good."""
        until = time.monotonic() + patience_s
        wait_s = _FIRST_WAIT_S
        repeated = False
        while True:
            try:
                with explained(self.url):
                    return attempt(repeated)
            except StorageError as error:
                left_s = until - time.monotonic()
                if not is_passing(_find_root(error)) or left_s <= 0 or self._closed.is_set():
                    raise
                if not repeated:
                    _logger.warning("%s. Trying again for up to %.0f s", error, left_s)
            repeated = True
            self._closed.wait(min(left_s, wait_s * random.uniform(0.5, 1.0)))
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


@contextlib.contextmanager
def explained(url: URL) -> Iterator[None]:
    """Turn a database's refusal into a StorageError that says what to do; no password in it."""
    try:
        yield
    except (optuna.exceptions.StorageInternalError, sa.exc.SQLAlchemyError) as error:
        raise StorageError(_explain(url, error)) from error
    except Exception as error:
        if get_dialect(url).explain(error) is None:
            raise
        raise StorageError(_explain(url, error)) from error


def _explain(url: URL, error: BaseException) -> str:
    root = _find_root(error)
    reason = get_dialect(url).explain(root) or str(getattr(root, "orig", root))
    return hide_secrets(url, f"the database {show_url(url)} cannot be used: {reason}")


def _find_root(error: BaseException) -> BaseException:
    """Return what the database itself raised, below our wrapping and Optuna's."""
    while (
        isinstance(error, StorageError | optuna.exceptions.StorageInternalError)
        and error.__cause__ is not None
    ):
        error = error.__cause__
    return error
