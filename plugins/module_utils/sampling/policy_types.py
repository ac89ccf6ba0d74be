# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The policy types of the tail_sampling processor, and how the collector reads a policy. Pure.

TYPES is the only table of policy types: the linter, the simulator, the role and the documentation use it. read_policy
decodes a policy as the collector does and reports everything for which the collector refuses to start, or panics.

Sources: processor/tailsamplingprocessor v0.158.0 of opentelemetry-collector-contrib (config.go, processor.go,
*_helper.go, internal/sampling), confmap v1.65.0 of opentelemetry-collector (internal/decoder.go: mapstructure without
weakly typed input, and a text for a list of texts is split at commas). tests/parity/test_policy_types.py compares
this module with the collector.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl import conditions as ottl
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl import goregex

# The version of contrib that this table describes.
VERSION = "0.158"

# Kinds of fields: what a value has to be, and how to write it. The collector does not turn text into a number or
# boolean, nor a number into text.
KINDS = {
    "int64": ("a number", "a whole number, without quotes"),
    "int32": ("a number", "a whole number, without quotes"),
    "float64": ("a number", "a number, without quotes"),
    "bool": ("a boolean", "true or false, without quotes"),
    "string": ("a string", "a string, in quotes where YAML would read a number"),
    "strings": ("a list of strings", "a list of strings, in quotes where YAML would read numbers"),
    "error_mode": ("an error mode", "ignore, silent or propagate"),
    "policies": ("a list of policies", "a list, even of a single policy"),
    "policy": ("a policy", "one policy, without a list around it"),
    "shares": ("a share", "a list of {policy: name, percent: whole number}"),
}
STATUS_CODES = {"UNSET": 0, "OK": 1, "ERROR": 2}
ERROR_MODES = ("ignore", "silent", "propagate")


@dataclass(frozen=True, slots=True)
class Field:
    """kind: a key of KINDS. absent: what a missing, null, empty or 0 value means, for the documentation."""

    kind: str
    absent: str


@dataclass(frozen=True, slots=True)
class PolicyType:
    """fields: by option. matches: for the documentation. nested: the option that holds other policies, and inside the
    types that these may have."""

    matches: str
    fields: Mapping[str, Field] = field(default_factory=dict)
    nested: str = ""
    inside: frozenset[str] = frozenset()


