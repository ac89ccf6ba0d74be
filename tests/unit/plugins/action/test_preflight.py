# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module preflight with its action plugin, as a playbook runs them. Nothing here reaches a network."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.tests.ansible_program import run_ansible
from ansible_collections.orion.tracing.tests.unit.plugins.fake_grafana import FakeGrafana
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube

SECRET = "not-to-be-shown"


@pytest.fixture
def preflight(tmp_path: Path) -> Any:
    kubeconfig = {
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "c",
        "users": [{"name": "u", "user": {"token": SECRET}}],
    }
    (tmp_path / "kubeconfig").write_text(json.dumps(kubeconfig))

    def run(arguments: dict[str, Any], variables: dict[str, Any], *flags: str) -> dict[str, Any]:
        environment = {"K8S_AUTH_KUBECONFIG": str(tmp_path / "kubeconfig"), "HELM_BINARY": "/nowhere/helm"}
        argv = ["localhost", "-i", "localhost,", "-c", "local", "-m", "orion.tracing.preflight"]
        argv += ["-a", json.dumps(arguments), "-e", f"ansible_python_interpreter={sys.executable}"]
        argv += ["-e", json.dumps(variables), "--tree", str(tmp_path / "tree"), *flags]
        done = run_ansible(tmp_path, "ansible", *argv, **environment)
        assert done.returncode != 0
        assert SECRET not in done.stdout + done.stderr
        return json.loads((tmp_path / "tree/localhost").read_text())

    return run


def test_roles_are_checked_with_their_defaults(preflight: Any) -> None:
    variables = {
        "object_storage_bucket": "orion-traces",
        "object_storage_endpoint_url": "http://127.0.0.1:1",
        "object_storage_access_key": "key",
        "object_storage_secret_key": SECRET,
        "tempo_s3_prefix": "{{ nowhere_defined }}",
        "tempo_ingester_replicas": "{{ 1 + 1 }}",
        "tempo_retnetion": "1h",
        "tempo_log_level": "loud",
        "collector_zipkin_enabled": "perhaps",
    }
    roles = ["object_storage", "tempo", "collector"]
    result = preflight({"roles": roles}, variables, "-vvv", "--check")
    assert result["changed"] is False
    assert {f["variable"] for f in result["findings"]} == {
        "object_storage_tls_only",  # a default against a variable
        "tempo_replication_factor",
        "tempo_s3_prefix",
        "tempo_retnetion",
        "tempo_log_level",
        "collector_zipkin_enabled",
        "tracing_kubeconfig",
        "tracing_helm_binary",
        "object_storage_endpoint_url",
        # They follow object_storage_endpoint_url.
        "tempo_s3_endpoint",
        "tempo_s3_insecure",
    }
    lines = {line.split(" ", 1)[1].split(":")[0]: line for line in result["msg"].splitlines()[1:]}
    assert "cannot be evaluated: 'nowhere_defined' is undefined" in lines["tempo_s3_prefix"]
    assert "is not a variable of this collection; did you mean tempo_retention?" in lines["tempo_retnetion"]
    assert "is 'loud', not one of the choices" in lines["tempo_log_level"]
    assert "tempo_ingester_replicas is only 2" in lines["tempo_replication_factor"]
    assert result["msg"].count("\n") == len(result["findings"])


def test_each_unknown_variable_is_named_whatever_its_value(preflight: Any) -> None:
    misspelt = {
        "collector_gateway_replica": 0,
        "collector_sampler_replica": 0,
        "tracing_prov": 0,
        "simulate_fiel": 0,
        "plan_foo": 0,
    }
    roles = ["object_storage", "tempo", "collector", "instrumentation", "grafana", "verify"]
    result = preflight({"roles": roles}, {"object_storage_bucket": "orion-traces", "tracing_store": "otlp", **misspelt})
    assert set(misspelt) <= {f["variable"] for f in result["findings"]}
    assert "did you mean tracing_prove?" in result["msg"] and "plan_prices" in result["msg"]


def test_two_variables_with_the_same_wrong_value_are_two_findings(preflight: Any) -> None:
    variables = {"collector_gateway_replicas": 0, "collector_max_recv_msg_size_mib": 0}
    result = preflight({"roles": ["collector"]}, variables)
    assert set(variables) <= {f["variable"] for f in result["findings"]}


