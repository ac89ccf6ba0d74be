# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which store the local inventory uses, by what `make up` has found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.collector.config import collector_values
from ansible_collections.orion.tracing.tests.role_defaults import role_defaults

ROOT = Path(__file__).resolve().parents[3]
NAMES = (
    "tracing_store", "tracing_store_reader", "tracing_store_namespace", "tracing_store_service", "tracing_region",
    "collector_exporters", "object_storage_bucket", "verify_bucket", "verify_recordings_bucket",
    "verify_recordings_prefix", "collector_logs_enabled", "instrumentation_logs_enabled",
    "local_backends_victorialogs_enabled", "local_backends_jaeger_enabled", "local_backends_jaeger_image_tag",
    "local_backends_prometheus_rules", "grafana_tempo_url", "grafana_jaeger_url", "grafana_logs_url",
    "grafana_logs_uid", "grafana_provisioning", "grafana_url", "grafana_username", "grafana_password",
    "local_backends_grafana_enabled", "local_backends_grafana_image_tag", "local_cluster_node_ports",
    "collector_metrics_enabled", "collector_remote_write_url", "verify_probe_enabled", "verify_probe_image_repository",
    "verify_probe_image_tag",
)  # fmt: skip


def seen(found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The inventory's variables and the roles' defaults, evaluated by Ansible. found: what is in local.json."""
    (folder / "local.json").write_text(json.dumps(found))
    inventory = folder / "inventories/local"
    (inventory / "group_vars").mkdir(parents=True)
    # Files of roles, by their place beside the inventory's.
    (folder / "roles").symlink_to(ROOT / "roles")
    (inventory / "hosts.yml").write_text((ROOT / "inventories/local/hosts.yml").read_text())
    own = yaml.safe_load((ROOT / "inventories/local/group_vars/all.yml").read_text())
    (inventory / "group_vars/all.yml").write_text(yaml.safe_dump(own))
    shown = {name: f"{{{{ lookup('orion.tracing.role_variables', '{name}').{name} }}}}" for name in NAMES}
    task = {"ansible.builtin.copy": {"dest": str(folder / "seen.json"), "content": "{{ shown | to_json }}"}}
    play = [{"hosts": "all", "gather_facts": False, "vars": {"shown": shown}, "tasks": [task]}]
    (folder / "play.yml").write_text(yaml.safe_dump(play))
    (folder / "ansible.cfg").write_text("")
    done = subprocess.run(
        [str(Path(sys.executable).with_name("ansible-playbook")), "play.yml", "-i", str(inventory),
         "-e", f"ansible_python_interpreter={sys.executable}"],
        env={**os.environ, "ORION_STATE": str(folder), "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
             "ANSIBLE_HOME": str(folder / "home")},
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(json.loads((folder / "seen.json").read_text()))


@pytest.mark.parametrize("found", [{}, {"images": {"tempo": {"tag": "2.10.8"}, "jaeger": {"tag": "2.13.0-orion"}}}])
def test_tempo_where_its_image_can_be_had(found: dict[str, Any], tmp_path: Path) -> None:
    values = seen(found, tmp_path)
    assert (values["tracing_store"], values["tracing_store_reader"]) == ("tempo", "tempo")
    assert values["tracing_store_namespace"] == "tracing" and values["tracing_store_service"] == ""
    assert [one["name"] for one in values["collector_exporters"]] == (["victorialogs"] if not found else [])
    assert not values["local_backends_jaeger_enabled"]
    assert {values[name] for name in values if name.endswith("logs_enabled")} == {not found}
    assert (values["verify_bucket"], values["verify_recordings_bucket"]) == ("orion-traces", "")
    assert values["grafana_tempo_url"] == "http://tempo-query-frontend.tracing.svc:3200"
    assert values["grafana_jaeger_url"] == "" and bool(values["grafana_logs_url"]) == (not found)


def test_jaeger_and_a_recording_otherwise(tmp_path: Path) -> None:
    values = seen({"images": {"jaeger": {"tag": "2.13.0-orion"}, "victorialogs": {"tag": "v1.52.1-orion"}}}, tmp_path)
    assert (values["tracing_store"], values["tracing_store_reader"]) == ("otlp", "jaeger")
    assert (values["tracing_store_namespace"], values["tracing_store_service"]) == ("local-backends", "jaeger")
    assert values["local_backends_jaeger_enabled"] and values["local_backends_jaeger_image_tag"] == "2.13.0-orion"
    assert values["verify_bucket"] == values["grafana_tempo_url"] == ""
    assert values["grafana_jaeger_url"] == "http://jaeger.local-backends.svc:16686"
    assert values["grafana_logs_url"] == "http://victorialogs.local-backends.svc:9428"
    assert values["grafana_logs_uid"] == "victorialogs"
    assert (values["verify_recordings_bucket"], values["verify_recordings_prefix"]) == ("orion-traces", "recordings")
    made, _warnings = collector_values({**role_defaults("collector"), **values})
    config = made["sampler"]["config"]
    assert config["service"]["pipelines"]["traces/sampled"]["exporters"] == [
        "otlp_http/jaeger", "awss3/recordings", "span_metrics/sampled",
    ]  # fmt: skip
    assert config["exporters"]["otlp_http/jaeger"]["endpoint"] == "http://jaeger.local-backends.svc:4318"
    logs = made["gateway"]["config"]["service"]["pipelines"]["logs"]
    assert logs["exporters"] == ["otlp_http/victorialogs"]
    assert {"path": "aws-ca-bundle.crt", "secret": "tempo-s3", "key": "ca.crt"} in made["sampler"]["secretFiles"]


def test_prometheus_has_the_alert_rules_with_the_figures_of_this_plan(tmp_path: Path) -> None:
    own = seen({}, tmp_path)["local_backends_prometheus_rules"]["groups"]
    role = yaml.safe_load((ROOT / "roles/grafana/files/alerts/prometheus.yml").read_text())["groups"]
    [kept, *_others] = own[0]["rules"]
    # 200 traces of 20 spans in a second, of which 25 % are kept.
    assert kept == {"record": "orion_plan_kept_spans_per_second", "expr": "vector(1000)"}
    assert own[1:] == role[1:], "and all else is what the role has"


def test_grafana_where_its_image_can_be_had(tmp_path: Path) -> None:
    (tmp_path / "without").mkdir()
    without = seen({"images": {"tempo": {"tag": "2.10.8"}}}, tmp_path / "without")
    assert not without["local_backends_grafana_enabled"] and without["grafana_provisioning"] == "sidecar"
    assert without["grafana_url"] == without["grafana_username"] == without["grafana_password"] == ""
    assert 30300 not in without["local_cluster_node_ports"]
    state = tmp_path / "orion"
    state.mkdir()
    (state / "cluster.json").write_text(json.dumps({"ports": {"30300": 41234, "30333": 1}}))
    (state / "grafana-credentials.json").write_text(json.dumps({"admin_password": "word", "secret_key": "other"}))
    values = seen({"images": {"tempo": {"tag": "2.10.8"}, "grafana": {"tag": "12.4.1"}}}, tmp_path)
    assert values["local_backends_grafana_enabled"] and values["local_backends_grafana_image_tag"] == "12.4.1"
    assert (values["grafana_provisioning"], values["grafana_url"]) == ("api", "http://127.0.0.1:41234")
    assert (values["grafana_username"], values["grafana_password"]) == ("admin", "word")
    assert 30300 in values["local_cluster_node_ports"]


@pytest.mark.parametrize("demo", [True, False])
def test_the_periodic_probe_runs_where_the_shops_image_is(demo: bool, tmp_path: Path) -> None:
    images = {"jaeger": {"tag": "2.13.0-orion"}, "shop-python": {"tag": "1.0.0-test"}}
    values = seen({"images": images, "demo": demo}, tmp_path)
    assert (values["verify_probe_enabled"], values["collector_metrics_enabled"]) == (demo, True)
    assert values["verify_probe_image_repository"] == "docker.io/orion/shop-python"
    assert values["verify_probe_image_tag"] == "1.0.0-test"
