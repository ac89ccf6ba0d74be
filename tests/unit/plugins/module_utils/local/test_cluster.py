# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ports of this machine for a cluster."""

from __future__ import annotations

import socket

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict
from ansible_collections.orion.tracing.plugins.module_utils.local import cluster
from ansible_collections.orion.tracing.tests.ports import free_ports


def test_ports_at_which_nothing_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    ports = free_ports(4)
    # Consecutive but for those that something else has.
    monkeypatch.setattr(cluster, "HOST_PORTS", range(ports[0], ports[-1] + 1))
    with socket.create_server(("127.0.0.1", ports[1])):
        found = cluster.free_ports(3)
        assert ports[1] not in found and len(set(found)) == 3
        with pytest.raises(Conflict, match=f"fewer than 100 of the ports {ports[0]} to {ports[-1]} of this machine"):
            cluster.free_ports(100)


def test_ports_are_none_of_those_that_connections_get() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert server.getsockname()[1] not in cluster.HOST_PORTS
    assert set(cluster.free_ports(2)) <= set(cluster.HOST_PORTS)
