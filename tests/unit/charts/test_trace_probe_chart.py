# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The chart of the periodic probe as the role's variables make it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.helm.pulls import variables_of
from ansible_collections.orion.tracing.plugins.module_utils.proof.variables import chart_values
from ansible_collections.orion.tracing.plugins.plugin_utils.probe_program import program
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.proof.test_periodic import PROBE_VARIABLES

CHART = Path(__file__).resolve().parents[3] / "roles/verify/files/chart"
DIGEST = "sha256:" + "0a" * 32


def values(**changes: Any) -> dict[str, Any]:
    given = {
        "verify_probe_enabled": True,
        "collector_metrics_enabled": True,
        "collector_remote_write_url": "http://prometheus.example.com/api/v1/write",
        **changes,
    }
    return chart_values(role_defaults(*PROBE_VARIABLES, "collector", **given), program())


def test_objects(
    render: Callable[..., Any],
    pick: Callable[..., Any],
    validate_kubernetes: Callable[..., None],
    assert_restricted: Callable[..., None],
) -> None:
    objects = render(CHART, values(), release="trace-probe")
    validate_kubernetes(objects)
    assert sorted(item["kind"] for item in objects) == ["ConfigMap", "CronJob", "NetworkPolicy"]
    assert {item["metadata"]["namespace"] for item in objects} == {"tracing"}
    job = pick(objects, "CronJob", "trace-probe")["spec"]
    assert job["schedule"] == "*/5 * * * *" and job["concurrencyPolicy"] == "Forbid"
    assert job["jobTemplate"]["spec"]["backoffLimit"] == 0
    # Longer than sending and reading (1m), a last look and sending the result.
    assert job["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 180
    template = job["jobTemplate"]["spec"]["template"]
    assert_restricted(template["spec"])
    assert template["spec"]["automountServiceAccountToken"] is False
    assert template["spec"]["restartPolicy"] == "Never"
    # What the runbooks look for, and the NetworkPolicies of gateways and Tempo.
    assert template["metadata"]["labels"]["app.kubernetes.io/name"] == "trace-probe"
    policy = pick(objects, "NetworkPolicy", "trace-probe")["spec"]
    assert policy["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
    assert policy["policyTypes"] == ["Ingress"] and "ingress" not in policy
    [container] = template["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "128Mi"}
    metadata = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert variables_of(metadata) == {container["name"]: "verify_probe"}


def test_the_pod_has_every_file_as_it_is(render: Callable[..., Any], pick: Callable[..., Any]) -> None:
    given = values()
    objects = render(CHART, given)
    pod = pick(objects, "CronJob", "trace-probe")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    [container], [volume] = pod["containers"], pod["volumes"]
    data = pick(objects, "ConfigMap", "trace-probe")["data"]
    files = {item["path"]: data[item["key"]] for item in volume["configMap"]["items"]}
    assert files == {"settings.json": given["settings"], **program()}
    assert len(data) == len(files)
    [mount] = container["volumeMounts"]
    assert container["command"] == ["python3"]
    assert container["args"] == ["-I", mount["mountPath"], f"{mount['mountPath']}/settings.json"]


def test_images_and_schedule(render: Callable[..., Any], pick: Callable[..., Any]) -> None:
    changed = values(
        tracing_image_registry="mirror.example.com",
        tracing_image_pull_secrets=["mirror"],
        verify_probe_image_digest=DIGEST,
        verify_probe_schedule="@hourly",
        verify_probe_timeout="5m",
    )
    job = pick(render(CHART, changed), "CronJob", "trace-probe")["spec"]
    pod = job["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == f"mirror.example.com/library/python:3.13-slim@{DIGEST}"
    assert pod["imagePullSecrets"] == [{"name": "mirror"}]
    assert job["schedule"] == "@hourly" and job["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 420


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"other": 1}, ["other"]),
        ({"program": {"../a.py": "", "__main__.py": ""}}, ["../a.py"]),
        ({"program": {}}, ["__main__.py"]),
        ({"deadlineSeconds": 0}, ["deadlineSeconds"]),
    ],
)
def test_values_that_are_refused(change: dict[str, Any], words: list[str], assert_fails: Callable[..., None]) -> None:
    assert_fails(CHART, {**values(), **change}, *words)
