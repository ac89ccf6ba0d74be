# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What playbooks/site.yml applied last, noted in the cluster: a Secret in the namespace of the platform.

By it, a run knows in one request that nothing has changed since, and a plan says which variables have. Variables that
are secret are in it only as keyed digests.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any
from urllib.parse import quote

from ansible_collections.orion.tracing.plugins.module_utils.platform.record import APPLIED

NAME, TYPE, KEY, FORMAT = APPLIED, "orion.tracing/applied", "record", 1


@dataclass(frozen=True)
class ReleaseAt:
    """Where a component is installed, as Helm names it. revision 0: it is not installed."""

    name: str
    namespace: str
    revision: int = 0

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True)
class AppliedInputs:
    """All that decides what is applied, besides the cluster itself.

    content: the digest of this collection's files. variables: of the roles and of the play, as they are evaluated,
    before any type is checked. secret: names of those that are not shown. served: what the cluster offers for
    instrumentation. components: those that the run is about.
    """

    content: str
    variables: Mapping[str, Any]
    secret: frozenset[str] = frozenset()
    served: Mapping[str, str] = field(default_factory=dict)
    components: tuple[str, ...] = ()

    @property
    def shown(self) -> dict[str, Any]:
        """The variables that are not secret."""
        return {name: value for name, value in self.variables.items() if name not in self.secret}

    @property
    def hidden(self) -> dict[str, Any]:
        return {name: value for name, value in self.variables.items() if name in self.secret}


@dataclass(frozen=True)
class AppliedRecord:
    """salt: of the digests. hidden: secret variables as digests. releases: the revision of each, by namespace/name.
    asked: by module, the options of calls whose objects are looked at in every run, without those of connections.
    advice: warnings of the checks of that run, which are shown again while nothing changes."""

    content: str
    salt: str
    variables: Mapping[str, Any]
    hidden: Mapping[str, str]
    served: Mapping[str, str]
    components: tuple[str, ...]
    releases: Mapping[str, int]
    asked: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    advice: tuple[str, ...] = ()
    format: int = FORMAT


def of_inputs(
    inputs: AppliedInputs,
    salt: str,
    releases: Mapping[str, int],
    asked: Mapping[str, Mapping[str, Any]] | None = None,
    advice: Iterable[str] = (),
) -> AppliedRecord:
    """The record of a run that has applied the inputs."""
    return AppliedRecord(
        inputs.content,
        salt,
        _plain(inputs.shown),
        hidden(inputs.hidden, salt),
        _plain(inputs.served),
        inputs.components,
        dict(sorted(releases.items())),
        _plain(asked or {}),
        tuple(advice),
    )


def hidden(secret: Mapping[str, Any], salt: str) -> dict[str, str]:
    """Keyed digests of values, equal for equal values and the same salt."""
    return {
        name: hmac.new(salt.encode(), canonical(value).encode(), hashlib.sha256).hexdigest()[:32]
        for name, value in sorted(secret.items())
    }


def same_inputs(record: AppliedRecord, inputs: AppliedInputs) -> bool:
    """Whether a run with these inputs would compute what was applied."""
    return (
        (record.content, record.components) == (inputs.content, inputs.components)
        and dict(record.served) == dict(inputs.served)
        and {*record.variables, *record.hidden} == set(inputs.variables)
        and not changed_variables(record, inputs)
    )


def changed_variables(record: AppliedRecord | None, inputs: AppliedInputs) -> dict[str, tuple[Any, Any]]:
    """Name → value before and after, of variables that differ from the record's; of secret ones the digests. Empty
    without a record: then nothing is known of what was before."""
    if record is None:
        return {}
    before = {**record.variables, **record.hidden}
    after = {**_plain(inputs.shown), **hidden(inputs.hidden, record.salt)}
    return {
        name: (before.get(name), after.get(name))
        for name in sorted({*before, *after})
        if not same(before.get(name), after.get(name))
    }


def path(namespace: str) -> str:
    """Of the Secret in the API."""
    return f"/api/v1/namespaces/{quote(namespace)}/secrets/{NAME}"


def document(namespace: str, record: AppliedRecord) -> dict[str, Any]:
    """The Secret."""
    text = json.dumps(asdict(record), sort_keys=True, ensure_ascii=False)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": NAME,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/managed-by": "orion.tracing"},
        },
        "type": TYPE,
        "data": {KEY: base64.b64encode(text.encode()).decode()},
    }


def of_secret(secret: Mapping[str, Any] | None) -> AppliedRecord | None:
    """None where there is none, or one of another version of this collection: the run then reads everything."""
    try:
        content = json.loads(base64.b64decode(((secret or {}).get("data") or {})[KEY]))
        if content.get("format") != FORMAT or set(content) != {one.name for one in fields(AppliedRecord)}:
            return None
        return AppliedRecord(**{**content, **{name: tuple(content[name]) for name in ("components", "advice")}})
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def canonical(value: Any) -> str:
    """Text that is equal for values that JSON does not tell apart."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)


def same(one: Any, other: Any) -> bool:
    """Whether two values of a variable are the same. A number or a boolean may be text, as a survey sends it."""
    texts = [value if isinstance(value, str) else canonical(value) for value in (one, other)]
    return texts[0] == texts[1]


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(canonical(value))
