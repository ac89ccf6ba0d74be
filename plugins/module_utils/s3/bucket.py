# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One bucket: what is there, what has to change, and the change."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.errors import Conflict, InvalidInput, NotFound, TracingError
from ansible_collections.orion.tracing.plugins.module_utils.plan import Plan, Step, run_steps
from ansible_collections.orion.tracing.plugins.module_utils.s3 import (
    encryption,
    lifecycle,
    names,
    policy,
    public_access_block,
    tags,
    versioning,
)
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Aspect, Call, Document, Target
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store, Unsupported, not_empty

# In the order in which they are written: what protects comes before what opens.
ASPECTS: tuple[Aspect, ...] = (
    public_access_block.ASPECT,
    encryption.ASPECT,
    versioning.ASPECT,
    lifecycle.ASPECT,
    tags.ASPECT,
    policy.ASPECT,
)
OBJECTS = (
    Call("list_objects_v2", "s3:ListBucket", {"MaxKeys": 1}),
    Call("list_object_versions", "s3:ListBucketVersions", {"MaxKeys": 1}),
)


@dataclass(frozen=True)
class State:
    """What was read. documents and unsupported (the store's answer) are by aspect; empty is read for deletion only."""

    exists: bool
    region: str
    custom: bool
    endpoint: str
    partition: str = "aws"
    documents: dict[str, Document] = field(default_factory=dict)
    unsupported: dict[str, str] = field(default_factory=dict)
    empty: bool = True


def asked(params: dict[str, Any]) -> list[Aspect]:
    """The aspects that the options say something about."""
    return [aspect for aspect in ASPECTS if params["state"] == "present" and aspect.asked(params)]


def check_options(params: dict[str, Any]) -> None:
    """Refuse what cannot work whatever the store says. Pure."""
    wrong = names.problem(params["name"])
    if wrong:
        raise InvalidInput(
            f"name {params['name']!r} cannot be a bucket",
            wrong,
            "See https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html.",
        )
    if params.get("tls_only") and (params.get("endpoint_url") or "").startswith("http://"):
        raise InvalidInput(
            f"tls_only cannot work with endpoint_url {params['endpoint_url']}",
            "a store that honours the policy would refuse every later request to this endpoint",
            "Use an https:// endpoint, or set tls_only: false.",
        )
    for option in ("kms_key_id", "bucket_key_enabled"):
        if params.get(option) and params.get("encryption") != "sse_kms":
            raise InvalidInput(f"{option} needs encryption: sse_kms")


def read(store: Store, params: dict[str, Any]) -> State:
    """Read the bucket and the asked aspects, all at the same time."""
    bucket = params["name"]
    aspects = asked(params)
    with ThreadPoolExecutor(max_workers=8) as pool:
        head = pool.submit(store.head, bucket)
        reads = [(aspect.option, pool.submit(_read_aspect, store, bucket, aspect)) for aspect in aspects]
        objects = pool.submit(_is_empty, store, bucket) if params["state"] == "absent" else None
        found = head.result()
        documents: dict[str, Document] = {}
        unsupported: dict[str, str] = {}
        for option, future in reads:
            try:
                documents[option] = future.result()
            except Unsupported as error:
                documents[option], unsupported[option] = None, error.why
            except TracingError:
                # Of a bucket that does not exist nothing can be read; what the store lacks may show all the same.
                if found is not None:
                    raise
        empty = objects.result() if objects and found is not None else True
    region = region_of(found) or store.region
    return State(
        found is not None, region, store.custom, store.endpoint, store.partition, documents, unsupported, empty
    )


def region_of(head: dict[str, Any] | None) -> str:
    """The region that the answer to HeadBucket names, "" if none."""
    headers = (head or {}).get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return str((head or {}).get("BucketRegion") or headers.get("x-amz-bucket-region") or "")


def _read_aspect(store: Store, bucket: str, aspect: Aspect) -> Document:
    try:
        return aspect.parse(store.call(bucket, aspect.read))
    except NotFound as error:
        if error.details.get("code") in aspect.absent:
            return None
        raise


def _is_empty(store: Store, bucket: str) -> bool:
    """Whether deletion loses nothing: some stores delete buckets with all that is in them (SeaweedFS).

    Delete markers hold no data. AWS refuses to delete a bucket with markers; other stores may decide for themselves,
    since some cannot even be made to forget a marker.
    """
    losses = ("Contents", "Versions") if store.custom else ("Contents", "Versions", "DeleteMarkers")
    for call in OBJECTS:
        try:
            answer = store.call(bucket, call)
        except Unsupported:
            continue
        except NotFound:
            return True
        if any(answer.get(key) for key in losses):
            return False
    return True


