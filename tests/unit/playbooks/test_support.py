# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""playbooks/support.yml with a platform in memory: what only the play has is in the archive, its secrets are not."""

from __future__ import annotations

import json
import re
import sys
import tarfile
from pathlib import Path

import yaml
from ansible.constants import DEFAULT_VAULT_ID_MATCH
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.orion.tracing.plugins.module_utils.kube.answers import Response
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible
from ansible_collections.orion.tracing.tests.unit.playbooks.test_status import kubeconfig
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.status.made import FakePlatform

ROOT = Path(__file__).parents[3]
SECRET_KEY, VAULTED, LOOSE = "secret-key-of-the-store", "vaulted-in-the-inventory", "in-a-header-of-the-inventory"


def inventory(folder: Path, url: str) -> None:
    vault = VaultLib([(DEFAULT_VAULT_ID_MATCH, VaultSecret(b"password"))])
    (folder / "password").write_text("password")
    encrypted = vault.encrypt(VAULTED.encode()).decode().replace("\n", "\n          ")
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "object_storage_bucket": "orion-traces",
        "object_storage_secret_key": SECRET_KEY,
        "tracing_kubeconfig": kubeconfig(url),
        "tracing_cluster_name": "edge/1",
        "tempo_log_level": "loud",  # an inventory that is wrong still has its archive
        "collector_exporters": [{"name": "a", "headers": {"api_token": LOOSE}}],
    }
    text = "".join(f"        {name}: {json.dumps(value)}\n" for name, value in variables.items())
    text += f"        grafana_url: !vault |\n          {encrypted}\n"
    (folder / "hosts.yml").write_text(
        f"all:\n  hosts:\n    edge:\n      {{}}\n  vars:\n{re.sub('^ {8}', '    ', text, flags=re.M)}"
    )


def test_the_archive(tmp_path: Path) -> None:
    platform = FakePlatform()
    said = f"ERROR {SECRET_KEY} and {VAULTED} and {LOOSE} and not-to-be-shown were refused\n"
    platform.on("/pods/[^/]+/log$", Response(200, {}, said.encode()))
    with platform.serving() as url:
        inventory(tmp_path, url)
        argv = [str(ROOT / "playbooks/support.yml"), "-i", "hosts.yml", "--vault-password-file", "password"]
        done = run_ansible(tmp_path, "ansible-playbook", *argv, "-e", "support_log_lines=7")
    shown = in_one_line(done)
    assert done.returncode == 0, shown
    [path] = tmp_path.glob("tracing-support-edge-1-*.tar.gz")
    with tarfile.open(path) as archive:
        files = {
            one.name.partition("/")[2]: archive.extractfile(one).read().decode()  # type: ignore[union-attr]
            for one in archive.getmembers()
        }
    everything = "\n".join(files.values())
    for value in (SECRET_KEY, VAULTED, LOOSE, "not-to-be-shown"):
        assert value not in everything + shown, value
    log = files["tracing/logs/gw-0/main.log"]
    assert log == "ERROR <removed> and <removed> and <removed> and <removed> were refused\n"
    assert {one.query["tailLines"] for one in platform.asked if one.path.endswith("/log")} == {"7"}
    versions = json.loads(files["versions.json"])
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"]
    assert versions["orion.tracing"] == version and versions["ansible-core"].startswith("2.") and "helm" in versions
    assert json.loads(files["variables/tracing.json"])["tracing_cluster_name"] == "edge/1"
    assert json.loads(files["variables/tempo.json"])["tempo_log_level"] == "loud"
    # Why there is neither a page nor a plan.
    assert "tempo_log_level" in files["plan.txt"] and "tempo_log_level" in files["status.txt"]
    assert "support_archive: namespace tracing: " in shown, "progress"


def test_the_page_and_the_plan_are_in_it(tmp_path: Path) -> None:
    with FakePlatform().serving() as url:
        given = {"object_storage_bucket": "b", "tracing_kubeconfig": kubeconfig(url), "support_file": "a.tar.gz"}
        given["ansible_python_interpreter"] = sys.executable
        argv = [str(ROOT / "playbooks/support.yml"), "-i", "localhost,", "-c", "local", "-e", json.dumps(given)]
        done = run_ansible(tmp_path, "ansible-playbook", *argv)
    assert done.returncode == 0, in_one_line(done)
    with tarfile.open(tmp_path / "a.tar.gz") as archive:
        page = json.loads(archive.extractfile("a/status.json").read())  # type: ignore[union-attr]
        plan = archive.extractfile("a/plan.txt").read().decode()  # type: ignore[union-attr]
        table = archive.extractfile("a/status.txt").read().decode()  # type: ignore[union-attr]
    assert page["releases"] and "otel-sampler" in table and "USD per month" in plan
