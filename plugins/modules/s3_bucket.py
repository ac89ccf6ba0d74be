#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: s3_bucket
short_description: Create, configure and delete an S3 bucket
version_added: 0.1.0
author:
  - orion.tracing contributors (@orion-tracing)
description:
  - Manages each document of a bucket's configuration, on AWS and on S3-compatible stores.
  - An option that is not set leaves its document alone; one that is set replaces the document.
  - Documents are checked against the S3 API's model before anything is sent, in check mode too. The error names each
    rule, statement or tag that the API would refuse, the reason and the correct spelling.
  - Only the documents of options that are set are read, all at the same time. An unchanged bucket costs one read
    for each document and one for the bucket.
  - A conflict with a change that is still under way (C(OperationAborted)), and C(NoSuchBucket) for a bucket just
    created, are retried for up to 60 s for each request.
  - Check mode and diff cover every document.
extends_documentation_fragment:
  - orion.tracing.s3
  - orion.tracing.s3.connection
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
    details: Of a bucket that would be emptied, at most the first thousand of its versions and uploads are counted.
  diff_mode:
    support: full
  action_group:
    membership:
      - orion.tracing.s3
    description: Use C(group/orion.tracing.s3) in C(module_defaults) to set the connection for all modules with a store.
options:
  name:
    description: Name of the bucket.
    type: str
    required: true
    aliases: [bucket]
  state:
    description:
      - V(present) creates and configures the bucket.
      - V(absent) deletes it. A bucket that holds any object, version or delete marker is not deleted and the module
        fails, unless O(force_empty) is set.
    type: str
    choices: [present, absent]
    default: present
  force_empty:
    description:
      - Whether O(state=absent) first deletes everything that is in the bucket, that is all objects, versions, delete
        markers and unfinished multipart uploads. Nothing brings them back.
      - Versions under object lock are respected, and the module fails and names them.
      - Run again to continue an interrupted run. Without O(state=absent), the option has no effect.
    type: bool
    default: false
    aliases: [force]
  versioning:
    description:
      - V(true) turns versioning on.
      - V(false) suspends it where it was on. A bucket that never had it stays without.
    type: bool
  encryption:
    description:
      - How new objects are encrypted by default.
      - V(none) removes the setting. AWS then still encrypts with V(sse_s3), so both have the same effect there.
      - V(AES256), V(aws:kms) and V(aws:kms:dsse) are the API's names for V(sse_s3), V(sse_kms) and V(dsse_kms).
    type: str
    choices: [none, sse_s3, sse_kms, dsse_kms, AES256, "aws:kms", "aws:kms:dsse"]
  kms_key_id:
    description:
      - Id, ARN or alias of the KMS key for O(encryption=sse_kms) and O(encryption=dsse_kms). The store's own key by
        default.
      - Id, ARN and alias of one key are equal. KMS is asked, which needs the permission C(kms:DescribeKey), only if the
        option is an alias and the bucket has the key's id or ARN.
    type: str
    aliases: [encryption_key_id]
  bucket_key_enabled:
    description:
      - Whether objects are encrypted with a key of the bucket, which saves calls to KMS. False by default.
      - V(true) needs O(encryption=sse_kms).
    type: bool
  public_access_block:
    description:
      - V(true) or V(false) for all four settings of Block Public Access.
      - Or a dictionary of C(BlockPublicAcls), C(BlockPublicPolicy), C(IgnorePublicAcls), C(RestrictPublicBuckets).
        Missing ones are V(false). Names such as C(block_public_acls) are accepted, too.
    type: raw
    aliases: [public_access]
  object_ownership:
    description:
      - Whether ACLs have an effect, and who owns uploaded objects. V(BucketOwnerEnforced) disables ACLs, which is what
        AWS does for new buckets.
      - V(none) deletes the ownership controls.
    type: str
    choices: [BucketOwnerEnforced, BucketOwnerPreferred, ObjectWriter, none]
  object_lock_enabled:
    description:
      - Whether the bucket has object lock, which also turns versioning on.
      - It can only be set when the bucket is created. If an existing bucket differs, the module fails before it changes
        anything.
    type: bool
  object_lock_default_retention:
    description:
      - For how long new objects cannot be deleted. An empty dictionary removes the default; objects that exist keep
        their retention.
      - Needs a bucket with object lock.
    type: dict
    suboptions:
      mode:
        description: V(GOVERNANCE) can be bypassed with a permission, V(COMPLIANCE) by nobody.
        type: str
        choices: [GOVERNANCE, COMPLIANCE]
      days:
        description: Days of retention. Either this or O(object_lock_default_retention.years).
        type: int
      years:
        description: Years of retention. Either this or O(object_lock_default_retention.days).
        type: int
  lifecycle_rules:
    description:
      - All lifecycle rules, with boto3's names and values (C(Enabled), C(GLACIER)); other spellings are refused. An
        empty list removes all rules.
      - C(Status) defaults to C(Enabled); a rule without C(Filter), or with an empty C(Prefix), applies to every object.
      - A C(Date) is a day; a time other than midnight UTC is refused.
      - A rule without C(ID) is compared by its content.
      - On stores other than AWS, C(StorageClass) may be a name of the store's own.
    type: list
    elements: dict
  tags:
    description:
      - All tags. An empty dictionary removes them. Tags that AWS sets itself (C(aws:)) stay.
      - Values are text; numbers and booleans become text, lists and dictionaries are refused.
    type: dict
    aliases: [resource_tags]
  tls_only:
    description:
      - Whether the bucket policy has the statement C(DenyInsecureTransport), which refuses plain HTTP.
      - Refused together with an C(http://) O(endpoint_url).
    type: bool
  minimum_tls_version:
    description:
      - The lowest version of TLS with which the bucket can be used, as the statement C(DenyOutdatedTls) of the bucket
        policy. V(none) removes the statement.
      - Refused together with an C(http://) O(endpoint_url).
    type: str
    choices: [none, "1.2", "1.3"]
  policy:
    description:
      - All statements of the bucket policy, but for C(DenyInsecureTransport) and C(DenyOutdatedTls), which belong to
        O(tls_only) and O(minimum_tls_version).
      - A list of statements, a document with C(Statement), or the JSON text of either. Nothing in it removes them.
    type: raw
  on_unsupported:
    description:
      - What to do if the store does not support a document, or a part of one, that an option asks for.
      - V(fail) fails, before anything changes if the store refuses to read the document.
      - V(warn) sets everything else, warns, and lists in RV(unsupported) what was left out. If a store refuses a part
        of a document, such as C(Transitions) in O(lifecycle_rules), only this part is left out. Filters of lifecycle
        rules and statements of policies are never dropped alone, since the rest would then apply to more objects.
      - A store other than AWS is read again afterwards; what it accepted and did not keep counts as unsupported.
    type: str
    choices: [fail, warn]
    default: fail
  progress_file:
    description:
      - File to which lines about the progress of O(force_empty) are appended.
      - Set by the action plugin, which shows them while the module runs on the controller.
    type: path
notes:
  - Users, keys and quotas of a store other than AWS belong to each vendor's administration API, not to the S3 API, so
    this module does not manage them (community.aws#1587). The keys must exist.
  - If the bucket is on AWS and in another region than O(region), the module warns and names the bucket's region.
seealso:
  - module: orion.tracing.s3_bucket_info
"""

EXAMPLES = r"""
- name: Bucket for traces on AWS
  orion.tracing.s3_bucket:
    name: orion-traces-123456789012
    region: us-east-1
    encryption: sse_s3
    public_access_block: true
    object_ownership: BucketOwnerEnforced
    tls_only: "{{ s3_tls | default(true) }}"
    minimum_tls_version: "{{ s3_tls | default(true) | ternary('1.2', 'none') }}"
    lifecycle_rules:
      - ID: abort-incomplete-multipart-uploads
        AbortIncompleteMultipartUpload:
          DaysAfterInitiation: 1
    tags:
      environment: production

- name: The same on your own store
  orion.tracing.s3_bucket:
    name: traces
    endpoint_url: "{{ s3_endpoint_url }}"
    ca_bundle: "{{ s3_ca_bundle | default(omit) }}"
    access_key: "{{ s3_access_key }}"
    secret_key: "{{ s3_secret_key }}"
    lifecycle_rules:
      - AbortIncompleteMultipartUpload:
          DaysAfterInitiation: 1
    on_unsupported: warn

- name: Encryption with a KMS key, which saves calls to KMS by a key of the bucket
  orion.tracing.s3_bucket:
    name: orion-traces-123456789012
    encryption: sse_kms
    kms_key_id: alias/traces
    bucket_key_enabled: true

- name: Who else may read
  orion.tracing.s3_bucket:
    name: orion-traces-123456789012
    public_access_block: false
    policy:
      - Sid: auditors
        Effect: Allow
        Principal: {AWS: "arn:aws:iam::123456789012:role/auditors"}
        Action: ["s3:GetObject"]
        Resource: ["arn:aws:s3:::orion-traces-123456789012/*"]

- name: A bucket from which nothing can be deleted for a month
  orion.tracing.s3_bucket:
    name: orion-audit-123456789012
    object_lock_enabled: true
    object_lock_default_retention:
      mode: GOVERNANCE
      days: 30

- name: What would change
  orion.tracing.s3_bucket:
    name: orion-traces-123456789012
    versioning: true
  check_mode: true
  diff: true

- name: Delete an empty bucket
  orion.tracing.s3_bucket:
    name: orion-audit-123456789012
    state: absent

- name: Delete a bucket with all that is in it
  orion.tracing.s3_bucket:
    name: traces
    state: absent
    force_empty: true
"""

RETURN = r"""
bucket:
  description: The bucket after the module has run.
  returned: success
  type: dict
  contains:
    name:
      description: Its name.
      type: str
      sample: orion-traces-123456789012
    arn:
      description: Its ARN.
      type: str
      sample: arn:aws:s3:::orion-traces-123456789012
    region:
      description: Region of the bucket, or the region used if the store does not report one.
      type: str
      sample: us-east-1
    endpoint_url:
      description: The endpoint that was used.
      type: str
      sample: https://s3.us-east-1.amazonaws.com
    exists:
      description: Whether the bucket exists; in check mode, whether it would.
      type: bool
      sample: true
steps:
  description: The changes made, or in check mode those that would be made, in order.
  returned: success
  type: list
  elements: str
  sample: [create bucket, put lifecycle_rules, put policy]
emptied:
  description: What was deleted from the bucket; in check mode, what the first page of each list shows.
  returned: with O(state=absent) and O(force_empty)
  type: dict
  contains:
    versions:
      description: Versions of objects, or objects where there was never versioning.
      type: int
      sample: 20000
    delete_markers:
      description: Delete markers.
      type: int
      sample: 312
    uploads:
      description: Unfinished multipart uploads.
      type: int
      sample: 2
    more:
      description: Whether there is more than was counted. Only in check mode.
      type: bool
      sample: false
errors:
  description: The first hundred versions and delete markers that O(force_empty) could not delete.
  returned: on failure because of them
  type: list
  elements: dict
  sample:
    - key: single-tenant/2026/block/data.parquet
      version_id: 67152f0ef0857812685f52e9a29e9555
      code: AccessDenied
      message: Access Denied because object protected by object lock.
error_count:
  description: How many there were.
  returned: on failure because of them
  type: int
  sample: 1
unsupported:
  description: What options ask for and the store does not support.
  returned: always, on failure only if that is the reason
  type: list
  elements: dict
  contains:
    feature:
      description: The option, or the part of its document.
      type: str
      sample: lifecycle_rules[].Transitions
    answer:
      description: The store's answer.
      type: str
      sample: 'NotImplemented: A header you provided implies functionality that is not implemented'
    left_out:
      description: What was left out, if it is a part of a document.
      type: str
      returned: for a part of a document
      sample: Transitions of rule archive
api_calls:
  description: HTTP requests that were sent, retries included.
  returned: success
  type: int
  sample: 4
"""

from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.module.progress import progress
from ansible_collections.orion.tracing.plugins.module_utils.s3 import bucket, contents
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store
from ansible_collections.orion.tracing.plugins.module_utils.s3.options import bucket_options


def main() -> None:
    module = TracingModule(
        argument_spec=bucket_options(),
        kube=False,
        supports_check_mode=True,
    )
    with module.guard():
        bucket.check_options(module.params)
        emptying = module.params["state"] == "absent" and module.params["force_empty"]
        store = Store.connect(module.params, contents.PATIENCE if emptying else None)
        state = bucket.read(store, module.params)
        plan = bucket.make_plan(state, module.params)
        if not module.check_mode:
            bucket.apply(store, module.params, state, plan, progress(module.params))
        store.close()
        plan.result["api_calls"] = store.api_calls
        module.exit(plan)


if __name__ == "__main__":
    main()
