# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the connection options that every module with an S3 store shares."""

from __future__ import annotations


class ModuleDocFragment:
    # Address and credentials: orion.tracing.s3.connection, for a module whose validate_certs is the cluster's.
    CONNECTION = r"""
options:
  endpoint_url:
    description:
      - URL of the S3 store, C(https://host[:port]), without the bucket. AWS by default.
      - Falls back to the environment variables E(AWS_ENDPOINT_URL_S3) and E(AWS_ENDPOINT_URL).
    type: str
  region:
    description:
      - Region that requests are signed for, and in which AWS creates a bucket.
      - Falls back to the environment variables E(AWS_REGION) and E(AWS_DEFAULT_REGION), then to the profile, then to
        V(us-east-1).
    type: str
  access_key:
    description:
      - Access key. Without it, boto3 looks for credentials in its own order (the environment's E(AWS_ACCESS_KEY_ID),
        E(AWS_SECRET_ACCESS_KEY) and E(AWS_SESSION_TOKEN), profile, web identity, role). With it, none of these is used.
    type: str
  secret_key:
    description:
      - Secret key that belongs to O(access_key).
    type: str
  session_token:
    description:
      - Session token of temporary credentials, with O(access_key) and O(secret_key).
    type: str
  ca_bundle:
    description:
      - PEM file with the certificate authorities that the store's certificate is checked against.
      - Falls back to the environment variable E(AWS_CA_BUNDLE).
    type: path
"""

    # TLS and addressing; beside orion.tracing.s3.connection.
    DOCUMENTATION = r"""
options:
  validate_certs:
    description: Whether the store's certificate is checked.
    type: bool
    default: true
  addressing_style:
    description:
      - Whether the bucket is named in the path or in the host name of a request.
      - V(path) by default where O(endpoint_url) is not AWS's, else V(auto).
    type: str
    choices: [auto, path, virtual]
requirements:
  - boto3 >= 1.40 (Python package)
"""
