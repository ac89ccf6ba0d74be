# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What was applied, as the Secret has it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.plan import record as records
from ansible_collections.orion.tracing.plugins.module_utils.plan.record import AppliedInputs, AppliedRecord

SECRET = "not-to-be-shown"
INPUTS = AppliedInputs(
    "content",
    {"tempo_retention": "24h", "collector_gateway_replicas": 2, "object_storage_secret_key": SECRET},
    frozenset({"object_storage_secret_key"}),
    {"policy": "v1"},
    ("tempo", "collector"),
)


@pytest.fixture
def record() -> AppliedRecord:
    return records.of_inputs(INPUTS, "salt", {"tracing/tempo": 3}, {"s3_bucket": {"name": "traces"}}, ["a warning"])


def test_it_is_what_it_was_after_a_round_trip(record: AppliedRecord) -> None:
    secret = records.document("tracing", record)
    assert records.of_secret(secret) == record
    assert secret["metadata"]["name"] == records.NAME and secret["type"] == records.TYPE


def test_no_secret_is_in_it(record: AppliedRecord) -> None:
    text = base64.b64decode(records.document("tracing", record)["data"][records.KEY]).decode()
    assert SECRET not in text and base64.b64encode(SECRET.encode()).decode() not in text
    assert json.loads(text)["hidden"].keys() == {"object_storage_secret_key"}


@pytest.mark.parametrize(
    "secret",
    [
        None,
        {},
        {"data": {}},
        {"data": {records.KEY: "no base64!"}},
        {"data": {records.KEY: base64.b64encode(b"[]").decode()}},
        {"data": {records.KEY: base64.b64encode(b'{"format": 0}').decode()}},
    ],
)
def test_what_cannot_be_used_counts_as_none(secret: Any) -> None:
    assert records.of_secret(secret) is None


def with_variable(name: str, value: Any) -> AppliedInputs:
    return replace(INPUTS, variables={**INPUTS.variables, name: value})


def test_the_same_inputs(record: AppliedRecord) -> None:
    assert records.same_inputs(record, INPUTS)
    # As a survey sends it.
    assert records.same_inputs(record, with_variable("collector_gateway_replicas", "2"))


@pytest.mark.parametrize(
    "other",
    [
        with_variable("tempo_retention", "48h"),
        with_variable("object_storage_secret_key", "another"),
        with_variable("tempo_retnetion", "48h"),
        replace(INPUTS, content="another"),
        replace(INPUTS, served={"policy": ""}),
        replace(INPUTS, components=("tempo",)),
        replace(INPUTS, variables={"tempo_retention": "24h"}),
    ],
)
def test_other_inputs(record: AppliedRecord, other: AppliedInputs) -> None:
    assert not records.same_inputs(record, other)


def test_variables_before_and_after(record: AppliedRecord) -> None:
    changed = records.changed_variables(record, with_variable("tempo_retention", "48h"))
    assert changed == {"tempo_retention": ("24h", "48h")}


def test_a_secret_that_changes_is_named_without_its_value(record: AppliedRecord) -> None:
    changed = records.changed_variables(record, with_variable("object_storage_secret_key", "another-secret"))
    assert changed.keys() == {"object_storage_secret_key"}
    assert SECRET not in str(changed) and "another-secret" not in str(changed)


def test_without_a_record_nothing_is_known_of_before() -> None:
    assert records.changed_variables(None, INPUTS) == {}


@pytest.mark.parametrize(("one", "other"), [(True, "true"), (2, "2"), (0.5, "0.5"), ([1], "[1]")])
def test_text_for_a_value(one: Any, other: str) -> None:
    assert records.same(one, other)


@pytest.mark.parametrize(("one", "other"), [("2.10", 2.1), (None, ""), ([1], [2]), ("a", "b")])
def test_other_values(one: Any, other: Any) -> None:
    assert not records.same(one, other)
