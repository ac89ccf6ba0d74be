# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

import base64
import json

import pytest
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import Conflict
from ansible_collections.orion.tracing.plugins.module_utils.helm import release


def secret(revision: int, status: str, **document: object) -> dict:
    body = {"name": "r", "namespace": "ns", "version": revision, "info": {"status": status}, **document}
    return {
        "metadata": {
            "name": f"sh.helm.release.v1.r.v{revision}",
            "labels": {"version": str(revision), "status": status},
        },
        "data": {"release": release.encode(body)},
    }


def test_a_real_record(record: dict, values: dict) -> None:
    found = release.history([record])
    assert found.latest is not None
    assert found.fallback is None
    assert found.latest.config == values
    assert found.latest.summary() == {
        "name": "mini",
        "namespace": "hfix",
        "revision": 1,
        "status": "deployed",
        "chart": "mini",
        "chart_version": "0.1.0",
        "app_version": "1",
        "updated": found.latest.updated,
        "description": "Install complete",
    }
    assert "kind: Secret" in found.latest.manifest
    assert [hook["name"] for hook in found.latest.hooks] == ["mini-hook"]
    assert found.latest.updated.startswith("2026-")
    assert found.latest.description == "Install complete"
    assert not found.latest.pending


def test_codec_goes_both_ways(record: dict) -> None:
    document = release.decode(record["data"]["release"])
    assert release.decode(release.encode(document)) == document


def test_records_without_compression_are_read_too() -> None:
    plain = base64.b64encode(base64.b64encode(json.dumps({"name": "old"}).encode())).decode()
    assert release.decode(plain) == {"name": "old"}


@pytest.mark.parametrize(
    "damaged",
    [
        "",
        "%%%",
        base64.b64encode(b"no base64 inside!").decode(),
        base64.b64encode(base64.b64encode(b"not json")).decode(),
        base64.b64encode(base64.b64encode(b"[]")).decode(),
        base64.b64encode(base64.b64encode(release.GZIP_MAGIC + b"cut off")).decode(),
    ],
)
def test_damaged_records_name_their_secret(damaged: str) -> None:
    broken = {**secret(3, "deployed"), "data": {"release": damaged}}
    with pytest.raises(Conflict, match=r"sh\.helm\.release\.v1\.r\.v3"):
        release.history([broken])


def test_revisions_are_ordered_as_numbers() -> None:
    found = release.history([secret(10, "deployed"), secret(9, "superseded"), secret(2, "failed")])
    assert found.latest is not None
    assert found.latest.revision == 10


@pytest.mark.parametrize(
    ("statuses", "fallback"),
    [
        (["deployed", "pending-upgrade"], 1),
        (["deployed", "failed", "pending-upgrade"], 1),
        (["failed", "failed", "pending-rollback"], 2),
        (["pending-install"], None),
        (["deployed", "failed"], None),
        (["superseded", "failed", "pending-upgrade"], 1),
    ],
)
def test_fallback_of_a_pending_release(statuses: list[str], fallback: int | None) -> None:
    found = release.history([secret(number, status) for number, status in enumerate(statuses, 1)])
    assert (found.fallback.revision if found.fallback else None) == fallback


@pytest.mark.parametrize("secrets", [[], [secret(1, "uninstalled")]])
def test_nothing_installed(secrets: list[dict]) -> None:
    found = release.history(secrets)
    assert (found.latest, found.fallback, found.newest) == (None, None, len(secrets))
    assert found.incomplete == (not secrets)  # a history kept on purpose is complete


def test_secrets_without_labels_come_first() -> None:
    bare = {**secret(7, "deployed"), "metadata": {"name": "x"}}
    found = release.history([secret(1, "deployed"), bare])
    assert found.latest is not None
    assert found.latest.revision == 1


def test_absent_has_the_same_keys_as_any_release() -> None:
    assert release.absent("r", "ns").keys() == release.of_document({}).summary().keys()
    assert release.absent("r", "ns")["status"] == "absent"


def test_a_pending_release_without_a_deployed_one_needs_the_superseded() -> None:
    assert release.history([secret(1, "failed"), secret(2, "pending-upgrade")]).incomplete
    assert not release.history([secret(1, "deployed"), secret(2, "pending-upgrade")]).incomplete
    assert not release.history([secret(1, "failed")]).incomplete


def test_the_revision_asked_for() -> None:
    found = release.history([secret(n, "superseded") for n in (1, 2)] + [secret(3, "deployed")], target=2)
    assert found.target is not None
    assert (found.target.revision, found.deployed, found.revisions) == (2, 3, (1, 2, 3))
    assert release.history([secret(3, "deployed")], target=2).target is None


def test_labels_of_the_release_are_those_that_helm_did_not_set() -> None:
    given = {"owner": "helm", "name": "r", "version": "3", "status": "deployed", "createdAt": "1", "team": "a"}
    assert release.of_document({"version": 3}, given).labels == {"team": "a"}


@pytest.mark.parametrize(
    ("label", "description", "digest"),
    [
        ("3.abc", "Upgrade complete", "abc"),
        ("2.abc", "Upgrade complete", ""),  # carried over by somebody else's upgrade
        ("2.abc", "Rollback to 2", "abc"),
        ("1.abc", "Rollback to 2", ""),
        ("", "", ""),
    ],
)
def test_the_note_about_the_chart_holds_for_its_own_revision(label: str, description: str, digest: str) -> None:
    document = {"version": 3, "info": {"description": description}}
    assert release.of_document(document, {release.CHART_LABEL: label}).chart_digest == digest


def test_a_chart_label_is_a_valid_label() -> None:
    assert len(release.chart_label(999999, "f" * 56)) <= 63


def test_size_and_what_takes_it() -> None:
    noise = base64.b64encode(bytes(range(256)) * 4).decode()
    document = {"chart": {"files": [{"name": "big", "data": noise}, {"name": "none"}]}, "manifest": "a" * 50}
    assert release.size(document) == len(base64.b64decode(release.encode(document)))
    assert release.largest(document)[0][0] == "big"
    assert {part[0] for part in release.largest(document, 9)} == {"big", "none", "the rendered manifest", "the values"}
