# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Playbooks as jobs of a controller, and what comes back of them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.orion.tracing.tests.admission.conftest import TOKEN
from ansible_collections.orion.tracing.tests.controller.conftest import (
    Job,
    Server,
    as_nobody,
    inventory,
    programs,
    surroundings,
)

# A survey sends text, whatever the type.
SURVEY = {
    "collector_gateway_replicas": "2",
    "collector_sampling_percentage": "25",
    "collector_zipkin_enabled": "false",
    "tracing_retention": "72h",
    "tracing_prove": "never",
}
SECRETS = (f'"{TOKEN}"', f"Bearer {TOKEN}", "simulated-secret")


def test_a_check_of_the_site(job: Callable[..., Job], server: Server) -> None:
    done = job("playbooks/site.yml", "--check --diff", SURVEY)
    assert done.status == "successful", done.output
    (stats,) = done.events("playbook_on_stats")
    # The bucket, Tempo, collectors, policies and Grafana's objects.
    assert stats["changed"] == {"cluster": 5} and not stats["failures"] and not stats["dark"]
    assert server.kube.list("/apis/apps/v1/deployments") == []
    # The survey's answers, in the objects that would be made.
    diffs = str([one["res"]["diff"] for one in done.events("runner_on_ok") if one["res"].get("diff")])
    assert "replicas: 2" in diffs and "sampling_percentage: 25" in diffs and "9411" not in diffs
    assert list(leaks(done.artifacts)) == []
    # The plan is an artefact, which later jobs of a workflow get as a variable.
    plan = stats["artifact_data"]["tracing_plan"]["cluster"]
    assert plan["apply"] == ["object_storage", "tempo", "collector", "instrumentation", "grafana"]
    assert plan["totals"]["create"] > 20 and plan["changed"] and not plan["recorded"]


def leaks(folder: Path) -> Iterator[str]:
    """Files that come back with a credential in them; env holds what the controller itself has put there."""
    for file in folder.rglob("*"):
        if file.is_file() and file.name != "command" and "fact_cache" not in file.parts:
            text = file.read_text(errors="replace")
            yield from (f"{file.name}: {secret}" for secret in SECRETS if secret in text)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"collector_sampling_percentage": "250"}, "collector_sampling_percentage"),
        ({"collector_gateway_replicas": "many"}, "collector_gateway_replicas"),
        ({"collector_zipkin_enabled": "perhaps"}, "collector_zipkin_enabled"),
    ],
)
def test_an_answer_that_is_wrong_is_refused_by_name(
    answer: dict[str, str], words: str, job: Callable[..., Job], server: Server
) -> None:
    done = job("playbooks/site.yml", "", {**SURVEY, **answer})
    assert done.status == "failed" and words in done.output
    (stats,) = done.events("playbook_on_stats")
    assert stats["changed"] == {} and stats["failures"] == {"cluster": 1}


def test_a_token_without_rights(job: Callable[..., Job], server: Server) -> None:
    """Preflight names what is missing, and nothing is changed."""
    accounts = "/api/v1/namespaces/default/serviceaccounts"
    server.kube.request("POST", accounts, body={"metadata": {"name": "visitor"}})
    token = server.kube.request("POST", f"{accounts}/visitor/token", body={"spec": {"expirationSeconds": 3600}})
    secret = token["status"]["token"]
    done = job("playbooks/site.yml", "", SURVEY, K8S_AUTH_API_KEY=secret)
    assert done.status == "failed"
    output = " ".join(done.output.split())
    assert "these credentials may not get, list, create, update, delete secrets in namespace tracing" in output
    assert "playbooks/rbac.yml" in output and "Nothing was changed" in output
    assert secret not in "".join(file.read_text() for file in done.artifacts.rglob("*.json"))


def test_the_wrong_token(job: Callable[..., Job], server: Server) -> None:
    done = job("playbooks/site.yml", "", SURVEY, K8S_AUTH_API_KEY="nobody-has-this-one")
    assert done.status == "failed" and "Unauthorized" in done.output and "nobody-has-this-one" not in done.output


def test_a_proof_of_what_is_not_there(job: Callable[..., Job]) -> None:
    done = job("playbooks/verify.yml", "", {"verify_timeout": "5s"})
    assert done.status == "failed"
    (failed,) = done.events("runner_on_failed")
    assert failed["task"] == "Send traces and read them back" and "has no gateway pod" in failed["res"]["msg"]


def test_a_file_among_the_artifacts(job: Callable[..., Job], tmp_path: Path) -> None:
    """Where a variable names a place that outlasts the job, the file is there."""
    target = tmp_path / "runner/artifacts/plan.json"
    done = job("playbooks/plan.yml", "", {**SURVEY, "plan_output": str(target)})
    assert done.status == "successful", done.output
    assert json.loads(target.read_text())["findings"] is not None


def test_ansible_navigator(job: Callable[..., Job], server: Server, tmp_path: Path) -> None:
    """On its own machine, without the image."""
    job("playbooks/plan.yml", "", {})  # makes the project
    folder, home = tmp_path / "runner", tmp_path / "home"
    (tmp_path / "hosts.json").write_text(json.dumps(inventory(server)))
    argv = [programs() / "ansible-navigator", "run", "playbooks/plan.yml", "--inventory", tmp_path / "hosts.json",
            "--mode", "stdout", "--execution-environment", "false", "--playbook-artifact-enable", "false",
            "--log-file", tmp_path / "navigator.log"]  # fmt: skip
    environ = {**surroundings(home), "TERM": "dumb"}
    environ["ANSIBLE_COLLECTIONS_PATH"] = json.loads((folder / "env/envvars").read_text())["ANSIBLE_COLLECTIONS_PATH"]
    done = subprocess.run(
        as_nobody(argv), env=environ, cwd=folder / "project", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "failed=0" in done.stdout, done.stdout + done.stderr
