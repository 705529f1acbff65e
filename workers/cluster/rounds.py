"""One function on every machine of a cluster, for those who look after it."""

import pickle
import time
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

from archloss.workers.cluster.session import Node, Session
from archloss.workers.holding import pickle_call

R = TypeVar("R")


def run_on_every_node(
    function: Callable[[], R], *, address: str | None = None, timeout_s: float = 60.0
) -> dict[str, R | Exception]:
    """Return what `function` returns or raises on each node, by the node's name.

    Nothing is sent along: where archloss is not installed, that is a ModuleNotFoundError. A node
    that has not answered after `timeout_s` gets a TimeoutError. Nodes of one name carry the
    beginning of their ids as well. Raises ClusterError if the cluster cannot be joined.
    """
    payload = pickle_call(function, function)
    session = Session(address, ships_code=False)
    try:
        return _run(session, payload, timeout_s)
    finally:
        session.close()


def _run(session: Session, payload: bytes, timeout_s: float) -> dict[str, Any]:
    def call(payload: bytes) -> Any:  # a nested function travels by value
        return pickle.loads(payload)()

    nodes = session.list_nodes()
    answers = {node.node_id: session.start_on(node.node_id, call, payload) for node in nodes}
    names = _name(nodes)
    deadline = time.monotonic() + timeout_s
    return {names[node_id]: _wait(session, answer, deadline) for node_id, answer in answers.items()}


def _wait(session: Session, answer: Any, deadline: float) -> Any:
    exceptions = session.ray.exceptions
    try:
        return session.ray.get(answer, timeout=max(0.0, deadline - time.monotonic()))
    except exceptions.GetTimeoutError:
        session.ray.cancel(answer, force=True)
        return TimeoutError("the node did not answer in time")
    except exceptions.RayTaskError as error:
        return error.cause if isinstance(error.cause, Exception) else error
    except exceptions.RayError as error:
        return error


def _name(nodes: list[Node]) -> dict[str, str]:
    count = Counter(node.name for node in nodes)
    return {
        node.node_id: node.name if count[node.name] == 1 else f"{node.name} {node.node_id[:8]}"
        for node in nodes
    }
