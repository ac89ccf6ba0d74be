# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Answers of real stores that are not AWS's, as tests/integration/test_s3_stores.py has met them, by a stand-in."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import NotFound
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan
from ansible_collections.orion.tracing.plugins.module_utils.s3 import bucket
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store, Unsupported
from ansible_collections.orion.tracing.tests.unit.plugins.module_utils.s3.fake_store import (
    NOT_THERE,
    FakeStore,
    fake_store,
    xml,
)

OWNED = b"<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(bucket, "PATIENCE", (0.0,))
    with fake_store() as store:
        store.answers.update(NOT_THERE)
        yield store


def run(server: FakeStore, **given: Any) -> Plan:
    keys = {"access_key": "AKIAEXAMPLE", "secret_key": "not-to-be-shown", "region": "us-east-1"}
    params = {
        "name": "traces",
        "state": "present",
        "on_unsupported": "fail",
        "endpoint_url": server.url,
        **keys,
        **given,
    }
    bucket.check_options(params)
    store = Store.connect(params)
    state = bucket.read(store, params)
    plan = bucket.make_plan(state, params)
    bucket.apply(store, params, state, plan)
    store.close()
    return plan


def test_ownership_controls_that_are_answered_but_cannot_be_deleted(server: FakeStore) -> None:
    """SeaweedFS: GET says BucketOwnerEnforced, DELETE says that there is nothing."""
    server.answers["GET", "ownershipControls"] = (200, OWNED)
    server.answers["DELETE", "ownershipControls"] = (404, xml("OwnershipControlsNotFoundError"))
    with pytest.raises(Unsupported, match="object_ownership .it accepts the document, but afterwards it has"):
        run(server, object_ownership="none")
    plan = run(server, object_ownership="none", on_unsupported="warn")
    assert not plan.changed and [entry["feature"] for entry in plan.result["unsupported"]] == ["object_ownership"]


@pytest.mark.parametrize("code", ["NoSuchBucket", "OwnershipControlsNotFoundError"])
def test_nothing_found_is_an_error_where_something_is_put(server: FakeStore, code: str) -> None:
    server.answers["PUT", "ownershipControls"] = (404, xml(code))
    with pytest.raises(NotFound):
        run(server, object_ownership="ObjectWriter")


def test_an_algorithm_that_the_store_does_not_know(server: FakeStore) -> None:
    """SeaweedFS, of aws:kms:dsse."""
    server.answers["PUT", "encryption"] = (400, xml("InvalidEncryptionAlgorithmError", "not valid"))
    with pytest.raises(Unsupported, match="encryption .InvalidEncryptionAlgorithmError: not valid"):
        run(server, encryption="dsse_kms")