def test_a_variable_that_repeats_another_is_not_a_second_finding(preflight: Any) -> None:
    result = preflight({"roles": ["object_storage", "tempo"]}, {"tracing_retention": "7 days"})
    assert [f["variable"] for f in result["findings"] if "7 days" in f["what"]] == ["tracing_retention"]
    both = {"tracing_retention": "7 days", "tempo_retention": "7 days"}
    result = preflight({"roles": ["object_storage", "tempo"]}, both)
    assert [f["variable"] for f in result["findings"] if "7 days" in f["what"]] == list(both)


def test_variables_alone(preflight: Any) -> None:
    result = preflight({"variables": {"tracing_retention": "7 days"}}, {"tracing_retention": "1h"})
    by_name = {f["variable"]: f["remedy"] for f in result["findings"]}
    assert by_name["tracing_retention"] == "Write 168h."
    assert set(by_name) == {"tracing_retention", "tracing_kubeconfig", "tracing_helm_binary"}
    assert result["bucket_exists"] is None and result["kubernetes_version"] == "" and result["advice"] == []


def test_a_cluster_that_the_environment_chose_is_named_first(preflight: Any, tmp_path: Path) -> None:
    result = preflight({"variables": {"tracing_retention": "7 days"}}, {})
    first = result["msg"].splitlines()[0]
    assert first.endswith(
        f"The environment chose the cluster https://127.0.0.1:1: K8S_AUTH_KUBECONFIG={tmp_path}/kubeconfig."
    )


def test_it_is_named_on_success_too(tmp_path: Path) -> None:
    helm = tmp_path / "helm"
    helm.write_text("#!/bin/sh\necho v4.0.0\n")
    helm.chmod(0o755)
    argv = ["localhost", "-i", "localhost,", "-c", "local", "-m", "orion.tracing.preflight"]
    argv += ["-e", f"ansible_python_interpreter={sys.executable}"]
    with FakeKube().serving() as url:
        for options in ({}, {"host": url}):
            arguments = json.dumps({"binary_path": str(helm), **options})
            environment = {"K8S_AUTH_API_KEY": SECRET, "K8S_AUTH_HOST": url}
            done = run_ansible(tmp_path, "ansible", *argv, "-a", arguments, **environment)
            assert done.returncode == 0, done.stdout + done.stderr
            line = f"preflight: The environment chose the cluster {url}: K8S_AUTH_HOST={url} and K8S_AUTH_API_KEY.\n"
            assert done.stdout.startswith(line) == (not options)
            assert SECRET not in done.stdout + done.stderr


def test_an_unknown_role(preflight: Any) -> None:
    assert "nothing_of_ours is not a role" in preflight({"roles": ["nothing_of_ours"]}, {})["msg"]


def test_defaults_that_name_another_role(preflight: Any) -> None:
    """verify takes what tempo and object_storage were told, whether they are checked too or not."""
    result = preflight({"roles": ["verify"]}, {"object_storage_bucket": "orion-traces"}, "--check")
    assert not [f for f in result["findings"] if f["variable"].startswith("verify_")]


def test_grafana_is_asked_with_the_roles_variables(preflight: Any) -> None:
    grafana = FakeGrafana()
    with grafana.serving() as url:
        variables = {"grafana_provisioning": "api", "grafana_url": url, "grafana_token": SECRET}
        result = preflight({"roles": ["grafana"]}, variables, "-vvv")
    (finding,) = [one for one in result["findings"] if one["variable"].startswith("grafana_")]
    assert finding["variable"] == "grafana_token" and "answered 401: Invalid API key" in finding["what"]
    assert grafana.asked[-1].headers["authorization"] == f"Bearer {SECRET}"


def test_grafana_may_have_a_user_and_a_password(preflight: Any) -> None:
    grafana = FakeGrafana()
    with grafana.serving() as url:
        login = {"grafana_username": "admin", "grafana_password": "a-password"}
        result = preflight({"roles": ["grafana"]}, {"grafana_provisioning": "api", "grafana_url": url, **login}, "-vvv")
    assert not [one for one in result["findings"] if one["variable"].startswith("grafana_")]
    assert grafana.asked[-1].headers["authorization"].startswith("Basic ")
    assert "a-password" not in json.dumps(result)
