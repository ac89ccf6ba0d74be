# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""playbooks/scale_samplers.yml with the record of an installed release behind a real socket: in check mode, and with
helm, which renders, and a pipeline in memory."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.helm import release
from ansible_collections.orion.tracing.plugins.module_utils.kube.discovery import ApiResource
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible
from ansible_collections.orion.tracing.tests.unit.plugins.fake_kube import FakeKube
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.proof.fake_pipeline import FakePipeline, behind

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


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({}, "The samplers that go receive no more spans from the start, and are removed when they have sent what"),
        ({"sampler_drain": "false"}, "The samplers that go are removed with what is in their queues (sampler_drain is"),
    ],
)
def test_samplers_that_go_are_emptied_first(
    scale: Callable[..., subprocess.CompletedProcess[str]], extra: dict[str, str], words: str
) -> None:
    text = in_one_line(scale(sampler_replicas=2, **extra))
    assert "3 samplers now, 2 afterwards." in text and words in text, text
    assert ("Empty the samplers that go" in text) and text.index(words) < text.index("not rendered")


def test_a_number_that_is_overridden_is_refused(scale: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    text = in_one_line(scale(sampler_replicas=4, collector_sampler_replicas=3))
    assert "collector_sampler_replicas is 3, given with -e, which overrides sampler_replicas. Leave it out." in text


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


class Platform:
    """A release of three samplers, with gateways, samplers and Tempo in memory.

    fails: whether helm's upgrade does. moves: how often the samplers hand all their traces over when it has succeeded.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.fails, self.moves = folder, False, 0
        self.pipeline = FakePipeline(samplers=3, real=True)
        self.pipeline.search_lag = 0.2
        self.pipeline.configure([], decision_wait=2)
        more = {
            kind: ApiResource(group, "v1", f"{kind.lower()}s", True)
            for kind, group in (("DaemonSet", "apps"), ("CronJob", "batch"), ("Job", "batch"))
        }
        self.kube = FakeKube(record(3), resources=more, namespace="tracing")
        behind(self.kube, self.pipeline)
        self.kube.on("POST /api/v1/namespaces/tracing/secrets$", lambda _request: self.change())

    def change(self) -> None:
        """What helm's upgrade does to the samplers."""
        for _number in range(self.moves):
            self.pipeline.hand_over()

    def scale(self, **extra: Any) -> subprocess.CompletedProcess[str]:
        """To four samplers."""
        helm = self.folder / "helm"
        program = [sys.executable, str(ROOT / "tests/bench/fleet.py"), "--as-helm"]
        refuses = '[ "$1" = upgrade ] && echo "Error: not today" >&2 && exit 1\n' if self.fails else ""
        helm.write_text(f'#!/bin/sh\n{refuses}exec {shlex.join(program)} "$@"\n')
        helm.chmod(0o755)
        with self.kube.serving() as url:
            cluster = {"name": "c", "cluster": {"server": url}}
            config = {
                "apiVersion": "v1", "kind": "Config", "current-context": "c", "clusters": [cluster],
                "users": [{"name": "u", "user": {"token": "t"}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            }  # fmt: skip
            (self.folder / "kubeconfig").write_text(json.dumps(config))
            variables = {
                "tracing_helm_binary": str(helm), "tracing_kubeconfig": str(self.folder / "kubeconfig"),
                "ansible_connection": "local", "ansible_python_interpreter": sys.executable, "sampler_replicas": 4,
                "tracing_expected_traces_per_second": 100, "collector_outage_minutes": 1,
                "collector_decision_wait": "2s",
                # Errors alone, so that every split trace lacks spans.
                "collector_tail_sampling_policies": [
                    {"name": "errors", "type": "status_code", "status_code": {"status_codes": ["ERROR"]}}
                ],
                **extra,
            }  # fmt: skip
            self.pipeline.configure(variables["collector_tail_sampling_policies"], decision_wait=2)
            return run_ansible(
                self.folder, "ansible-playbook", PLAYBOOK, "-i", "localhost,", "-e", json.dumps(variables),
                ORION_BENCH_HELM=os.environ["ORION_HELM"], TMPDIR=str(self.folder),
            )  # fmt: skip

    def left(self) -> list[str]:
        """Folders of measurements that are still there."""
        return [path.name for path in self.folder.glob("*.orion-tracing")]


@pytest.fixture
def platform(tmp_path: Path) -> Platform:
    return Platform(tmp_path)


def test_what_was_split_is_measured_and_shown(platform: Platform) -> None:
    platform.moves = 1
    done = platform.scale()
    text = in_one_line(done)
    assert done.returncode == 0, text
    assert "At most 350 traces are decided in parts" in text
    # A second's worth of 20 traces had its first part only.
    found = re.search(r"(\d+) of (\d+) traces that were sent over \d+ s lack spans; at most (\d+) were", text)
    assert found is not None, text
    split, sent, allowed = map(int, found.groups())
    assert 5 <= split <= allowed and sent > split
    # 20 traces a second × 2 s × (1/4 + 2 × 3/4); how long they were sent is measured in real time.
    assert allowed == pytest.approx(70, rel=0.2)
    assert re.search(r"At the expected load, that is about \d+ traces; at most 350 were stated beforehand", text)
    assert "changed=1 " in text and platform.left() == []


def test_more_than_stated_fails(platform: Platform) -> None:
    # Nothing of the second service arrives, so no trace is whole.
    platform.pipeline.lose_service = "probe-orders-api"
    done = platform.scale()
    text = in_one_line(done)
    assert done.returncode == 2 and "lack spans" in text, text
    assert "The number of samplers is changed all the same. See whether gateways and samplers are ready" in text
    assert platform.left() == []


def test_a_change_that_fails_ends_the_measurement(platform: Platform) -> None:
    platform.fails = True
    done = platform.scale()
    assert done.returncode == 2 and "not today" in in_one_line(done), in_one_line(done)
    assert platform.pipeline.requests and platform.left() == []


def test_gateways_that_are_not_there_end_it_before_the_change(platform: Platform) -> None:
    platform.pipeline.pods["gateway"].clear()
    done = platform.scale()
    text = in_one_line(done)
    assert done.returncode == 2 and "namespace tracing has no gateway pod" in text, text
    assert platform.kube.writes == [] and platform.left() == []


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"sampler_prove": "false"}, ""),
        ({"tracing_store_reader": "none"}, "was not measured: no store is read back from (store_reader is none)."),
        (
            {"collector_tail_sampling_policies": [{"name": "all", "type": "always_sample"}]},
            "was not measured: the policies (all) keep both parts of a trace, or none.",
        ),
    ],
)
def test_what_cannot_be_measured_is_changed_all_the_same(platform: Platform, extra: dict[str, Any], words: str) -> None:
    done = platform.scale(**extra)
    text = in_one_line(done)
    assert done.returncode == 0 and "changed=1 " in text and words in text, text
    assert (" not measured" in text) == bool(words)
    assert platform.pipeline.requests == []
