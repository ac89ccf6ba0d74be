# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the options of modules that read recorded traces."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  path:
    description:
      - The recording. A file as the collector's file exporter writes it, OTLP/JSON lines or OTLP protobuf messages
        behind their length; or one object of the S3 exporter, downloaded under its name. Plain or compressed with gzip.
        Which of them it is, is seen by its first bytes.
      - C(s3://bucket/prefix) names what the S3 exporter wrote below a prefix of a bucket, as OTLP protobuf
        (C(.binpb)) or OTLP/JSON (C(.json)), plain or C(.gz). Objects are read in the order in which they were written,
        up to 16 of them or 64 MiB ahead, and are not kept; one object may have 256 MiB at most.
      - Reading a bucket needs the permissions C(s3:ListBucket) on it and C(s3:GetObject) on the objects.
    type: path
  s3:
    description: How the store of an O(path) that begins with C(s3://) is reached, and what is read of it.
    type: dict
    suboptions:
      start:
        description:
          - Reads what was written from this time on, C(2026-01-31T10:00:00Z). A time without a zone is UTC.
          - The exporter's folders C(year=)…C(minute=) are chosen by it, so a minute is read as a whole, and folders
            out of the range are not listed. They are taken as UTC.
          - It is the time of writing. Spans ended some seconds before, by the time that they spend in queues and
            waiting for decisions.
        type: str
      end:
        description: Reads what was written before this time.
        type: str
      last:
        description: Instead of O(s3.start), how long before O(s3.end) or now, as a Go duration.
        type: str
      endpoint_url:
        description: URL of the store. AWS by default, or E(AWS_ENDPOINT_URL_S3), E(AWS_ENDPOINT_URL).
        type: str
      region:
        description: Region that requests are signed for. Falls back to E(AWS_REGION), E(AWS_DEFAULT_REGION).
        type: str
      access_key:
        description:
          - Access key. Falls back to E(AWS_ACCESS_KEY_ID), then to boto3's own order (profile, web identity, role).
        type: str
      secret_key:
        description: Secret key. Falls back to E(AWS_SECRET_ACCESS_KEY).
        type: str
      session_token:
        description: Session token. Falls back to E(AWS_SESSION_TOKEN).
        type: str
      ca_bundle:
        description: File with certificate authorities. Falls back to E(AWS_CA_BUNDLE).
        type: path
      validate_certs:
        description: Whether the store's certificate is checked.
        type: bool
        default: true
      addressing_style:
        description: Where the bucket is named in a request.
        type: str
        choices: [auto, path, virtual]
notes:
  - The Python packages C(opentelemetry-proto), for OTLP protobuf, and C(boto3), for a bucket, must be installed where
    the module runs.
"""
