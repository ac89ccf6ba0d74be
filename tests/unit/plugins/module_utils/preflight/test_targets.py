# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Two hosts of an inventory that would install into one namespace of one cluster."""

from __future__ import annotations

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.preflight.targets import InstallTarget, repeated

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
