# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The module s3_bucket as Ansible calls it: arguments, environment, result keys."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.orion.tracing.plugins.modules import s3_bucket
from moto import mock_aws


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-to-be-shown")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


def run(capsys: pytest.CaptureFixture[str], **arguments: Any) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        s3_bucket.main()
    out = capsys.readouterr().out
    assert "not-to-be-shown" not in out
    return json.loads(out)


@mock_aws
def test_result_is_the_same_in_check_mode(capsys: pytest.CaptureFixture[str]) -> None:
    given = {"bucket": "traces", "versioning": True, "tags": {"a": 1}, "tls_only": True}
    would = run(capsys, **given, _ansible_check_mode=True, _ansible_diff=True)
    did = run(capsys, **given, _ansible_diff=True)
    again = run(capsys, **given)
    for result in (would, did):
        result.pop("invocation", None)
        assert set(result) == {"changed", "diff", "steps", "bucket", "unsupported", "api_calls"}
        assert result["changed"] and result["bucket"]["region"] == "eu-west-1"
    assert would["diff"] == did["diff"] and would["steps"] == did["steps"]
    assert (again["changed"], again["steps"], again["api_calls"]) == (False, [], 4)


def test_failure_names_the_option(capsys: pytest.CaptureFixture[str]) -> None:
    result = run(capsys, name="Not_A_Bucket")
    assert result["failed"] and "name 'Not_A_Bucket' cannot be a bucket" in result["msg"]


def test_choices(capsys: pytest.CaptureFixture[str]) -> None:
    assert "encryption" in run(capsys, name="traces", encryption="rot13")["msg"]
