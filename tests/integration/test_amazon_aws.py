# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Beside the collections amazon.aws and community.aws: the IAM role that the object_storage role makes with them, and
docs/from-amazon-aws-s3.md. Everything talks to a simulated AWS (moto) on a socket of this machine.

ORION_PEERS names a virtual environment with the PyPI package ansible, which carries them (requirements/bench.txt).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.s3.iam import irsa, permissions, pod_identity
from ansible_collections.orion.tracing.tests.simulated_aws import simulated_aws

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/from-amazon-aws-s3.md").read_text()
PEERS = ("amazon.aws.s3_bucket", "community.aws.s3_lifecycle")
PROVIDER = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/EXAMPLE"
CLUSTER = "arn:aws:eks:eu-central-1:123456789012:cluster/production"
KEY = "arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


@pytest.fixture(scope="module")
def peers() -> Path:
    """The folder of the programs of that environment."""
    folder = Path(os.environ.get("ORION_PEERS", "unset")).absolute() / "bin"
    if not (folder / "ansible-playbook").is_file():
        pytest.fail("no environment with the package ansible: run `make test GATE=integration`")
    return folder


class Aws:
    """A simulated AWS, and playbooks that are run on it by the environment of the peers."""

    def __init__(self, url: str, peers: Path, folder: Path) -> None:
        self.peers, self.folder = peers, folder
        self.env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "PYTHON"))},
            "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".state/collections"),
            "ANSIBLE_HOME": str(folder / "home"),
            "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json",
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "not-to-be-shown",
        }
        (folder / "ansible.cfg").write_text("")

    def client(self, service: str) -> Any:
        keys = {"aws_access_key_id": "AKIAEXAMPLE", "aws_secret_access_key": "not-to-be-shown"}
        return boto3.client(service, endpoint_url=self.env["AWS_ENDPOINT_URL"], region_name="us-east-1", **keys)

    def play(self, content: dict[str, Any], variables: dict[str, Any], *flags: str) -> dict[str, dict[str, Any]]:
        """Run one play; the results of its tasks by their names."""
        play = {"hosts": "localhost", "gather_facts": False, **content}
        (self.folder / "play.yml").write_text(json.dumps([play]))
        given = {"ansible_python_interpreter": str(self.peers / "python"), **variables}
        argv = [str(self.peers / "ansible-playbook"), "play.yml", "-i", "localhost,", "-c", "local"]
        argv += ["-e", json.dumps(given), *flags]
        done = subprocess.run(argv, cwd=self.folder, env=self.env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "not-to-be-shown" not in done.stdout + done.stderr
        (told,) = json.loads(done.stdout[done.stdout.index("{") :])["plays"]
        return {task["task"]["name"].split(" : ")[-1]: task["hosts"].get("localhost", {}) for task in told["tasks"]}


@pytest.fixture
def aws(peers: Path, tmp_path: Path) -> Iterator[Aws]:
    with simulated_aws() as url:
        yield Aws(url, peers, tmp_path)


ROLE = {"roles": [{"role": "orion.tracing.object_storage"}]}
TASKS = ("Make the bucket", "Make Tempo's IAM role", "Grant it the bucket and nothing else")
BASE = {
    "object_storage_bucket": "orion-traces",
    # The simulation has no TLS.
    "object_storage_tls_only": False,
    "object_storage_iam_role_name": "orion-tempo",
    "object_storage_iam_oidc_provider_arn": PROVIDER,
    "tracing_namespace": "observability",
}


def changed(results: dict[str, dict[str, Any]]) -> list[bool | None]:
    """Of the tasks that write; None for one that was skipped."""
    return [None if results[name].get("skipped") else results[name]["changed"] for name in TASKS]


def test_the_iam_role(aws: Aws) -> None:
    assert changed(aws.play(ROLE, BASE, "--check")) == [True, True, None]
    iam = aws.client("iam")
    assert iam.list_roles()["Roles"] == []
    assert changed(aws.play(ROLE, BASE)) == [True, True, True]
    (role,) = iam.list_roles()["Roles"]
    assert role["AssumeRolePolicyDocument"] == irsa("observability", "tempo", PROVIDER)
    assert iam.list_role_policies(RoleName="orion-tempo")["PolicyNames"] == ["tempo-s3"]
    granted = iam.get_role_policy(RoleName="orion-tempo", PolicyName="tempo-s3")["PolicyDocument"]
    assert granted == permissions("orion-traces")
    assert iam.list_instance_profiles()["InstanceProfiles"] == []
    # Somebody widens the permissions; the inventory changes key, trust and tags.
    wide = {**permissions("orion-traces"), "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="orion-tempo", PolicyName="tempo-s3", PolicyDocument=json.dumps(wide))
    wish = {
        **BASE,
        "object_storage_encryption": "sse_kms",
        "object_storage_kms_key_id": KEY,
        "object_storage_iam_trust": "pod_identity",
        "object_storage_iam_oidc_provider_arn": "",
        "object_storage_iam_cluster_arn": CLUSTER,
        "object_storage_iam_tags": {"environment": "production"},
    }
    assert changed(aws.play(ROLE, wish, "--check")) == [True, True, True]
    assert iam.get_role_policy(RoleName="orion-tempo", PolicyName="tempo-s3")["PolicyDocument"] == wide
    assert changed(aws.play(ROLE, wish)) == [True, True, True]
    granted = iam.get_role_policy(RoleName="orion-tempo", PolicyName="tempo-s3")["PolicyDocument"]
    assert granted == permissions("orion-traces", kms_key_arn=KEY)
    role = iam.get_role(RoleName="orion-tempo")["Role"]
    assert role["AssumeRolePolicyDocument"] == pod_identity("observability", "tempo", CLUSTER)
    assert role["Tags"] == [{"Key": "environment", "Value": "production"}]
    assert changed(aws.play(ROLE, wish)) == [False, False, False]


def blocks() -> list[list[dict[str, Any]]]:
    """The tasks of the page's examples: theirs, ours."""
    return [yaml.safe_load(part.split("```")[0]) for part in PAGE.split("```yaml\n")[1:]]


def test_the_pages_example_changes_nothing_on_what_theirs_has_made(aws: Aws) -> None:
    theirs, ours = blocks()
    names = [task["name"] for task in theirs]
    made = aws.play({"tasks": theirs}, {})
    assert [made[name]["changed"] for name in names] == [True, True, True]
    # What the page says about the bucket policy needs TLS, which the simulation has not; the document is the same.
    (task,) = ours
    task["orion.tracing.s3_bucket"] |= {"endpoint_url": aws.env["AWS_ENDPOINT_URL"], "tls_only": None}
    result = aws.play({"tasks": ours}, {}, "--diff")["Bucket"]
    assert (result["changed"], result["steps"]) == (False, []), result["diff"]


@pytest.mark.parametrize("module", PEERS)
def test_the_page_has_a_row_for_every_option(peers: Path, module: str) -> None:
    argv = [str(peers / "ansible-doc"), "--json", module]
    told = json.loads(subprocess.run(argv, capture_output=True, text=True, check=True).stdout)
    section = PAGE.split(f"## {module}\n")[1].split("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    connection = {"access_key", "secret_key", "session_token", "profile", "region", "endpoint_url", "aws_config"}
    connection |= {"aws_ca_bundle", "validate_certs", "debug_botocore_endpoint_logs"}
    options = set(told[module]["doc"]["options"]) - (connection if module != PEERS[0] else set())
    assert {row[1].strip(" `") for row in rows} == options
    # What has no equivalent says why.
    for _option, theirs, ours, remarks, *_rest in rows:
        assert ours.strip() != "none" or "because" in remarks, theirs


def test_the_page_names_the_test_of_every_complaint() -> None:
    tests = (ROOT / "tests/unit/plugins/modules/test_s3_peers.py").read_text()
    there = set(re.findall(r"^def (test_\w+)", tests, re.MULTILINE))
    assert set(re.findall(r"`(test_\w+)`", PAGE)) == there
