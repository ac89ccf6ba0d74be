# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The partitions of AWS: the same as botocore's."""

from __future__ import annotations

import botocore.session
import pytest
from ansible_collections.orion.tracing.plugins.module_utils.s3 import aws

SESSION = botocore.session.get_session()


def test_the_partitions_are_those_of_botocore() -> None:
    known = SESSION.get_component("data_loader").load_data("partitions")["partitions"]
    assert [
        aws.Partition(
            one["id"],
            one["regionRegex"].strip("^$").replace("\\-", "-"),
            one["outputs"]["dnsSuffix"],
            one["outputs"]["dualStackDnsSuffix"],
        )
        for one in known
    ] == list(aws.PARTITIONS)


@pytest.mark.parametrize(
    "region",
    ["us-east-2", "eu-west-1", "cn-north-1", "us-gov-west-1", "eusc-de-east-1", "us-iso-east-1", "us-isob-east-1"],
)
def test_the_host_is_that_of_botocores_client(region: str) -> None:
    made = SESSION.create_client("s3", region_name=region, aws_access_key_id="a", aws_secret_access_key="b")
    assert made.meta.endpoint_url == f"https://{aws.s3_host(region)}"
    assert aws.region_of_host(aws.s3_host(region)) == region
    assert aws.partition_of(region).name == SESSION.get_partition_for_region(region)


def test_us_east_1_and_regions_that_nobody_knows() -> None:
    assert aws.s3_host("us-east-1") == "s3.us-east-1.amazonaws.com"
    assert aws.s3_host("local") == "s3.local.amazonaws.com"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "https://s3.eu-west-1.amazonaws.com",
        "https://s3.cn-north-1.amazonaws.com.cn",
        "https://s3.eusc-de-east-1.amazonaws.eu",
        "https://s3.us-iso-east-1.c2s.ic.gov",
        "https://s3.dualstack.eu-west-1.api.aws",
        "https://bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com",
        "HTTPS://S3.EU-WEST-1.AMAZONAWS.COM",
    ],
)
def test_endpoints_of_aws(url: str) -> None:
    assert aws.is_aws(url)


@pytest.mark.parametrize(
    "url",
    ["https://s3.example.org", "https://amazonaws.com.example.org", "http://127.0.0.1:8333", "https://s3.amazonaws.io"],
)
def test_endpoints_of_other_stores(url: str) -> None:
    assert not aws.is_aws(url)


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("s3.eu-west-1.amazonaws.com", "eu-west-1"),
        ("s3-eu-west-1.amazonaws.com", "eu-west-1"),
        ("s3.dualstack.eu-west-1.amazonaws.com", "eu-west-1"),
        ("s3.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("bucket.vpce-1.s3.us-east-1.vpce.amazonaws.com", "us-east-1"),
        ("s3.amazonaws.com", ""),
        ("s3.eu-west-1.example.org", ""),
    ],
)
def test_the_region_of_a_host(host: str, region: str) -> None:
    assert aws.region_of_host(host) == region
