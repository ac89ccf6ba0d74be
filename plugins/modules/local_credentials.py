#!/usr/bin/python
# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Ansible module: generated credentials of an S3 server inside the cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: local_credentials
short_description: Generate the credentials of an S3 server that runs inside the cluster
version_added: 0.1.0
description:
  - Ensures a Secret with an S3 key pair, an encryption key and a TLS certificate with its own authority, for a server
    that runs inside the cluster, such as SeaweedFS.
  - The Secret is the source of truth. What it holds is used again; only what is missing is generated, and a certificate
    that has less than 30 days left or other names than wanted is replaced.
  - Clients in other namespaces get copies with the key pair and the authority, never the server's private keys.
  - No value is ever returned, shown in a diff or logged.
author:
  - orion.tracing contributors (@orion-tracing)
extends_documentation_fragment:
  - orion.tracing.kube
  - orion.tracing.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows keys and digests. A random key of the run goes into the digests, so only values of one diff compare.
requirements:
  - cryptography (Python package, 42 or later)
options:
  name:
    description: Name of the Secret, in every namespace.
    type: str
    default: tempo-s3
  namespace:
    description:
      - Namespace of the server, where the whole Secret is, with the keys C(access_key), C(secret_key), C(sse_kek)
        (SeaweedFS's key-encryption key for SSE-S3), C(ca.crt), C(tls.crt), C(tls.key) and C(s3.json) (SeaweedFS's
        configuration of identities).
    type: str
    required: true
  copy_to:
    description:
      - Namespaces of clients, which get a Secret of the same name with the keys C(access_key), C(secret_key) and
        C(ca.crt).
    type: list
    elements: str
    default: []
  namespace_labels:
    description: Labels of the namespaces that do not exist yet and are created. Existing ones are left alone.
    type: dict
    default: {}
  subject_alt_names:
    description:
      - DNS names and IP addresses that the certificate is for.
      - When they change, the certificate and its authority are replaced.
    type: list
    elements: str
    required: true
  files_dir:
    description:
      - Directory on the machine that runs the module, which gets C(s3-ca.crt) (mode 0644) and C(s3-credentials.json)
        (mode 0600, an object with C(access_key) and C(secret_key)). It is created when it is missing.
      - Without it, no file is written.
    type: path
seealso:
  - name: SeaweedFS S3 credentials
    description: The configuration of identities in the key C(s3.json).
    link: https://github.com/seaweedfs/seaweedfs/wiki/S3-Credentials
"""

EXAMPLES = r"""
- name: Ensure the credentials of the S3 server
  orion.tracing.local_credentials:
    namespace: local-backends
    copy_to:
      - tracing
    namespace_labels:
      pod-security.kubernetes.io/enforce: restricted
    subject_alt_names:
      - seaweedfs.local-backends.svc
      - localhost
      - 127.0.0.1
    files_dir: "{{ tracing_state_dir }}"
  register: credentials
"""

RETURN = r"""
steps:
  description: Names of the changes, in their order.
  returned: success
  type: list
  elements: str
  sample: ["create namespace local-backends", "apply Secret local-backends/tempo-s3"]
secrets:
  description: The Secrets as namespace/name, the source first.
  returned: success
  type: list
  elements: str
  sample: ["local-backends/tempo-s3", "tracing/tempo-s3"]
files:
  description: Paths of the files that were asked for.
  returned: success
  type: dict
  contains:
    ca_bundle:
      description: The certificate authority (PEM), or null without O(files_dir).
      type: str
    credentials:
      description: The key pair (JSON), or null without O(files_dir).
      type: str
  sample: {"ca_bundle": "/srv/state/s3-ca.crt", "credentials": "/srv/state/s3-credentials.json"}
ca_fingerprint:
  description: SHA-256 fingerprint of the certificate authority. Null in check mode when it would be generated.
  returned: success
  type: str
  sample: "4F:0B:…"
not_after:
  description: End of the certificate's validity (UTC). Null in check mode when it would be generated.
  returned: success
  type: str
  sample: "2028-11-22T20:15:00Z"
revision:
  description:
    - Changes when a value of the Secret changes, and reveals nothing about it. Meant for an annotation that restarts
      the server's pods. Null in check mode when something would be generated.
  returned: success
  type: str
  sample: 0f4c1c8a27d6b3e9
api_calls:
  description: Number of requests made to the API server.
  returned: success
  type: int
  sample: 2
"""

import secrets
from datetime import UTC, datetime

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.local import credentials
from ansible_collections.orion.tracing.plugins.module_utils.module.base import TracingModule

ARGUMENT_SPEC = {
    "name": {"type": "str", "default": "tempo-s3"},
    "namespace": {"type": "str", "required": True},
    "copy_to": {"type": "list", "elements": "str", "default": []},
    "namespace_labels": {"type": "dict", "default": {}},
    "subject_alt_names": {"type": "list", "elements": "str", "required": True},
    "files_dir": {"type": "path"},
}


def main() -> None:
    module = TracingModule(argument_spec=ARGUMENT_SPEC, supports_check_mode=True)
    with module.guard():
        if credentials.IMPORT_ERROR:
            raise InvalidInput(
                "the Python package cryptography cannot be imported",
                str(credentials.IMPORT_ERROR),
                "Install it for the interpreter that runs the module (ansible_python_interpreter).",
            )
        wanted = credentials.Wanted.of(module.params)
    now = datetime.now(UTC)
    with module.client() as kube:
        current = credentials.read(kube, wanted)
        plan, known = credentials.make_plan(current, wanted, now, digest_key=secrets.token_bytes(32))
        module.no_log_values.update(credentials.secret_texts(known))
        if not module.check_mode:
            values = credentials.apply(kube, plan, known, wanted, now)
            module.no_log_values.update(credentials.secret_texts(values))
        plan.result["api_calls"] = kube.calls
    module.exit(plan)


if __name__ == "__main__":
    main()
