"""Ray nodes on this machine, on the loopback interface alone: one line in, one line out.

The first argument is a folder. The first line out is the cluster's address, and that for Ray's
client. A line [cpus, gpus] adds a node with GPUs that exist in Ray's books alone; the answer is
the processes that the node consists of. The end of input ends it.
"""

import json
import os
import socket
import sys
import time

# Ray's own command would put any further node on the network. These must be set first.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
os.environ["RAY_TMPDIR"] = sys.argv[1]
# How long the client's server waits for the process that it starts for each client.
os.environ["RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S"] = "120"
from ray.cluster_utils import Cluster

QUICK_TO_NOTICE = {
    "health_check_initial_delay_ms": 1000,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 2000,
    "health_check_failure_threshold": 3,
}


def wait_until_it_listens(address: str) -> None:
    host, _, port = address.rpartition(":")
    while True:
        with socket.socket() as knock:
            if knock.connect_ex((host, int(port))) == 0:
                return
        time.sleep(0.05)


def main() -> None:
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    head = {
        "num_cpus": 2,
        "include_dashboard": False,
        "dashboard_agent_listen_port": None,
        "ray_client_server_port": port,
        "_system_config": QUICK_TO_NOTICE,
    }
    cluster = Cluster(initialize_head=True, head_node_args=head)
    wait_until_it_listens(cluster.address)
    wait_until_it_listens(f"127.0.0.1:{port}")
    print(json.dumps([cluster.address, f"ray://127.0.0.1:{port}"]), flush=True)  # noqa: T201
    for line in sys.stdin:
        cpus, gpus = json.loads(line)
        node = cluster.add_node(num_cpus=cpus, num_gpus=gpus)
        pids = [info.process.pid for infos in node.all_processes.values() for info in infos]
        print(json.dumps(pids), flush=True)  # noqa: T201
    cluster.shutdown()


if __name__ == "__main__":
    main()
