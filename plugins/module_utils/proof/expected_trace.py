# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Compares a trace that was read back with a description of it: services, and spans as a tree. Pure.

The description comes from YAML (docs/proof.md). What differs becomes findings; each belongs to a check, so that one
trace can be the evidence for several rows of a proof.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp

KIND_NAMES = {number: name for name, number in otlp.KINDS.items()}
STATUS_NAMES = {0: "UNSET", 1: "OK", 2: "ERROR"}
TRACE_KEYS = ("check", "services", "every_span", "ignore", "exact", "spans")
SPAN_KEYS = ("service", "name", "kind", "status", "attributes", "resource", "events", "links", "check", "spans")
CONDITION_KEYS = ("pattern", "absent")
# Spans that a message names as the nearest to one that is missing.
NEAREST = 2


@dataclass(frozen=True)
class SeenSpan:
    """A span that was read back. Ids are in hexadecimal; parent: '' for a root. kind: a key of otlp.KINDS, or
    UNSPECIFIED. status: UNSET, OK or ERROR. links: (trace id, span id)."""

    trace_id: str
    span_id: str
    parent: str
    service: str
    name: str
    kind: str
    status: str
    attributes: Mapping[str, Any]
    resource: Mapping[str, Any]
    events: tuple[tuple[str, Mapping[str, Any]], ...]
    links: tuple[tuple[str, str], ...]
    scope: str = ""
    trace_state: str = ""

    def __str__(self) -> str:
        return f"{self.service}: {self.name!r} ({self.kind})"


@dataclass(frozen=True)
class Condition:
    """What a value has to be: equal to value; a text that pattern matches as a whole; or absent."""

    value: Any = None
    pattern: str | None = None
    absent: bool = False

    def holds(self, present: bool, found: Any) -> bool:
        if self.absent:
            return not present
        if not present:
            return False
        if self.pattern is not None:
            return re.fullmatch(self.pattern, _text(found), re.DOTALL) is not None
        return type(found) is type(self.value) and bool(found == self.value)

    def __str__(self) -> str:
        if self.absent:
            return "no such value"
        return repr(self.value) if self.pattern is None else f"a value that matches {self.pattern!r}"


Conditions = Mapping[str, Condition]


@dataclass(frozen=True)
class ExpectedEvent:
    name: Condition
    attributes: Conditions = field(default_factory=dict)


@dataclass(frozen=True)
class ExpectedLink:
    """A link to a span of the same trace, by its service and name, or (other_trace) to a span of another trace."""

    service: str = ""
    name: Condition | None = None
    other_trace: bool = False

    def __str__(self) -> str:
        return "a span of another trace" if self.other_trace else f"{self.service}: {self.name}"


@dataclass(frozen=True)
class ExpectedSpan:
    """A span and those below it. kind, status: '' for any."""

    service: str
    name: Condition
    kind: str = ""
    status: str = ""
    attributes: Conditions = field(default_factory=dict)
    resource: Conditions = field(default_factory=dict)
    events: tuple[ExpectedEvent, ...] = ()
    links: tuple[ExpectedLink, ...] = ()
    check: str = ""
    spans: tuple[ExpectedSpan, ...] = ()

    def __str__(self) -> str:
        return f"{self.service}: {self.name}{f' ({self.kind})' if self.kind else ''}"


