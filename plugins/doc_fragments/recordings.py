# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of the options of modules that read recorded traces."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  path:
    description:
      - The recording. A file written by the Collector's file exporter, with OTLP/JSON lines or length-prefixed OTLP
        protobuf messages; or one downloaded object of the S3 exporter, under its original name. Plain or compressed
        with gzip. The format is detected from the first bytes.
      - C(s3://bucket/prefix) names what the S3 exporter wrote below a prefix of a bucket, as OTLP protobuf
        (C(.binpb)) or OTLP/JSON (C(.json)), plain or C(.gz). Objects are read in the order in which they were written,
        up to 16 of them or 64 MiB ahead, and are not stored; an object may have at most 256 MiB.
      - Reading a bucket needs the permissions C(s3:ListBucket) on it and C(s3:GetObject) on the objects.
    type: path
  s3:
    description: Connection to the store of an O(path) that begins with C(s3://), and the time range to read.
    type: dict
    suboptions:
      start:
        description:
          - Reads what was written from this time on, such as C(2026-01-31T10:00:00Z). A time without a zone is UTC.
          - It selects the exporter's folders C(year=)…C(minute=), so whole minutes are read, and folders outside
            of the range are not listed. The folders are assumed to be in UTC.
          - It is the time of writing. Spans ended some seconds earlier, since they wait in queues and for decisions.
        type: str
      end:
        description: Reads what was written before this time.
        type: str
      last:
        description: Instead of O(s3.start), a Go duration back from O(s3.end) or from now.
        type: str
      endpoint_url:
        description: URL of the store. Defaults to E(AWS_ENDPOINT_URL_S3), then E(AWS_ENDPOINT_URL), then AWS.
        type: str
      region:
        description: Region for which requests are signed. Falls back to E(AWS_REGION), E(AWS_DEFAULT_REGION).
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
        description: Whether a request names the bucket in its path or in its host name.
        type: str
        choices: [auto, path, virtual]
notes:
  - The Python packages C(opentelemetry-proto), for OTLP protobuf, and C(boto3), for a bucket, must be installed where
    the module runs.
"""
