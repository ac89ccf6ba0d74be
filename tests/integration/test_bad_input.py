# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bad input fails before anything changes, with one message that names the thing and the remedy."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.kube.client import Kube

pytestmark = pytest.mark.usefixtures("unchanged")
# Whichever store the local inventory has: nothing is installed here.
OWN_TEMPO = {"tracing_store": "tempo", "tracing_store_reader": "tempo", "collector_exporters": []}
VENDOR = {"name": "vendor", "protocol": "http", "endpoint": "https://otlp.example.com"}


def refused(result, *words: str) -> None:
    """The play failed and its message holds all words; the callback folds lines, so white space is not compared."""
    output = " ".join((result.stdout + result.stderr).split())
    assert result.returncode != 0, output[-3000:]
    missing = [word for word in words if word not in output]
    assert not missing, f"{missing} not in:\n{result.stdout[-6000:]}{result.stderr[-2000:]}"
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"tempo_retnetion": "1h"}, ["tempo_retnetion", "did you mean tempo_retention"]),
        ({"collector_sampling_percentage": 120}, ["collector_sampling_percentage", "120", "100"]),
        ({"tracing_retention": "7 days"}, ["tracing_retention", "7 days", "168h"]),
        ({"tempo_ingester_replicas": 2}, ["tempo_replication_factor", "tempo_ingester_replicas"]),
        ({"tempo_s3_endpoint": "https://s3.example.org"}, ["tempo_s3_endpoint", "s3.example.org"]),
        ({"object_storage_bucket": "Not_A_Bucket"}, ["object_storage_bucket", "Not_A_Bucket"]),
        ({"tempo_ingester_storage_class": "gp9"}, ["tempo_ingester_storage_class", "gp9", "standard"]),
        ({"collector_num_traces": 10000000}, ["collector_sampler_resources", "collector_num_traces"]),
        (
            {"collector_exporters": [VENDOR | {"headers": {"api-key": "s3cr3t-in-clear-text"}}]},
            ["collector_exporters[0].headers.api-key", "plain text", "{secret: NAME, key: KEY}"],
        ),
        (
            {"collector_exporters": [VENDOR | {"headers": {"api-key": {"secret": "no-such-secret", "key": "k"}}}]},
            ["collector_exporters[0].headers.api-key", "no Secret no-such-secret", "create secret generic"],
        ),
        ({"tracing_store": "otlp"}, ["collector_exporters", "tracing_store"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_variables(playbook, variables, words) -> None:
    refused(playbook("site", OWN_TEMPO | variables), *words)


def test_all_findings_at_once(playbook) -> None:
    variables = {"collector_sampling_percentage": 120, "tracing_retention": "7 days", "tempo_ingester_replicas": 2}
    refused(
        playbook("site", OWN_TEMPO | variables),
        "collector_sampling_percentage",
        "tracing_retention",
        "tempo_replication_factor",
    )


def test_bucket_that_these_keys_may_not_use(playbook) -> None:
    variables = {"object_storage_access_key": "NOBODY", "object_storage_secret_key": "wrong-and-not-to-be-shown"}
    result = playbook("site", variables)
    refused(result, "object_storage_bucket", "403")
    assert "wrong-and-not-to-be-shown" not in result.stdout + result.stderr


def test_unreachable_s3_endpoint(playbook) -> None:
    refused(
        playbook("site", {"object_storage_endpoint_url": "https://127.0.0.1:9"}),
        "object_storage_endpoint_url",
        "https://127.0.0.1:9",
    )


def test_unreachable_cluster(playbook, state: Path, tmp_path: Path) -> None:
    config = yaml.safe_load((state / "kubeconfig").read_text())
    config["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))
    refused(playbook("site", {"tracing_kubeconfig": str(file)}), "https://127.0.0.1:9", "kubeconfig")


def test_kubeconfig_that_is_missing(playbook) -> None:
    refused(playbook("site", {"tracing_kubeconfig": "/nowhere/config"}), "/nowhere/config", "kubeconfig")


def test_kubeconfig_without_rights(playbook, kube: Kube, state: Path, tmp_path: Path) -> None:
    request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 600}}
    token = kube.request("POST", "/api/v1/namespaces/default/serviceaccounts/default/token", body=request)
    config = yaml.safe_load((state / "kubeconfig").read_text())
    config["users"][0]["user"] = {"token": token["status"]["token"]}
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))
    refused(playbook("site", {"tracing_kubeconfig": str(file)}), "create", "deployments", "tracing")


@pytest.mark.parametrize(
    ("script", "words"),
    [("echo v3.10.1", ["3.10.1", "3.18"]), ("echo not-helm", ["helm", "3.18"]), (None, ["/nowhere/helm", "3.18"])],
    ids=["too-old", "not-helm", "missing"],
)
def test_wrong_helm(playbook, tmp_path: Path, script, words) -> None:
    helm = Path("/nowhere/helm")
    if script:
        helm = tmp_path / "helm"
        helm.write_text(f"#!/bin/sh\n{script}\n")
        helm.chmod(0o755)
    refused(playbook("site", {"tracing_helm_binary": str(helm)}), "tracing_helm_binary", *words)


def test_replay_file_with_a_broken_line(playbook, tmp_path: Path) -> None:
    lines = (Path(__file__).parents[1] / "unit/fixtures/probe.jsonl").read_text().splitlines()
    lines.insert(1, '{"resourceSpans": [')
    file = tmp_path / "traces.jsonl"
    file.write_text("\n".join(lines))
    refused(playbook("replay", {"replay_path": str(file)}), "line 2", str(file))
