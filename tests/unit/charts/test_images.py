# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What every chart owes to images: those of their publishers and those that airgap builds run alike."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.common.mappings import overlay
from ansible_collections.orion.tracing.plugins.module_utils.helm.pulls import variables_of

ROLES = Path(__file__).resolve().parents[3] / "roles"
DIGEST = "sha256:" + "0a" * 32
# What a chart cannot be rendered without, and what brings in all of its images.
LEAST: dict[str, dict[str, Any]] = {
    "collector": {},
    "tempo": {
        "config": {"storage": {}},
        "securityContext": {"runAsUser": 10001, "runAsGroup": 10001},
        "memcached": {"replicas": 1},
        "components": {
            name: {"terminationGracePeriodSeconds": 30}
            for name in yaml.safe_load((ROLES / "tempo/files/chart/values.yaml").read_text())["components"]
        },
    },
    "local_backends": {name: {"enabled": True} for name in ("jaeger", "victorialogs", "kafka", "grafana")},
    "local_demo": {},
}
# Charts with several images: the sections of their values that have one; "" is that of the values themselves.
SECTIONS = {
    "tempo": ("", "memcached"),
    "local_backends": ("seaweedfs", "jaeger", "victorialogs", "kafka", "grafana", "prometheus"),
    "local_demo": ("postgresql", "kafka", "python", "pricing", "storefront"),
}
# Container → the program, as docs/images.md has it of upstream's Dockerfiles.
PROGRAMS = {
    "otel-collector": "/otelcol-contrib",
    "tempo": "/tempo",
    "memcached": "/usr/local/bin/memcached",
    "seaweedfs": "/usr/bin/weed",
    "prometheus": "/bin/prometheus",
    "jaeger": "/cmd/jaeger/jaeger-linux",
    "victorialogs": "/victoria-logs-prod",
    "grafana": "/usr/share/grafana/bin/grafana",
    "postgresql": "/opt/postgresql/start",
    "kafka": "/opt/kafka/start",
    "storefront": "/usr/bin/node",
    "gateway": "/usr/bin/python3",
    "orders": "/usr/bin/python3",
    "fulfilment": "/usr/bin/python3",
    "pricing": "/opt/java/bin/java",
}
# All others are 10001.
USERS = {"prometheus": 65534, "grafana": 472, "memcached": 11211}
# Values of a label: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/
LABEL = re.compile(r"(?=.{1,63}$)[A-Za-z0-9](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?")


def with_images(role: str, image: dict[str, Any]) -> dict[str, Any]:
    values = LEAST[role]
    for section in SECTIONS.get(role, ("",)):
        values = overlay(values, {section: {"image": image}} if section else {"image": image})
    return values


def pods(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = [item["spec"]["template"] for item in objects if item["kind"] in ("Deployment", "StatefulSet")]
    assert found
    return found


@pytest.mark.parametrize("role", LEAST)
def test_a_program_is_named_by_its_path_and_runs_as_a_user_of_our_own(role, render):
    for pod in pods(render(ROLES / role / "files/chart", LEAST[role])):
        for container in pod["spec"]["containers"]:
            assert container["command"] == [PROGRAMS[container["name"]]]
            assert container["args"]
            security = pod["spec"]["securityContext"]
            assert (security["runAsUser"], security["runAsGroup"]) == (USERS.get(container["name"], 10001),) * 2


@pytest.mark.parametrize("role", LEAST)
def test_nothing_needs_a_shell_or_a_writable_image(role, render):
    for pod in pods(render(ROLES / role / "files/chart", LEAST[role])):
        for container in pod["spec"]["containers"]:
            assert "exec" not in str({name: probe for name, probe in container.items() if name.endswith("Probe")})
            assert "exec" not in str(container.get("lifecycle", {}))
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


@pytest.mark.parametrize("role", LEAST)
def test_the_digest_decides_and_labels_stay_valid(role, render):
    tag = "_" + "v" * 60 + ".-_" + "x" * 40
    image = {"repository": "mirror.example.com/p/a", "tag": tag, "digest": DIGEST}
    objects = render(ROLES / role / "files/chart", with_images(role, image))
    for pod in pods(objects):
        assert {c["image"] for c in pod["spec"]["containers"]} == {f"mirror.example.com/p/a:{tag}@{DIGEST}"}
    versions = {item["metadata"]["labels"]["app.kubernetes.io/version"] for item in objects}
    assert all(LABEL.fullmatch(version) for version in versions), versions


@pytest.mark.parametrize("role", LEAST)
def test_without_a_digest_the_tag_decides(role, render):
    objects = render(ROLES / role / "files/chart", with_images(role, {"repository": "h:5000/a", "tag": "1.0"}))
    assert {c["image"] for pod in pods(objects) for c in pod["spec"]["containers"]} == {"h:5000/a:1.0"}


@pytest.mark.parametrize("role", LEAST)
@pytest.mark.parametrize(
    "image", [{"tag": f"1@{DIGEST}"}, {"tag": "a" * 129}, {"tag": ""}, {"digest": "sha256:1"}, {"digest": "0a" * 32}]
)
def test_charts_refuse_what_is_no_tag_or_digest(role, image, assert_fails):
    assert_fails(ROLES / role / "files/chart", with_images(role, image), f"image/{next(iter(image))}")


@pytest.mark.parametrize(("role", "number"), [("local_backends", 6), ("local_demo", 7)])
def test_pull_secrets_of_the_local_charts(role, number, render):
    objects = render(ROLES / role / "files/chart", {**LEAST[role], "imagePullSecrets": ["regcred"]})
    assert [pod["spec"]["imagePullSecrets"] for pod in pods(objects)] == [[{"name": "regcred"}]] * number


@pytest.mark.parametrize("role", LEAST)
def test_a_statefulset_gets_rid_of_pods_whose_image_cannot_be_pulled(role, render):
    sets = [item for item in render(ROLES / role / "files/chart", LEAST[role]) if item["kind"] == "StatefulSet"]
    assert sets
    assert {item["spec"]["podManagementPolicy"] for item in sets} == {"Parallel"}


@pytest.mark.parametrize("role", LEAST)
def test_image_variables_have_the_same_defaults_as_the_chart(role):
    defaults = yaml.safe_load((ROLES / role / "defaults/main.yml").read_text())
    chart = yaml.safe_load((ROLES / role / "files/chart/values.yaml").read_text())
    sections = {f"_{name}": section for name, section in chart.items()} | ({"": chart} if "image" in chart else {})
    for name, section in sections.items():
        if isinstance(section, dict) and "image" in section:
            for key in ("repository", "tag", "digest"):
                assert section["image"][key] == defaults[f"{role}{name}_image_{key}"]


@pytest.mark.parametrize("role", LEAST)
def test_the_chart_names_the_variables_of_each_image_for_messages(role, render):
    chart = yaml.safe_load((ROLES / role / "files/chart/Chart.yaml").read_text())
    defaults = yaml.safe_load((ROLES / role / "defaults/main.yml").read_text())
    variables = variables_of(chart)
    assert {f"{prefix}_image_tag" for prefix in variables.values()} == {n for n in defaults if n.endswith("_image_tag")}
    containers = [
        c for pod in pods(render(ROLES / role / "files/chart", LEAST[role])) for c in pod["spec"]["containers"]
    ]
    assert {container["name"] for container in containers} == set(variables)
