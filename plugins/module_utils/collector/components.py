# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Parts that the configurations of gateway and sampler have in common. Pure: no I/O, no Ansible."""

from __future__ import annotations

from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import (
    ottl_string,
)
from ansible_collections.orion.tracing.plugins.module_utils.platform.collector import (
    MEMORY_HARD_LIMIT,
    MEMORY_REFUSED,
)

Config = dict[str, Any]


POD_IP = "${env:MY_POD_IP}"


POD_NAME = "${env:MY_POD_NAME}"


CLUSTER_NAME = "k8s.cluster.name"


def retry(initial: str, maximum: str, elapsed: str) -> Config:
    # All five keys: load_balancing has no defaults for them, and a missing interval is a retry without any pause.
    return {
        "enabled": True,
        "initial_interval": initial,
        "max_interval": maximum,
        "max_elapsed_time": elapsed,
        "multiplier": 1.5,
        "randomization_factor": 0.5,
    }


# The without_* switches give metrics the names that the collector uses where no reader is configured, and that its
# documentation shows.
_TELEMETRY_ENDPOINT: Config = {
    "host": POD_IP,
    "port": 8888,
    "without_scope_info": True,
    "without_type_suffix": True,
    "without_units": True,
}


def service(extensions: list[str], pipelines: Config) -> Config:
    return {
        "extensions": extensions,
        "telemetry": {
            # The pod's name instead of a random id at each start.
            "resource": {"attributes": [{"name": "service.instance.id", "value": POD_NAME}]},
            "metrics": {"readers": [{"pull": {"exporter": {"prometheus": _TELEMETRY_ENDPOINT}}}]},
        },
        "pipelines": pipelines,
    }


def cluster_label(name: str) -> str:
    """An OTTL statement that gives metrics the cluster's name as a label: resource attributes do not become labels,
    and clusters that write to one Prometheus must not write each other's series."""
    key = f'datapoint.attributes["{CLUSTER_NAME}"]'
    return f"set({key}, {ottl_string(name)}) where {key} == nil"


def remote_write(url: str, client: Config) -> Config:
    """The exporter of metrics. client: its headers, credentials and TLS."""
    return {
        "prometheus_remote_write": {
            "endpoint": url,
            "target_info": {"enabled": False},
            "disable_scope_info": True,
            **client,
        }
    }


EXTENSIONS: Config = {
    "health_check": {"endpoint": f"{POD_IP}:13133"},
    "zpages": {"endpoint": "localhost:55679"},
    "pprof": {"endpoint": "localhost:1777"},
}


MEMORY_LIMITER: Config = {
    "check_interval": "1s",
    "limit_percentage": MEMORY_HARD_LIMIT,
    "spike_limit_percentage": MEMORY_HARD_LIMIT - MEMORY_REFUSED,
}
