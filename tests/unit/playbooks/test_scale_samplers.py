# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""playbooks/scale_samplers.yml in check mode, with the record of an installed release behind a real socket."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.helm import release
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube

ROOT = Path(__file__).parents[3]
PLAYBOOK = str(ROOT / "playbooks/scale_samplers.yml")
# Answers to its version, and fails for the rest: the cost is shown before anything is rendered.
HELM = '#!/bin/sh\n[ "$1" = version ] && echo v4.3.1 && exit 0\necho "Error: not rendered" >&2\nexit 1\n'


def record(samplers: int) -> dict[str, Any]:
    labels = {"owner": "helm", "name": "otel-collector", "status": "deployed", "version": "1"}
    document = {
        "name": "otel-collector", "namespace": "tracing", "version": 1, "info": {"status": "deployed"},
        "chart": {"metadata": {"name": "otel-collector", "version": "0.1.0"}, "templates": [], "values": {}},
        "config": {"sampler": {"replicas": samplers}}, "manifest": "",
    }  # fmt: skip
    return {
        "apiVersion": "v1", "kind": "Secret", "type": "helm.sh/release.v1",
        "metadata": {"name": "sh.helm.release.v1.otel-collector.v1", "namespace": "tracing", "labels": labels},
        "data": {"release": release.encode(document)},
    }  # fmt: skip


@pytest.fixture
def scale(tmp_path: Path) -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    helm = tmp_path / "helm"
    helm.write_text(HELM)
    helm.chmod(0o755)
    fake = FakeKube(record(3), namespace="tracing")

    def run(**extra: Any) -> subprocess.CompletedProcess[str]:
        variables = {
            "tracing_helm_binary": str(helm), "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable, "collector_outage_minutes": 1, **extra,
        }  # fmt: skip
        return run_ansible(
            tmp_path, "ansible-playbook", PLAYBOOK, "-i", "localhost,", "--check", "-e", json.dumps(variables),
            K8S_AUTH_HOST=url, K8S_AUTH_API_KEY="t",
        )  # fmt: skip

    with fake.serving() as url:
        yield run
    assert fake.writes == []


def test_the_cost_is_shown_before_anything_changes(scale: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    text = in_one_line(scale(sampler_replicas=4))
    assert "3 samplers now, 4 afterwards." in text
    # 1000 traces per second × 10 s × (1/4 + 2 × 3/4)
    assert "At most 17500 traces are decided in parts: of the 10000 that are in progress at a time" in text
    assert "25.0 % move to another sampler" in text and "150.0 % because the samplers that stay are restarted" in text
    assert "collector_sampler_replicas of the inventory is 3: set it to 4" in text
    assert text.index("At most 17500") < text.index("not rendered")


def test_the_same_number_changes_nothing(scale: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    done = scale(sampler_replicas="3")
    text = in_one_line(done)
    assert done.returncode == 0 and "Nothing to do." in text and "changed=0" in text, text
    assert "of the inventory is" not in text


@pytest.mark.parametrize(("extra", "words"), [({}, "is not set"), ({"sampler_replicas": "four"}, "is 'four'")])
def test_a_number_is_needed(
    scale: Callable[..., subprocess.CompletedProcess[str]], extra: dict[str, str], words: str
) -> None:
    text = in_one_line(scale(**extra))
    assert f"sampler_replicas {words}, not a number of samplers" in text, text