@dataclass(frozen=True)
class ExpectedTrace:
    """check: the name under which differences in the trace as a whole are reported, and those of spans without one.

    services: all that take part, empty for any. every_span: attributes of all spans, and the check they belong to.
    ignore: names of spans that are left out, so that the spans below them are children of the span above.
    exact: whether there may be no other spans than those described and ignored.
    """

    check: str
    services: frozenset[str] = frozenset()
    every_span: Conditions = field(default_factory=dict)
    every_span_check: str = ""
    ignore: Condition | None = None
    exact: bool = False
    spans: tuple[ExpectedSpan, ...] = ()

    @property
    def checks(self) -> dict[str, str]:
        """Name of each check → what a trace as described shows, in the order of the description."""
        counts: Counter[str] = Counter()
        order = {self.check: None}
        for one in self.walk():
            counts[one.check] += 1
            order.setdefault(one.check)
        found = {name: _spans(counts[name]) + " as described" for name in order if counts[name]}
        services = f", {len(self.services)} services" if self.services else ""
        whole = f"one root, no orphan{services}"
        found = {self.check: f"{whole}, {found[self.check]}" if self.check in found else whole} | {
            name: text for name, text in found.items() if name != self.check
        }
        if self.every_span:
            text = f"{', '.join(self.every_span)} on every span"
            name = self.every_span_check
            found[name] = f"{found[name]}, {text}" if name in found else text
        return found

    def walk(self) -> Iterator[ExpectedSpan]:
        def below(spans: Sequence[ExpectedSpan]) -> Iterator[ExpectedSpan]:
            for one in spans:
                yield one
                yield from below(one.spans)

        return below(self.spans)


@dataclass(frozen=True)
class Mismatch:
    """check: the check that it belongs to. text: what is missing or different."""

    check: str
    text: str


# Reading the description.


def expected_trace(value: Any, name: str, where: str) -> ExpectedTrace:
    """A description of a trace as YAML has it. name: of the check for what has none. where: for messages.

    InvalidInput names the key that is unknown, missing or of the wrong type.
    """
    check_keys(value, TRACE_KEYS, where)
    check = _string(value, "check", where, name)
    every = value.get("every_span") or {}
    check_keys(every, ("check", "attributes"), f"{where}.every_span")
    services = value.get("services") or []
    if not isinstance(services, list) or not all(isinstance(one, str) for one in services):
        raise InvalidInput(f"{where}.services is not a list of names", remedy="Give the service.name of each service.")
    spans = _list(value, "spans", where)
    if not spans:
        raise InvalidInput(
            f"{where}.spans is missing or empty",
            "a trace without described spans proves nothing",
            "Describe at least the first span: its service, name and kind.",
        )
    if not isinstance(value.get("exact", False), bool):
        raise InvalidInput(f"{where}.exact is {value['exact']!r}", "it is true or false", "Give one of them.")
    return ExpectedTrace(
        check=check,
        services=frozenset(services),
        every_span=_conditions(every.get("attributes"), f"{where}.every_span.attributes"),
        every_span_check=_string(every, "check", f"{where}.every_span", check),
        ignore=_condition(value["ignore"], f"{where}.ignore") if "ignore" in value else None,
        exact=value.get("exact", False),
        spans=tuple(_span(one, f"{where}.spans[{number}]", check) for number, one in enumerate(spans)),
    )


def _span(value: Any, where: str, check: str) -> ExpectedSpan:
    check_keys(value, SPAN_KEYS, where)
    for key in ("service", "name"):
        if not value.get(key):
            raise InvalidInput(f"{where}.{key} is missing", "a span is found by its service and name", "Give both.")
    check = _string(value, "check", where, check)
    return ExpectedSpan(
        service=_string(value, "service", where),
        name=_condition(value["name"], f"{where}.name"),
        kind=_choice(value, "kind", tuple(otlp.KINDS), where),
        status=_choice(value, "status", tuple(STATUS_NAMES.values()), where),
        attributes=_conditions(value.get("attributes"), f"{where}.attributes"),
        resource=_conditions(value.get("resource"), f"{where}.resource"),
        events=tuple(
            _event(one, f"{where}.events[{number}]") for number, one in enumerate(_list(value, "events", where))
        ),
        links=tuple(_link(one, f"{where}.links[{number}]") for number, one in enumerate(_list(value, "links", where))),
        check=check,
        spans=tuple(
            _span(one, f"{where}.spans[{number}]", check) for number, one in enumerate(_list(value, "spans", where))
        ),
    )


