# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The stores that traces can be read back from, by the values of the option store_reader."""

from __future__ import annotations

from ansible_collections.orion.tracing.plugins.module_utils.kube.proxy import Proxy
from ansible_collections.orion.tracing.plugins.module_utils.store.jaeger import Jaeger
from ansible_collections.orion.tracing.plugins.module_utils.store.tempo import Tempo

READERS: dict[str, type[Tempo | Jaeger]] = {"tempo": Tempo, "jaeger": Jaeger}


def reader_of(kube: Proxy, reader: str, namespace: str, service: str | None, port: int | None) -> Tempo | Jaeger:
    """A reader by its name in READERS; where service or port is not given, its default."""
    where = {name: value for name, value in (("service", service), ("port", port)) if value}
    return READERS[reader](kube, namespace, **where)  # type: ignore[arg-type]
