# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Playbooks as jobs of a controller, and what comes back of them."""

from __future__ import annotations

from collections.abc import Callable

from ansible_collections.orion.tracing.tests.admission.conftest import TOKEN
from ansible_collections.orion.tracing.tests.controller.conftest import Job, Server

# A survey sends text, whatever the type.
SURVEY = {
    "collector_gateway_replicas": "2",
    "collector_sampling_percentage": "25",
    "collector_zipkin_enabled": "false",
    "tracing_retention": "72h",
    "tracing_prove": "never",
}


def test_a_check_of_the_site(job: Callable[..., Job], server: Server) -> None:
    done = job("playbooks/site.yml", "--check --diff", SURVEY)
    assert done.status == "successful", done.output
    assert "collector_gateway_replicas" not in done.output or "Validation" not in done.output
    (stats,) = done.events("playbook_on_stats")
    assert stats["changed"] == {"cluster": 5} or stats["changed"]["cluster"] >= 5
    assert not stats["failures"] and not stats["dark"]
    assert server.kube.list("/apis/apps/v1/deployments") == []
    # Of the Deployment of the gateways, with the survey's answer.
    diffs = [one["res"].get("diff") for one in done.events("runner_on_ok") if one["res"].get("diff")]
    assert "replicas: 2" in str(diffs)
    everything = "".join(file.read_text() for file in done.artifacts.rglob("*.json"))
    assert TOKEN not in everything.replace("loopback address", "") and "simulated-secret" not in everything
