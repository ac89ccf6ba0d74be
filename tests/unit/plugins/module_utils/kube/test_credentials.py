# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.kube.connection import resolve
from ansible_collections.orion.tracing.plugins.module_utils.kube.credentials import document, is_content, secrets_of

TOKEN = "token-of-this-user"
CONFIG: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Config",
    "current-context": "default",
    "contexts": [{"name": "default", "context": {"cluster": "default", "user": "default"}}],
    "clusters": [{"name": "default", "cluster": {"server": "https://k8s.example:6443"}}],
    "users": [{"name": "default", "user": {"token": TOKEN}}],
}


def of_user(**user: Any) -> set[str]:
    return secrets_of({"users": [{"name": "default", "user": user}]})


@pytest.mark.parametrize("text", [yaml.safe_dump(CONFIG), json.dumps(CONFIG), "\n" + json.dumps(CONFIG, indent=1)])
def test_text_is_read_as_a_kubeconfig(text: str) -> None:
    assert is_content(text)
    assert document(text) == CONFIG
    assert resolve({"kubeconfig": text}, {}).options["kubeconfig"] == CONFIG
    assert secrets_of(text) == {TOKEN}


@pytest.mark.parametrize("path", ["/etc/kubernetes/admin.conf", "~/.kube/config", "config", "a: b", "{{ nothing }", ""])
def test_a_path_stays_a_path(path: str) -> None:
    assert is_content(path) is path.startswith("{")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (f"users: [{TOKEN}\n  token: {TOKEN}", "not YAML in line 2"),
        (f"- {TOKEN}\n- {TOKEN}", "not a mapping"),
        (f"$ANSIBLE_VAULT;1.1;AES256\n{TOKEN}", "encrypted with ansible-vault"),
        (base64.b64encode(yaml.safe_dump(CONFIG).encode()).decode(), "b64decode"),
        (TOKEN * 20, "not a mapping"),
        ([TOKEN], "of the type list"),
    ],
)
def test_what_is_not_a_kubeconfig_is_refused_without_being_quoted(value: Any, words: str) -> None:
    with pytest.raises(InvalidInput) as error:
        resolve({"kubeconfig": value}, {})
    assert words in str(error.value)
    assert TOKEN not in str(error.value)
    assert error.value.__cause__ is None
    if isinstance(value, str):
        assert secrets_of(value) == {value}


def test_content_in_a_variable_of_the_environment_is_not_shown() -> None:
    found = resolve({}, {"K8S_AUTH_KUBECONFIG": yaml.safe_dump(CONFIG)})
    assert found.options["kubeconfig"] == CONFIG
    assert found.origin == "K8S_AUTH_KUBECONFIG"


def test_names_certificates_and_commands_are_not_secret() -> None:
    user = {
        "username": "deployed",
        "client-certificate-data": "certificate",
        "client-key": "/keys/tls.key",
        "tokenFile": "/tokens/token",
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": "deployed",
            "args": ["get-token", "--cluster-name", "deployed", "--login=deployed"],
            "env": [{"name": "AWS_PROFILE", "value": "production"}],
        },
    }
    assert of_user(**user) == set()


@pytest.mark.parametrize(
    "user",
    [
        {"token": TOKEN},
        {"username": "u", "password": TOKEN},
        {"client-key-data": TOKEN},
        {"auth-provider": {"name": "oidc", "config": {"client-id": "deployed", "refresh-token": TOKEN}}},
        {"auth-provider": {"name": "oidc", "config": {"idp-issuer-url": "https://deployed", "client-secret": TOKEN}}},
        {"exec": {"command": "c", "env": [{"name": "AZURE_CLIENT_SECRET", "value": TOKEN}]}},
        {"exec": {"command": "c", "args": ["login", f"--oidc-client-secret={TOKEN}"]}},
        {"exec": {"command": "c", "args": ["login", "--password", TOKEN, "--verbose"]}},
    ],
)
def test_secrets_are_found_wherever_a_user_may_have_them(user: dict[str, Any]) -> None:
    assert of_user(**user) == {TOKEN}


def test_a_secret_that_would_garble_other_text_is_not_searched_for() -> None:
    assert of_user(token="l", password="12345") == set()


@pytest.mark.parametrize("value", [None, {}, {"users": "none"}, {"users": ["x", {"name": "x"}, {"user": 1}]}])
def test_a_document_without_users_has_no_secrets(value: Any) -> None:
    assert secrets_of(value) == set()
