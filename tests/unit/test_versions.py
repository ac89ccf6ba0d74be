# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Versions written elsewhere (README, defaults, charts, metadata, images) are those of platform/versions.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.platform import versions
from ansible_collections.orion.tracing.plugins.module_utils.platform.versions import dotted, minor

ROOT = Path(__file__).resolve().parents[2]
TAGS = {
    "collector": versions.COLLECTOR,
    "tempo": versions.TEMPO,
    "local_backends_jaeger": versions.JAEGER,
}


def load(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def compatibility() -> dict[str, tuple[str, str]]:
    """README's table: supported and tested versions by name."""
    section = (ROOT / "README.md").read_text().split("## Compatibility")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    return {name: (supported, tested) for name, supported, tested in rows}


def test_readme_lists_the_oldest_supported_versions():
    table = compatibility()
    for name, oldest in (
        ("ansible-core", versions.MIN_ANSIBLE_CORE),
        ("Python on the controller", versions.MIN_PYTHON),
        ("Kubernetes", versions.MIN_KUBERNETES),
        ("Helm", versions.MIN_HELM),
    ):
        supported, _tested = table[name]
        assert minor(supported.removeprefix("≥ ")) == oldest, name


@pytest.mark.parametrize(
    ("name", "version"), [("OpenTelemetry Collector (contrib)", versions.COLLECTOR), ("Tempo", versions.TEMPO)]
)
def test_readme_lists_what_the_roles_generate_configuration_for(name, version):
    supported, tested = compatibility()[name]
    assert minor(supported) == minor(version)
    assert tested.split()[0] == version


def test_readme_lists_the_jaeger_that_stands_in():
    assert f"Jaeger {versions.JAEGER}" in compatibility()["Tempo"][1]


@pytest.mark.parametrize(("prefix", "version"), TAGS.items())
def test_default_image_tags(prefix, version):
    role = "local_backends" if prefix.startswith("local_backends") else prefix
    name = f"{prefix}_image_tag"
    assert load(f"roles/{role}/defaults/main.yml")[name] == version
    options = load(f"roles/{role}/meta/argument_specs.yml")["argument_specs"]["main"]["options"]
    assert options[name]["default"] == version
    local = (ROOT / "inventories/local/group_vars/all.yml").read_text()
    assert re.search(rf"^{name}: .*default\('{re.escape(version)}'\)", local, re.MULTILINE)


@pytest.mark.parametrize("role", ["collector", "tempo"])
def test_charts_have_the_tag_as_their_default(role):
    assert load(f"roles/{role}/files/chart/values.yaml")["image"]["tag"] == TAGS[role]
    assert load(f"roles/{role}/files/chart/Chart.yaml")["appVersion"] == TAGS[role]


def test_images_that_are_built_or_pulled():
    images = load("airgap/images.yml")["images"]
    assert {name: images[name]["tag"] for name in ("collector", "tempo", "tempo-3", "jaeger")} == {
        "collector": versions.COLLECTOR,
        "tempo": versions.TEMPO,
        "tempo-3": versions.TEMPO_3,
        "jaeger": versions.JAEGER,
    }


def test_metadata_requires_the_oldest_ansible_core():
    assert load("meta/runtime.yml")["requires_ansible"] == f">={dotted(versions.MIN_ANSIBLE_CORE)}.0"
    for file in sorted((ROOT / "roles").glob("*/meta/main.yml")):
        found = load(str(file.relative_to(ROOT)))["galaxy_info"]["min_ansible_version"]
        assert minor(found) == versions.MIN_ANSIBLE_CORE, file
    assert f"ansible-core>={dotted(versions.MIN_ANSIBLE_CORE)}\n" in (ROOT / "requirements.txt").read_text()


@pytest.mark.parametrize("module", ["helm_release", "helm_release_info", "preflight"])
def test_modules_document_the_oldest_helm(module):
    text = (ROOT / f"plugins/modules/{module}.py").read_text()
    documented = set(re.findall(r"[Hh]elm \(?(\d+\.\d+) or newer", text))
    assert documented <= {dotted(versions.MIN_HELM)}
    assert documented or module == "helm_release_info"


@pytest.mark.parametrize("text", ["main-1a2b", "", "2"])
def test_text_without_a_version(text):
    with pytest.raises(ValueError, match="is not a version"):
        minor(text)