def make_plan(state: State, params: dict[str, Any]) -> Plan:
    """The steps from what is there to what is asked for. Pure. Step.data is the Call."""
    bucket = params["name"]
    target = Target(f"arn:{state.partition}:s3:::{bucket}", state.custom)
    plan = Plan(result={"unsupported": []})
    present = params["state"] == "present"
    plan.result["bucket"] = {
        "name": bucket,
        "arn": target.arn,
        "region": state.region,
        "endpoint_url": state.endpoint,
        "exists": present,
    }
    if not present:
        if state.exists:
            if not state.empty:
                raise not_empty(bucket)
            plan.steps.append(Step("delete bucket", "bucket", Call("delete_bucket", "s3:DeleteBucket")))
            plan.diff.append(difference(bucket, "bucket", {"name": bucket, "region": state.region}, None))
        return plan
    if not state.exists:
        plan.steps.append(Step("create bucket", "bucket", _create(state)))
        plan.diff.append(difference(bucket, "bucket", None, {"name": bucket, "region": state.region}))
    lacking: dict[str, str] = {}
    for aspect in asked(params):
        current = state.documents.get(aspect.option)
        wanted = aspect.wanted(params, current, target)
        if not _needed(aspect, params, state, current, wanted, target):
            continue
        if aspect.option in state.unsupported:
            lacking[aspect.option] = state.unsupported[aspect.option]
            continue
        verb = "delete" if wanted is None else "put"
        plan.steps.append(Step(f"{verb} {aspect.option}", aspect.option, aspect.write(wanted)))
        plan.diff.append(difference(bucket, aspect.option, current, wanted))
    if lacking and params["on_unsupported"] == "fail":
        raise unsupported_error(state.endpoint, lacking)
    for option, answer in lacking.items():
        note_unsupported(plan, state.endpoint, option, answer)
    return plan


def _needed(
    aspect: Aspect, params: dict[str, Any], state: State, current: Document, wanted: Document, target: Target
) -> bool:
    if state.exists or state.custom or aspect.fresh is None:
        return bool(wanted != current)
    # AWS gives a new bucket a document of its own: say explicitly what is wanted, and take back what is not.
    return wanted is not None or aspect.wanted(params, aspect.fresh, target) != aspect.fresh


def _create(state: State) -> Call:
    """us-east-1 is said by saying nothing; other stores have no such regions and often refuse the element.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
    """
    arguments: dict[str, Any] = {}
    if not state.custom and state.region not in ("us-east-1", "aws-global"):
        arguments = {"CreateBucketConfiguration": {"LocationConstraint": state.region}}
    return Call("create_bucket", "s3:CreateBucket", arguments)


def difference(bucket: str, what: str, before: Any, after: Any) -> dict[str, str]:
    """A diff entry; documents as JSON, "" for none."""
    header = f"{bucket}: {what}"
    return {"before_header": header, "after_header": header, "before": _text(before), "after": _text(after)}


def _text(document: Any) -> str:
    return "" if document is None else json.dumps(document, indent=2, sort_keys=True) + "\n"


def unsupported_error(endpoint: str, features: dict[str, str]) -> Unsupported:
    """features: the store's answer by option."""
    answers = "; ".join(f"{option} ({answer})" for option, answer in features.items())
    return Unsupported(
        f"the store at {endpoint} does not support {answers}",
        "",
        "Change or unset the option for this store, or set on_unsupported: warn.",
        unsupported=[{"feature": option, "answer": answer} for option, answer in features.items()],
    )


def note_unsupported(plan: Plan, endpoint: str, option: str, answer: str) -> None:
    """Record in the result, and as a warning, that a feature was asked for and is not there."""
    plan.result["unsupported"].append({"feature": option, "answer": answer})
    plan.warnings.append(f"the store at {endpoint} does not support {option}, which is therefore not set: {answer}")


def check_plan(store: Store, params: dict[str, Any], plan: Plan) -> None:
    """Refuse requests that the S3 API does not know, before the first one is sent, in check mode too."""
    for step in plan.steps:
        store.check(params["name"], step.data)


def apply(store: Store, params: dict[str, Any], plan: Plan) -> None:
    """Send the steps. With on_unsupported=warn, what the store turns out to lack is taken out of the plan again."""
    bucket, lacking = params["name"], dict[str, str]()

    def execute(step: Step) -> None:
        try:
            store.call(bucket, step.data)
        except Unsupported as error:
            lacking[step.action] = error.why
            if params["on_unsupported"] == "fail":
                raise unsupported_error(store.endpoint, lacking) from error
        except Conflict as error:
            if error.details.get("code") != "BucketAlreadyOwnedByYou":
                raise
        if step.name == "create bucket" and not store.custom:
            store.wait(bucket)

    run_steps(plan.steps, execute)
    for option, answer in lacking.items():
        plan.steps = [step for step in plan.steps if step.action != option]
        plan.diff = [entry for entry in plan.diff if entry["after_header"] != f"{bucket}: {option}"]
        note_unsupported(plan, store.endpoint, option, answer)
