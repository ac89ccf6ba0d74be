# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Jobs in the image, from the plan to the removal, and what comes back of them."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.tests.controller.conftest import Job, collections, programs
from ansible_collections.orion.tracing.tests.execution_environment.conftest import (
    RUNNER,
    USER,
    Cluster,
    surroundings,
)

# A survey sends text, whatever the type.
SURVEY = {
    "collector_gateway_replicas": "1",
    "collector_sampling_percentage": "25",
    "collector_zipkin_enabled": "false",
    "tracing_prove": "never",
}
GATEWAYS = "/apis/apps/v1/namespaces/tracing/deployments/otel-collector"


def template(ident: str) -> dict[str, Any]:
    """Variables of a job template: where files are to be written so that they come back."""
    return {"tracing_state_dir": f"{RUNNER}/artifacts/{ident}"}


def stats(job: Job) -> dict[str, Any]:
    (found,) = job.events("playbook_on_stats")
    return found


def test_the_user_of_the_image(image: str, engine: Callable[..., bytes]) -> None:
    """Without options, and what a controller and ansible-navigator find out about the image."""
    assert engine("run", "--rm", image, "id", "-u").strip() == b"10001"
    label = '{{index .Config.Labels "ansible-execution-environment"}}'
    assert engine("image", "inspect", "--format", label, image).strip() == b"true"
    versions = engine("run", "--rm", image, "sh", "-c", "ansible --version; ansible-runner --version; helm version")
    assert b"ansible [core " in versions and b'Version:"v4.' in versions


def test_an_end_is_passed_on(image: str, engine: Callable[..., bytes]) -> None:
    """A job that is cancelled ends at once: process 1 hands the signal on."""
    script = "trap 'echo ended; exit 0' TERM; kill -TERM 1; while [ $SECONDS -lt 30 ]; do :; done; exit 9"
    assert engine("run", "--rm", image, "bash", "-c", script).strip() == b"ended"


def test_a_plan(job: Callable[..., Job], cluster: Cluster) -> None:
    done = job("plan", "playbooks/site.yml", "--check --diff", {**SURVEY, **template("plan")})
    assert done.status == "successful", done.output
    assert not stats(done)["failures"] and not stats(done)["dark"]
    plan = stats(done)["artifact_data"]["tracing_plan"]["cluster"]
    assert {"collector", "instrumentation"} <= set(plan["apply"]) and plan["totals"]["create"] > 20
    assert cluster.kube.get(GATEWAYS) is None
    assert list(cluster.leaks(done.artifacts)) == []


@pytest.fixture(scope="module")
def installed(job: Callable[..., Job], cluster: Cluster) -> Iterator[Job]:
    """The platform, installed and removed by jobs."""
    yield job("site", "playbooks/site.yml", "--diff", {**SURVEY, **template("site")})
    done = job("uninstall", "playbooks/uninstall.yml", "", {})
    assert done.status == "successful", done.output
    assert cluster.kube.get(GATEWAYS) is None


def test_the_site(installed: Job, cluster: Cluster) -> None:
    assert installed.status == "successful", installed.output
    gateways = cluster.kube.request("GET", GATEWAYS)
    assert gateways["spec"]["replicas"] == gateways["status"]["readyReplicas"] == 1
    assert list(cluster.leaks(installed.artifacts)) == []


def test_a_second_run(installed: Job, job: Callable[..., Job]) -> None:
    done = job("again", "playbooks/site.yml", "--diff", {**SURVEY, **template("again")})
    assert done.status == "successful", done.output
    assert stats(done)["changed"] == {}
    assert stats(done)["artifact_data"]["tracing_plan"]["cluster"]["apply"] == []


def data_of(page: Path) -> str:
    """The data of a page that playbooks write, as JSON."""
    found = re.search(r'<script type="([^"]+)" id="data">([^<]+)</script>', page.read_text())
    assert found
    return gzip.decompress(base64.b64decode(found[2])).decode() if "gzip" in found[1] else found[2]


def test_the_proof(installed: Job, job: Callable[..., Job], cluster: Cluster) -> None:
    answers = {"verify_plain_traces": "300", "verify_timeout": "3m"}
    done = job("verify", "playbooks/verify.yml", "", {**SURVEY, **answers, **template("verify")})
    assert done.status == "successful", done.output
    proof = json.loads((done.artifacts / "proof.json").read_text())
    assert proof["checks"] and all(check["passed"] for check in proof["checks"])
    assert next(ids[0] for ids in proof["traces"].values()) in data_of(done.artifacts / "report.html")
    if not os.getuid():
        assert (done.artifacts / "proof.json").stat().st_uid == USER
    assert list(cluster.leaks(done.artifacts)) == []


def test_the_status_from_a_worker(installed: Job, sent_job: Callable[..., Job], cluster: Cluster) -> None:
    """The way of AWX's pods: what the job leaves in its folder comes back, too."""
    page = f"{RUNNER}/artifacts/status/status.json"
    done = sent_job("status", "playbooks/status.yml", "", {**SURVEY, "status_output": page})
    assert done.status == "successful", done.output
    assert stats(done)["artifact_data"]["tracing_status"]["cluster"]
    assert json.loads((done.artifacts / "status.json").read_text())
    assert list(cluster.leaks(done.artifacts)) == []


def test_an_answer_that_is_wrong(sent_job: Callable[..., Job]) -> None:
    done = sent_job("wrong", "playbooks/site.yml", "--check", {**SURVEY, "collector_sampling_percentage": "250"})
    assert done.status == "failed" and "collector_sampling_percentage" in done.output
    assert stats(done)["changed"] == {}


def test_ansible_navigator(installed: Job, cluster: Cluster, image: str, tmp_path: Path) -> None:
    """The collection is beside the project, and cluster and token come from the environment."""
    home, folder = tmp_path / "home", tmp_path / "inventory"
    for path in (home, folder):
        path.mkdir()
    (folder / "hosts.yml").write_text(cluster.hosts_file(str(folder)))
    cluster.write_authorities(folder)
    credentials = cluster.credentials(str(folder))
    options = [f"--container-options={option}" for option in cluster.hosts]
    passed = [f"--pass-environment-variable={name}" for name in credentials]
    argv = [programs() / "ansible-navigator", "run", "orion.tracing.status", "--inventory", folder / "hosts.yml",
            "--mode", "stdout", "--execution-environment-image", image, "--container-engine", "docker",
            "--pull-policy", "never", "--playbook-artifact-enable", "false", "--log-file", tmp_path / "navigator.log",
            "--execution-environment-volume-mounts", f"{collections()}:/collections",
            "--set-environment-variable", "ANSIBLE_COLLECTIONS_PATH=/collections", *options, *passed]  # fmt: skip
    environ = {**surroundings(home), **credentials, "TERM": "dumb"}
    done = subprocess.run(
        argv, env=environ, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "failed=0" in done.stdout, done.stdout + done.stderr
    assert cluster.token not in done.stdout + done.stderr
