# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Secrets in text: those that are known in every form, and what looks like one; and what has to stay."""

from __future__ import annotations

import base64
import json
import time
from urllib.parse import quote

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.status.removal import OF_SECRETS, REMOVED, Removal, inner
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.status.made import certificate, secret

VALUE = 'pa&ss/wörd"<1>'


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "text",
    [
        f"login with {VALUE} failed",
        json.dumps({"a": VALUE}),
        json.dumps({"a": VALUE}, ensure_ascii=False),
        json.dumps({"a": json.dumps({"b": VALUE})}),
        f"https://store.test/?q={quote(VALUE, safe='')}",
        f"data: {b64(VALUE)}",
        f"data: {b64('user:' + VALUE + ':more')}",
    ],
)
def test_a_known_value_goes_in_every_form(text: str) -> None:
    removal = Removal()
    removal.learn(VALUE, OF_SECRETS)
    shown = removal.text(text)
    assert REMOVED in shown and "wörd" not in shown and "w\\u00f6rd" not in shown and b64(VALUE) not in shown
    assert removal.removed[OF_SECRETS] == 1


def test_values_inside_of_a_secrets_documents_are_known_too() -> None:
    config = json.dumps({"identities": [{"credentials": [{"accessKey": "inner-access", "secretKey": "inner-secret"}]}]})
    removal = Removal()
    removal.learn_secret(secret("s", json=config.encode(), env=b"# comment\nexport A=line-value\nB: 'quoted-value'\n"))
    removal.learn_secret(secret("t", binary=b"\xff\xfe\x00\x01\x02\x03\x04\x05", short=b"abc"))
    shown = removal.text("inner-access inner-secret line-value quoted-value abc " + base64.b64encode(
        b"\xff\xfe\x00\x01\x02\x03\x04\x05").decode())  # fmt: skip
    assert shown == f"{REMOVED} {REMOVED} {REMOVED} {REMOVED} abc {REMOVED}" and removal.short == 1
    assert "A" not in list(inner("A=xyz"))


_PEM = certificate(1)[1].decode()


@pytest.mark.parametrize(
    ("text", "gone"),
    [
        (_PEM, _PEM[40:80]),
        (json.dumps(_PEM), _PEM[40:80]),
        (f"tls.key: {b64(_PEM)}", b64(_PEM)[20:60]),
        (_PEM[60:], _PEM[70:110]),
        (_PEM[:120], _PEM[60:110]),
        ("Authorization: Bearer abc.def-ghi_jkl", "abc.def"),
        ('{"authorization": "Basic dXNlcjpwYXNz"}', "dXNlcjpwYXNz"),
        ('{\\"Authorization\\": [\\"Bearer abcdefghij\\"]}', "abcdefghij"),
        ("authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/2026", "AKIA"),
        ("sent bearer 0123456789abcdef", "0123456789abcdef"),
        ("header Basic dXNlcjpwYXNzd29yZA==", "dXNlcjpwYXNzd29yZA"),
        ("token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "eyJhbGci"),
        ("key AKIAIOSFODNN7EXAMPLE", "AKIA"),
        ("GET /b?X-Amz-Signature=0123abc&X-Amz-Expires=9", "0123abc"),
        ("http://user:hunter2@store.test/path", "hunter2"),
        ("postgres:\\/\\/user:hunter2@db", "hunter2"),
        ("password: hunter2", "hunter2"),
        ("DB_PASSWORD=hunter2 next", "hunter2"),
        ('"api_key" : "hunter2"', "hunter2"),
        ('{\\"client_secret\\": \\"hunter2\\"}', "hunter2"),
        ("aws_secret_access_key = hunter2", "hunter2"),
        ("with ghp_0123456789abcdefghij", "ghp_0"),
        ("with glsa_0123456789abcdefghij", "glsa_0"),
    ],
    ids=map(str, range(100)),  # a key is another one each time
)
def test_what_looks_like_a_secret_goes(text: str, gone: str) -> None:
    assert gone in text
    removal = Removal()
    shown = removal.text(text)
    assert REMOVED in shown and gone not in shown and sum(removal.removed.values()) >= 1
    assert removal.text(shown) == shown, "what was removed is not removed again"


@pytest.mark.parametrize(
    "text",
    [
        "secretName: tempo-s3",
        "secretKeyRef: {name: tempo-s3, key: access_key}",
        "token: ${env:OTLP_TOKEN}",
        "access_key: ${S3_ACCESS_KEY}",
        "max_tokens: 5",
        "token_bucket_limit=10s",
        "basic authentication is off",
        "automountServiceAccountToken: false",
        "https://store.test:9000/bucket",
        "password: ",
        "imagePullSecrets: []",
        certificate(1)[0].decode(),
        "otelcol_exporter_sent_spans{exporter=\"otlp_grpc/tempo\"} 5",
    ],
    ids=map(str, range(100)),
)  # fmt: skip
def test_what_is_no_secret_stays(text: str) -> None:
    removal = Removal()
    assert removal.text(text) == text and not removal.removed


def test_documents() -> None:
    removal = Removal()
    removal.names.add("tempo-s3")
    found = removal.document(
        {
            "metadata": {
                "managedFields": [1],
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "x"},
            },
            "env": [{"name": "DB_PASSWORD", "value": "hunter2"}, {"name": "LEVEL", "value": "info"}],
            "from": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
            "credentials_secret": "tempo-s3",
            "nested": [{"clientSecret": "hunter2", "secretName": "s3", "tokens": 3}],
        }
    )
    assert found == {
        "metadata": {"annotations": {}},
        "env": [{"name": "DB_PASSWORD", "value": REMOVED}, {"name": "LEVEL", "value": "info"}],
        "from": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "credentials_secret": "tempo-s3",
        "nested": [{"clientSecret": REMOVED, "secretName": "s3", "tokens": 3}],
    }


@pytest.mark.parametrize("piece", ["a", "aGVsbG8+", "secret.", "-", "a.b-", "password", " \n", "http:", "QUJD\n" * 8])
def test_long_text_takes_time_in_proportion(piece: str) -> None:
    removal = Removal()
    text = (piece * 1_000_000)[:1_000_000]
    started = time.process_time()
    removal.text(text)
    assert time.process_time() - started < 5
