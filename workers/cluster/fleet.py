"""The workers of a cluster: started where there is room, replaced when they die."""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from archloss.workers.cluster.actor import Whereabouts, Worker
from archloss.workers.cluster.session import ClusterError, Node, Session
from archloss.workers.local import THREAD_VARIABLES

_LONGEST_DELAY_S = 60.0
_ROUNDING = 1e-6
_HEAD_PATIENCE_S = 20.0
"""Long enough for a head that restarts. After 60 s Ray ends the whole process."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """What each worker takes of its node. Below one, it shares a GPU with others."""

    cpus: float
    gpus: float

    def __post_init__(self) -> None:
        if self.cpus < 0 or self.gpus < 0 or self.cpus + self.gpus == 0:
            raise ValueError(
                "`cpus_per_worker` and `gpus_per_worker` must not be negative, and not both 0, "
                f"but got {self.cpus:g} and {self.gpus:g}"
            )
        if self.gpus > 1 and self.gpus != int(self.gpus):
            raise ValueError(
                f"`gpus_per_worker` must be a whole number where above 1, but got {self.gpus:g}"
            )

    def count_room(self, resources: Mapping[str, float]) -> int:
        """Return how many workers a node with these resources has room for."""
        rooms = []
        if self.cpus:
            rooms.append(math.floor(resources.get("CPU", 0) / self.cpus + _ROUNDING))
        if self.gpus:
            gpus = resources.get("GPU", 0)
            if self.gpus < 1:  # a worker's part must lie on one GPU
                rooms.append(int(gpus) * math.floor(1 / self.gpus + _ROUNDING))
            else:
                rooms.append(math.floor(gpus / self.gpus))
        return min(rooms)

    def sum_up_cpus(self, workers: int) -> int:
        """Return the number of whole CPUs that so many workers take, at least one."""
        return max(1, math.ceil(workers * self.cpus - _ROUNDING))

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs and {self.gpus:g} GPUs"


@dataclass(eq=False)
class Slot:
    """Room for a worker, and the worker in it. `kind` is a guess until `where` is known."""

    actor: Any
    node_id: str | None
    kind: str | None
    where: Whereabouts | None = None
    work: Any = None

    @property
    def is_idle(self) -> bool:
        """Say whether the worker has started and has nothing to do."""
        return self.where is not None and self.work is None

    def __str__(self) -> str:
        if self.where is None:
            return "the worker"
        return f"the worker on {self.where.host} (process {self.where.pid}, {self.where.kind})"


@dataclass
class _Failures:
    count: int = 0
    retry_at: float = 0.0


@dataclass(eq=False)
class Fleet:
    """Keeps as many workers as wanted, or, with `wanted` None, as the nodes have room for.

    One thread uses it. What Ray answers is brought to it by `post`, which makes that thread run
    a function.
    """

    session: Session
    needs: Needs
    wanted: int | None
    environment: Mapping[str, str]
    post: Callable[[Callable[[], None]], None]
    slots: list[Slot] = field(default_factory=list)
    last_failure: str | None = None
    _nodes: dict[str, Node] = field(default_factory=dict)
    _failures: dict[str | None, _Failures] = field(default_factory=dict)
    _head_seen_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        threads = dict.fromkeys(THREAD_VARIABLES, str(max(1, int(self.needs.cpus))))
        hidden = {} if self.needs.gpus else {"CUDA_VISIBLE_DEVICES": ""}
        self._actor_class = self.session.ray.remote(
            num_cpus=self.needs.cpus,
            num_gpus=self.needs.gpus,
            max_restarts=0,
            max_task_retries=0,
            runtime_env={"env_vars": {**threads, **hidden, **self.environment}},
        )(Worker)

    def count_kinds(self) -> Counter[str]:
        """Return the number of slots of each kind of device, on nodes that are alive."""
        return Counter(
            slot.kind
            for slot in self.slots
            if slot.kind is not None and (slot.node_id is None or slot.node_id in self._nodes)
        )

    def count_failures(self) -> int:
        """Return how often in a row workers failed to start, where that went worst."""
        return max((failures.count for failures in self._failures.values()), default=0)

    def describe_lack(self) -> str:
        """Say what workers need and what the nodes have, for a message."""
        rooms = [
            f"{node.name} with {node.resources.get('CPU', 0):g} CPUs and "
            f"{node.resources.get('GPU', 0):g} GPUs"
            for node in self._nodes.values()
        ]
        return f"each needs {self.needs}, and there is {', '.join(rooms) or 'no node'}"

    def refresh(self) -> None:
        """Look at the cluster; start workers where there is room, give up those that are gone.

        Raises ClusterError when the cluster's head has been away for too long.
        """
        if not self.session.reaches_head():
            if time.monotonic() - self._head_seen_at > _HEAD_PATIENCE_S:
                raise ClusterError("its head is gone")
            return
        self._head_seen_at = time.monotonic()
        self._nodes = {node.node_id: node for node in self.session.list_nodes()}
        rooms = [self.needs.count_room(node.resources) for node in self._nodes.values()]
        if self.session.own and not any(rooms):
            raise ClusterError(self.describe_lack())  # and nobody will bring another machine
        for slot in list(self.slots):
            if slot.node_id is not None and slot.node_id not in self._nodes and slot.work is None:
                self.drop(slot)
        if self.wanted is not None:
            self._fill(None, self.wanted)
            return
        for node in self._nodes.values():
            self._fill(node.node_id, self.needs.count_room(node.resources))

    def drop(self, slot: Slot) -> None:
        """Give a slot up, and end its worker."""
        if slot in self.slots:
            self.slots.remove(slot)
            self.kill(slot)

    def kill(self, slot: Slot) -> None:
        """End a slot's worker; what it was doing comes back as an error."""
        self.session.ray.kill(slot.actor)

    def replace(self, slot: Slot) -> None:
        """Start another worker in place of one that died, of the same kind as far as we know."""
        self.drop(slot)
        if slot.node_id is None or slot.node_id in self._nodes:
            place = None if self.wanted is not None else slot.node_id
            self._start(place, kind=slot.kind)

    def _fill(self, place: str | None, count: int) -> None:
        have = sum(place is None or slot.node_id == place for slot in self.slots)
        if time.monotonic() >= self._failures.get(place, _Failures()).retry_at:
            for _ in range(count - have):
                self._start(place, kind=None)

    def _start(self, place: str | None, *, kind: str | None) -> None:
        scheduling: Any = "SPREAD"
        if place is not None:
            strategies = self.session.ray.util.scheduling_strategies
            scheduling = strategies.NodeAffinitySchedulingStrategy(place, soft=False)
        actor = self._actor_class.options(scheduling_strategy=scheduling).remote()
        slot = Slot(actor=actor, node_id=place, kind=kind)
        self.slots.append(slot)
        when_answered(
            actor.describe.remote(),
            lambda future: self.post(lambda: self._on_described(slot, place, future)),
        )

    def _on_described(self, slot: Slot, place: str | None, future: "Future[Whereabouts]") -> None:
        if slot not in self.slots:
            return
        error = future.exception()
        if error is None:
            slot.where = future.result()
            slot.node_id, slot.kind = slot.where.node_id, slot.where.kind
            self._failures.pop(place, None)
            return
        self.drop(slot)
        failures = self._failures.setdefault(place, _Failures())
        if time.monotonic() >= failures.retry_at:  # those that fail together count once
            failures.count += 1
            failures.retry_at = time.monotonic() + min(2.0**failures.count, _LONGEST_DELAY_S)
        self.last_failure = str(error).strip()


def when_answered(reference: Any, react: Callable[["Future[Any]"], None]) -> None:
    """Call `react` with a finished Future once Ray has the answer, in a thread of Ray's."""
    reference.future().add_done_callback(react)