def _event(value: Any, where: str) -> ExpectedEvent:
    check_keys(value, ("name", "attributes"), where)
    if not value.get("name"):
        raise InvalidInput(f"{where}.name is missing", remedy="Give the name of the event.")
    return ExpectedEvent(
        _condition(value["name"], f"{where}.name"), _conditions(value.get("attributes"), f"{where}.attributes")
    )


def _link(value: Any, where: str) -> ExpectedLink:
    check_keys(value, ("service", "name", "other_trace"), where)
    if value.get("other_trace"):
        return ExpectedLink(other_trace=True)
    if not value.get("service") or not value.get("name"):
        raise InvalidInput(
            f"{where} names no span",
            remedy="Give service and name of the linked span, or other_trace: true for one of another trace.",
        )
    return ExpectedLink(_string(value, "service", where), _condition(value["name"], f"{where}.name"))


def _conditions(value: Any, where: str) -> Conditions:
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{where} is not a mapping", remedy="Give attributes and their values.")
    return {key: _condition(one, f"{where}.{key}") for key, one in value.items()}


def _condition(value: Any, where: str) -> Condition:
    if not isinstance(value, Mapping):
        if value is None:
            raise InvalidInput(f"{where} has no value", remedy="Give a value, {pattern: REGEX} or {absent: true}.")
        return Condition(value)
    check_keys(value, CONDITION_KEYS, where)
    if len(value) != 1:
        raise InvalidInput(
            f"{where} has {len(value)} conditions", remedy="Give one: {pattern: REGEX} or {absent: true}."
        )
    if "absent" in value:
        if value["absent"] is not True:
            raise InvalidInput(f"{where}.absent is {value['absent']!r}", remedy="Only true is possible.")
        return Condition(absent=True)
    try:
        re.compile(value["pattern"])
    except (re.error, TypeError) as error:
        raise InvalidInput(f"{where}.pattern is not a regular expression", str(error)) from error
    return Condition(pattern=value["pattern"])


def check_keys(value: Any, known: Sequence[str], where: str) -> None:
    """InvalidInput for what is not a mapping, or has other keys than these."""
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{where} is not a mapping", remedy=f"Its keys are {', '.join(known)}.")
    if unknown := [str(key) for key in value if key not in known]:
        raise InvalidInput(f"{where} has unknown keys: {', '.join(unknown)}", remedy=f"Keys are {', '.join(known)}.")


def _list(value: Mapping[str, Any], key: str, where: str) -> list[Any]:
    found = value.get(key) or []
    if not isinstance(found, list):
        raise InvalidInput(f"{where}.{key} is not a list")
    return found


def _string(value: Mapping[str, Any], key: str, where: str, default: str = "") -> str:
    found = value.get(key) or default
    if not isinstance(found, str):
        raise InvalidInput(f"{where}.{key} is {found!r}", "it is a text", "Put it in quotes.")
    return found


def _choice(value: Mapping[str, Any], key: str, choices: Sequence[str], where: str) -> str:
    found = _string(value, key, where)
    if found and found not in choices:
        raise InvalidInput(f"{where}.{key} is {found!r}", remedy=f"It is one of {', '.join(choices)}.")
    return found


# Reading the trace.


def seen_spans(document: otlp.Document) -> list[SeenSpan]:
    """The spans of a trace as a store reader gives it. The same span twice, as a retry may leave it, counts once."""
    found: dict[str, SeenSpan] = {}
    for part in document.get("resourceSpans") or document.get("batches") or ():
        resource = otlp.attribute_values((part.get("resource") or {}).get("attributes") or ())
        for scope in part.get("scopeSpans") or ():
            for one in scope.get("spans") or ():
                span = _seen(one, resource, (scope.get("scope") or {}).get("name", ""))
                found[span.span_id] = span
    return list(found.values())


