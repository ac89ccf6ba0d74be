# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The environment variables of instrumented containers. Pure: no I/O, no Ansible.

settings is what policies, the operator's resource and the mode sdk have in common; sdk_environment is what the mode sdk
writes into a workload, where no policy can derive it from the pod.
Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and
https://opentelemetry.io/docs/specs/semconv/non-normative/k8s-attributes/
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import (
    FIELDS,
    NODE_NAME,
    POD_NAME,
    POD_UID,
    RESOURCE_ATTRIBUTES,
    RESOURCE_PREFIX,
    SAMPLER,
    SAMPLER_ARGUMENT,
    SAMPLERS,
    SDK,
    SERVICE_NAME,
    Language,
)
from ansible_collections.orion.tracing.plugins.module_utils.inventory.images import tag_and_digest

ENDPOINT, PROTOCOL = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"
PROPAGATORS = "OTEL_PROPAGATORS"
LOGS_EXPORTER = "OTEL_LOGS_EXPORTER"
# Labels that give an attribute its value, in this order.
SERVICE_NAME_LABELS = ("app.kubernetes.io/instance", "app.kubernetes.io/name")
SERVICE_VERSION_LABEL = "app.kubernetes.io/version"
# What a resource attribute's value may hold as it is: printable ASCII. Other values are left out.
PRINTABLE = re.compile(r"[\x20-\x7e]*")
# What must be percent-encoded in it: all that a baggage-octet excludes, and what separates attributes.
# Source: https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable
ENCODED = {char: f"%{ord(char):02X}" for char in '%,=; "\\'}


def settings(language: Language, v: Mapping[str, Any]) -> dict[str, str]:
    """What is the same for every container of a language, in the order in which it is written.

    v: the variables of the role instrumentation, without errors. Variables of instrumentation_environment take
    precedence over the role's own.
    """
    sampler = str(v["instrumentation_sampler"])
    correlated, logged = v["instrumentation_log_correlation"], v["instrumentation_logs_enabled"]
    baggage = [str(key) for key in v["instrumentation_baggage_attributes"]]
    return {
        ENDPOINT: str(v["instrumentation_endpoint"]),
        PROTOCOL: str(v["instrumentation_protocol"]),
        "OTEL_TRACES_EXPORTER": "otlp",
        # The collectors take both only if they are told to (collector_metrics_enabled, collector_logs_enabled). Agents
        # make many metrics, so they are for instrumentation_environment to switch on.
        "OTEL_METRICS_EXPORTER": "none",
        LOGS_EXPORTER: "otlp" if logged else "none",
        PROPAGATORS: ",".join(name for name in v["instrumentation_propagators"] if name in language.propagators),
        SAMPLER: sampler,
        **({SAMPLER_ARGUMENT: plain(v["instrumentation_sampler_argument"])} if SAMPLERS[sampler] else {}),
        **language.settings,
        **(language.correlated if correlated else language.uncorrelated),
        **(language.logged if logged else language.unlogged),
        **({language.baggage: ",".join(baggage)} if baggage and language.baggage else {}),
        **{str(name): str(value) for name, value in v["instrumentation_environment"].items()},
    }


def plain(number: Any) -> str:
    """1 instead of 1.0."""
    return f"{float(number):g}" if float(number) >= 0.0001 or not float(number) else f"{float(number):.10f}".rstrip("0")


def encoded(value: str) -> str:
    """A resource attribute's value as OTEL_RESOURCE_ATTRIBUTES and the kubelet, which expands $(VAR), need it."""
    return "".join(ENCODED.get(char, char) for char in value).replace("$(", "$$(")


def sdk_environment(
    v: Mapping[str, Any], kind: str, namespace: str, name: str, template: Mapping[str, Any], container: str
) -> list[dict[str, Any]]:
    """Environment variables for a container of a workload's pod template, by the rules of the policy for sdk.

    kind, namespace, name: of the workload. template: its pod template. Returns what the container does not have, with
    OTEL_RESOURCE_ATTRIBUTES last, merged with the container's own, whose attributes take precedence.
    """
    metadata = template.get("metadata") or {}
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    one = next(item for item in template["spec"]["containers"] if item["name"] == container)
    own = {item["name"]: item for item in one.get("env") or []}
    written = str((own.get(RESOURCE_ATTRIBUTES) or {}).get("value") or "")
    keys = {pair.split("=")[0].strip() for pair in written.split(",") if "=" in pair}
    service = next(
        (
            value
            for value in (annotations.get(f"{RESOURCE_PREFIX}service.name"), *map(labels.get, SERVICE_NAME_LABELS))
            if value
        ),
        name,
    )
    attributes = {
        "service.namespace": namespace,
        **({"service.version": version} if (version := _version(labels, str(one.get("image") or ""))) else {}),
        "service.instance.id": f"{namespace}.$({POD_NAME}).{container}",
        "k8s.namespace.name": namespace,
        f"k8s.{kind.lower()}.name": name,
        "k8s.pod.name": f"$({POD_NAME})",
        "k8s.pod.uid": f"$({POD_UID})",
        "k8s.node.name": f"$({NODE_NAME})",
        "k8s.container.name": container,
        **{
            key.removeprefix(RESOURCE_PREFIX): encoded(str(value))
            for key, value in annotations.items()
            if key.startswith(RESOURCE_PREFIX) and PRINTABLE.fullmatch(str(value))
        },
    }
    attributes.pop("service.name", None)
    found: list[dict[str, Any]] = [
        {"name": variable, "valueFrom": {"fieldRef": {"fieldPath": path}}} for variable, path in FIELDS.items()
    ]
    if "service.name" not in keys:
        found.append({"name": SERVICE_NAME, "value": service.replace("$(", "$$(")})
    found += [
        {"name": variable, "value": value}
        for variable, value in settings(SDK, v).items()
        if not (variable == SAMPLER_ARGUMENT and SAMPLER in own)
    ]
    found = [item for item in found if item["name"] not in own]
    if not (own.get(RESOURCE_ATTRIBUTES) or {}).get("valueFrom"):
        pairs = [f"{key}={value}" for key, value in attributes.items() if key not in keys]
        found.append({"name": RESOURCE_ATTRIBUTES, "value": ",".join(_with(written, pairs))})
    return found


def _with(written: str, pairs: Sequence[str]) -> list[str]:
    return [*([written.strip().rstrip(",")] if written.strip() else []), *pairs]


def _version(labels: Mapping[str, str], image: str) -> str:
    """By the label, else tag@digest, tag or digest of the image."""
    if labels.get(SERVICE_VERSION_LABEL):
        return labels[SERVICE_VERSION_LABEL]
    return "@".join(filter(None, tag_and_digest(image)))
