# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import base64

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.helm.mask import HIDDEN, Mask, forms


def test_digests_cannot_be_compared_between_runs() -> None:
    assert Mask().digest("guessable") != Mask().digest("guessable")
    mask = Mask()
    assert mask.digest("guessable") == mask.digest("guessable")
    assert mask.digest("guessable") != mask.digest("guessablf")


def test_short_values_are_not_searched_for() -> None:
    mask = Mask()
    mask.digest("1")
    assert mask.text("replicas: 1") == "replicas: 1"


def test_data_that_is_not_base64_is_hidden_as_it_is() -> None:
    masked = Mask().object({"kind": "Secret", "data": {"a": "not base64!", "b": None}, "stringData": None})
    assert all(value.startswith("digest:") for value in masked["data"].values())
    assert masked["stringData"] is None


def test_values_with_telling_names_are_learnt() -> None:
    mask = Mask()
    mask.learn(
        {
            "password": "hunter22",
            "auth": {"tokens": ["abcdefgh", {"any": "ijklmnop"}]},
            "list": [{"accessKey": "AKIAEXAMPLE"}],
            "image": "docker.io/x",
            "apiKey": 1234567,
            "secret": "abc",
        }
    )
    assert mask.known == {"hunter22", "abcdefgh", "ijklmnop", "AKIAEXAMPLE"}
    assert mask.text("'hunter22' does not match") == "'********' does not match"


def test_names_of_secrets_are_no_secrets() -> None:
    mask = Mask()
    mask.learn(
        {
            "secretName": "tls-certificate",
            "existingSecret": "credentials-of-mine",
            "imagePullSecrets": [{"name": "registry-login"}],
            "secrets": {"tls": {"secretName": "deep-inside"}},
            "env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "postgres", "key": "user-name"}}}],
            "secretRef": {"name": "whole", "password": "real-one"},
            "secretKey": "hunter22",
        }
    )
    assert mask.known == {"real-one", "hunter22"}


def test_all_texts_of_a_result_are_masked() -> None:
    mask = Mask(known={"hunter22"})
    assert mask.all({"a": ["x hunter22", 1, None], "b": {"c": "hunter22"}}) == {
        "a": ["x ********", 1, None],
        "b": {"c": "********"},
    }


@pytest.mark.parametrize("before", ["", "u", "us", "user:", "user:x"])
@pytest.mark.parametrize("behind", ["", "@", "@h", "@host"])
def test_a_secret_inside_base64_is_hidden_at_any_position(before: str, behind: str) -> None:
    mask = Mask(known={"correct horse"})
    encoded = base64.b64encode(f"{before}correct horse{behind}".encode()).decode()
    assert HIDDEN in mask.text(encoded)
    left = mask.text(encoded).replace(HIDDEN, "")
    assert len(left) <= len(encoded) - 4 * (len("correct horse") // 3 - 1)


def test_short_forms_are_not_searched_for() -> None:
    assert min(map(len, forms("abcdef"))) >= 6
    assert min(map(len, forms("a long line of a key\nend\n"))) >= 6
    assert "-----BEGIN PRIVATE KEY-----" not in forms("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\n")


def test_a_value_learnt_later_is_hidden_from_then_on() -> None:
    mask = Mask(known={"hunter22"})
    assert mask.text("hunter22 hunter33") == f"{HIDDEN} hunter33"
    mask.learn({"token": "hunter33"})
    assert mask.text("hunter22 hunter33") == f"{HIDDEN} {HIDDEN}"


def test_a_fingerprint_is_not_learnt() -> None:
    mask = Mask()
    assert mask.fingerprint("production") == mask.fingerprint("production") != mask.fingerprint("staging")
    assert mask.text("production") == "production"