def _seen(one: otlp.Span, resource: Mapping[str, Any], scope: str) -> SeenSpan:
    kind, code = one.get("kind", 0), (one.get("status") or {}).get("code", 0)
    kind = otlp.KIND_NUMBERS.get(kind, 0) if isinstance(kind, str) else kind
    code = otlp.STATUS_CODES.get(code, 0) if isinstance(code, str) else code
    parent = one.get("parentSpanId") or ""
    return SeenSpan(
        trace_id=otlp.hex_id(one["traceId"], otlp.TRACE_ID_DIGITS),
        span_id=otlp.hex_id(one["spanId"], otlp.SPAN_ID_DIGITS),
        parent=otlp.hex_id(parent, otlp.SPAN_ID_DIGITS) if parent else "",
        service=str(resource.get("service.name", "")),
        name=one.get("name", ""),
        kind=KIND_NAMES.get(kind, "UNSPECIFIED"),
        status=STATUS_NAMES[code],
        attributes=otlp.attribute_values(one.get("attributes") or ()),
        resource=resource,
        events=tuple(
            (event.get("name", ""), otlp.attribute_values(event.get("attributes") or ()))
            for event in one.get("events") or ()
        ),
        links=tuple(
            (otlp.hex_id(link["traceId"], otlp.TRACE_ID_DIGITS), otlp.hex_id(link["spanId"], otlp.SPAN_ID_DIGITS))
            for link in one.get("links") or ()
        ),
        scope=scope,
        trace_state=one.get("traceState", ""),
    )


# Comparing them.


def compare(expected: ExpectedTrace, spans: Sequence[SeenSpan], root: str = "") -> list[Mismatch]:
    """What is missing or different; empty for a trace as described.

    root: id of a span that the sender of the request made itself, the parent of the described spans. It must be in the
    trace, and is the only root; without it, the described spans at the top are the roots.
    """
    if not spans:
        return [Mismatch(check, "the trace is not in the store") for check in expected.checks]
    return _Comparison(expected, spans, root).findings()


