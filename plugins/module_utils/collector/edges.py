# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The gateways' receiver for the collectors of other clusters: OTLP over TLS, with a token. Pure: no I/O, no Ansible.

It is beside the receiver of this cluster's applications, whose spans get this cluster's attributes. Those of another
cluster have theirs already, so they pass through unchanged.

Option names: config/configtls and extension/bearertokenauthextension of OpenTelemetry Collector (contrib) 0.158.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ansible_collections.orion.tracing.plugins.module_utils.collector.components import Config
from ansible_collections.orion.tracing.plugins.module_utils.collector.exporters import (
    CERTIFICATE_RELOAD,
    Fields,
    Reference,
    Variables,
    Wiring,
    destinations,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Place
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import boolean, usable

ENABLED, TLS, AUTH = (f"collector_edge_receiver_{name}" for name in ("enabled", "tls", "auth"))
RECEIVER = "otlp/edges"
# Names that no destination can have, so that neither files nor extensions collide.
FILE, EXTENSION = "edge.receiver", "bearertokenauth/edge_receiver"
# Ports of the pods; those of the Service are OTLP's own.
GRPC_PORT, HTTP_PORT = 4327, 4328
SERVICE_TYPES = ("ClusterIP", "LoadBalancer", "NodePort")


@dataclass
class EdgeReceiver:
    """settings: TLS and authentication of either protocol, empty where it is not enabled. wiring: what the gateways
    need for them."""

    enabled: bool = False
    settings: Config = field(default_factory=dict)
    wiring: Wiring = field(default_factory=Wiring)


def edge_receiver(v: Variables) -> EdgeReceiver:
    """From collector_edge_receiver_*. Nothing raises: what is wrong is in the wiring's findings."""
    made = EdgeReceiver(usable(False, boolean, v.get(ENABLED)))
    if not made.enabled:
        return made
    tls = Fields(made.wiring, Place(TLS), v.get(TLS), ("cert", "key", "client_ca"))
    settings: Config = {"reload_interval": CERTIFICATE_RELOAD}
    for key, option in (("cert", "cert_file"), ("key", "key_file"), ("client_ca", "client_ca_file")):
        # The receiver is made for other networks, so without TLS it is not made.
        if key != "client_ca" or key in tls:
            settings[option] = made.wiring.from_file(f"{FILE}.{key.replace('_', '-')}", tls.reference(key))
    auth = Fields(made.wiring, Place(AUTH), v.get(AUTH), ("bearer",))
    token = auth.mapping("bearer", ("token",)).reference("token")
    # Of a file, every line is a token that is accepted.
    made.wiring.extensions[EXTENSION] = {"filename": made.wiring.from_file(f"{FILE}.token", token)}
    made.settings = {"tls": settings, "auth": {"authenticator": EXTENSION}}
    return made


def references(v: Variables) -> list[Reference]:
    """Every key of a Secret that the collector's variables name."""
    made = destinations(v)
    wirings = (made.wiring, made.gateway_wiring, edge_receiver(v).wiring)
    return list(dict.fromkeys(one for wiring in wirings for one in wiring.references))