_KEY = {"key": Field("string", "matches nothing"), "invert_match": Field("bool", "false")}
_PLAIN = {
    "always_sample": PolicyType("every trace"),
    "latency": PolicyType(
        "a trace that takes longer than threshold_ms, and at most upper_threshold_ms",
        {"threshold_ms": Field("int64", "0"), "upper_threshold_ms": Field("int64", "no upper bound")},
    ),
    "numeric_attribute": PolicyType(
        "an integer attribute of a span or resource between two bounds",
        {**_KEY, "min_value": Field("int64", "no bound"), "max_value": Field("int64", "no bound")},
    ),
    "probabilistic": PolicyType(
        "a percentage of the trace ids, by a hash",
        {"hash_salt": Field("string", "the processor's own salt"), "sampling_percentage": Field("float64", "nothing")},
    ),
    "status_code": PolicyType("a span with one of the codes", {"status_codes": Field("strings", "refused")}),
    "string_attribute": PolicyType(
        "a string attribute of a span or resource, exactly or by regular expressions",
        {
            **_KEY,
            "values": Field("strings", "matches nothing"),
            "enabled_regex_matching": Field("bool", "false"),
            "cache_max_size": Field("int64", "128"),
        },
    ),
    "boolean_attribute": PolicyType(
        "a boolean attribute of a span or resource", {**_KEY, "value": Field("bool", "false")}
    ),
    "rate_limiting": PolicyType(
        "while spans per second are left",
        {"spans_per_second": Field("int64", "matches nothing"), "burst_capacity": Field("int64", "two seconds' worth")},
    ),
    "bytes_limiting": PolicyType(
        "while bytes per second are left",
        {"bytes_per_second": Field("int64", "matches nothing"), "burst_capacity": Field("int64", "two seconds' worth")},
    ),
    "span_count": PolicyType(
        "a number of spans between two bounds",
        {"min_spans": Field("int32", "no bound"), "max_spans": Field("int32", "no bound")},
    ),
    "trace_state": PolicyType(
        "a member of a span's W3C trace state",
        {"key": Field("string", "matches nothing"), "values": Field("strings", "matches nothing")},
    ),
    "trace_flags": PolicyType("a span with the W3C flag sampled"),
    "ottl_condition": PolicyType(
        "a span, or an event of a span, for which one of the conditions holds",
        {
            "error_mode": Field("error_mode", "errors are passed over; null and empty are refused"),
            "span": Field("strings", "none; refused without spanevent"),
            "spanevent": Field("strings", "none; refused without span"),
        },
    ),
}
_SHARED = frozenset(_PLAIN)
TYPES: dict[str, PolicyType] = {
    **_PLAIN,
    "and": PolicyType(
        "when all sub-policies match",
        {"and_sub_policy": Field("policies", "every trace")},
        "and_sub_policy",
        _SHARED | {"not"},
    ),
    "not": PolicyType(
        "when the sub-policy does not match",
        {"not_sub_policy": Field("policy", "refused")},
        "not_sub_policy",
        _SHARED,
    ),
    "drop": PolicyType(
        "when all sub-policies match; the trace is then dropped whatever other policies say",
        {"drop_sub_policy": Field("policies", "every trace")},
        "drop_sub_policy",
        _SHARED | {"not"},
    ),
    "composite": PolicyType(
        "when the first sub-policy that matches has spans per second left",
        {
            "max_total_spans_per_second": Field("int64", "keeps nothing"),
            "policy_order": Field("strings", "not read"),
            "composite_sub_policy": Field("policies", "keeps nothing"),
            "rate_allocation": Field("shares", "0 for each sub-policy without an entry"),
        },
        "composite_sub_policy",
        _SHARED | {"and"},
    ),
}
NESTED = {kind: one.nested for kind, one in TYPES.items() if one.nested}
# Types without options have no place in the collector's structure: what is written under their name is not looked at.
_WITH_OPTIONS = frozenset(kind for kind, one in TYPES.items() if one.fields)
_SHARE = {"policy": Field("string", ""), "percent": Field("int64", "an equal part")}

