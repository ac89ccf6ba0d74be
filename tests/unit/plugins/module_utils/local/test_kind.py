# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)

from __future__ import annotations

import io
import json
import tarfile

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict, InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.local.kind import (
    Archive,
    ClusterState,
    default_node_version,
    kind_config,
    make_plan,
    read_archive,
)

NODE = Archive("/node.tar", ("kindest/node:v1",), ("aa" * 32,))
TEMPO = Archive("/tempo.tar", ("grafana/tempo:1",), ("bb" * 32,))


def archive(path, manifest, **documents) -> str:
    with tarfile.open(path, "w") as tar:
        for name, document in {"manifest.json": manifest, **documents}.items():
            data = json.dumps(document).encode()
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return str(path)


@pytest.mark.parametrize("config", ["ab12.json", "blobs/sha256/ab12"])
def test_archive_of_either_layout(tmp_path, config) -> None:
    manifest = [{"Config": config, "RepoTags": ["x:1"], "Layers": []}]
    path = archive(tmp_path / "a.tar", manifest, **{config: {"config": {"Entrypoint": ["/x"]}}})
    assert read_archive(path) == Archive(path, ("x:1",), ("ab12",), ("/x",))


def test_a_node_of_kinds_own_boots_and_airgaps_does_not() -> None:
    entrypoint = "/usr/local/bin/entrypoint"
    assert Archive("", (), ("aa",), (entrypoint, "/sbin/init")).boots
    assert not Archive("", (), ("aa",), (entrypoint,)).boots


def test_the_same_image_under_another_name_is_loaded_again() -> None:
    assert Archive("", ("x:1",), ("aa",)).key != Archive("", ("x:2",), ("aa",)).key


def test_archive_errors_name_the_option(tmp_path) -> None:
    with pytest.raises(InvalidInput, match="archives: .*missing.tar is not an image archive"):
        read_archive(str(tmp_path / "missing.tar"))
    no_config = archive(tmp_path / "no-config.tar", [{"Config": "c.json", "RepoTags": ["x:1"], "Layers": []}])
    with pytest.raises(InvalidInput, match="archives: .*no-config.tar is not an image archive in docker's format"):
        read_archive(no_config)
    with pytest.raises(InvalidInput, match="archives: .*holds no image"):
        read_archive(archive(tmp_path / "empty.tar", []))


def test_kind_config_of_a_plain_node() -> None:
    config = kind_config("kindest/node:v1", True, 20001, {30333: 20002}, "v1.34.4")
    assert config["nodes"][0]["image"] == "kindest/node:v1"
    assert config["nodes"][0]["extraPortMappings"][0]["listenAddress"] == "127.0.0.1"
    assert config["networking"]["kubeProxyMode"] == "none" and config["networking"]["apiServerPort"] == 20001


def test_kind_config_leaves_upstreams_node_alone() -> None:
    config = kind_config("", False, 20001, {}, "")
    assert "image" not in config["nodes"][0]
    assert config["networking"] == {"apiServerPort": 20001}


@pytest.mark.parametrize("version", ["v1.34.4", "v1.35.0", default_node_version("0.31.0")])
def test_a_version_with_the_policies_as_beta_is_asked_to_serve_them(version: str) -> None:
    config = kind_config("", False, 20001, {}, version)
    assert config["featureGates"] == {"MutatingAdmissionPolicy": True}
    assert config["runtimeConfig"] == {"admissionregistration.k8s.io/v1beta1": "true"}


@pytest.mark.parametrize("version", ["v1.31.4", "v1.33.7", "v1.36.0", "v1.37.0", default_node_version("0.33.0")])
def test_a_version_that_has_no_such_gate_or_needs_none_is_left_alone(version: str) -> None:
    assert not {"featureGates", "runtimeConfig"} & kind_config("", False, 20001, {}, version).keys()


def test_ports_that_an_existing_cluster_does_not_publish() -> None:
    state = ClusterState(True, True, "aa" * 32, frozenset([TEMPO.key]), {30333: 40001})
    with pytest.raises(
        Conflict, match="node_ports: the existing cluster does not publish 30380, 30381: .*create it again"
    ):
        make_plan(state, True, NODE, True, [TEMPO], [30333, 30381, 30380])
    # A node of another image is replaced anyway, and a removal needs no port
    assert make_plan(ClusterState(True, True, "cc" * 32), True, NODE, True, [], [30380]).changed
    assert make_plan(state, False, None, False, [], [30380]).changed


def names(state, wanted=True, node=NODE, engine=True, archives=(TEMPO,)):
    return [step.name for step in make_plan(state, wanted, node, engine, list(archives)).steps]


def test_nothing_there() -> None:
    assert names(ClusterState()) == ["create cluster", "load grafana/tempo:1"]
    assert names(ClusterState(), engine=False)[0] == "load node image into the engine"
    assert names(ClusterState(), node=None, archives=()) == ["create cluster"]


def test_nothing_to_do() -> None:
    state = ClusterState(True, True, "aa" * 32, frozenset([TEMPO.key]), {30333: 40001})
    plan = make_plan(state, True, NODE, True, [TEMPO])
    assert not plan.changed and not plan.diff
    assert plan.result == {"ports": {"30333": 40001}}


def test_only_what_was_not_loaded_is_loaded() -> None:
    assert names(ClusterState(True, True, "aa" * 32)) == ["load grafana/tempo:1"]


def test_stopped_node_is_started() -> None:
    assert names(ClusterState(True, False, "aa" * 32), archives=()) == ["start node"]


def test_node_of_another_image_is_replaced_with_a_warning() -> None:
    state = ClusterState(True, True, "cc" * 32, frozenset([TEMPO.key]))
    plan = make_plan(state, True, NODE, True, [TEMPO])
    assert [s.action for s in plan.steps] == ["delete", "create", "load"]
    assert "loses its content" in plan.warnings[0]


def test_removal() -> None:
    assert names(ClusterState(), wanted=False) == []
    assert names(ClusterState(True, True), wanted=False) == ["delete cluster"]
