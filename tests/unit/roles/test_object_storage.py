# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The object_storage role as a play runs it, without a store: what it refuses, it refuses before it asks one."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.tests.ansible_program import in_one_line, run_ansible

ROLE = Path(__file__).resolve().parents[3] / "roles/object_storage"
MODULE = Path(__file__).resolve().parents[3] / "plugins/modules/s3_bucket.py"
PLAY = [{"hosts": "localhost", "gather_facts": False, "roles": [{"role": "orion.tracing.object_storage"}]}]
# Options of the module that no variable of the role sets.
NOT_OF_THE_ROLE = {
    "name": "is object_storage_bucket",
    "state": "the role never deletes",
    "force_empty": "the role never deletes",
    "progress_file": "is the action plugin's",
    "lifecycle_rules": "made of several variables",
}


@pytest.fixture
def role(tmp_path: Path) -> Callable[..., str]:
    """Run the role, which has to fail; its output."""
    (tmp_path / "play.yml").write_text(json.dumps(PLAY))

    def run(**variables: Any) -> str:
        environment = {
            # Nobody answers there: what gets as far as a request fails by that.
            "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "not-to-be-shown",
        }
        given = {"object_storage_bucket": "orion-traces", "ansible_python_interpreter": sys.executable, **variables}
        argv = ["play.yml", "-i", "localhost,", "-c", "local", "-e", json.dumps(given)]
        done = run_ansible(tmp_path, "ansible-playbook", *argv, **environment)
        assert done.returncode != 0
        return in_one_line(done)

    return run


def test_a_lifecycle_that_contradicts_the_retention(role: Callable[..., str]) -> None:
    output = role(
        tracing_retention="720h",
        object_storage_expiry_days=32,
        object_storage_lifecycle_rules=[{"ID": "mine", "Expiration": {"Days": 30}}],
    )
    assert "object_storage_expiry_days: the store would delete blocks after 32 days" in output
    assert "tracing_retention (720h) and object_storage_expiry_margin (48h) together. Set 33 or more, or 0." in output
    assert "object_storage_lifecycle_rules: rule mine deletes blocks after 30 days" in output
    assert "no answer from" not in output


def test_the_retention_that_counts_is_tempos(role: Callable[..., str]) -> None:
    output = role(tempo_retention="24h", object_storage_expiry_days=3)
    assert "only later than tempo_retention (24h)" in output and "Set 4 or more" in output
    # Four days pass, so the next thing to fail is the connection.
    fine = role(tempo_retention="24h", object_storage_expiry_days=4, object_storage_tls_only=False)
    assert "no answer from the S3 endpoint http://127.0.0.1:1" in fine


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        (
            {"object_storage_iam_trust": "pod_identity"},
            "the collection amazon.aws, which makes the role, is not installed",
        ),
        ({"object_storage_endpoint_url": "https://s3.example.org"}, "a store that is not AWS, which has no IAM roles"),
    ],
)
def test_an_iam_role_that_cannot_be_made(role: Callable[..., str], variables: dict[str, Any], says: str) -> None:
    output = role(object_storage_iam_role_name="orion-tempo", **variables)
    assert "object_storage_iam_role_name is set, but" in output and says in output
    assert "no answer from" not in output


def test_every_option_of_the_module_has_a_variable() -> None:
    documentation = MODULE.read_text().split('"""')[1]
    options = set(yaml.safe_load(documentation)["options"]) - set(NOT_OF_THE_ROLE)
    (task,) = [t for t in yaml.safe_load((ROLE / "tasks/main.yml").read_text()) if "orion.tracing.s3_bucket" in t]
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text())
    assert {option for option in options if f"object_storage_{option}" not in defaults} == set()
    assert options <= set(task["orion.tracing.s3_bucket"])