# Zero values, by kind of field.
_ZERO: dict[str, Any] = {"int64": 0, "int32": 0, "float64": 0.0, "bool": False, "string": "", "error_mode": ""}
# When the collector finds a problem, and what it does then. `otelcol validate` finds only the first kind.
DECODING, STARTING, RUNNING = "decoding", "starting", "running"
_EFFECTS = {
    DECODING: "the collector refuses to start",
    STARTING: "the collector refuses to start",
    RUNNING: "the collector panics at the first trace",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """What the collector does not take. path: below the policy, such as .latency.threshold_ms. code: of the linter.
    stage: when the collector finds it, DECODING, STARTING or RUNNING."""

    path: str
    code: str
    what: str
    remedy: str
    stage: str = DECODING

    @property
    def why(self) -> str:
        return _EFFECTS[self.stage]


@dataclass(frozen=True, slots=True)
class Change:
    """A number that the collector takes and changes. path: as in Problem."""

    path: str
    written: Any
    read: int


@dataclass(frozen=True, slots=True)
class ReadPolicy:
    """A policy as the collector has it.

    settings: every option of the type with its value, zero values included; {} for an unknown type. given: the options
    that are written and not null. inside: the
    policies in it, whose paths begin where the policy's own do. problems, changes: of this policy alone. ignored: keys
    beside name and type that hold settings which no policy of this type reads. refers: whether a value of it is
    ${…}, which only the collector's environment gives; such a value counts as zero.
    """

    name: str
    kind: str
    path: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    inside: tuple[ReadPolicy, ...] = ()
    problems: tuple[Problem, ...] = ()
    changes: tuple[Change, ...] = ()
    ignored: tuple[str, ...] = ()
    refers: bool = False
    given: frozenset[str] = frozenset()

    def everything(self) -> Iterator[ReadPolicy]:
        """This policy and all in it."""
        yield self
        for one in self.inside:
            yield from one.everything()

    @property
    def all_problems(self) -> list[Problem]:
        return [problem for one in self.everything() for problem in one.problems]


def below(policy: Mapping[str, Any]) -> list[Any]:
    """The policies inside a policy."""
    inside = settings_of(policy).get(NESTED.get(policy["type"], "")) or []
    return inside if isinstance(inside, list) else [inside]


def settings_of(policy: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the policy's type; {} where the collector's environment has them (${env:…})."""
    settings = policy.get(policy["type"])
    return settings if isinstance(settings, dict) else {}


def refers(value: Any) -> bool:
    """Whether the collector replaces a ${…} in it by something of its own environment."""
    if isinstance(value, Mapping):
        return any(map(refers, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(refers, value))
    return isinstance(value, str) and re.search(r"(?<!\$)(?:\$\$)*\$\{", value) is not None


class _Reader:
    """Decodes one policy, without those inside it."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self.changes: list[Change] = []
        self.refers = False

    def problem(self, path: str, code: str, what: str, remedy: str, stage: str = DECODING) -> None:
        self.problems.append(Problem(path, code, what, remedy, stage))

    def _unfit(self, path: str, value: Any, kind: str) -> None:
        self.problem(path, "invalid-setting", f"{value!r} is not {KINDS[kind][0]}", f"Write {KINDS[kind][1]}.")

    def value(self, path: str, value: Any, kind: str) -> Any:
        """A value as the collector reads it, or the zero value if it refuses it."""
        if refers(value) and not isinstance(value, (Mapping, list, tuple)):
            self.refers = True
            return self.zero(kind)
        if value is None and kind != "error_mode":
            return self.zero(kind)
        if kind in ("int64", "int32"):
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                found = _integer(value, 32 if kind == "int32" else 64)
                if found != value:
                    self.changes.append(Change(path, value, found))
                return found
        elif kind == "float64":
            if isinstance(value, (int, float)) and not isinstance(value, bool):
                if math.isnan(value):
                    # big.NewFloat of probabilistic.go panics.
                    self.problem(path, "invalid-setting", "NaN is not a number", "Write a number.", STARTING)
                return float(value) if abs(value) < 2**1000 else math.copysign(math.inf, value)
        elif kind == "bool":
            if isinstance(value, bool):
                return value
        elif kind == "string":
            if isinstance(value, str):
                return value.replace("$$", "$")
        elif kind == "error_mode":
            if isinstance(value, str) and value.lower() in ERROR_MODES:
                return value.lower()
        elif kind == "strings":
            return self._strings(path, value)
        elif kind == "shares":
            return self._shares(path, value)
        self._unfit(path, value, kind)
        return self.zero(kind)

    @staticmethod
    def zero(kind: str) -> Any:
        return _ZERO.get(kind, [])

    def _strings(self, path: str, value: Any) -> list[str]:
        if isinstance(value, str):
            return value.replace("$$", "$").split(",") if value else []
        if not isinstance(value, (list, tuple)):
            self._unfit(path, value, "strings")
            return []
        return [self.value(f"{path}[{index}]", item, "string") for index, item in enumerate(value)]

    def _shares(self, path: str, value: Any) -> list[dict[str, Any]]:
        if not isinstance(value, (list, tuple)):
            self._unfit(path, value, "shares")
            return []
        found = []
        for index, item in enumerate(value):
            if item is not None and not isinstance(item, Mapping):
                self._unfit(f"{path}[{index}]", item, "shares")
                continue
            written = item or {}
            self.unknown(f"{path}[{index}]", written, _SHARE, "an entry of rate_allocation")
            found.append(
                {key: self.value(f"{path}[{index}].{key}", written.get(key), one.kind) for key, one in _SHARE.items()}
            )
        return found

    def unknown(self, path: str, written: Mapping[Any, Any], known: Mapping[str, Field], what: str) -> None:
        for key in written:
            if key not in known:
                self.problem(
                    f"{path}.{key}",
                    "unknown-option",
                    f"{what} has no option '{key}'",
                    f"Remove it; the options are {', '.join(sorted(known))}.",
                )

    def settings(self, kind: str, written: Any) -> dict[str, Any]:
        """The options of a type, without those that hold policies."""
        path, fields = f".{kind}", TYPES[kind].fields
        if written is not None and not isinstance(written, Mapping):
            if refers(written):
                self.refers = True
            else:
                self.problem(
                    path,
                    "invalid-setting",
                    f"{written!r} is not a mapping",
                    f"Write the options of {kind} under '{kind}': {', '.join(fields)}.",
                )
            written = None
        written = written or {}
        self.unknown(path, written, fields, f"the type {kind}")
        # An option that is absent keeps its zero value; null is decoded, which error_mode refuses.
        return {
            option: self.value(f"{path}.{option}", written[option], one.kind)
            if option in written
            else self.zero(one.kind)
            for option, one in fields.items()
            if one.kind not in ("policies", "policy")
        }


def _integer(value: float, bits: int) -> int:
    """A number in a field of Go's type int64 or int32 on amd64: a fraction is cut off, what a float has beyond 64 bits
    becomes the smallest integer, and bits beyond the field's width are lost."""
    if isinstance(value, float) or not -(2**63) <= value < 2**64:
        whole = int(value) if math.isfinite(value) and -(2.0**63) <= value < 2.0**63 else -(2**63)
    else:
        whole = int(value)
    return (whole + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def read_policies(policies: Sequence[Any], paths: Sequence[str] = ()) -> list[ReadPolicy]:
    """The policies of a processor. paths: of each, by default [0], [1] and so on. A repeated name is a problem of the
    later policy."""
    found: list[ReadPolicy] = []
    names: set[str] = set()
    for index, written in enumerate(policies):
        one = read_policy(written, paths[index] if paths else f"[{index}]")
        if one.name and one.name in names:
            again = Problem(
                ".name",
                "duplicate-name",
                f"'{one.name}' is the name of another policy too",
                "Give every policy a name of its own.",
                STARTING,
            )
            one = replace(one, problems=(again, *one.problems))
        names.add(one.name)
        found.append(one)
    return found


def read_policy(written: Any, path: str = "", around: str = "") -> ReadPolicy:
    """A policy as it is written in a configuration. path: where it is. around: the type of the policy that it is in, ''
    for none. Nothing raises.

    A policy in another one needs no name. A reference (${…}) is not resolved, and $$ is $.
    """
    read = _Reader(path)
    if isinstance(written, str) and refers(written):
        return ReadPolicy("", "", path, refers=True)
    if written is not None and not isinstance(written, Mapping):
        read.problem(
            "",
            "malformed-policy",
            f"{written!r} is not a mapping",
            "Write a policy with a name, a type and settings under the type's name.",
        )
        return ReadPolicy("", "", path, problems=tuple(read.problems))
    written = written or {}
    name, kind = (read.value(f".{key}", written.get(key), "string") for key in ("name", "type"))
    known = kind in TYPES
    unread = [problem.path for problem in read.problems]
    if not name and not around and not read.refers and ".name" not in unread:
        read.problem("", "malformed-policy", "the policy has no name", "Give it a name.", STARTING)
    if not read.refers and ".type" not in unread and not (known and (not around or kind in TYPES[around].inside)):
        _wrong_type(read, kind, around)
    levels = _WITH_OPTIONS & (TYPES[around].inside if around else frozenset(TYPES))
    settings: dict[str, Any] = read.settings(kind, written.get(kind)) if kind in levels else {}
    inside: tuple[ReadPolicy, ...] = ()
    if kind in levels and TYPES[kind].nested:
        inside = _inside(read, kind, written.get(kind), path)
    ignored = []
    for key, value in written.items():
        if key in ("name", "type") or (key == kind and key in levels):
            continue
        if isinstance(value, Mapping) and value:
            ignored.append(str(key))
        if key in levels:
            # Decoded too, although nothing reads it.
            other = read_policy({"name": name, "type": key, key: value}, path, around)
            read.problems += [
                replace(problem, path=one.path.removeprefix(path) + problem.path)
                for one in other.everything()
                for problem in one.problems
                if problem.stage == DECODING
            ]
        elif value is not None and not isinstance(value, Mapping):
            read.problem(
                f".{key}",
                "unknown-option",
                f"a policy has no option '{key}', and {value!r} is not a mapping",
                "Remove it; write a comment instead.",
            )
    if known and not read.problems and not read.refers:
        _start(read, kind, settings)
    own = written.get(kind)
    given = {str(option) for option, value in own.items() if value is not None} if isinstance(own, Mapping) else set()
    return ReadPolicy(
        name=name,
        kind=kind,
        path=path,
        settings=settings,
        inside=inside,
        problems=tuple(read.problems),
        changes=tuple(read.changes),
        ignored=tuple(ignored),
        refers=read.refers,
        given=frozenset(given),
    )


def _wrong_type(read: _Reader, kind: str, around: str) -> None:
    allowed = ", ".join(sorted(TYPES[around].inside if around else TYPES))
    if kind in TYPES:
        read.problem(
            ".type",
            "invalid-setting",
            f"a policy of type {around} cannot hold one of type {kind}",
            f"Use one of {allowed}.",
            STARTING,
        )
    elif kind:
        read.problem(
            ".type",
            "unknown-type",
            f"'{kind}' is not a policy type of the processor {VERSION}, nor a configured extension",
            f"Use one of {allowed}.",
            STARTING,
        )
    else:
        read.problem("", "malformed-policy", "the policy has no type", f"Give it one of {allowed}.", STARTING)


def _inside(read: _Reader, kind: str, settings: Any, path: str) -> tuple[ReadPolicy, ...]:
    option = TYPES[kind].nested
    where = f"{path}.{kind}.{option}"
    value = settings.get(option) if isinstance(settings, Mapping) else None
    if isinstance(value, str) and refers(value):
        read.refers = True
        return ()
    if TYPES[kind].fields[option].kind == "policy":
        if value is not None and not isinstance(value, Mapping):
            read.value(f".{kind}.{option}", value, "policy")
            return ()
        if value is None:
            # The collector has an empty policy there; its type is what is missing.
            read.problem(
                f".{kind}", "invalid-setting", f"a policy of type {kind} has no {option}", "Give one policy.", STARTING
            )
            return ()
        return (read_policy(value, where, kind),)
    if value is None:
        return ()
    if not isinstance(value, (list, tuple)):
        read.value(f".{kind}.{option}", value, "policies")
        return ()
    return tuple(read_policy(item, f"{where}[{index}]", kind) for index, item in enumerate(value))


def _start(read: _Reader, kind: str, settings: Mapping[str, Any]) -> None:
    """What the collector finds when it builds the policy, or at the first trace.

    Source: {status_code,ottl,string_tag_filter,numeric_tag_filter}.go and getSharedPolicyEvaluator of processor.go.
    """
    if kind == "status_code":
        codes = settings["status_codes"]
        if not codes or set(codes) - STATUS_CODES.keys():
            unknown = ", ".join(repr(code) for code in codes if code not in STATUS_CODES)
            read.problem(
                f".{kind}.status_codes",
                "invalid-setting",
                f"{unknown} is not a status code" if codes else "no status code is given",
                "Name at least one of OK, ERROR and UNSET, in capitals.",
                STARTING,
            )
    elif kind == "numeric_attribute" and not settings["min_value"] and not settings["max_value"]:
        read.problem(
            f".{kind}",
            "invalid-setting",
            "there is no bound (0 counts as none, and fractions are cut off)",
            "Set min_value or max_value to another whole number, or compare in an ottl_condition.",
            RUNNING,
        )
    elif kind == "ottl_condition":
        if not settings["span"] and not settings["spanevent"]:
            read.problem(f".{kind}", "invalid-setting", "there is no condition", "Give span or spanevent.", STARTING)
        for context in ("span", "spanevent"):
            for index, text in enumerate(settings[context]):
                try:
                    ottl.parse(text, context)
                except ottl.OttlError as error:
                    if not error.unsupported:
                        read.problem(
                            f".{kind}.{context}[{index}]",
                            "invalid-ottl",
                            f"{text!r} is not a valid OTTL condition: {error.why} (character {error.position + 1})",
                            "Correct it. Paths begin with span., resource., scope. or spanevent., texts are in double "
                            "quotes, and operators are == != < > and or not.",
                            STARTING,
                        )
    elif kind == "string_attribute" and settings["enabled_regex_matching"]:
        for index, pattern in enumerate(settings["values"]):
            try:
                goregex.compile_go(pattern)
            except goregex.GoRegexError as error:
                if not error.unsupported:
                    read.problem(
                        f".{kind}.values[{index}]",
                        "invalid-regex",
                        f"{pattern!r} is not a regular expression of Go: {error.why}",
                        "Write it in RE2 syntax, which has neither lookaround nor backreferences.",
                        STARTING,
                    )
