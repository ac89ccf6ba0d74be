# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""IAM documents: the permissions of Tempo's role on its bucket, the trust policy for its pods, and the permissions of
writers and readers of recordings. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from inspect import signature
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.s3 import aws, names

VERSION = "2012-10-17"
OBJECT_ACTIONS = ("s3:DeleteObject", "s3:GetObject", "s3:GetObjectTagging", "s3:PutObject", "s3:PutObjectTagging")
BUCKET_ACTIONS = ("s3:ListBucket",)
KEY_ACTIONS = ("kms:Decrypt", "kms:GenerateDataKey")

ACCOUNT = re.compile(r"\d{12}")
KEY_ARN = re.compile(r"arn:(aws[a-z-]*):kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+")
PROVIDER_ARN = re.compile(r"arn:(aws[a-z-]*):iam::\d{12}:oidc-provider/(\S+)")
CLUSTER_ARN = re.compile(r"arn:aws[a-z-]*:eks:[a-z0-9-]+:\d{12}:cluster/[A-Za-z0-9_-]+")
NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SERVICE_ACCOUNT = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9.-]*[a-z0-9])?")


def permissions(bucket: str, partition: str = "aws", kms_key_arn: str = "") -> dict[str, Any]:
    """The policy of a role, user or group that lets Tempo use one bucket, and nothing else.

    bucket: its name. partition: first part of ARNs after "arn:". kms_key_arn: the customer managed key that the
    bucket's default encryption names; "" for SSE-S3 and for the account's key aws/s3, which is open to S3's users.

    The six S3 actions are those of Tempo's documentation; S3 knows five of them for objects, ListBucket for buckets.
    Of KMS, uploads need GenerateDataKey, and reading, multipart uploads and copies need Decrypt.
    Sources: https://grafana.com/docs/tempo/latest/configuration/hosted-storage/s3/,
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html,
    https://repost.aws/knowledge-center/s3-large-file-encryption-kms-key.
    """
    _check_bucket(bucket, partition)
    arn = f"arn:{partition}:s3:::{bucket}"
    statements = [
        {"Sid": "TempoObjects", "Effect": "Allow", "Action": list(OBJECT_ACTIONS), "Resource": f"{arn}/*"},
        {"Sid": "TempoBucket", "Effect": "Allow", "Action": list(BUCKET_ACTIONS), "Resource": arn},
    ]
    if kms_key_arn:
        _check_key(kms_key_arn, partition)
        statements.append(
            {"Sid": "TempoKey", "Effect": "Allow", "Action": list(KEY_ACTIONS), "Resource": kms_key_arn},
        )
    return {"Version": VERSION, "Statement": statements}


def recordings(
    bucket: str, prefix: str, access: str = "write", partition: str = "aws", kms_key_arn: str = ""
) -> dict[str, Any]:
    """The policy of a role, user or group that writes, or reads, the recordings below one prefix, and nothing else.

    access: write, for the collector's S3 exporter, or read, for sampling_simulation and otlp_replay. The others: as of
    permissions. Writing needs PutObject alone: the exporter asks for nothing before, and its objects (8 MiB at most)
    are no multipart uploads. Reading also lists, below the prefix alone.
    Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html and API_ListObjectsV2.html
    """
    _check_bucket(bucket, partition)
    folder = prefix.strip("/")
    if not folder or re.search(r"[*?]|\$\{", folder):
        raise InvalidInput(
            f"prefix {prefix!r} cannot be a prefix of recordings",
            "*, ? and ${ are wildcards and variables in a policy" if folder else "it is empty",
            "Write the prefix of the entry in collector_exporters.",
        )
    arn = f"arn:{partition}:s3:::{bucket}"
    objects = f"{arn}/{folder}/*"
    statements: list[dict[str, Any]]
    if access == "write":
        statements = [{"Sid": "RecordingsWrite", "Effect": "Allow", "Action": ["s3:PutObject"], "Resource": objects}]
    elif access == "read":
        statements = [
            {"Sid": "RecordingsRead", "Effect": "Allow", "Action": ["s3:GetObject"], "Resource": objects},
            {
                "Sid": "RecordingsList",
                "Effect": "Allow",
                "Action": ["s3:ListBucket"],
                "Resource": arn,
                "Condition": {"StringLike": {"s3:prefix": [f"{folder}/*"]}},
            },
        ]
    else:
        raise InvalidInput(f"access {access!r} is neither write nor read")
    if kms_key_arn:
        _check_key(kms_key_arn, partition)
        action = "kms:GenerateDataKey" if access == "write" else "kms:Decrypt"
        statements.append({"Sid": "RecordingsKey", "Effect": "Allow", "Action": [action], "Resource": kms_key_arn})
    return {"Version": VERSION, "Statement": statements}


def _check_bucket(bucket: str, partition: str) -> None:
    wrong = names.problem(bucket)
    if wrong:
        raise InvalidInput(f"bucket {bucket!r} cannot be a bucket", wrong)
    known = [one.name for one in aws.PARTITIONS]
    if partition not in known:
        raise InvalidInput(f"partition {partition!r} is not a partition of AWS", "", f"Write {', '.join(known)}.")


def _check_key(arn: str, partition: str) -> None:
    """An alias or a key id in a policy matches no key, so the statement would allow nothing.

    Source: https://docs.aws.amazon.com/kms/latest/developerguide/cmks-in-iam-policies.html
    """
    match = KEY_ARN.fullmatch(arn)
    if not match:
        raise InvalidInput(
            f"kms_key_arn {arn!r} is not the ARN of a key",
            "an alias or a key id in an IAM policy allows nothing",
            "Write arn:aws:kms:REGION:ACCOUNT:key/ID, as `aws kms describe-key` shows it.",
        )
    if match[1] != partition:
        raise InvalidInput(f"kms_key_arn {arn!r} is in partition {match[1]}, but the bucket is in {partition}")


