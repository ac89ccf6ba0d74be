#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: s3_bucket_info
short_description: Show the configuration of S3 buckets
version_added: 0.1.0
author:
  - orion.tracing contributors (@orion-tracing)
description:
  - Shows one bucket with its configuration, or lists all buckets of the credentials.
  - The configuration is returned as options of M(orion.tracing.s3_bucket), which with these options changes nothing.
  - Everything is read at the same time. Nothing is written.
extends_documentation_fragment:
  - orion.tracing.s3
  - orion.tracing.s3.connection
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
    details: The module only reads.
  diff_mode:
    support: none
  action_group:
    membership:
      - orion.tracing.s3
    description: Use C(group/orion.tracing.s3) in C(module_defaults) to set the connection for all modules with a store.
options:
  name:
    description: Name of the bucket. All buckets by default.
    type: str
    aliases: [bucket]
  aspects:
    description:
      - The documents to read, each by the option of M(orion.tracing.s3_bucket) that is its name. V(object_lock) is
        C(object_lock_enabled) and C(object_lock_default_retention); V(policy) is C(tls_only) and
        C(minimum_tls_version), too.
      - With O(name), all by default. Without, none by default, so that a list costs one request.
    type: list
    elements: str
    choices:
      - public_access_block
      - object_ownership
      - encryption
      - versioning
      - object_lock
      - lifecycle_rules
      - tags
      - policy
seealso:
  - module: orion.tracing.s3_bucket
"""

EXAMPLES = r"""
- name: A bucket to look at
  orion.tracing.s3_bucket:
    name: orion-traces-123456789012
    versioning: true
    tags:
      environment: production

- name: Everything about it
  orion.tracing.s3_bucket_info:
    name: orion-traces-123456789012
  register: found

# Ansible warns of a template for all arguments, unless inject_facts_as_vars is off in its configuration.
- name: The same again changes nothing
  orion.tracing.s3_bucket: "{{ found.buckets[0].options }}"

- name: Another bucket of the same configuration
  orion.tracing.s3_bucket: "{{ found.buckets[0].options | combine({'name': 'orion-copy-123456789012'}) }}"

- name: Whether it is encrypted
  orion.tracing.s3_bucket_info:
    name: orion-traces-123456789012
    aspects: [encryption]

- name: All buckets, with their tags
  orion.tracing.s3_bucket_info:
    aspects: [tags]
"""

RETURN = r"""
buckets:
  description: The bucket, or nothing if it does not exist; without O(name), all buckets, by name.
  returned: success
  type: list
  elements: dict
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
      description: Its region. Empty in a list if the store does not report it.
      type: str
      sample: us-east-1
    creation_date:
      description: When it was created. Null if these credentials may not list their buckets, or it is somebody else's.
      type: str
      sample: '2026-11-23T23:38:55Z'
    options:
      description: Options of M(orion.tracing.s3_bucket) for what was read and the store has, and C(name).
      type: dict
      sample:
        name: orion-traces-123456789012
        public_access_block:
          BlockPublicAcls: true
          BlockPublicPolicy: true
          IgnorePublicAcls: true
          RestrictPublicBuckets: true
        object_ownership: BucketOwnerEnforced
        encryption: sse_kms
        kms_key_id: alias/traces
        bucket_key_enabled: true
        versioning: true
        object_lock_enabled: false
        lifecycle_rules:
          - ID: abort-incomplete-multipart-uploads
            Status: Enabled
            Filter: {}
            AbortIncompleteMultipartUpload: {DaysAfterInitiation: 1}
        tags: {environment: production}
        policy: []
        tls_only: true
        minimum_tls_version: '1.2'
    unsupported:
      description: The documents that the store does not have.
      type: list
      elements: dict
      contains:
        feature:
          description: The aspect.
          type: str
          sample: public_access_block
        answer:
          description: What the store said.
          type: str
          sample: 'NotImplemented: A header you provided implies functionality that is not implemented'
    unreadable:
      description: The documents that these credentials may not read.
      type: list
      elements: dict
      contains:
        feature:
          description: The aspect.
          type: str
          sample: policy
        answer:
          description: What the store said, and the permission that is missing.
          type: str
          sample: >-
            s3:GetBucketPolicy on bucket orion-traces-123456789012 was refused: AccessDenied: Access Denied. Grant
            s3:GetBucketPolicy to these credentials, and see whether the bucket's policy denies it.
api_calls:
  description: HTTP requests that were sent, retries included.
  returned: success
  type: int
  sample: 10
"""

from dataclasses import asdict

from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule
from ansible_collections.orion.tracing.plugins.module_utils.s3 import info
from ansible_collections.orion.tracing.plugins.module_utils.s3.client import Store
from ansible_collections.orion.tracing.plugins.module_utils.s3.options import s3_options

ASPECTS = [
    "public_access_block",
    "object_ownership",
    "encryption",
    "versioning",
    "object_lock",
    "lifecycle_rules",
    "tags",
    "policy",
]


def main() -> None:
    module = TracingModule(
        argument_spec={
            **s3_options(),
            "name": {"type": "str", "aliases": ["bucket"]},
            "aspects": {"type": "list", "elements": "str", "choices": ASPECTS},
        },
        kube=False,
        supports_check_mode=True,
    )
    name, aspects = module.params["name"], module.params["aspects"]
    with module.guard():
        store = Store.connect(module.params)
        if name:
            buckets = info.one(store, name, info.NAMES if aspects is None else aspects)
        else:
            buckets = info.every(store, aspects or [])
        store.close()
        module.exit_json(changed=False, buckets=[asdict(bucket) for bucket in buckets], api_calls=store.api_calls)


if __name__ == "__main__":
    main()
