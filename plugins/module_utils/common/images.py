# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Container images of the roles: repository, tag, digest and a mirror's prefix, checked and put together. Pure.

A role's variables are PREFIX_image_repository, PREFIX_image_tag and PREFIX_image_digest; tracing_image_registry is for
all of them. The grammar is that of https://github.com/distribution/reference (regexp.go), without digests other than
SHA-256, which is what registries answer with.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput

REGISTRY, PULL_SECRETS = "tracing_image_registry", "tracing_image_pull_secrets"
# What container runtimes take a repository without a host for. Source: distribution/reference, normalize.go
DEFAULT_HOST, OFFICIAL = "docker.io", "library/"

HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::\d{1,5})?")
PATH = re.compile(r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*)*")
TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
OBJECT_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")

Variables = Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """What is wrong with a variable (problem, without its name), and what to write instead (remedy)."""

    variable: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.variable} {self.problem}. {self.remedy}"


def image_values(variables: Variables, prefix: str) -> dict[str, str]:
    """repository (with the mirror's prefix), tag and digest ("" for none), as the charts print them.

    prefix: of the variables' names, e.g. tempo or local_backends_prometheus.
    Raises InvalidInput that names every variable that is wrong.
    """
    found = list(problems(variables, prefix))
    if found:
        raise InvalidInput("; ".join(map(str, found)))
    return {
        "repository": mirrored(_text(variables, f"{prefix}_image_repository"), _text(variables, REGISTRY)),
        "tag": _text(variables, f"{prefix}_image_tag"),
        "digest": _text(variables, f"{prefix}_image_digest"),
    }


def pull_secrets(variables: Variables, role: str) -> list[str]:
    """Names of the Secrets for an image's registry: tracing_image_pull_secrets and ROLE_image_pull_secrets, each once.

    Raises InvalidInput for what is no list of names.
    """
    found = list(pull_secret_problems(variables, role))
    if found:
        raise InvalidInput("; ".join(map(str, found)))
    return list(dict.fromkeys(name for variable in _pull_secrets(role) for name in variables.get(variable) or []))


def pull_secret_problems(variables: Variables, role: str) -> Iterator[Problem]:
    """What is wrong with the two lists of pull_secrets."""
    for variable in _pull_secrets(role):
        value = variables.get(variable) or []
        if not isinstance(value, list) or not all(
            isinstance(name, str) and OBJECT_NAME.fullmatch(name) for name in value
        ):
            yield Problem(variable, f"is {value!r}, which is no list of names of Secrets", "Write it as [name].")


def _pull_secrets(role: str) -> tuple[str, str]:
    return PULL_SECRETS, f"{role}_image_pull_secrets"


def mirrored(repository: str, registry: str) -> str:
    """The repository with the registry's prefix in the place of its host; as it is where registry is "".

    A repository without a host is one of docker.io: busybox is library/busybox there.
    """
    return f"{registry}/{split(repository)[1]}" if registry else repository


def split(repository: str) -> tuple[str, str]:
    """Host and path of a repository, as container runtimes read it."""
    first, slash, rest = repository.partition("/")
    if slash and _is_host(first):
        return first, rest
    return DEFAULT_HOST, repository if slash else OFFICIAL + repository


def problems(variables: Variables, prefix: str) -> Iterator[Problem]:
    """What is wrong with an image's variables. Nothing is said about a variable that is not there."""
    yield from _repository(variables, f"{prefix}_image_repository", f"{prefix}_image_tag")
    yield from _tag(variables, f"{prefix}_image_tag", f"{prefix}_image_digest")
    yield from _digest(variables, f"{prefix}_image_digest")
    yield from registry_problems(variables)


def registry_problems(variables: Variables) -> Iterator[Problem]:
    """What is wrong with tracing_image_registry."""
    value = _text(variables, REGISTRY)
    if not value:
        return
    bare = re.sub(r"^\w+://", "", value).strip("/")
    host, _slash, path = bare.partition("/")
    if not HOST.fullmatch(host) or (path and not PATH.fullmatch(path)):
        yield Problem(
            REGISTRY, f"is {value!r}, which is no registry", "Write host[:port][/path], e.g. mirror.example.com/proxy."
        )
    elif value != bare:
        fault = "has a scheme" if "://" in value else "begins or ends with a slash"
        yield Problem(REGISTRY, f"is {value!r}, which {fault}", f"Write {bare}.")
    elif not _is_host(host):
        yield Problem(
            REGISTRY,
            f"is {value!r}, and container runtimes take {host} for a part of {DEFAULT_HOST}, not for a host",
            "Begin it with a host that has a dot or a port.",
        )


def _repository(variables: Variables, name: str, tag: str) -> Iterator[Problem]:
    if name not in variables:
        return
    value = _text(variables, name)
    bare = value.partition("@")[0]
    head, colon, after = bare.rpartition(":")
    if not value:
        yield Problem(name, "is empty", "Name the image's repository, e.g. docker.io/grafana/tempo.")
    elif "://" in value:
        yield Problem(name, f"is {value!r}, which has a scheme", f"Write {value.partition('://')[2]}.")
    elif "@" in value or (colon and "/" not in after):
        named = head if colon and "/" not in after else bare
        yield Problem(
            name, f"is {value!r}, which has a tag or digest", f"Write {named}, and the tag in {tag}, {_digest_of(tag)}."
        )
    elif not PATH.fullmatch(split(value)[1]) or not HOST.fullmatch(split(value)[0]):
        yield Problem(
            name, f"is {value!r}, which is no repository", "Write [host[:port]/]path, the path in small letters."
        )


def _tag(variables: Variables, name: str, digest: str) -> Iterator[Problem]:
    if name not in variables:
        return
    given, value = variables[name], _text(variables, name)
    tag, at, behind = value.partition("@")
    if isinstance(given, (float, bool)):
        # What was written is lost: YAML reads 2.10 as 2.1.
        yield Problem(
            name,
            f"is the {'boolean' if isinstance(given, bool) else 'number'} {given}, not text",
            f'Quote it: {name}: "{given}".',
        )
    elif at or DIGEST.fullmatch(value):
        wanted = f"{name}: {tag}" if at and tag else f"{name} to the version that it is"
        yield Problem(name, f"is {value!r}, which has a digest", f"Set {wanted}, and {digest}: {behind or value}.")
    elif not TAG.fullmatch(value):
        yield Problem(
            name,
            f"is {value!r}, which is no tag" if value else "is empty",
            "Give up to 128 letters, digits, '_', '.' and '-'.",
        )


def _digest(variables: Variables, name: str) -> Iterator[Problem]:
    value = _text(variables, name)
    if value and not DIGEST.fullmatch(value):
        yield Problem(
            name,
            f"is {value!r}, which is no digest",
            "Give sha256: and 64 hexadecimal digits in small letters, or nothing.",
        )


def _digest_of(tag: str) -> str:
    return f"the digest in {tag.removesuffix('_tag')}_digest"


def _is_host(first: str) -> bool:
    return "." in first or ":" in first or first == "localhost"


def _text(variables: Variables, name: str) -> str:
    value = variables.get(name)
    return "" if value is None else str(value).strip()
