# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What is wrong or doubtful about a tail_sampling configuration under a load. Pure: data in, findings out.

What is said of the processor's behaviour is that of processor/tailsamplingprocessor v0.158.0 of
opentelemetry-collector-contrib (config.go, processor.go, internal/sampling/*.go). Every code has an entry in
docs/sampling-linter.md.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.collector.policies import (
    NESTED,
    RENAMED,
    Policy,
    below,
    default_policies,
    well_formed,
)
from ansible_collections.orion.tracing.plugins.module_utils.common.quantities import duration_seconds
from ansible_collections.orion.tracing.plugins.module_utils.inventory.variables import Reader, container_memory, usable
from ansible_collections.orion.tracing.plugins.module_utils.platform.collector import (
    DECISION_CACHE_FACTOR,
    decision_cache_size,
    sampler_grace_period,
    sampler_memory,
)
from ansible_collections.orion.tracing.plugins.module_utils.platform.load import num_traces as num_traces_needed
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl import conditions as ottl
from ansible_collections.orion.tracing.plugins.module_utils.sampling.ottl import goregex

ERROR, WARNING = "error", "warning"

# Code → severity. error: the collector refuses to start, or does not do what the configuration is for.
CODES = {
    "malformed-policy": ERROR,
    "unknown-type": ERROR,
    "unknown-option": ERROR,
    "invalid-setting": ERROR,
    "duplicate-name": ERROR,
    "invalid-ottl": ERROR,
    "invalid-regex": ERROR,
    "nothing-sampled": ERROR,
    "everything-dropped": ERROR,
    "one-tier": ERROR,
    "sampler-memory": ERROR,
    "composite-shares": ERROR,
    "composite-no-share": ERROR,
    "num-traces": WARNING,
    "decision-cache": WARNING,
    "grace-period": WARNING,
    "trace-size": WARNING,
    "unreachable-policy": WARNING,
    "contradiction": WARNING,
    "outdated-key": WARNING,
    "invert-match": WARNING,
    "zero-bound": WARNING,
    "zero-percentage": WARNING,
    "zero-latency": WARNING,
    "composite-no-catch-all": WARNING,
    "composite-underprovisioned": WARNING,
    "composite-order": WARNING,
    "limit-not-divided": WARNING,
    "limit-alone": WARNING,
    "head-sampling": WARNING,
}

# Options by policy type and what each takes (config.go). Types that hold policies are in policies.NESTED as well.
_MATCH = {"key": "text", "invert_match": "flag"}
OPTIONS: dict[str, dict[str, str]] = {
    "always_sample": {},
    "latency": {"threshold_ms": "number", "upper_threshold_ms": "number"},
    "numeric_attribute": {**_MATCH, "min_value": "number", "max_value": "number"},
    "probabilistic": {"hash_salt": "text", "sampling_percentage": "number"},
    "status_code": {"status_codes": "texts"},
    "string_attribute": {**_MATCH, "values": "texts", "enabled_regex_matching": "flag", "cache_max_size": "number"},
    "boolean_attribute": {**_MATCH, "value": "flag"},
    "rate_limiting": {"spans_per_second": "number", "burst_capacity": "number"},
    "bytes_limiting": {"bytes_per_second": "number", "burst_capacity": "number"},
    "span_count": {"min_spans": "number", "max_spans": "number"},
    "trace_state": {"key": "text", "values": "texts"},
    "trace_flags": {},
    "ottl_condition": {"error_mode": "text", "span": "texts", "spanevent": "texts"},
    "and": {"and_sub_policy": "list"},
    "not": {"not_sub_policy": "mapping"},
    "drop": {"drop_sub_policy": "list"},
    "composite": {
        "max_total_spans_per_second": "number",
        "policy_order": "texts",
        "composite_sub_policy": "list",
        "rate_allocation": "allocation",
    },
}
# What each kind of value is called, and the types that the collector takes. It does not turn text into a number or a
# flag, but it takes a text as a list of one and cuts a fraction.
_VALUES: dict[str, tuple[str, tuple[type, ...]]] = {
    "number": ("a number, without quotes", (int, float)),
    "flag": ("true or false, without quotes", (bool,)),
    "text": ("text, in quotes where YAML would read a number", (str,)),
    "texts": ("a list of texts, each in quotes where YAML would read a number", (str, list)),
    "list": ("a list of policies", (list,)),
    "mapping": ("one policy", (dict,)),
    "allocation": ("a list of {policy: name, percent: number}", (list,)),
}
# Types that may stand inside another: {and,drop,not,composite}_helper.go.
_PLAIN = frozenset(OPTIONS) - frozenset(NESTED)
_INSIDE = {"and": _PLAIN | {"not"}, "drop": _PLAIN | {"not"}, "not": _PLAIN, "composite": _PLAIN | {"and"}}
# The type of a policy whose settings cannot be read: no check says anything about it.
_OPAQUE = ""
LIMITERS = {"rate_limiting": "spans_per_second", "bytes_limiting": "bytes_per_second"}


@dataclass(frozen=True, slots=True)
class Finding:
    """code: a key of CODES. path: of what was written, such as collector_tail_sampling_policies[0].latency.
    problem: what will happen. remedy: what to write."""

    code: str
    path: str
    problem: str
    remedy: str

    @property
    def severity(self) -> str:
        return CODES[self.code]

    def result(self) -> dict[str, str]:
        """As plain data."""
        return {
            "code": self.code,
            "severity": self.severity,
            "path": self.path,
            "problem": self.problem,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True)
class Load:
    """What the samplers meet. None: unknown, and what depends on it is not checked.

    traces_per_second: new traces over all samplers. bytes_per_span: OTLP protobuf. memory_limit: bytes, of one sampler.
    grace_period: seconds that a pod has to stop. head_percentage: of the traces that SDK and gateway let through.
    two_tiers: whether all spans of a trace reach the same sampler (load_balancing by trace id).
    """

    traces_per_second: float | None = None
    spans_per_trace: float = 20
    bytes_per_span: float = 500
    samplers: int = 1
    memory_limit: int | None = None
    grace_period: float | None = None
    head_percentage: float = 100
    two_tiers: bool = True

    @property
    def traces_per_sampler(self) -> float | None:
        return None if self.traces_per_second is None else self.traces_per_second / self.samplers

    @property
    def spans_per_sampler(self) -> float | None:
        rate = self.traces_per_sampler
        return None if rate is None else rate * self.spans_per_trace


@dataclass(frozen=True, slots=True)
class Names:
    """How the user writes settings. Upstream's names by default; policies by position under policies."""

    decision_wait: str = "decision_wait"
    num_traces: str = "num_traces"
    decision_cache: str = "decision_cache"
    memory: str = "the sampler's memory limit"
    grace_period: str = "terminationGracePeriodSeconds"
    head: str = "the head sampling percentage"
    samplers: str = "the number of collectors"
    policies: tuple[str, ...] = field(default=())

    def policy(self, index: int) -> str:
        return self.policies[index] if index < len(self.policies) else f"policies[{index}]"


@dataclass(frozen=True, slots=True)
class _Place:
    """A policy, its path, and the types of the policies around it, outermost first."""

    policy: Policy
    path: str
    around: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        return str(self.policy["type"])

    @property
    def name(self) -> str:
        return str(self.policy["name"])

    @property
    def settings(self) -> dict[str, Any]:
        """Without what is null; a text where a list of texts belongs is the list of it."""
        kinds = OPTIONS.get(self.kind, {})
        return {
            key: [value] if kinds.get(key) == "texts" and isinstance(value, str) else value
            for key, value in (self.policy.get(self.kind) or {}).items()
            if value is not None
        }

    def inside(self) -> list[_Place]:
        """The policies in this one."""
        if self.kind not in NESTED:
            return []
        path, around = f"{self.path}.{self.kind}.{NESTED[self.kind]}", (*self.around, self.kind)
        if self.kind == "not":
            return [_Place(policy, path, around) for policy in below(self.policy)]
        return [_Place(policy, f"{path}[{index}]", around) for index, policy in enumerate(below(self.policy))]

    def all(self) -> Iterator[_Place]:
        """This policy and everything in it."""
        yield self
        for place in self.inside():
            yield from place.all()


@dataclass(frozen=True, slots=True)
class _Subject:
    """What the checks look at: the well-formed policies, and everything around them."""

    config: Mapping[str, Any]
    load: Load
    names: Names
    top: tuple[_Place, ...]

    @property
    def wait(self) -> float:
        return duration_seconds(self.config.get("decision_wait", "30s"))

    @property
    def num_traces(self) -> int:
        return int(self.config.get("num_traces", 50000))

    @property
    def keepers(self) -> list[_Place]:
        return [place for place in self.top if place.kind != "drop"]

    def everywhere(self) -> Iterator[_Place]:
        for place in self.top:
            yield from place.all()


def lint(config: Mapping[str, Any], load: Load, names: Names | None = None) -> list[Finding]:
    """Findings about a processor's configuration, by upstream's keys, in the order of the checks; [] for a clean one.

    Raises ValueError for a decision_wait or num_traces that is no duration or number.
    """
    names = names or Names()
    policies = config.get("policies") or []
    broken = [
        Finding(
            "malformed-policy",
            names.policy(index),
            f"{policy!r} is no policy: the collector refuses to start",
            "Give a name, a type and settings under the type's name, also for each policy inside it.",
        )
        for index, policy in enumerate(policies)
        if not well_formed(policy)
    ]
    if broken:
        return broken
    top = tuple(_Place(policy, names.policy(index)) for index, policy in enumerate(policies))
    written = _Subject(config, load, names, top)
    findings = [finding for check in (_types, _duplicates, _settings) for finding in check(written)]
    readable = tuple(place if _readable(place) else _opaque(place) for place in top)
    subject = _Subject(config, load, names, readable)
    return [*findings, *(finding for check in _CHECKS for finding in check(subject))]


def _types(subject: _Subject) -> Iterator[Finding]:
    for place in subject.everywhere():
        if place.kind not in OPTIONS:
            yield Finding(
                "unknown-type",
                f"{place.path}.type",
                f"'{place.kind}' is no policy type of the processor 0.158, which refuses to start unless an extension "
                "of that name is configured",
                f"Use one of {', '.join(sorted(OPTIONS))}.",
            )
            continue
        for option in sorted(set(place.settings) - OPTIONS[place.kind].keys()):
            yield Finding(
                "unknown-option",
                f"{place.path}.{place.kind}.{option}",
                f"the type {place.kind} has no such option: the collector refuses to start",
                f"Remove it{_known(OPTIONS[place.kind])}.",
            )


def _known(options: Mapping[str, str]) -> str:
    return f"; the options are {', '.join(sorted(options))}" if options else ""


def _settings(subject: _Subject) -> Iterator[Finding]:
    """Values that the collector refuses when it reads the configuration or starts the processor, and the one that it
    falls over at the first trace (numeric_attribute without a bound).

    Source: mapstructure without weakly typed input, {status_code,ottl,numeric_tag_filter}.go; each was tried with the
    collector 0.158.
    """
    for place in subject.everywhere():
        for path, problem, remedy in _wrong(place):
            yield Finding("invalid-setting", f"{place.path}{path}", problem, remedy)


def _wrong(place: _Place) -> Iterator[tuple[str, str, str]]:
    """Path below the policy, problem and remedy of each value that cannot be."""
    kind, settings = place.kind, place.settings
    if place.around and kind in OPTIONS and kind not in _INSIDE[place.around[-1]]:
        yield (
            ".type",
            f"the collector knows no policy of type {kind} inside one of type {place.around[-1]}, and refuses to start",
            f"Use one of {', '.join(sorted(_INSIDE[place.around[-1]]))}.",
        )
    if _refers(settings):
        return
    wrong = False
    for option, what in OPTIONS.get(kind, {}).items():
        for path, value in _unfit(settings[option], what) if option in settings else ():
            wrong = True
            yield (
                f".{kind}.{option}{path}",
                f"{value!r} is not {_VALUES[what][0]}: the collector refuses to start",
                f"Write {_VALUES[what][0]}.",
            )
    if wrong:
        return
    if kind == "status_code":
        codes = settings.get("status_codes") or []
        if not codes or set(codes) - {"OK", "ERROR", "UNSET"}:
            yield (
                f".{kind}.status_codes",
                f"{codes!r} holds {'a code that there is not' if codes else 'no code'}: the collector refuses to start",
                "Name at least one of OK, ERROR and UNSET.",
            )
    elif kind == "ottl_condition":
        if not settings.get("span") and not settings.get("spanevent"):
            yield f".{kind}", "it has no condition: the collector refuses to start", "Give span or spanevent."
        if settings.get("error_mode", "ignore").lower() not in ("ignore", "silent", "propagate"):
            yield (
                f".{kind}.error_mode",
                f"'{settings['error_mode']}' is no error mode: the collector refuses to start",
                "Use ignore, silent or propagate.",
            )
    elif kind == "numeric_attribute" and not settings.get("min_value") and not settings.get("max_value"):
        yield (
            f".{kind}",
            "it has no bound (0 counts as none): the collector panics at the first trace",
            "Set min_value or max_value to another number, or compare in an ottl_condition.",
        )


def _unfit(value: Any, what: str) -> Iterator[tuple[str, Any]]:
    """Path and value of what does not fit."""
    fits: bool = isinstance(value, _VALUES[what][1])
    if not fits or (isinstance(value, bool) and what != "flag"):
        yield "", value
    elif what == "texts":
        yield from ((f"[{index}]", item) for index, item in enumerate(value) if not isinstance(item, str))
    elif what == "allocation":
        for index, item in enumerate(value):
            if not isinstance(item, dict) or set(item) - {"policy", "percent"}:
                yield f"[{index}]", item
            elif not isinstance(item.get("policy", ""), str):
                yield f"[{index}].policy", item["policy"]
            elif any(True for _wrong_one in _unfit(item.get("percent") or 0, "number")):
                yield f"[{index}].percent", item["percent"]


def _refers(value: Any) -> bool:
    """Whether the collector puts something of its own environment into it, ${…}."""
    if isinstance(value, dict):
        return any(map(_refers, value.values()))
    if isinstance(value, list):
        return any(map(_refers, value))
    return isinstance(value, str) and re.search(r"(?<!\$)(?:\$\$)*\$\{", value) is not None


def _readable(top: _Place) -> bool:
    """Whether every value is there, and of the kind that the checks count with."""
    return not _refers(top.policy) and not any(any(_wrong(place)) for place in top.all())


def _opaque(place: _Place) -> _Place:
    return _Place({"name": place.name, "type": _OPAQUE}, place.path)


def _duplicates(subject: _Subject) -> Iterator[Finding]:
    seen: set[str] = set()
    for place in subject.top:
        if place.name in seen:
            yield Finding(
                "duplicate-name",
                f"{place.path}.name",
                f"'{place.name}' is the name of another policy too: the collector refuses to start",
                "Give every policy its own name.",
            )
        seen.add(place.name)


def _expressions(subject: _Subject) -> Iterator[Finding]:
    """The collector compiles OTTL conditions and patterns at the start, after expanding $$ to $."""
    for place in subject.everywhere():
        if place.kind == "ottl_condition":
            for context in ("span", "spanevent"):
                for index, text in enumerate(place.settings.get(context) or ()):
                    try:
                        ottl.parse(str(text).replace("$$", "$"), context)
                    except ottl.OttlError as error:
                        if not error.unsupported:
                            yield Finding(
                                "invalid-ottl",
                                f"{place.path}.ottl_condition.{context}[{index}]",
                                f"'{text}' is no OTTL condition: {error.why} (character {error.position}); the "
                                "collector refuses to start",
                                "Correct it. Paths begin with span., resource., scope. or spanevent.",
                            )
        if place.kind == "string_attribute" and place.settings.get("enabled_regex_matching"):
            for index, pattern in enumerate(place.settings.get("values") or ()):
                try:
                    goregex.compile_go(str(pattern).replace("$$", "$"))
                except goregex.GoRegexError as error:
                    if not error.unsupported:
                        yield Finding(
                            "invalid-regex",
                            f"{place.path}.string_attribute.values[{index}]",
                            f"'{pattern}' is no pattern of Go's regexp: {error.why}; the collector panics",
                            "Write it in RE2 syntax, without lookaround and backreferences.",
                        )


def _load(subject: _Subject) -> Iterator[Finding]:
    """num_traces as platform.load.num_traces computes it. Memory for half as many traces: the limit that
    platform.collector.sampler_memory gives leaves room for the other half.

    Source: sampling_trace_dropped_too_early in the processor's documentation.md.
    """
    load, names, rate = subject.load, subject.names, subject.load.traces_per_sampler
    if rate is None:
        return
    wanted = num_traces_needed(rate, 1, subject.wait)
    if subject.num_traces < wanted:
        yield Finding(
            "num-traces",
            names.num_traces,
            f"{subject.num_traces} is less than twice what arrives at a sampler in {names.decision_wait} ({rate:g}/s × "
            f"{subject.wait:g} s): the oldest traces are given up undecided",
            f"Set it to {wanted} or more.",
        )
    if load.memory_limit is not None:
        held = min(float(subject.num_traces), rate * subject.wait)
        cache = subject.config.get("decision_cache") or {}
        decisions = sum(int(cache.get(key) or 0) for key in ("sampled_cache_size", "non_sampled_cache_size"))
        needed = sampler_memory(held * load.spans_per_trace, load.bytes_per_span, decisions)
        if needed.limit > load.memory_limit:
            yield Finding(
                "sampler-memory",
                names.memory,
                f"{load.memory_limit // 2**20}Mi is too small for {held:,.0f} traces of {load.spans_per_trace:g} spans "
                f"of {load.bytes_per_span:g} bytes, what arrives in {names.decision_wait}, and full decision "
                f"caches ({decisions:,}): the memory limiter would refuse spans",
                f"Set it to {math.ceil(needed.limit / 2**20)}Mi or more, add samplers, or lower {names.num_traces}.",
            )


def _cache(subject: _Subject) -> Iterator[Finding]:
    """A decided trace leaves memory only with a cache, and late spans follow its decision only with one."""
    cache = subject.config.get("decision_cache") or {}
    wanted = decision_cache_size(subject.num_traces)
    for key in ("sampled_cache_size", "non_sampled_cache_size"):
        size = int(cache.get(key) or 0)
        if size < wanted:
            problem = (
                "is off: once a trace is evicted, its late spans get a decision of their own"
                if not size
                else f"is {size}, less than {DECISION_CACHE_FACTOR} × {subject.names.num_traces}: spans that come late "
                "get a decision of their own"
            )
            yield Finding("decision-cache", f"{subject.names.decision_cache}.{key}", problem, f"Set it to {wanted}.")


def _topology(subject: _Subject) -> Iterator[Finding]:
    load, names = subject.load, subject.names
    if load.samplers > 1 and not load.two_tiers:
        yield Finding(
            "one-tier",
            names.samplers,
            f"{load.samplers} collectors behind one Service each see a part of a trace and decide on that part",
            "Put a gateway with load_balancing (routing_key: traceID) in front, or run one collector.",
        )
    if load.grace_period is not None and load.grace_period <= subject.wait:
        yield Finding(
            "grace-period",
            names.grace_period,
            f"{load.grace_period:g} s is not longer than {names.decision_wait} ({subject.wait:g} s): what a stopping "
            "sampler decides at its end may be lost before it is sent",
            f"Set it to {sampler_grace_period(subject.wait)} or more.",
        )
    if subject.config.get("maximum_trace_size_bytes") and not (subject.config.get("decision_cache") or {}).get(
        "non_sampled_cache_size"
    ):
        yield Finding(
            "trace-size",
            "maximum_trace_size_bytes",
            "without a cache for decisions not to sample, what is too large stays in memory",
            f"Set decision_cache.non_sampled_cache_size to {decision_cache_size(subject.num_traces)}.",
        )


def _keeps_all(place: _Place) -> bool:
    """Whether a policy keeps every trace."""
    if place.kind == "probabilistic":
        return float(place.settings.get("sampling_percentage") or 0) >= 100
    if place.kind in ("and", "drop"):
        inside = place.inside()
        return bool(inside) and all(map(_keeps_all, inside))
    return place.kind == "always_sample"


def _keeps_none(place: _Place) -> bool:
    if place.kind == "probabilistic":
        return float(place.settings.get("sampling_percentage") or 0) <= 0
    if place.kind == "and":
        return any(map(_keeps_none, place.inside()))
    return False


def _reach(subject: _Subject) -> Iterator[Finding]:
    """All policies are asked, drop policies first; any that matches samples. So a policy is pointless beside one that
    samples at least the same, wherever it stands, not only behind it.
    """
    keepers = subject.keepers
    if not keepers or all(map(_keeps_none, keepers)):
        yield Finding(
            "nothing-sampled",
            subject.names.policy(0) if subject.top else "policies",
            "no policy samples anything, and what no policy samples is dropped",
            "Add one, for example always_sample.",
        )
    for place in subject.top:
        if place.kind == "drop" and _keeps_all(place):
            yield Finding(
                "everything-dropped",
                place.path,
                f"'{place.name}' drops every trace, and a drop policy beats all others",
                "Add the conditions for what is to be dropped to drop_sub_policy.",
            )
    everything = next((place for place in keepers if _keeps_all(place)), None)
    for number, place in enumerate(keepers):
        other = everything if everything is not place else None
        for candidate in keepers if other is None else ():
            if (
                candidate is not place
                and _covers(candidate, place)
                and not (_covers(place, candidate) and keepers.index(candidate) > number)
            ):
                other = candidate
                break
        if other is not None and place.kind != "composite":
            yield Finding(
                "unreachable-policy",
                place.path,
                f"'{place.name}' makes no difference: '{other.name}' ({other.path}) samples all that it does",
                "Remove one of the two.",
            )


def _covers(wide: _Place, narrow: _Place) -> bool:
    """Whether everything that narrow samples is sampled by wide as well."""
    if narrow.kind == "and" and wide.kind != "and":
        return any(_covers(wide, inside) for inside in narrow.inside())
    if wide.kind != narrow.kind or wide.kind not in OPTIONS or wide.kind in LIMITERS or wide.kind == "composite":
        return False
    a, b = wide.settings, narrow.settings
    if wide.kind == "latency":
        top = a.get("upper_threshold_ms") or math.inf
        return bool(
            a.get("threshold_ms", 0) <= b.get("threshold_ms", 0) and top >= (b.get("upper_threshold_ms") or math.inf)
        )
    if wide.kind == "probabilistic":
        same = (a.get("hash_salt") or "") == (b.get("hash_salt") or "")
        return bool(same and float(a.get("sampling_percentage") or 0) >= float(b.get("sampling_percentage") or 0))
    if wide.kind == "status_code":
        return set(b.get("status_codes") or ()) <= set(a.get("status_codes") or ())
    if wide.kind in ("string_attribute", "trace_state"):
        rest = {key: value for key, value in a.items() if key not in ("values", "cache_max_size")}
        other = {key: value for key, value in b.items() if key not in ("values", "cache_max_size")}
        return not a.get("invert_match") and rest == other and set(b.get("values") or ()) <= set(a.get("values") or ())
    return _text(a) == _text(b)


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)


def _contradictions(subject: _Subject) -> Iterator[Finding]:
    """A drop policy takes what a policy is there to keep: everything of it, or some of its values."""
    for drop in subject.top:
        if drop.kind != "drop" or len(drop.inside()) != 1:
            continue
        [condition] = drop.inside()
        for place in subject.keepers:
            matchers = place.inside() if place.kind == "and" else [place]
            values = sorted(set().union(*(_shared(condition, matcher) for matcher in matchers)))
            if values or any(_covers(condition, matcher) for matcher in matchers):
                what = f"the values {', '.join(values)} of " if values else "everything that is sampled by "
                yield Finding(
                    "contradiction",
                    drop.path,
                    f"'{drop.name}' drops {what}'{place.name}' ({place.path}), and drop wins",
                    "Remove them from one of the two.",
                )


def _shared(one: _Place, other: _Place) -> set[str]:
    """Values of the same attribute that both match, exactly."""
    if {one.kind, other.kind} != {"string_attribute"} or one.settings.get("key") != other.settings.get("key"):
        return set()
    if any(p.settings.get("enabled_regex_matching") or p.settings.get("invert_match") for p in (one, other)):
        return set()
    return set(map(str, one.settings.get("values") or ())) & set(map(str, other.settings.get("values") or ()))


def _keys(subject: _Subject) -> Iterator[Finding]:
    """Attributes that SDKs with the stable semantic conventions do not set (policies.RENAMED), and invert_match."""
    for place in subject.everywhere():
        key = place.settings.get("key")
        if key in RENAMED and place.kind.endswith("_attribute"):
            today = [name for name in RENAMED[key] if name != key]
            yield Finding(
                "outdated-key",
                f"{place.path}.{place.kind}.key",
                f"current instrumentation does not set {key}, so '{place.name}' matches only what old SDKs send",
                f"Write {' or '.join(today)}, and keep {key} in a policy of its own while old SDKs run.",
            )
        for context in ("span", "spanevent"):
            for index, text in enumerate(place.settings.get(context) or () if place.kind == "ottl_condition" else ()):
                for old, new in RENAMED.items():
                    written = any(f'"{name}"' in other for name in new if name != old for other in _texts(place))
                    if f'"{old}"' in str(text) and not written:
                        yield Finding(
                            "outdated-key",
                            f"{place.path}.ottl_condition.{context}[{index}]",
                            f"current instrumentation does not set {old}",
                            f"Add a condition with {' or '.join(name for name in new if name != old)}.",
                        )
        if place.settings.get("invert_match"):
            meaning = (
                "no longer keeps other policies from sampling: it samples every trace that has a span without the value"
                if not place.around
                else "is deprecated"
            )
            yield Finding(
                "invert-match",
                f"{place.path}.{place.kind}.invert_match",
                f"invert_match of '{place.name}' {meaning}",
                "Write a policy of type drop for a veto, or of type not for the opposite of a match.",
            )


def _texts(place: _Place) -> list[str]:
    return [str(text) for context in ("span", "spanevent") for text in place.settings.get(context) or ()]


def _zeros(subject: _Subject) -> Iterator[Finding]:
    for place in subject.everywhere():
        settings = place.settings
        if place.kind == "numeric_attribute":
            for bound in ("min_value", "max_value"):
                if bound in settings and not settings[bound]:
                    yield Finding(
                        "zero-bound",
                        f"{place.path}.numeric_attribute.{bound}",
                        f"a {bound} of 0 counts as none",
                        "Use an ottl_condition, where 0 is a number.",
                    )
        elif place.kind == "latency" and not settings.get("threshold_ms"):
            yield Finding(
                "zero-latency",
                f"{place.path}.latency.threshold_ms",
                f"'{place.name}' samples every trace that takes a millisecond or longer",
                "Set the duration from which a trace is slow.",
            )
        elif place.kind == "probabilistic" and _keeps_none(place):
            yield Finding(
                "zero-percentage",
                f"{place.path}.probabilistic.sampling_percentage",
                f"'{place.name}' samples nothing",
                "Set a percentage above 0, or remove the policy.",
            )


def _composites(subject: _Subject) -> Iterator[Finding]:
    """The first sub-policy that matches decides: within its share of max_total_spans_per_second in this second the
    trace is kept, beyond it the trace is lost, and no other sub-policy is asked. Shares are not handed on. The order is
    that of composite_sub_policy; policy_order is not read. Without an entry in rate_allocation a share is 0.

    Source: composite_helper.go and internal/sampling/composite.go.
    """
    for place in subject.everywhere():
        if place.kind != "composite":
            continue
        path, settings, inside = f"{place.path}.composite", place.settings, place.inside()
        subs = [sub.name for sub in inside]
        shares = {str(one.get("policy")): one.get("percent") or 0 for one in settings.get("rate_allocation") or ()}
        if sum(shares.values()) > 100:
            yield Finding(
                "composite-shares",
                f"{path}.rate_allocation",
                f"the shares add up to {sum(shares.values())} %: the policies can use each other's part, and only each "
                "one alone is held to max_total_spans_per_second",
                "Let them add up to 100 at most.",
            )
        for name in subs:
            if name not in shares:
                yield Finding(
                    "composite-no-share",
                    f"{path}.rate_allocation",
                    f"'{name}' has no share, which is 0 spans per second: what it matches is lost",
                    f"Add {{policy: {name}, percent: …}}.",
                )
        for name in [*shares, *(settings.get("policy_order") or ())]:
            if name not in subs:
                yield Finding("composite-order", path, f"'{name}' is no sub-policy", "Remove or correct the name.")
        order = [name for name in settings.get("policy_order") or () if name in subs]
        if order and order != subs:
            yield Finding(
                "composite-order",
                f"{path}.policy_order",
                f"the processor does not read it: sub-policies are asked in the order {', '.join(subs)}",
                "Write composite_sub_policy in the order that is meant.",
            )
        if inside and inside[-1].kind not in ("always_sample", "probabilistic"):
            yield Finding(
                "composite-no-catch-all",
                f"{path}.composite_sub_policy",
                f"the last sub-policy, '{subs[-1]}', does not match everything: the rest is never sampled",
                "Put a policy of type always_sample or probabilistic last.",
            )
        yield from _provision(subject, path, settings, inside, shares)


def _provision(
    subject: _Subject, path: str, settings: dict[str, Any], inside: list[_Place], shares: dict[str, Any]
) -> Iterator[Finding]:
    """Where the share of a sub-policy whose need is known, a percentage of everything, is below that need."""
    offered, ceiling = subject.load.spans_per_sampler, settings.get("max_total_spans_per_second") or 0
    for sub in inside:
        if offered is None or sub.kind not in ("always_sample", "probabilistic") or not shares.get(sub.name):
            continue
        percentage = 100.0 if sub.kind == "always_sample" else float(sub.settings.get("sampling_percentage") or 0)
        needed, share = offered * percentage / 100, ceiling * shares[sub.name] / 100
        if share < needed:
            yield Finding(
                "composite-underprovisioned",
                f"{path}.max_total_spans_per_second",
                f"'{sub.name}' matches {needed:,.0f} spans/s on each sampler and may keep {share:,.0f}, and unused "
                "shares of others are not handed on",
                f"Raise the ceiling to {math.ceil(needed * 100 / shares[sub.name])}, raise the share, or lower the "
                "percentage.",
            )


def _limits(subject: _Subject) -> Iterator[Finding]:
    load = subject.load
    for place in subject.everywhere():
        option = LIMITERS.get(place.kind)
        if option is None:
            continue
        rate = place.settings.get(option) or 0
        if load.samplers > 1:
            yield Finding(
                "limit-not-divided",
                f"{place.path}.{place.kind}.{option}",
                f"each of {load.samplers} samplers allows {rate:,}, so all together {rate * load.samplers:,}",
                f"Write {max(rate // load.samplers, 1)} if {rate} is meant for the platform, or set "
                "collector_max_total_spans_per_second or collector_max_total_bytes_per_second, which are divided.",
            )
        if not place.around and len(subject.keepers) > 1:
            yield Finding(
                "limit-alone",
                place.path,
                f"'{place.name}' limits nothing: it samples up to its rate in addition to what other policies sample",
                "Put it into an and policy together with what it is to limit.",
            )


def _head(subject: _Subject) -> Iterator[Finding]:
    load, names = subject.load, subject.names
    if load.head_percentage >= 100:
        return
    if any(place.kind != "probabilistic" for place in subject.keepers):
        yield Finding(
            "head-sampling",
            names.head,
            f"{100 - load.head_percentage:g} % of all traces are gone before the samplers see them, errors and slow "
            "ones too",
            "Set it to 100 and let tail sampling decide.",
        )
    for place in subject.everywhere():
        if place.kind == "probabilistic":
            percentage = float(place.settings.get("sampling_percentage") or 0)
            yield Finding(
                "head-sampling",
                f"{place.path}.probabilistic.sampling_percentage",
                f"{percentage:g} % of the {load.head_percentage:g} % that head sampling lets through are "
                f"{percentage * load.head_percentage / 100:g} % of all traces",
                "Sample in one place.",
            )


# Of policies that can be read; _types, _duplicates and _settings come before.
_CHECKS: tuple[Callable[[_Subject], Iterator[Finding]], ...] = (
    _expressions,
    _load,
    _cache,
    _topology,
    _reach,
    _contradictions,
    _keys,
    _zeros,
    _composites,
    _limits,
    _head,
)


_OWN = re.compile(r"collector_tail_sampling_(extra_)?policies\[")


def lint_variables(variables: Mapping[str, Any], two_tiers: bool = True) -> list[Finding]:
    """Findings about the collector role's variables, each at the variable that the user writes.

    two_tiers: as the role installs them; False for one tier of collectors that receive and sample.

    A variable that is not there or has no usable value is left to the role, which names it. Policies are looked at as
    they are written, before outdated spellings get their modern meaning.
    """
    # Its findings are not looked at: the role tells them.
    read = Reader(variables)
    own = read.listing("collector_tail_sampling_policies", default=[])
    extra = read.listing("collector_tail_sampling_extra_policies", default=[])
    paths = [f"collector_tail_sampling_policies[{index}]" for index in range(len(own))]
    built: list[Any] = []
    if not own:
        built, paths = _built(read)
    policies = [*(own or built), *extra]
    paths += [f"collector_tail_sampling_extra_policies[{index}]" for index in range(len(extra))]
    wait, num_traces = read.duration("collector_decision_wait", 30), read.number("collector_num_traces", 50000)
    if num_traces < 1 or wait <= 0:
        return []
    samplers = max(int(read.number("collector_sampler_replicas", 1)), 1)
    traces = read.number("tracing_expected_traces_per_second", 0) or None
    load = Load(
        traces_per_second=traces,
        spans_per_trace=read.number("tracing_expected_spans_per_trace", 20),
        bytes_per_span=read.number("tracing_expected_bytes_per_span", 500),
        samplers=samplers,
        memory_limit=usable(None, container_memory, variables.get("collector_sampler_resources"), "limits"),
        grace_period=sampler_grace_period(wait),
        head_percentage=read.number("collector_head_sampling_percentage", 100),
        two_tiers=two_tiers,
    )
    cache = decision_cache_size(num_traces)
    config = {
        "decision_wait": f"{wait:.9f}s",  # a Go duration: 10us is not 1e-05s
        "num_traces": int(num_traces),
        "decision_cache": {"sampled_cache_size": cache, "non_sampled_cache_size": cache},
        "policies": policies,
    }
    names = Names(
        decision_wait="collector_decision_wait",
        num_traces="collector_num_traces",
        memory="collector_sampler_resources",
        head="collector_head_sampling_percentage",
        samplers="collector_sampler_replicas",
        policies=tuple(paths),
    )
    # Who sets a percentage to 100 or 0 means that it makes other policies, or itself, pointless.
    found = [
        one
        for one in lint(config, load, names)
        if one.code not in ("unreachable-policy", "zero-percentage") or _OWN.match(one.path)
    ]
    return [*found, *_ceiling(read, load, samplers)]


def _ceiling(read: Reader, load: Load, samplers: int) -> Iterator[Finding]:
    """The ceiling that the role makes of flat variables, where it gives baseline less than its percentage needs."""
    ceiling = read.number("collector_max_total_spans_per_second", 0)
    shares = read.mapping("collector_rate_allocation", default={})
    percentage, share = read.number("collector_sampling_percentage", 0), shares.get("baseline")
    if not ceiling or load.spans_per_sampler is None or not isinstance(share, int) or share < 1:
        return
    needed = load.spans_per_sampler * samplers * percentage / 100
    if ceiling * share / 100 < needed:
        yield Finding(
            "composite-underprovisioned",
            "collector_max_total_spans_per_second",
            f"baseline matches {needed:,.0f} spans/s and may keep {ceiling * share / 100:,.0f}; unused shares of other "
            "policies are not handed on",
            f"Raise it to {math.ceil(needed * 100 / share)}, raise baseline in collector_rate_allocation, or lower "
            "collector_sampling_percentage.",
        )


def _built(read: Reader) -> tuple[list[Policy], list[str]]:
    """The policies of the flat variables, and which variable each comes from."""
    policies = default_policies(
        read.number("collector_sampling_percentage", 10),
        int(read.number("collector_latency_threshold_ms", 0)),
        [str(route) for route in read.listing("collector_critical_routes", default=[])],
        [str(route) for route in read.listing("collector_dropped_routes", default=[])],
    )
    variables = {
        "health-checks": "collector_dropped_routes",
        "slow": "collector_latency_threshold_ms",
        "critical-operations": "collector_critical_routes",
        "baseline": "collector_sampling_percentage",
    }
    return policies, [variables.get(policy["name"], "collector_tail_sampling_policies") for policy in policies]
