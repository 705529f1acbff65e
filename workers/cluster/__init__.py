"""Packs on a Ray cluster. Ray itself is imported when an executor is made, and no sooner."""

from archloss.workers.cluster.executor import RayExecutor
from archloss.workers.cluster.rounds import run_on_every_node
from archloss.workers.cluster.session import ClusterError

__all__ = ["ClusterError", "RayExecutor", "run_on_every_node"]
