# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ports for servers that tests start, or at which nothing may listen.

A port that the kernel chose and that was closed again can be gone before it is used, since every connection from this
machine takes one of the same range. These are below that range, and no two processes are given the same one.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from pathlib import Path

# Below those of module_utils.local.cluster.HOST_PORTS, too.
PORTS = range(12000, 20000)
# Holds the last one that was given, by any process of this user: each is given again after all the others only.
LAST = Path(tempfile.gettempdir()) / f"orion-tracing-last-port-{os.getuid()}"


def free_ports(count: int = 1, address: str = "127.0.0.1") -> list[int]:
    """Ports of an address at which nothing listens."""
    found: list[int] = []
    with LAST.open("a+", encoding="ascii") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        last = int(file.read() or PORTS[0])
        for step in range(1, len(PORTS)):
            port = PORTS[(last - PORTS[0] + step) % len(PORTS)]
            try:
                socket.create_server((address, port)).close()
            except OSError:
                continue
            found.append(port)
            if len(found) == count:
                break
        file.truncate(0)
        file.write(str(found[-1] if found else last))
    assert len(found) == count, f"fewer than {count} of the ports {PORTS[0]} to {PORTS[-1]} of {address} are free"
    return found