def trust(kind: str, options: dict[str, str]) -> dict[str, Any]:
    """The trust policy of that kind, irsa or pod_identity; options: arguments of that function, "" for unset."""
    kinds: dict[str, Callable[..., dict[str, Any]]] = {"irsa": irsa, "pod_identity": pod_identity}
    if kind not in kinds:
        raise InvalidInput(f"{kind!r} is not a kind of trust", "", f"Write {' or '.join(kinds)}.")
    known = {name: list(signature(function).parameters) for name, function in kinds.items()}
    given = {name: value for name, value in options.items() if value}
    for name in given:
        if name not in known[kind]:
            others = [other for other in kinds if name in known[other]]
            why = f"it belongs to {others[0]}" if others else ""
            raise InvalidInput(f"{kind} has no option {name}", why, f"Its options: {', '.join(known[kind])}.")
    return kinds[kind](**given)


def irsa(
    namespace: str = "",
    service_account: str = "",
    oidc_provider_arn: str = "",
    oidc_issuer: str = "",
    account_id: str = "",
    partition: str = "aws",
    audience: str = "sts.amazonaws.com",
) -> dict[str, Any]:
    """The trust policy for IAM Roles for Service Accounts: exactly one service account may assume the role.

    Either oidc_provider_arn names the cluster's provider in IAM, or oidc_issuer, the cluster's issuer URL, together
    with account_id and partition. audience: the aud of the pods' tokens.
    Source: https://docs.aws.amazon.com/eks/latest/userguide/associate-service-account-role.html
    """
    if bool(oidc_provider_arn) == bool(oidc_issuer):
        raise InvalidInput(
            "irsa needs either oidc_provider_arn or oidc_issuer",
            "both are given" if oidc_issuer else "neither is given",
            "`aws iam list-open-id-connect-providers` lists the ARNs.",
        )
    if oidc_issuer:
        issuer = oidc_issuer.removeprefix("https://").rstrip("/")
        if not issuer or "://" in issuer:
            raise InvalidInput(
                f"oidc_issuer {oidc_issuer!r} is not an https:// URL", "", "Write cluster.identity.oidc.issuer of EKS."
            )
        if not ACCOUNT.fullmatch(account_id):
            raise InvalidInput(
                f"account_id {account_id!r} is not 12 digits",
                "oidc_issuer does not contain the account of the provider",
                "Quote it in YAML, or leading zeros are lost.",
            )
        oidc_provider_arn = f"arn:{partition}:iam::{account_id}:oidc-provider/{issuer}"
    match = PROVIDER_ARN.fullmatch(oidc_provider_arn)
    if not match:
        raise InvalidInput(
            f"oidc_provider_arn {oidc_provider_arn!r} is not the ARN of an OIDC provider",
            "",
            "Write arn:aws:iam::ACCOUNT:oidc-provider/HOST/PATH.",
        )
    _check_names(namespace, service_account)
    conditions = {
        f"{match[2]}:aud": audience,
        f"{match[2]}:sub": f"system:serviceaccount:{namespace}:{service_account}",
    }
    return {
        "Version": VERSION,
        "Statement": [
            {
                "Sid": "TempoServiceAccount",
                "Effect": "Allow",
                "Principal": {"Federated": oidc_provider_arn},
                "Action": "sts:AssumeRoleWithWebIdentity",
                "Condition": {"StringEquals": conditions},
            }
        ],
    }


def pod_identity(namespace: str = "", service_account: str = "", cluster_arn: str = "") -> dict[str, Any]:
    """The trust policy for EKS Pod Identity. Whatever is given becomes a condition on the session tags that EKS sets.

    Without conditions, any association in the account's clusters may use the role. An association whose session tags
    are disabled (disableSessionTags) meets no condition.
    Sources: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html and pod-id-abac.html.
    """
    _check_names(namespace, service_account, required=False)
    if cluster_arn and not CLUSTER_ARN.fullmatch(cluster_arn):
        raise InvalidInput(
            f"cluster_arn {cluster_arn!r} is not the ARN of an EKS cluster",
            "",
            "Write arn:aws:eks:REGION:ACCOUNT:cluster/NAME.",
        )
    tags = {
        "eks-cluster-arn": cluster_arn,
        "kubernetes-namespace": namespace,
        "kubernetes-service-account": service_account,
    }
    conditions = {f"aws:RequestTag/{name}": value for name, value in tags.items() if value}
    statement: dict[str, Any] = {
        "Sid": "TempoPodIdentity",
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    }
    if conditions:
        statement["Condition"] = {"StringEquals": conditions}
    return {"Version": VERSION, "Statement": [statement]}


def _check_names(namespace: str, service_account: str, required: bool = True) -> None:
    """Conditions compare literally, so a wildcard or a typing error would lock Tempo out."""
    for option, value, pattern in (
        ("namespace", namespace, NAMESPACE),
        ("service_account", service_account, SERVICE_ACCOUNT),
    ):
        if not value and not required:
            continue
        if not pattern.fullmatch(value):
            raise InvalidInput(
                f"{option} {value!r} is not a name in Kubernetes",
                "the trust policy is for one service account, and compares names literally",
                "Write it as kubectl shows it.",
            )
