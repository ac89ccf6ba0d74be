# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""One bucket: its present configuration, the plan, and its application."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.common.clock import Clock, Deadline
from ansible_collections.orion.tracing.plugins.module_utils.common.errors import (
    ApiError,
    Conflict,
    InvalidInput,
    NotFound,
    TracingError,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.plan import Plan, Step, diff_entry, run_steps
from ansible_collections.orion.tracing.plugins.module_utils.s3 import (
    contents,
    encryption,
    lifecycle,
    model,
    names,
    object_lock,
    object_ownership,
    policy,
    public_access_block,
    tags,
    versioning,
)
from ansible_collections.orion.tracing.plugins.module_utils.s3.aspect import Aspect, Call, Document, Target
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import (
    Store,
    Unsupported,
    not_empty,
    region_of,
)
from ansible_collections.orion.tracing.plugins.module_utils.s3.model import all_of

# In the order in which they are written: protective documents come before the policy, which may grant access.
ASPECTS: tuple[Aspect, ...] = (
    public_access_block.ASPECT,
    object_ownership.ASPECT,
    encryption.ASPECT,
    versioning.ASPECT,
    object_lock.ASPECT,
    lifecycle.ASPECT,
    tags.ASPECT,
    policy.ASPECT,
)
WORKERS = 8
DELETE = Call("delete_bucket", "s3:DeleteBucket")
# How often a bucket that others keep writing to is emptied and deleted again.
DELETIONS = 3
# The answer of a store with several regions to a bucket without one.
LOCATION_WANTED = "IllegalLocationConstraintException"
# Answers of stores other than AWS to a document that AWS accepts (minio/minio#16120).
REFUSED = frozenset({"InvalidArgument", "InvalidRequest", "MalformedXML"})
# Conflicts with a change that is still under way: sent again after RETRY_FIRST, twice that and so on, up to
# RETRY_LONGEST, for RETRY_SECONDS in all. Source: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
TRANSIENT = frozenset({"OperationAborted", "ConditionalRequestConflict"})
RETRY_SECONDS, RETRY_FIRST, RETRY_LONGEST = 60.0, 1.0, 8.0
# Some stores answer with a new document only after a moment: seconds before each attempt to read it.
PATIENCE = (0.0, 0.3, 1.0)


@dataclass(frozen=True)
class State:
    """What was read. documents and unsupported (the store's answer) are by aspect; contents is read for deletion only.

    region: where the bucket is, or would be created. kms_key_arn: the ARN that AWS KMS gives for kms_key_id, where the
    documents do not show it.
    """

    exists: bool
    region: str
    custom: bool
    endpoint: str
    partition: str = "aws"
    documents: dict[str, Document] = field(default_factory=dict)
    unsupported: dict[str, str] = field(default_factory=dict)
    contents: contents.Contents = contents.NOTHING
    kms_key_arn: str = ""

    def target(self, bucket: str) -> Target:
        return Target(arn_of(bucket, self.partition), self.custom, self.exists, self.kms_key_arn)


def arn_of(bucket: str, partition: str) -> str:
    """A bucket's ARN; partition: aws, aws-cn, …"""
    return f"arn:{partition}:s3:::{bucket}"


def asked(params: dict[str, Any]) -> list[Aspect]:
    """The aspects that the options set."""
    return [aspect for aspect in ASPECTS if params["state"] == "present" and aspect.asked(params)]


def check_options(params: dict[str, Any]) -> None:
    """Refuse options that contradict each other or cannot work with any store. Pure."""
    error = all_of(_contradictions(params))
    if error:
        raise error


def _contradictions(params: dict[str, Any]) -> Iterator[InvalidInput]:
    wrong = names.problem(params["name"])
    if wrong:
        yield InvalidInput(
            f"name {params['name']!r} cannot be a bucket",
            wrong,
            "See https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html.",
        )
    if urlsplit(params.get("endpoint_url") or "").scheme == "http":
        for option in ("tls_only", "minimum_tls_version"):
            if params.get(option) not in (None, False, "none"):
                yield InvalidInput(
                    f"{option} cannot work with endpoint_url {params['endpoint_url']}",
                    "a store that honours the policy would refuse every later request to this endpoint",
                    f"Use an https:// endpoint, or unset {option}.",
                )
    algorithm = encryption.algorithm(params)
    if params.get("kms_key_id") and algorithm in (None, "AES256"):
        yield InvalidInput("kms_key_id needs encryption: sse_kms")
    # False is what AES256 has, so it is accepted (amazon.aws#2734).
    if params.get("bucket_key_enabled") and algorithm != "aws:kms":
        yield InvalidInput("bucket_key_enabled needs encryption: sse_kms")
    if params.get("object_lock_enabled") and params.get("versioning") is False:
        yield InvalidInput("object_lock_enabled needs versioning, so versioning cannot be false")


def check_documents(store: Store, params: dict[str, Any]) -> None:
    """Refuse documents that the S3 API would refuse, whatever the bucket has now. Sends nothing."""
    target = Target(arn_of(params["name"], store.partition), store.custom)
    error = all_of(flaw for aspect in asked(params) for flaw in _flaws(store, params, aspect, target))
    if error:
        raise error


def _flaws(store: Store, params: dict[str, Any], aspect: Aspect, target: Target) -> Iterable[InvalidInput]:
    shape = store.input_shape(aspect.read.operation.replace("get_", "put_", 1))
    found = list(aspect.flaws(params, target, shape))
    if found:
        return found
    try:
        wanted = aspect.wanted(params, None, target)
    except InvalidInput as error:
        return [error]
    if wanted is None:
        return []
    arguments = {**aspect.write(wanted).arguments, "Bucket": params["name"]}
    return model.flaws(arguments, shape, aspect.option, store.custom)


def read(store: Store, params: dict[str, Any]) -> State:
    """Read the bucket and the asked aspects, all at the same time, after check_documents."""
    check_documents(store, params)
    bucket = params["name"]
    aspects = asked(params)
    with ThreadPoolExecutor(max_workers=WORKERS) as pool:
        head = pool.submit(store.head, bucket)
        reads = [(aspect.option, pool.submit(read_aspect, store, bucket, aspect)) for aspect in aspects]
        objects = None
        if params["state"] == "absent":
            objects = pool.submit(contents.look, store, bucket, bool(params.get("force_empty")))
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
        inside = objects.result() if objects and found is not None else contents.NOTHING
    region = region_of(found) or store.region
    alias = encryption.unresolved(params, documents.get("encryption"))
    return State(
        found is not None,
        region,
        store.custom,
        store.endpoint,
        store.partition,
        documents,
        unsupported,
        inside,
        store.kms_key_arn(params, region, alias) if alias and not store.custom else "",
    )


def read_aspect(store: Store, bucket: str, aspect: Aspect) -> Document:
    """One document of a bucket, normalised; None where nothing is set."""
    try:
        return aspect.parse(store.call(bucket, aspect.read))
    except NotFound as error:
        if error.details.get("code") in aspect.absent:
            return None
        raise


def make_plan(state: State, params: dict[str, Any]) -> Plan:
    """The steps from what is there to what is asked for. Pure. Step.data is the Call."""
    bucket = params["name"]
    target = state.target(bucket)
    plan = Plan(result={"unsupported": []})
    present = params["state"] == "present"
    plan.result["bucket"] = {
        "name": bucket,
        "arn": target.arn,
        "region": state.region,
        "endpoint_url": state.endpoint,
        "exists": present,
    }
    _warn_of_region(plan, state, params)
    if not present:
        _plan_deletion(plan, state, params)
        return plan
    documents = dict(state.documents)
    lock = bool(params.get("object_lock_enabled")) and "object_lock" not in state.unsupported
    if not state.exists:
        plan.steps.append(Step("create bucket", "bucket", create(state.region, state.custom, lock)))
        shown = {"name": bucket, "region": state.region, **({"object_lock_enabled": True} if lock else {})}
        plan.diff.append(difference(bucket, "bucket", None, shown))
        if lock:
            documents["object_lock"] = object_lock.CREATED
    lacking: dict[str, Lacking] = {}
    for aspect in asked(params):
        current = documents.get(aspect.option)
        wanted = aspect.wanted(params, current, target)
        if not _needed(aspect, params, state, current, wanted, target):
            continue
        if aspect.option in state.unsupported:
            lacking[aspect.option] = Lacking(state.unsupported[aspect.option])
            continue
        aspect.check(current, wanted, target)
        verb = "delete" if wanted is None else "put"
        plan.steps.append(Step(f"{verb} {aspect.option}", aspect.option, aspect.write(wanted)))
        plan.diff.append(difference(bucket, aspect.option, current, wanted))
    if unanswered(params, state) and not state.custom:
        plan.warnings.append(
            f"kms_key_id {params['kms_key_id']} is compared by its name, because KMS refused to describe its key: "
            "grant kms:DescribeKey, or give the ARN of the key"
        )
    if lacking and params["on_unsupported"] == "fail":
        raise unsupported_error(state.endpoint, lacking)
    for option, lack in lacking.items():
        note_unsupported(plan, state.endpoint, option, lack)
    return plan


def _warn_of_region(plan: Plan, state: State, params: dict[str, Any]) -> None:
    """Stores other than AWS answer with any region, and mean nothing by it."""
    said = params.get("region")
    if state.exists and not state.custom and said and said != "aws-global" and said != state.region:
        plan.warnings.append(
            f"bucket {params['name']} is in region {state.region}, not in {said} (option region), and stays there: a "
            f"bucket cannot be moved. Set region: {state.region}, or choose another name"
        )


def _plan_deletion(plan: Plan, state: State, params: dict[str, Any]) -> None:
    bucket, inside = params["name"], state.contents
    if params.get("force_empty"):
        plan.result["emptied"] = asdict(inside)
    if not state.exists:
        return
    if not params.get("force_empty"):
        if inside.loses(state.custom):
            raise not_empty(bucket)
    elif inside != contents.NOTHING:
        plan.steps.append(Step("empty bucket", "contents"))
        plan.diff.append(difference(bucket, "contents", inside.text(), None))
    plan.steps.append(Step("delete bucket", "bucket", DELETE))
    plan.diff.append(difference(bucket, "bucket", {"name": bucket, "region": state.region}, None))


def unanswered(params: dict[str, Any], state: State) -> str:
    """The alias of a KMS key that could not be compared with the bucket's key; "" if none."""
    return "" if state.kms_key_arn else encryption.unresolved(params, state.documents.get("encryption"))


def _needed(
    aspect: Aspect, params: dict[str, Any], state: State, current: Document, wanted: Document, target: Target
) -> bool:
    if state.exists or state.custom or aspect.fresh is None:
        return bool(wanted != current)
    # AWS gives a new bucket a document of its own: write what is wanted explicitly, and remove what is not.
    return wanted is not None or aspect.wanted(params, aspect.fresh, target) != aspect.fresh


def create(region: str, custom: bool, lock: bool) -> Call:
    """The request that makes a bucket, with object lock or without.

    us-east-1 requires omitting LocationConstraint; other stores have no such regions and often refuse the element
    (amazon.aws#2420). Source: https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html
    """
    arguments = {} if custom or region in ("us-east-1", "aws-global") else location(region)
    if lock:
        arguments["ObjectLockEnabledForBucket"] = True
    return Call("create_bucket", "s3:CreateBucket", arguments)


def location(region: str) -> dict[str, Any]:
    """The argument of create_bucket that names its region."""
    return {"CreateBucketConfiguration": {"LocationConstraint": region}}


def difference(bucket: str, what: str, before: Any, after: Any) -> dict[str, str]:
    """A diff entry; documents as JSON, "" for none."""
    return diff_entry(f"{bucket}: {what}", _text(before), _text(after))


def _text(document: Any) -> str:
    return "" if document is None else json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class Lacking:
    """A feature that the store does not have. answer: the store's; left_out: what was not set, "" for all of it."""

    answer: str
    left_out: str = ""


def unsupported_error(endpoint: str, features: dict[str, Lacking]) -> Unsupported:
    """features: by option, or part of its document."""
    by_answer: dict[str, list[str]] = {}
    for feature, lack in features.items():
        by_answer.setdefault(lack.answer, []).append(feature)
    answers = "; ".join(f"{' or '.join(found)} ({answer})" for answer, found in by_answer.items())
    return Unsupported(
        f"the store at {endpoint} does not support {answers}",
        "",
        "Change or unset the option for this store, or set on_unsupported: warn.",
        unsupported=[_shown(feature, lack) for feature, lack in features.items()],
    )


def _shown(feature: str, lack: Lacking) -> dict[str, str]:
    return {"feature": feature, "answer": lack.answer, **({"left_out": lack.left_out} if lack.left_out else {})}


def note_unsupported(plan: Plan, endpoint: str, feature: str, lack: Lacking) -> None:
    """Record in the result, and as a warning, that a feature was asked for and the store lacks it."""
    plan.result["unsupported"].append(_shown(feature, lack))
    left_out = f"so this is left out: {lack.left_out}" if lack.left_out else "which is therefore not set"
    plan.warnings.append(f"the store at {endpoint} does not support {feature}, {left_out}. It answered {lack.answer}")


def apply(
    store: Store,
    params: dict[str, Any],
    state: State,
    plan: Plan,
    progress: Callable[[str], None] = lambda line: None,
    clock: Clock | None = None,
) -> None:
    """Send the steps. With on_unsupported=warn, what the store turns out to lack is taken out of the plan again.

    A conflict with a change that is still under way, and a new bucket that a part of the store does not see yet, are
    waited for, RETRY_SECONDS at most for each request.

    A store other than AWS is asked afterwards whether it has kept what it accepted: some forget what they do not know
    (minio/minio#19115), and every later run would differ. progress: called now and then with a line for the user.
    """
    Application(store, params, state, plan, progress, clock or Clock()).run()


def _refused(error: TracingError) -> bool:
    """Whether the store lacks what a document asks for, or may."""
    return isinstance(error, Unsupported) or error.details.get("code") in REFUSED


class Application:
    """One run of a plan's steps."""

    def __init__(
        self,
        store: Store,
        params: dict[str, Any],
        state: State,
        plan: Plan,
        progress: Callable[[str], None],
        clock: Clock,
    ) -> None:
        self.store, self.params, self.state, self.plan, self.progress = store, params, state, plan, progress
        self.clock = clock
        self.created = False
        self.bucket: str = params["name"]
        self.target = state.target(self.bucket)
        self.aspects = {aspect.option: aspect for aspect in ASPECTS}
        self.tolerant = params["on_unsupported"] == "warn"
        # By option, the document that was sent last; by feature, what the store lacks.
        self.sent: dict[str, Document] = {}
        self.lacking: dict[str, Lacking] = {}

    def run(self) -> None:
        run_steps(self.plan.steps, self._execute)
        alias = unanswered(self.params, self.state)
        doubtful = [option for option in self.sent if self.store.custom or (alias and option == "encryption")]
        if doubtful:
            self._verify(doubtful)
        for feature, lack in self.lacking.items():
            note_unsupported(self.plan, self.store.endpoint, feature, lack)

    def _execute(self, step: Step) -> None:
        if step.name == "create bucket":
            self._create(step.data)
        elif step.name == "empty bucket":
            self._empty()
        elif step.name == "delete bucket":
            self._delete(step.data)
        else:
            self._put(self.aspects[step.action], step.data)

    def _create(self, call: Call) -> None:
        try:
            self._make(call)
            if "ObjectLockEnabledForBucket" in call.arguments:
                self.sent["object_lock"] = object_lock.CREATED
        except Unsupported as error:
            if "ObjectLockEnabledForBucket" not in call.arguments:
                raise
            self._lack("object_lock", error.why, error)
            self._unplan("object_lock")
            self._make(create(self.state.region, self.store.custom, False))
        except Conflict as error:
            if error.details.get("code") != "BucketAlreadyOwnedByYou":
                raise
        self.created = True
        if not self.store.custom:
            self.store.wait(self.bucket)

    def _make(self, call: Call) -> None:
        """Create the bucket; a store with regions of its own may demand the region in the request."""
        try:
            self._send(call)
        except ApiError as error:
            if error.details.get("code") != LOCATION_WANTED or not self.store.custom:
                raise
            self._send(Call(call.operation, call.action, {**call.arguments, **location(self.state.region)}))

    def _send(self, call: Call) -> None:
        """Send a request about the bucket, again while it is refused for a moment only."""
        deadline, seconds = Deadline(self.clock, RETRY_SECONDS), RETRY_FIRST
        while True:
            try:
                self.store.call(self.bucket, call)
                return
            except (Conflict, NotFound) as error:
                if not self._transient(error):
                    raise
                if not deadline.wait(seconds):
                    what = f"{error.what}, for {RETRY_SECONDS:.0f} s"
                    raise type(error)(what, error.why, "Run again in some minutes.", **error.details) from error
            seconds = min(2 * seconds, RETRY_LONGEST)

    def _transient(self, error: TracingError) -> bool:
        code = error.details.get("code")
        return code in TRANSIENT or (self.created and code == "NoSuchBucket")

    def _put(self, aspect: Aspect, call: Call) -> None:
        if aspect.option in self.lacking:
            return
        wanted = self._wanted(aspect, self._before(aspect))
        try:
            self._send(call)
            self.sent[aspect.option] = wanted
        except NotFound as error:
            # SeaweedFS answers with ownership controls that it does not let be deleted: it has none.
            if wanted is not None or error.details.get("code") not in aspect.absent:
                raise
            self.sent[aspect.option] = wanted
        except (Unsupported, ApiError) as error:
            if not _refused(error) or not (self.store.custom or isinstance(error, Unsupported)):
                raise
            self._reduce(aspect, wanted, error)

    def _reduce(self, aspect: Aspect, wanted: Document, error: TracingError) -> None:
        """The store refuses the document: set the parts of it that the store has, if on_unsupported allows it."""
        parts = aspect.parts.of(wanted) if aspect.parts and wanted is not None else []
        suspects = [part for part in parts if part not in aspect.parts.common] if aspect.parts else []
        if not suspects:
            # Without parts, nothing distinguishes a document that the store lacks from one that is wrong.
            if not isinstance(error, Unsupported):
                raise error
            self._lack_whole(aspect, error)
            return
        if not self.tolerant:
            raise unsupported_error(
                self.store.endpoint,
                {part: Lacking(error.why, aspect.parts.left_out(wanted, part)) for part in suspects if aspect.parts},
            ) from error
        kept, refused = self._try_parts(aspect, wanted, parts, error)
        rest = aspect.parts.only(wanted, kept) if aspect.parts else None
        if rest is None and isinstance(error, Unsupported) and len(parts) > 1:
            self._lack_whole(aspect, error)
            return
        for part, answer in refused.items():
            self._lack(part, answer, error, aspect.parts.left_out(wanted, part) if aspect.parts else "")
        if rest is None and isinstance(error, Unsupported):
            self._unplan(aspect.option)
        else:
            self._replan(aspect.option, rest)

    def _try_parts(
        self, aspect: Aspect, wanted: Document, parts: list[str], error: TracingError
    ) -> tuple[frozenset[str], dict[str, str]]:
        """Set as many parts as the store takes, beginning with those that the bucket has. Returns them, and the answers
        to the others."""
        if aspect.parts is None:
            return frozenset(), {}
        before = self._before(aspect)
        kept = frozenset(aspect.parts.of(before) if before is not None else []) & frozenset(parts)
        if before is None or aspect.parts.only(wanted, kept) != before:
            kept = frozenset()
        now, refused = before, {}
        base = aspect.parts.only(wanted, kept)
        if base is not None and base != now:
            self._send(aspect.write(base))
            now = base
        for part in parts:
            more = aspect.parts.only(wanted, kept | {part})
            if part in kept or more == aspect.parts.only(wanted, kept):
                kept |= {part}
            elif more == wanted:
                refused[part] = error.why
            else:
                try:
                    self._send(aspect.write(more))
                    kept, now = kept | {part}, more
                except (Unsupported, ApiError) as answer:
                    if not _refused(answer):
                        raise
                    if part in aspect.parts.common and not isinstance(answer, Unsupported):
                        # Not a part that stores lack, so the document is wrong.
                        raise error from answer
                    refused[part] = answer.why
        rest = aspect.parts.only(wanted, kept)
        if rest is None and now is not None and not isinstance(error, Unsupported):
            self._send(aspect.write(None))
        if rest is not None:
            self.sent[aspect.option] = rest
        return kept, refused

    def _lack_whole(self, aspect: Aspect, error: TracingError) -> None:
        self._lack(aspect.option, error.why, error)
        self._unplan(aspect.option)

    def _verify(self, options: list[str]) -> None:
        """Whether another run would find the documents that this one sent."""
        with ThreadPoolExecutor(max_workers=WORKERS) as pool:
            kept = list(pool.map(self._kept, options))
        for option, (settled, now) in zip(options, kept, strict=True):
            if not settled:
                has = "nothing" if now is None else json.dumps(now, sort_keys=True, ensure_ascii=False)
                answer = f"it accepts the document, but afterwards it has {has}"
                for part, left_out in self._forgotten(self.aspects[option], now).items():
                    self._lack(part, answer, None, left_out)
            if now != self.sent[option]:
                self._replan(option, now)

    def _forgotten(self, aspect: Aspect, now: Document) -> dict[str, str]:
        """What the store has made nothing of: parts of the document, with what is left out, or all of it."""
        sent = self.sent[aspect.option]
        if aspect.parts and sent is not None and now is not None:
            has = frozenset(aspect.parts.of(now))
            gone = [part for part in aspect.parts.of(sent) if part not in has]
            if gone and aspect.parts.only(sent, has) == now:
                return {part: aspect.parts.left_out(sent, part) for part in gone}
        return {aspect.option: ""}

    def _kept(self, option: str) -> tuple[bool, Document]:
        """Whether the store has what was sent, and what it has."""
        aspect, sent = self.aspects[option], self.sent[option]
        now: Document = sent
        for seconds in PATIENCE:
            self.clock.sleep(seconds)
            try:
                now = read_aspect(self.store, self.bucket, aspect)
            except (Unsupported, NotFound):
                return True, sent
            # Without KMS, the key that the store has now is the one of the alias.
            alias = option == "encryption" and encryption.unresolved(self.params, now)
            # What was left out on purpose has been reported.
            if alias or now == sent or self._wanted(aspect, now) == now:
                return True, now
        return False, now

    def _empty(self) -> None:
        emptied = contents.Emptying(self.store, self.bucket, self.progress).run()
        self.plan.result["emptied"] = asdict(emptied)

    def _delete(self, call: Call) -> None:
        for left in reversed(range(DELETIONS)):
            try:
                self._send(call)
                return
            except NotFound:
                return
            except Conflict as error:
                if not self.params.get("force_empty") or not left or error.details.get("code") != "BucketNotEmpty":
                    raise
            self.progress("the bucket has got new objects meanwhile")
            done = contents.Emptying(self.store, self.bucket, self.progress).run()
            before = contents.Contents(**self.plan.result["emptied"])
            self.plan.result["emptied"] = asdict(before + done)

    def _before(self, aspect: Aspect) -> Document:
        if aspect.option == "object_lock" and not self.state.exists and self.params.get("object_lock_enabled"):
            return object_lock.CREATED
        return self.state.documents.get(aspect.option)

    def _wanted(self, aspect: Aspect, current: Document) -> Document:
        return aspect.wanted(self.params, current, self.target)

    def _lack(self, feature: str, answer: str, cause: Exception | None, left_out: str = "") -> None:
        self.lacking[feature] = Lacking(answer, left_out)
        if not self.tolerant:
            raise unsupported_error(self.store.endpoint, self.lacking) from cause

    def _unplan(self, option: str) -> None:
        """Take a step out of the reported changes."""
        self.plan.steps = [step for step in self.plan.steps if step.action != option]
        header = f"{self.bucket}: {option}"
        self.plan.diff = [entry for entry in self.plan.diff if entry["after_header"] != header]

    def _replan(self, option: str, now: Document) -> None:
        """Report what became of a step."""
        before = self._before(self.aspects[option])
        if now == before:
            self._unplan(option)
            return
        entry = difference(self.bucket, option, before, now)
        self.plan.diff = [entry if e["after_header"] == entry["after_header"] else e for e in self.plan.diff]
