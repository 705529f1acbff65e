"""The executor that runs functions on a Ray cluster, whose machines may come and go."""

import atexit
import pickle
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from archloss.workers.cluster.actor import fetch_data
from archloss.workers.cluster.dispatch import Dispatcher, Job
from archloss.workers.cluster.fleet import Fleet, Needs
from archloss.workers.cluster.session import Session
from archloss.workers.executor import A, Held, HeldLostError, Holding, R
from archloss.workers.holding import HoldingCall, check_kind, pickle_call
from archloss.workers.serve import Pickled


@dataclass(frozen=True)
class RayHeld:
    """A reference to a value, pickled, in the memory of the node where it was made."""

    session: Session
    reference: Any

    def fetch(self) -> Any:
        """Return a copy of the value; raise HeldLostError if its node is gone."""
        if not self.session.is_open:
            raise HeldLostError("a held value is gone: its executor was closed")
        return pickle.loads(fetch_data(self.reference))

    def back_up(self) -> None:
        """Begin to copy the value to the driver's node; small ones are there already."""
        if self.session.is_open:
            self.session.copy_here(self.reference)


class RayExecutor:
    """A worker process per slot, each on a part of some machine of the cluster.

    `address` None starts a Ray on this machine; "auto", "host:port" or "ray://host:port" joins
    one. `workers` is how many to keep, some of which may wait for an autoscaler to bring
    machines; None: as many as the machines have room for. `gpus_per_worker` None is one where
    the cluster has any GPU now, and none otherwise. What runs longer than `timeout_s` is stopped,
    together with its worker. `runtime_env` is Ray's: what the workers need besides what is
    installed there. Raises ClusterError if the cluster cannot be used, or no worker starts in
    `start_timeout_s`.
    """

    def __init__(
        self,
        *,
        address: str | None = None,
        workers: int | None = None,
        cpus_per_worker: float = 1.0,
        gpus_per_worker: float | None = None,
        timeout_s: float | None = None,
        runtime_env: Mapping[str, Any] | None = None,
        start_timeout_s: float = 300.0,
    ) -> None:
        if workers is not None and workers < 1:
            raise ValueError(f"`workers` must be at least 1, but got {workers}")
        if timeout_s is not None and timeout_s <= 0:
            raise ValueError(f"`timeout_s` must be above 0, but got {timeout_s}")
        needs = Needs(cpus=cpus_per_worker, gpus=gpus_per_worker or 0.0)
        cpus = None if workers is None else needs.sum_up_cpus(workers)
        self._session = Session(address, runtime_env=runtime_env, cpus=cpus)
        environment = dict((runtime_env or {}).get("env_vars", {}))
        try:
            if gpus_per_worker is None and self._session.has_gpus():
                needs = replace(needs, gpus=1.0)
            make_fleet = partial(Fleet, self._session, needs, workers, environment)
            self._dispatcher = Dispatcher(make_fleet, timeout_s=timeout_s)
        except BaseException:
            self._session.close()
            raise
        atexit.register(self.close, now=True)
        try:
            self._dispatcher.wait_for_a_worker(start_timeout_s)
        except BaseException:
            self.close(now=True)
            raise

    @property
    def kinds(self) -> Mapping[str, int]:
        """How many workers there are on each kind of device; empty while no machine is left."""
        return self._dispatcher.kinds

    @property
    def slots(self) -> int:
        """How many workers there are: 0 while no machine is left."""
        return sum(self._dispatcher.kinds.values())

    def submit(
        self, function: Callable[[A], R], argument: A, *, kind: str | None = None
    ) -> Future[R]:
        """Queue the function; raise at once what keeps it from being sent.

        The Future of one that wants a kind of which no worker is left gets a blameless
        WorkerLostError.
        """
        check_kind(kind, self._dispatcher.known_kinds)
        job = Job(pickle_call(function, (function, argument)), kind)
        self._dispatcher.put(job)
        return job.future

    def submit_holding(
        self,
        function: "Holding[A, R]",
        argument: A,
        held: Sequence[Held | None],
        *,
        count: int,
        kind: str | None = None,
    ) -> Future[tuple[R, tuple[Held | None, ...]]]:
        """Queue the function; its values stay in the memory of the node where it runs."""
        check_kind(kind, self._dispatcher.known_kinds)
        payload = pickle_call(function, HoldingCall(function, argument, count))
        try:
            values = [None if one is None else self._refer(one) for one in held]
        except HeldLostError as error:
            lost: Future[Any] = Future()
            lost.set_exception(error)
            return lost
        job = Job(payload, kind, values, count, partial(RayHeld, self._session))
        self._dispatcher.put(job)
        return job.future

    def close(self, *, now: bool = False) -> None:
        """Stop the workers: after what is queued, or, with `now`, at once.

        With `now`, what was running ends with a WorkerLostError, and what was queued is
        cancelled. Values that were held are gone. Closing twice is harmless.
        """
        self._dispatcher.close(now=now)
        self._session.close()
        atexit.unregister(self.close)

    def _refer(self, held: Held) -> Any:
        if isinstance(held, RayHeld) and held.session is self._session:
            return held.reference
        return Pickled.dump(held.fetch()).data
