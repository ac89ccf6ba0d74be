# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two hosts of an inventory that would install into one namespace of one cluster."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.preflight.targets import (
    InstallTarget,
    cluster_objects,
    repeated,
    repeated_objects,
)

URL = "https://k8s.example.com:6443"


@pytest.mark.parametrize(
    "server", [URL, "https://K8S.example.com:6443/", "HTTPS://k8s.example.com:6443"]
)  # fmt: skip
def test_hosts_and_variables_are_named(server: str) -> None:
    own = InstallTarget("edge-2", URL, "tracing", by_context=True)
    [finding] = repeated(
        own, [InstallTarget("edge-1", server, "tracing"), own, InstallTarget("edge-3", server, "tracing")]
    )
    assert str(finding).startswith(
        f"tracing_context: leads edge-2 to the namespace tracing of {URL}, as it does edge-1 and edge-3"
    )
    for name in ("tracing_kubeconfig", "tracing_context", "tracing_namespace"):
        assert name in str(finding)
    [finding] = repeated(InstallTarget("a", "https://h", "n"), [InstallTarget("b", "https://h:443/", "n")])
    assert finding.variable == "tracing_kubeconfig"


@pytest.mark.parametrize(
    "other",
    [
        InstallTarget("edge-2", URL, "tracing-2"),
        InstallTarget("edge-2", "https://k8s.example.com:6444", "tracing"),
        InstallTarget("edge-2", "https://k8s.example.com:6443/k8s/clusters/c-1", "tracing"),
        InstallTarget("edge-2", "", "tracing"),
    ],
)
def test_other_targets_are_fine(other: InstallTarget) -> None:
    assert repeated(InstallTarget("edge-1", URL, "tracing"), [other]) == []


def test_what_is_not_known_is_not_the_same() -> None:
    assert repeated(InstallTarget("edge-1", "", ""), [InstallTarget("edge-2", "", "")]) == []


def test_other_namespaces_of_a_cluster_are_beside() -> None:
    own = InstallTarget("a", URL, "tracing")
    others = [own, InstallTarget("b", URL + "/", "edge"), InstallTarget("c", "https://other", "edge")]
    assert own.beside(others) == ["b"]
    assert InstallTarget("d", "", "x").beside([InstallTarget("e", "", "y")]) == []


CLASS = {"collector_priority_class_create": True, "collector_priority_class_name": "tracing"}
POLICIES = {"instrumentation_enabled": True, "instrumentation_mode": "policy"}


@pytest.mark.parametrize(
    ("variables", "names"),
    [
        (CLASS | POLICIES, ["the PriorityClass tracing", "the admission policies of instrumentation"]),
        (CLASS | {"collector_priority_class_create": "no"}, []),
        (POLICIES | {"instrumentation_mode": "operator"}, []),
        (POLICIES | {"instrumentation_mode": "sdk"}, []),
        (POLICIES | {"instrumentation_enabled": "false"}, []),
        # The host's own checks name these.
        ({"collector_priority_class_create": "perhaps", "instrumentation_enabled": None}, []),
        ({}, []),
    ],
)
def test_objects_of_the_whole_cluster(variables: dict[str, Any], names: list[str]) -> None:
    assert [one.name for one in cluster_objects(variables)] == names


def test_only_one_host_of_a_cluster_may_make_them() -> None:
    made = {
        "a": cluster_objects(CLASS | POLICIES),
        "b": cluster_objects(CLASS | {"collector_priority_class_name": "other"}),
        "c": cluster_objects(CLASS | POLICIES | {"instrumentation_mode": "auto"}),
    }
    priority, policies = repeated_objects("a", made)
    assert str(priority) == (
        "collector_priority_class_create: makes the PriorityClass tracing for a, as it does for c in the same cluster: "
        "objects of the whole cluster belong to one release. Set collector_priority_class_create to false for all but "
        "one of these hosts."
    )
    assert policies.variable == "instrumentation_enabled" and policies.severity == "error"
    assert repeated_objects("b", made) == []
    # What auto stands for depends on the cluster.
    assert [one.severity for one in repeated_objects("c", made)] == ["error", "warning"]