class _Comparison:
    def __init__(self, expected: ExpectedTrace, spans: Sequence[SeenSpan], root: str) -> None:
        self.expected, self.root = expected, root
        self.by_id = {one.span_id: one for one in spans}
        self.spans = [one for one in spans if one.span_id != root]
        ignore = expected.ignore
        self.ignored = {one.span_id for one in self.spans if ignore is not None and ignore.holds(True, one.name)}
        self.children: dict[str, list[SeenSpan]] = {}
        for one in self.spans:
            if one.span_id not in self.ignored:
                self.children.setdefault(self._above(one), []).append(one)
        self.found: list[Mismatch] = []
        self.matched: dict[str, ExpectedSpan] = {}
        self._costs: dict[tuple[int, str], int] = {}

    def findings(self) -> list[Mismatch]:
        self._whole()
        self._match(self.expected.spans, self.root)
        self._others()
        self._every_span()
        return self.found

    def _add(self, check: str, text: str) -> None:
        self.found.append(Mismatch(check, text))

    def _above(self, seen: SeenSpan) -> str:
        """Id of the nearest span above that is not ignored."""
        parent, passed = seen.parent, set()
        while parent in self.ignored and parent not in passed:
            passed.add(parent)
            parent = self.by_id[parent].parent
        return parent

    def _whole(self) -> None:
        """Services, roots and orphans."""
        check = self.expected.check
        ids = {one.trace_id for one in self.by_id.values()}
        if len(ids) > 1:
            self._add(check, f"spans of {len(ids)} traces: {', '.join(sorted(ids))}")
        if self.root and self.root not in self.by_id:
            self._add(check, f"the root that the sender made ({self.root}) is missing")
        if self.expected.services:
            services = {one.service for one in self.spans}
            if missing := sorted(self.expected.services - services):
                self._add(check, f"no span of {', '.join(missing)}; there are {', '.join(sorted(services)) or 'none'}")
            if extra := sorted(services - self.expected.services):
                self._add(check, f"spans of other services: {', '.join(extra)}")
        for one in self.spans:
            if one.parent and one.parent not in self.by_id and one.parent != self.root:
                self._add(check, f"{one} is an orphan: its parent {one.parent} is missing")
        roots = [one for one in self.spans if not one.parent]
        allowed = 0 if self.root else len(self.expected.spans)
        if len(roots) > allowed:
            named = ", ".join(map(str, roots))
            self._add(check, f"{len(roots)} roots instead of {allowed} beside the sender's: {named}"
                      if self.root else f"{len(roots)} roots instead of {allowed}: {named}")  # fmt: skip

    def _match(self, wanted: Sequence[ExpectedSpan], parent: str) -> None:
        """Assign the wanted spans to the children of a span, and report what differs, from the top down."""
        candidates = self.children.get(parent, [])
        for one, seen in self._assign(wanted, candidates):
            if seen is None:
                self._missing(one, parent)
                continue
            self.matched[seen.span_id] = one
            for text in self._differences(one, seen):
                self._add(one.check, f"{seen}: {text}")
            self._match(one.spans, seen.span_id)

    def _assign(
        self, wanted: Sequence[ExpectedSpan], candidates: Sequence[SeenSpan]
    ) -> list[tuple[ExpectedSpan, SeenSpan | None]]:
        """Each wanted span with a candidate of its own, or None. Those without any difference first, and as many of
        them as there can be (augmenting paths); then those with the same service and name, the least different first.
        """
        holder: dict[str, int] = {}

        def augment(number: int, visited: set[str]) -> bool:
            for seen in candidates:
                if seen.span_id in visited or self._cost(wanted[number], seen) != 0:
                    continue
                visited.add(seen.span_id)
                if seen.span_id not in holder or augment(holder[seen.span_id], visited):
                    holder[seen.span_id] = number
                    return True
            return False

        for number in range(len(wanted)):
            augment(number, set())
        chosen = {number: span_id for span_id, number in holder.items()}
        rest = sorted(
            (self._cost(one, seen), number, seen.span_id)
            for number, one in enumerate(wanted)
            if number not in chosen
            for seen in candidates
            if seen.span_id not in holder and _same(one, seen)
        )
        for _cost, number, span_id in rest:
            if number not in chosen and span_id not in holder:
                chosen[number], holder[span_id] = span_id, number
        return [(one, self.by_id[chosen[n]] if n in chosen else None) for n, one in enumerate(wanted)]

    def _cost(self, one: ExpectedSpan, seen: SeenSpan) -> int:
        """Number of differences, those of the spans below included."""
        key = (id(one), seen.span_id)
        if key not in self._costs:
            self._costs[key] = len(self._differences(one, seen)) + (0 if _same(one, seen) else 100)
            below = self._assign(one.spans, self.children.get(seen.span_id, []))
            self._costs[key] += sum(100 if other is None else self._cost(part, other) for part, other in below)
        return self._costs[key]

    def _differences(self, one: ExpectedSpan, seen: SeenSpan) -> list[str]:
        """What differs in the span itself, other than its service and name."""
        found = []
        for what, expected, actual in (("kind", one.kind, seen.kind), ("status", one.status, seen.status)):
            if expected and expected != actual:
                found.append(f"{what} is {actual}, expected {expected}")
        found += _unlike("attribute", one.attributes, seen.attributes)
        found += _unlike("resource attribute", one.resource, seen.resource)
        for event in one.events:
            if not any(_holds(event, name, values) for name, values in seen.events):
                found.append(_no_event(event, seen))
        if one.links:
            targets = list(seen.links)
            for link in one.links:
                hit = next((target for target in targets if self._links_to(link, seen, target)), None)
                if hit is None:
                    named = ", ".join(self._target(target) for target in seen.links) or "none"
                    found.append(f"no link to {link}; links: {named}")
                else:
                    targets.remove(hit)
        return found

    def _links_to(self, link: ExpectedLink, seen: SeenSpan, target: tuple[str, str]) -> bool:
        if link.other_trace:
            return target[0] != seen.trace_id
        span = self.by_id.get(target[1])
        return (
            target[0] == seen.trace_id
            and span is not None
            and span.service == link.service
            and link.name is not None
            and link.name.holds(True, span.name)
        )

    def _target(self, target: tuple[str, str]) -> str:
        return str(self.by_id.get(target[1], f"span {target[1]} of trace {target[0]}"))

    def _missing(self, one: ExpectedSpan, parent: str) -> None:
        """That a span is missing, with where such a span is instead, or what is most like it."""
        above = "at the top" if parent == self.root else f"below {self.by_id[parent]}"
        others = [seen for seen in self.spans if seen.span_id not in self.ignored]
        elsewhere = [seen for seen in others if _same(one, seen) and seen.span_id not in self.matched]
        if elsewhere:
            places = "; ".join(self._place(seen) for seen in elsewhere[:NEAREST])
            self._add(one.check, f"{one} is not {above}, but {places}")
            return
        nearest = sorted(others, key=lambda seen: (-_likeness(one, seen, parent), seen.span_id))[:NEAREST]
        named = ", ".join(f"{seen} {self._place(seen)}" for seen in nearest)
        self._add(one.check, f"{one} is missing {above}" + (f"; nearest: {named}" if named else ""))

    def _place(self, seen: SeenSpan) -> str:
        above = self._above(seen)
        if above == self.root:
            return "at the top"
        return f"below {self.by_id[above]}" if above in self.by_id else "without its parent"

    def _others(self) -> None:
        if self.expected.exact:
            for one in self.spans:
                if one.span_id not in self.matched and one.span_id not in self.ignored:
                    self._add(self.expected.check, f"{one} {self._place(one)} is not described")

    def _every_span(self) -> None:
        for key, condition in self.expected.every_span.items():
            lacking = [one for one in self.spans if not condition.holds(key in one.attributes, one.attributes.get(key))]
            for one in lacking:
                has = f"is {one.attributes[key]!r}" if key in one.attributes else "is missing"
                self._add(self.expected.every_span_check, f"{one}: attribute {key} {has}, expected {condition}")


