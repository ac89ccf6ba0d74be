# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Whether the bucket's role, Tempo and recordings mean the same S3 store. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, error, warning
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import boolean, usable
from ansible_collections.orion.tracing.plugins.module_utils.kube.connection import is_loopback
from ansible_collections.orion.tracing.plugins.module_utils.s3.aws import is_aws, partition_of, region_of_host, s3_host

URL, ENDPOINT = "object_storage_endpoint_url", "tempo_s3_endpoint"


def contradictions_of_store(v: Mapping[str, Any], managed: bool) -> Iterator[Finding]:
    """v: the variables, those of the tempo and object_storage roles where they are checked. managed: whether the
    object_storage role makes the bucket; if not, its endpoint says nothing about Tempo's bucket.
    """
    endpoint = str(v.get(ENDPOINT) or "")
    if not endpoint or "/" in endpoint:
        return
    yield from _host(v, endpoint)
    same_bucket = v.get("tempo_s3_bucket") in (None, "", v.get("object_storage_bucket"))
    if managed and same_bucket and URL in v:
        yield from _same(v, endpoint)


def _host(v: Mapping[str, Any], endpoint: str) -> Iterator[Finding]:
    if is_loopback(f"https://{endpoint}"):
        yield error(
            ENDPOINT,
            f"is '{endpoint}', a loopback address, so Tempo's pods would ask themselves",
            f"Write the host under which pods reach the store of {URL}.",
        )
    host = endpoint.partition(":")[0]
    region = region_of_host(host)
    if region and not host.endswith(f".{partition_of(region).suffix}") and not _dual_stack(host, region):
        yield error(ENDPOINT, f"is '{endpoint}', which is not a host of {region}", f"Write {s3_host(region)}.")


def _dual_stack(host: str, region: str) -> bool:
    return host.endswith(f".{partition_of(region).dual_stack}")


def _same(v: Mapping[str, Any], endpoint: str) -> Iterator[Finding]:
    """Contradictions of the role that makes the bucket and Tempo, which reads and writes it."""
    url = str(v.get(URL) or "")
    custom = not is_aws(url)
    if custom and is_aws(f"https://{endpoint}"):
        yield error(
            ENDPOINT,
            f"is {endpoint}, which is AWS, but the bucket is made at {URL} {url}",
            "Leave it unset, or write the host under which pods reach that store.",
        )
    elif not custom and not is_aws(f"https://{endpoint}"):
        # A name of one's own for an endpoint of AWS is possible.
        yield warning(
            ENDPOINT,
            f"is {endpoint}, which is not AWS, but the bucket is made on AWS",
            f"Set {URL} to the URL of that store, or object_storage_manage: false if its bucket exists.",
        )
    try:
        parts = urlsplit(url)
        here = parts.netloc.rpartition("@")[2].lower()
    except ValueError:
        return
    insecure = usable(False, boolean, v.get("tempo_s3_insecure"))
    if custom and here == endpoint.lower() and insecure != (parts.scheme == "http"):
        yield error(
            "tempo_s3_insecure",
            f"is {str(insecure).lower()}, but {URL} {url} has the same host and port",
            f"Leave it unset, or set it to {str(not insecure).lower()}.",
        )
    ca = v.get("object_storage_ca_bundle")
    if custom and ca and not insecure and not v.get("tempo_s3_ca_secret"):
        yield warning(
            "tempo_s3_ca_secret",
            f"is empty, but object_storage_ca_bundle is {ca}",
            "Put that file into a Secret as ca.crt and name it, unless the certificate is from a public CA.",
            "Tempo would refuse the store's certificate",
        )
    if custom and v.get("object_storage_validate_certs") is False and not insecure and not v.get("tempo_s3_ca_secret"):
        yield warning(
            "tempo_s3_ca_secret",
            "is empty, but object_storage_validate_certs is false",
            "Put the certificate authority of the store into a Secret as ca.crt and name it.",
            "Tempo checks the store's certificate all the same",
        )
    styles = {name: str(v.get(name) or "") for name in ("object_storage_addressing_style", "tempo_s3_addressing_style")}
    here_style, tempo_style = styles.values()
    if custom and here_style and tempo_style and here_style != tempo_style:
        yield error(
            "tempo_s3_addressing_style", f"is {tempo_style}, but object_storage_addressing_style is {here_style}",
            "Leave it unset.",
        )  # fmt: skip
