# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""AWS's partitions: which hosts are AWS, and which host a region's S3 has. Pure.

The figures are those of botocore's partitions.json, which a unit test compares: roles and filters also need them where
boto3 is not installed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Partition:
    """name: first part of ARNs after "arn:"; regions: pattern of its regions; suffix, dual_stack: ends of its hosts."""

    name: str
    regions: str
    suffix: str
    dual_stack: str


AWS = Partition("aws", r"(us|eu|ap|sa|ca|me|af|il|mx)-\w+-\d+", "amazonaws.com", "api.aws")
PARTITIONS = (
    AWS,
    Partition("aws-cn", r"cn-\w+-\d+", "amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    Partition("aws-eusc", r"eusc-(de)-\w+-\d+", "amazonaws.eu", "api.amazonwebservices.eu"),
    Partition("aws-iso", r"us-iso-\w+-\d+", "c2s.ic.gov", "api.aws.ic.gov"),
    Partition("aws-iso-b", r"us-isob-\w+-\d+", "sc2s.sgov.gov", "api.aws.scloud"),
    Partition("aws-iso-e", r"eu-isoe-\w+-\d+", "cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    Partition("aws-iso-f", r"us-isof-\w+-\d+", "csp.hci.ic.gov", "api.aws.hci.ic.gov"),
    Partition("aws-us-gov", r"us-gov-\w+-\d+", "amazonaws.com", "api.aws"),
)
SUFFIXES = tuple(f".{end}" for one in PARTITIONS for end in (one.suffix, one.dual_stack))


def partition_of(region: str) -> Partition:
    """The partition of a region; for one that no pattern has, that of most regions."""
    return next((one for one in PARTITIONS if re.fullmatch(one.regions, region)), AWS)


def is_aws(endpoint_url: str) -> bool:
    """Whether an endpoint is AWS's own, VPC and dual-stack endpoints included; "" is, too."""
    try:
        host = (urlsplit(endpoint_url).hostname or "").rstrip(".")
    except ValueError:
        return False
    return not endpoint_url or host.endswith(SUFFIXES)


def s3_host(region: str) -> str:
    """The host of a region's S3 API."""
    return f"s3.{region}.{partition_of(region).suffix}"


def host_of(endpoint_url: str, region: str) -> str:
    """host or host:port of an S3 endpoint, that of the region on AWS for ""; a text that is not a URL as it is."""
    if not endpoint_url:
        return s3_host(region)
    try:
        return urlsplit(endpoint_url).netloc.rpartition("@")[2] or endpoint_url
    except ValueError:
        return endpoint_url


def region_of_host(host: str) -> str:
    """The region in the name of an S3 host of AWS, "" if it has none."""
    ends = "|".join(re.escape(end) for end in SUFFIXES)
    match = re.fullmatch(rf"(?:.+\.)?s3[.-](?:dualstack\.|fips\.)*([a-z]+(?:-[a-z]+)+-\d+)(?:\.vpce)?(?:{ends})", host)
    return match[1] if match else ""
