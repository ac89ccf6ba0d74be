#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: s3_bucket
short_description: Create, configure and delete an S3 bucket
author:
  - orion.tracing contributors (@orion-tracing)
description:
  - Owns the documents of a bucket's configuration, on AWS and on S3-compatible stores.
  - An option that is not set leaves its document alone; one that is set makes it exactly so.
  - Only what was asked for is read, all of it at the same time; an unchanged bucket costs reads only.
  - Check mode and diff cover every document.
extends_documentation_fragment:
  - orion.tracing.s3
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
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
      - V(absent) deletes it. A bucket that holds any object, version or delete marker is not deleted; the module fails.
    type: str
    choices: [present, absent]
    default: present
  versioning:
    description:
      - V(true) turns versioning on.
      - V(false) suspends it where it was on. A bucket that never had it stays without.
    type: bool
  encryption:
    description:
      - How new objects are encrypted by default.
      - V(none) removes the setting. AWS then still encrypts with V(sse_s3), so there both mean the same.
    type: str
    choices: [none, sse_s3, sse_kms]
  kms_key_id:
    description: Id, ARN or alias of the KMS key for O(encryption=sse_kms). The store's own key by default.
    type: str
  bucket_key_enabled:
    description: Whether objects are encrypted with a key of the bucket, which saves calls to KMS. False by default.
    type: bool
  public_access_block:
    description:
      - V(true) or V(false) for all four settings of Block Public Access.
      - Or a dictionary of C(BlockPublicAcls), C(BlockPublicPolicy), C(IgnorePublicAcls), C(RestrictPublicBuckets); what
        it leaves out is V(false).
    type: raw
  lifecycle_rules:
    description:
      - All lifecycle rules, under boto3's own names. An empty list removes them.
      - C(Status) is C(Enabled) unless given; no C(Filter), or one with an empty C(Prefix), is every object.
      - A rule without C(ID) is compared by its content.
    type: list
    elements: dict
  tags:
    description: All tags. An empty dictionary removes them. Those of AWS itself (C(aws:)) stay.
    type: dict
  tls_only:
    description:
      - Whether the bucket policy has the statement C(DenyInsecureTransport), which refuses plain HTTP.
      - Refused together with an C(http://) O(endpoint_url).
    type: bool
  policy:
    description:
      - All statements of the bucket policy, but for C(DenyInsecureTransport), which belongs to O(tls_only).
      - An empty list removes them.
    type: list
    elements: dict
  on_unsupported:
    description:
      - What to do if the store lacks a document that was asked for. V(fail) changes nothing, as far as the store
        says so when it is read.
      - V(warn) does the rest, warns, and returns it in RV(unsupported).
      - What was not asked for never matters.
    type: str
    choices: [fail, warn]
    default: fail
"""

EXAMPLES = r"""
- name: Bucket for traces on AWS
  orion.tracing.s3_bucket:
    name: orion-traces-123456789012
    region: us-east-1
    encryption: sse_s3
    public_access_block: true
    tls_only: true
    lifecycle_rules:
      - ID: abort-incomplete-multipart-uploads
        AbortIncompleteMultipartUpload:
          DaysAfterInitiation: 1
    tags:
      environment: production

- name: The same on a store of one's own
  orion.tracing.s3_bucket:
    name: traces
    endpoint_url: https://s3.example.org:8333
    ca_bundle: /etc/ssl/certs/example-ca.pem
    access_key: "{{ s3_access_key }}"
    secret_key: "{{ s3_secret_key }}"
    tls_only: true
    lifecycle_rules:
      - AbortIncompleteMultipartUpload:
          DaysAfterInitiation: 1
    on_unsupported: warn

- name: What would change
  orion.tracing.s3_bucket:
    name: orion-traces-123456789012
    versioning: false
  check_mode: true
  diff: true

- name: Delete an empty bucket
  orion.tracing.s3_bucket:
    name: orion-traces-123456789012
    state: absent
"""

RETURN = r"""
bucket:
  description: The bucket as it is after the module.
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
      description: The region that it is in, as far as the store says so.
      type: str
      sample: us-east-1
    endpoint_url:
      description: The endpoint that was used.
      type: str
      sample: https://s3.us-east-1.amazonaws.com
    exists:
      description: Whether it is there; in check mode, whether it would be.
      type: bool
steps:
  description: What was written, or would be in check mode, in that order.
  returned: success
  type: list
  elements: str
  sample: [create bucket, put lifecycle_rules, put policy]
unsupported:
  description: What was asked for and the store does not have.
  returned: always, on failure only if that is the reason
  type: list
  elements: dict
  contains:
    feature:
      description: The option.
      type: str
      sample: public_access_block
    answer:
      description: What the store said.
      type: str
      sample: 'NotImplemented: A header you provided implies functionality that is not implemented.'
api_calls:
  description: HTTP requests that were sent, retries included.
  returned: success
  type: int
  sample: 4
"""

from ansible_collections.orion.tracing.plugins.module_utils.module import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.s3 import bucket
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store
from ansible_collections.orion.tracing.plugins.module_utils.s3.options import s3_options


def main() -> None:
    module = TracingModule(
        argument_spec={
            **s3_options(),
            "name": {"type": "str", "required": True, "aliases": ["bucket"]},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "versioning": {"type": "bool"},
            "encryption": {"type": "str", "choices": ["none", "sse_s3", "sse_kms"]},
            "kms_key_id": {"type": "str", "no_log": False},
            "bucket_key_enabled": {"type": "bool", "no_log": False},
            "public_access_block": {"type": "raw"},
            "lifecycle_rules": {"type": "list", "elements": "dict"},
            "tags": {"type": "dict"},
            "tls_only": {"type": "bool"},
            "policy": {"type": "list", "elements": "dict"},
            "on_unsupported": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
        },
        kube=False,
        supports_check_mode=True,
    )
    with module.guard():
        bucket.check_options(module.params)
        store = Store.connect(module.params)
        state = bucket.read(store, module.params)
        plan = bucket.make_plan(state, module.params)
        bucket.check_plan(store, module.params, plan)
        if not module.check_mode:
            bucket.apply(store, module.params, plan)
        store.close()
        plan.result["api_calls"] = store.api_calls
        module.exit(plan)


if __name__ == "__main__":
    main()
