# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the options that locate the pods of the pipeline and the store."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  namespace:
    description: Namespace of the collectors and of Tempo.
    type: str
    default: tracing
  gateway_selector:
    description: Label selector of the gateway pods. OTLP/HTTP is sent to port 4318 of each, metrics are read from 8888.
    type: str
    default: app.kubernetes.io/name=otel-collector,app.kubernetes.io/component=gateway
  sampler_selector:
    description: Label selector of the pods with the C(tail_sampling) processor. Metrics are read from port 8888.
    type: str
    default: app.kubernetes.io/name=otel-collector,app.kubernetes.io/component=sampler
  distributor_selector:
    description: Label selector of Tempo's distributors. Metrics are read from port 3200.
    type: str
    default: app.kubernetes.io/name=tempo,app.kubernetes.io/component in (distributor,all)
  ingester_selector:
    description: Label selector of Tempo's ingesters. Metrics are read from port 3200.
    type: str
    default: app.kubernetes.io/name=tempo,app.kubernetes.io/component in (ingester,all)
  tempo_release:
    description:
      - Helm release of Tempo whose pods are meant, where the namespace has several, as in an upgrade. Empty means all
        that the selectors match.
    type: str
    default: ''
  store_reader:
    description:
      - The query API through which traces are read back.
      - With V(none) no traces are read back. Only the components' counters, and a recording if any, are checked.
    type: str
    choices: [tempo, jaeger, none]
    default: tempo
  store_namespace:
    description: Namespace of its Service. Defaults to O(namespace).
    type: str
  store_service:
    description: Name of its Service. Defaults to V(tempo-query-frontend), for Jaeger to V(jaeger).
    type: str
  store_port:
    description: Port of its HTTP API. Defaults to V(3200), for Jaeger to V(16686).
    type: int
  progress_file:
    description:
      - File to which progress is appended.
      - The action plugin sets it, and shows the progress if the module runs on the controller.
    type: path
notes:
  - Everything goes through the API server's pod and service proxies. The user needs the verb C(list) on C(pods),
    C(get) and C(create) on C(pods/proxy), and C(get) on C(services/proxy) in the namespace.
"""