def _same(one: ExpectedSpan, seen: SeenSpan) -> bool:
    """Whether a span is the described one by its service and name."""
    return one.service == seen.service and one.name.holds(True, seen.name)


def _likeness(one: ExpectedSpan, seen: SeenSpan, parent: str) -> int:
    """How much of what identifies a span is alike."""
    return (
        4 * one.name.holds(True, seen.name)
        + 2 * (one.service == seen.service)
        + 2 * (parent == seen.parent)
        + (one.kind == seen.kind)
    )


def _unlike(what: str, expected: Conditions, found: Mapping[str, Any]) -> list[str]:
    return [
        f"{what} {key} {f'is {found[key]!r}' if key in found else 'is missing'}, expected {condition}"
        for key, condition in expected.items()
        if not condition.holds(key in found, found.get(key))
    ]


def _holds(event: ExpectedEvent, name: str, values: Mapping[str, Any]) -> bool:
    return event.name.holds(True, name) and not _unlike("", event.attributes, values)


def _no_event(event: ExpectedEvent, seen: SeenSpan) -> str:
    """That an event is missing, or what is different in the one of this name."""
    for name, values in seen.events:
        if event.name.holds(True, name):
            return f"event {name!r}: " + ", ".join(_unlike("attribute", event.attributes, values))
    return f"no event {event.name}; events: {', '.join(repr(name) for name, _values in seen.events) or 'none'}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else str(value)


def _spans(count: int) -> str:
    return f"{count} span{'' if count == 1 else 's'}"
