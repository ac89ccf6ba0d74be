# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Container images of the roles: repository, tag, digest and the prefix of a mirror, validated and combined. Pure.

A role's variables are PREFIX_image_repository, PREFIX_image_tag and PREFIX_image_digest; tracing_image_registry applies
to all of them. The grammar is that of https://github.com/distribution/reference (regexp.go), restricted to SHA-256
digests, the only kind that registries return.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.inventory.findings import Finding, error, refuse

REGISTRY, PULL_SECRETS = "tracing_image_registry", "tracing_image_pull_secrets"
# Where container runtimes look for a repository without a host. Source: distribution/reference, normalize.go
DEFAULT_HOST, OFFICIAL = "docker.io", "library/"

HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?")
PATH = re.compile(r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_VERSION_TAG = re.compile(r"v?(\d{1,2})\.(\d{1,3})(?![\da-z])|v?(\d)$")
OBJECT_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")

Variables = Mapping[str, Any]


def image_values(variables: Variables, prefix: str) -> dict[str, str]:
    """repository (with the mirror's prefix), tag and digest ("" for none), as the charts take them.

    prefix: of the variables' names, e.g. tempo or local_backends_prometheus.
    Raises InvalidVariables with every finding.
    """
    refuse(f"the variables {prefix}_image_*", problems(variables, prefix))
    return {
        "repository": mirrored(_text(variables, f"{prefix}_image_repository"), _text(variables, REGISTRY)),
        "tag": _text(variables, f"{prefix}_image_tag"),
        "digest": _text(variables, f"{prefix}_image_digest"),
    }


def pull_secrets(variables: Variables, role: str) -> list[str]:
    """Names of the Secrets for an image's registry: tracing_image_pull_secrets and ROLE_image_pull_secrets, each once.

    Raises InvalidVariables with every finding.
    """
    refuse("the variables of image pull secrets", pull_secret_problems(variables, role))
    return list(dict.fromkeys(name for variable in _pull_secrets(role) for name in variables.get(variable) or []))


def pull_secret_problems(variables: Variables, role: str) -> Iterator[Finding]:
    """What is wrong with the two lists of pull_secrets."""
    for variable in _pull_secrets(role):
        value = variables.get(variable) or []
        if not isinstance(value, list) or not all(
            isinstance(name, str) and OBJECT_NAME.fullmatch(name) for name in value
        ):
            yield error(variable, f"is {value!r}, not a list of names of Secrets", "Write it as [name].")


def _pull_secrets(role: str) -> tuple[str, str]:
    return PULL_SECRETS, f"{role}_image_pull_secrets"


def mirrored(repository: str, registry: str) -> str:
    """The repository with its host replaced by the registry; unchanged if registry is "".

    A repository without a host is on docker.io: busybox is library/busybox there.
    """
    return f"{registry}/{split(repository)[1]}" if registry else repository


def split(repository: str) -> tuple[str, str]:
    """Host and path of a repository, as container runtimes split it."""
    first, slash, rest = repository.partition("/")
    if slash and _is_host(first):
        return first, rest
    return DEFAULT_HOST, repository if slash else OFFICIAL + repository


def problems(variables: Variables, prefix: str) -> Iterator[Finding]:
    """What is wrong with an image's variables. A variable that is not there has no finding."""
    yield from _repository(variables, f"{prefix}_image_repository", f"{prefix}_image_tag")
    yield from _tag(variables, f"{prefix}_image_tag", f"{prefix}_image_digest")
    yield from _digest(variables, f"{prefix}_image_digest")
    yield from registry_problems(variables)


def registry_problems(variables: Variables) -> Iterator[Finding]:
    """What is wrong with tracing_image_registry."""
    value = _text(variables, REGISTRY)
    if not value:
        return
    bare = re.sub(r"^\w+://", "", value).strip("/")
    host, _slash, path = bare.partition("/")
    if not HOST.fullmatch(host) or (path and not PATH.fullmatch(path)):
        yield error(
            REGISTRY,
            f"is {value!r}, which is not a registry",
            "Write host[:port][/path], such as mirror.example.com/proxy.",
        )
    elif value != bare:
        fault = "has a scheme" if "://" in value else "begins or ends with a slash"
        yield error(REGISTRY, f"is {value!r}, which {fault}", f"Write {bare}.")
    elif not _is_host(host):
        yield error(
            REGISTRY,
            f"is {value!r}, and container runtimes read {host} as a path on {DEFAULT_HOST}, not as a host",
            "Begin it with a host that contains a dot or a port.",
        )


def _repository(variables: Variables, name: str, tag: str) -> Iterator[Finding]:
    if name not in variables:
        return
    value = _text(variables, name)
    bare = value.partition("@")[0]
    head, colon, after = bare.rpartition(":")
    if not value:
        yield error(name, "is empty", "Name the image's repository, e.g. docker.io/grafana/tempo.")
    elif "://" in value:
        yield error(name, f"is {value!r}, which has a scheme", f"Write {value.partition('://')[2]}.")
    elif "@" in value or (colon and "/" not in after):
        named = head if colon and "/" not in after else bare
        yield error(
            name, f"is {value!r}, which has a tag or digest", f"Write {named}, and the tag in {tag}, {_digest_of(tag)}."
        )
    elif not PATH.fullmatch(split(value)[1]) or not HOST.fullmatch(split(value)[0]):
        yield error(
            name, f"is {value!r}, which is not a repository", "Write [host[:port]/]path, the path in lower case."
        )


def tag_and_digest(image: str) -> tuple[str, str]:
    """Of a whole reference, [host[:port]/]path[:tag][@digest]; "" for what it does not have."""
    bare, _at, digest = image.partition("@")
    return bare.rpartition("/")[2].partition(":")[2], digest


def _tag(variables: Variables, name: str, digest: str) -> Iterator[Finding]:
    if name not in variables:
        return
    given, value = variables[name], _text(variables, name)
    tag, at, behind = value.partition("@")
    if isinstance(given, (float, bool)):
        # The original text is lost: YAML reads 2.10 as 2.1.
        yield error(
            name,
            f"is the {'boolean' if isinstance(given, bool) else 'number'} {given}, not text",
            f'Quote it: {name}: "{given}".',
        )
    elif at or DIGEST.fullmatch(value):
        wanted = f"{name}: {tag}" if at and tag else f"{name} to the image's version"
        yield error(name, f"is {value!r}, which has a digest", f"Set {wanted}, and {digest}: {behind or value}.")
    elif not TAG.fullmatch(value):
        yield error(
            name,
            f"is {value!r}, which is not a tag" if value else "is empty",
            "Give up to 128 letters, digits, '_', '.' and '-'.",
        )


def _digest(variables: Variables, name: str) -> Iterator[Finding]:
    value = _text(variables, name)
    if value and not DIGEST.fullmatch(value):
        yield error(
            name,
            f"is {value!r}, which is not a digest",
            "Give sha256: and 64 lower-case hexadecimal digits, or leave it empty.",
        )


def _digest_of(tag: str) -> str:
    return f"the digest in {tag.removesuffix('_tag')}_digest"


def _is_host(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost"


def _text(variables: Variables, name: str) -> str:
    value = variables.get(name)
    return "" if value is None else str(value).strip()


def tagged_version(tag: Any) -> tuple[int, int] | None:
    """(2, 10) for the tags 2.10.8, v2.10 and 2.10.8-amd64; (3, 0) for 3.

    None for a tag that does not name a version, such as main-1a2b3c4 or latest, and for a value that is not a string.
    """
    found = _VERSION_TAG.match(tag.strip()) if isinstance(tag, str) else None
    return (int(found[1] or found[3]), int(found[2] or 0)) if found else None
