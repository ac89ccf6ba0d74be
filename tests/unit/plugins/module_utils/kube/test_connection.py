# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.kube.connection import (
    VARIABLES,
    is_loopback,
    proxy_variable,
    resolve,
)

ENVIRON = {
    "K8S_AUTH_KUBECONFIG": "/env/config",
    "K8S_AUTH_CONTEXT": "env",
    "K8S_AUTH_SSL_CA_CERT": "$HERE/ca.crt",
    "K8S_AUTH_VERIFY_SSL": "no",
    "KUBECONFIG": "/kubectl/config",
}
HOST = {"K8S_AUTH_HOST": "https://me:pw@env.example:6443", "K8S_AUTH_API_KEY": "sesame"}


def given(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


@pytest.mark.parametrize(
    "options",
    [
        {"kubeconfig": "/mine"},
        {"kubeconfig": {"kind": "Config"}},
        {"kubeconfig": "/mine", "ca_cert": "/ca"},
        {"host": "https://mine"},
        {"host": "https://mine", "api_key": "k", "validate_certs": False},
    ],
)
def test_explicit_options_are_not_mixed_with_the_environment(options: dict[str, Any]) -> None:
    found = resolve(options, ENVIRON | HOST)
    assert given(dict(found.options)) == options
    assert found.origin == ""


def test_a_context_alone_is_of_the_default_kubeconfig() -> None:
    found = resolve({"context": "mine"}, ENVIRON | HOST)
    assert given(dict(found.options)) == {"context": "mine"}
    assert found.origin == "KUBECONFIG=/kubectl/config"
    assert resolve({"context": "mine"}, {}).origin == ""


def test_the_environment_is_taken_whole_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "/here")
    found = resolve(dict.fromkeys(VARIABLES), ENVIRON)
    assert found.options == {
        "kubeconfig": "/env/config",
        "context": "env",
        "host": None,
        "api_key": None,
        "ca_cert": "/here/ca.crt",
        "validate_certs": False,
    }
    assert found.origin == (
        "K8S_AUTH_KUBECONFIG=/env/config, K8S_AUTH_CONTEXT=env, K8S_AUTH_SSL_CA_CERT=$HERE/ca.crt"
        " and K8S_AUTH_VERIFY_SSL=no"
    )


def test_a_host_of_the_environment_is_no_part_of_a_kubeconfig() -> None:
    found = resolve({"kubeconfig": "", "validate_certs": True}, ENVIRON | HOST)
    assert given(dict(found.options)).keys() == {"host", "api_key", "ca_cert", "validate_certs"}
    assert found.options["validate_certs"] is True
    assert found.origin.startswith("K8S_AUTH_HOST=https://env.example:6443, K8S_AUTH_API_KEY and ")
    assert "sesame" not in found.origin and "pw" not in found.origin


@pytest.mark.parametrize(
    ("options", "environ", "message"),
    [
        ({"api_key": "k"}, ENVIRON | HOST, "^api_key is set without host"),
        ({"api_key": "k", "kubeconfig": "/mine"}, {}, "^api_key is set without host"),
        ({}, ENVIRON | {"K8S_AUTH_API_KEY": "k"}, "^K8S_AUTH_API_KEY is set without K8S_AUTH_HOST"),
        ({}, {"K8S_AUTH_VERIFY_SSL": "perhaps"}, "^K8S_AUTH_VERIFY_SSL is 'perhaps', not a boolean"),
    ],
)
def test_what_cannot_be_meant(options: dict[str, Any], environ: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        resolve(options, environ)


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("https://127.0.0.1:6443", True),
        ("https://127.9.8.7", True),
        ("http://[::1]:80/x", True),
        ("https://localhost:6443", True),
        ("https://kind.localhost", True),
        ("https://10.0.0.1", False),
        ("https://localhost.example", False),
        ("https://[broken", False),
        ("", False),
    ],
)
def test_loopback(url: str, loopback: bool) -> None:
    assert is_loopback(url) is loopback


def test_the_variable_of_a_proxy() -> None:
    assert proxy_variable("https://h", {"HTTPS_PROXY": "p", "http_proxy": "q"}) == "HTTPS_PROXY"
    assert proxy_variable("http://h", {"HTTPS_PROXY": "p", "ALL_PROXY": "q"}) == "ALL_PROXY"
    assert proxy_variable("http://h", {"http_proxy": ""}) == ""
