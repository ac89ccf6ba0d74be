# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The OpenTelemetry Operator's Instrumentation resource with the same settings as the policies. Pure.

There is one, in tracing_namespace, and annotations name it as NAMESPACE/NAME. With one in each namespace "true" would
do, but this role does not know all namespaces with annotated workloads, they may not exist yet, and the operator
refuses "true" in a namespace with two Instrumentations. Policies read any value but "false" as true, so an annotation
with the name works in either mode.
Source: https://github.com/open-telemetry/opentelemetry-operator,
config/crd/bases/opentelemetry.io_instrumentations.yaml and internal/instrumentation/podmutator.go
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.environment import (
    ENDPOINT,
    PROPAGATORS,
    settings,
)
from ansible_collections.orion.tracing.plugins.module_utils.instrumentation.languages import (
    LANGUAGES,
    RESTRICTED,
    SAMPLER,
    SAMPLER_ARGUMENT,
    SDK,
)

GROUP, VERSION = "opentelemetry.io", "v1alpha1"
NAME = "default"
# What has a field of its own in the resource.
FIELDS_OF_SPEC = (ENDPOINT, PROPAGATORS, SAMPLER, SAMPLER_ARGUMENT)


def annotation_value(mode: str, tracing_namespace: str) -> str:
    """What the inject annotation of a workload says. mode: policy, operator or sdk."""
    return f"{tracing_namespace}/{NAME}" if mode == "operator" else "true"


def instrumentation_values(v: Mapping[str, Any], images: Mapping[str, str]) -> dict[str, Any]:
    """name and spec of the resource. Arguments as for policies.policy_values."""
    common = settings(SDK, v)
    sampler = {"type": common[SAMPLER]}
    if SAMPLER_ARGUMENT in common:
        sampler["argument"] = common[SAMPLER_ARGUMENT]
    spec: dict[str, Any] = {
        "exporter": {"endpoint": common[ENDPOINT]},
        "propagators": common[PROPAGATORS].split(","),
        "sampler": sampler,
        "defaults": {"useLabelsForResourceAttributes": True},
        "resource": {"addK8sUIDAttributes": True},
        "imagePullPolicy": str(v["instrumentation_image_pull_policy"]),
        "initContainerSecurityContext": RESTRICTED,
        "env": [{"name": name, "value": value} for name, value in common.items() if name not in FIELDS_OF_SPEC],
    }
    for name in v["instrumentation_languages"]:
        language = LANGUAGES[name]
        if not language.image:
            continue
        own = {variable: value for variable, value in settings(language, v).items() if common.get(variable) != value}
        resources = "resources" if name == "java" else "resourceRequirements"
        spec[name] = {
            "image": images[name],
            "volumeLimitSize": str(v["instrumentation_volume_size_limit"]),
            resources: v["instrumentation_init_resources"],
            # Which agent is loaded, and from where, is the operator's affair.
            "env": [
                {"name": variable, "value": value}
                for variable, value in own.items()
                if variable not in language.operator_sets
            ],
        }
    return {"name": NAME, "spec": spec}
