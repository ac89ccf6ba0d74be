# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""A kubeconfig given as a value instead of a path: reading it, and which of its strings are secret.

No error here quotes the value. Source of the fields:
https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.common.secrets import SECRET_NAME, SHORTEST_SECRET

VAULT = "$ANSIBLE_VAULT;"
KEYS = ("apiVersion", "clusters", "contexts", "users")
USER_SECRETS = ("token", "password", "client-key-data")
PROVIDER_SECRETS = ("id-token", "refresh-token", "access-token", "client-secret")
LONGEST_NAME = 255  # of a file, in bytes, on every common file system


def is_content(value: Any) -> bool:
    """Whether a kubeconfig option holds a kubeconfig itself, or anything else that cannot be a path."""
    if not isinstance(value, str):
        return value is not None
    text = value.strip()
    return (
        "\n" in text
        or text.startswith(("{", VAULT))
        or any(f"{key}:" in text for key in KEYS)
        or any(len(part.encode()) > LONGEST_NAME for part in text.split("/"))
        or _is_encoded(text)
    )


def document(value: Any) -> dict[str, Any]:
    """The kubeconfig that is_content() found, given as a dictionary or as YAML or JSON text. InvalidInput otherwise."""
    if isinstance(value, dict):
        return value
    if not isinstance(value, str):
        raise _refused(f"it is of the type {type(value).__name__}")
    if value.strip().startswith(VAULT):
        raise vaulted("kubeconfig")
    if _is_encoded(value.strip()):
        raise InvalidInput(
            "kubeconfig is encoded in base64", "a path, YAML or a dictionary is needed", "Decode it (b64decode)."
        )
    import yaml

    try:
        found = yaml.load(value, getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be parsed"
        raise _refused(f"it is not YAML{where}: {problem}") from None  # the error quotes the text
    if not isinstance(found, dict):
        raise _refused("it is not a mapping")
    return found


def vaulted(what: str) -> InvalidInput:
    return InvalidInput(
        f"{what} is encrypted with ansible-vault",
        "a module cannot decrypt it",
        "Give its decrypted content: lookup('ansible.builtin.unvault', FILE).",
    )


def secrets_of(value: Any) -> set[str]:
    """The secret strings of a kubeconfig, long enough to be searched for in other text. An empty set where the value
    is not a kubeconfig.

    Names, files and certificates are not secret. Of an exec plugin, variables of the environment and arguments
    (--name=value, --name value) count where their name announces a secret.
    """
    try:
        users = document(value).get("users")
    except InvalidInput:
        return {value} if isinstance(value, str) else set()
    entries = [entry for entry in users if isinstance(entry, dict)] if isinstance(users, list) else []
    found = (text for entry in entries for text in _secrets(entry.get("user")))
    return {text for text in found if isinstance(text, str) and len(text) >= SHORTEST_SECRET}


def _secrets(user: Any) -> Iterator[Any]:
    if not isinstance(user, dict):
        return
    yield from (user.get(name) for name in USER_SECRETS)
    provider, plugin = user.get("auth-provider"), user.get("exec")
    config = provider.get("config") if isinstance(provider, dict) else None
    if isinstance(config, dict):
        yield from (config.get(name) for name in PROVIDER_SECRETS)
    if isinstance(plugin, dict):
        yield from _of_plugin(plugin)


def _of_plugin(plugin: Mapping[str, Any]) -> Iterator[Any]:
    for item in plugin.get("env") or []:
        if isinstance(item, dict) and SECRET_NAME.search(str(item.get("name"))):
            yield item.get("value")
    before = ""
    for argument in map(str, plugin.get("args") or []):
        name, equals, value = argument.partition("=")
        if equals and name.startswith("-") and SECRET_NAME.search(name):
            yield value
        elif before.startswith("-") and "=" not in before and SECRET_NAME.search(before) and argument[:1] != "-":
            yield argument
        before = argument


def _is_encoded(text: str) -> bool:
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return any(f"{key}".encode() in decoded for key in KEYS)


def _refused(why: str) -> InvalidInput:
    return InvalidInput(
        "kubeconfig is neither a path nor a kubeconfig",
        why,
        "Give the path of a kubeconfig file, or its content as text (YAML) or as a dictionary.",
    )
