# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Policy lists whose decisions do not depend on a clock, in the spelling of a configuration file ($$ is one $)."""

from __future__ import annotations

from random import Random
from typing import Any

from traffic import NAMES, ROUTES, SERVICES

Policy = dict[str, Any]


def policy(kind: str, name: str = "", **settings: Any) -> Policy:
    found: Policy = {"name": name or kind, "type": kind}
    return {**found, kind: settings} if settings else found


def ottl(*span: str, event: tuple[str, ...] = (), mode: str = "ignore", name: str = "") -> Policy:
    settings: dict[str, Any] = {"error_mode": mode}
    if span:
        settings["span"] = list(span)
    if event:
        settings["spanevent"] = list(event)
    return policy("ottl_condition", name, **settings)


def _numbered(items: list[Policy]) -> list[Policy]:
    return [{**item, "name": f"{item['type']}-{number}"} for number, item in enumerate(items)]


def and_(*items: Policy, name: str = "and") -> Policy:
    return policy("and", name, and_sub_policy=_numbered(list(items)))


def drop(*items: Policy, name: str = "drop") -> Policy:
    return policy("drop", name, drop_sub_policy=_numbered(list(items)))


def not_(item: Policy, name: str = "not") -> Policy:
    return policy("not", name, not_sub_policy=item)


def composite(*items: Policy, total: int = 10**9, percent: int | None = None, name: str = "composite") -> Policy:
    """With the default total no share of it is ever used up."""
    items = tuple(_numbered(list(items)))
    names = [item["name"] for item in items]
    share = percent if percent is not None else max(100 // max(len(items), 1), 1)
    return policy(
        "composite", name, max_total_spans_per_second=total, policy_order=names, composite_sub_policy=list(items),
        rate_allocation=[{"policy": one, "percent": share} for one in names],
    )  # fmt: skip


ALWAYS = policy("always_sample")
ERRORS = policy("status_code", status_codes=["ERROR"])
SLOW = policy("latency", threshold_ms=100)
TENTH = policy("probabilistic", sampling_percentage=10)
HALF = policy("probabilistic", sampling_percentage=50, hash_salt="another")
ORDERS = policy("string_attribute", key="http.route", values=["/api/v1/orders"])
FAILS = ottl('HasPrefix(span.attributes["mixed"], "a")', mode="propagate")  # an error where mixed is no string


def _each(kind: str, *variants: dict[str, Any]) -> list[Policy]:
    return [policy(kind, **settings) for settings in variants]


def simple() -> list[Policy]:
    """Every type with every option and the values at its edges; none is about OTTL."""
    numeric = [
        {"key": "mixed", **bounds, **inverted}
        for bounds in (
            {"min_value": 5}, {"max_value": 5}, {"min_value": 5, "max_value": 5}, {"min_value": 500, "max_value": 599},
            {"min_value": -5, "max_value": 0}, {"min_value": 0, "max_value": -1}, {"min_value": 600, "max_value": 500},
            {"min_value": -1, "max_value": 1}, {"min_value": 1}, {"max_value": -1},
            {"min_value": 9007199254740993}, {"max_value": -9223372036854775808},
        )
        for inverted in ({}, {"invert_match": True})
    ]  # fmt: skip
    booleans = [
        {"key": key, "value": value, **inverted}
        for key in ("mixed", "cache.hit", "absent")
        for value in (True, False)
        for inverted in ({}, {"invert_match": True})
    ]
    strings = [
        {"key": key, "values": values, **inverted, **more}
        for key, values, more in (
            ("mixed", ["acme"], {}),
            ("mixed", ["acme", "500", "true"], {}),
            ("mixed", ["", "acme"], {}),
            ("mixed", [""], {}),
            ("mixed", [], {}),
            ("absent", ["acme"], {}),
            ("service.name", ["größe-日本", "cart"], {}),
            ("service.name", [""], {}),
            ("service.name", ["front.*"], {"enabled_regex_matching": True}),
            ("mixed", ["acme"], {"enabled_regex_matching": True}),
            ("mixed", ["^acme$$"], {"enabled_regex_matching": True, "cache_max_size": 1}),
            ("mixed", ["(?i)ACME", "^[0-9]+$$"], {"enabled_regex_matching": True, "cache_max_size": 1000}),
            ("mixed", [""], {"enabled_regex_matching": True}),
            ("mixed", [], {"enabled_regex_matching": True}),
            ("mixed", [r"^\w{2,4}$$", r"\d"], {"enabled_regex_matching": True}),
            ("mixed", [r"^.$$"], {"enabled_regex_matching": True}),
            ("http.route", [r"^/api/v\d+/(orders|trades)$$"], {"enabled_regex_matching": True}),
            ("http.route", [r"^\$$HOME/\{[a-z]+\}$$", r"\A/\z"], {"enabled_regex_matching": True}),
            ("http.route", ["$$HOME/{id}"], {}),
            ("http.route", ["/health*"], {"enabled_regex_matching": True}),
        )
        for inverted in ({}, {"invert_match": True})
    ]
    return [
        ALWAYS,
        policy("trace_flags"),
        *_each("status_code", *({"status_codes": codes} for codes in (
            ["OK"], ["ERROR"], ["UNSET"], ["OK", "ERROR"], ["UNSET", "ERROR"], ["OK", "OK"], ["OK", "ERROR", "UNSET"],
        ))),
        *_each("latency", *({"threshold_ms": low} for low in (0, 1, 99, 100, 101, 999, 1000, 5000, 10**9, -1))),
        *_each("latency", *({"threshold_ms": low, "upper_threshold_ms": high} for low, high in (
            (0, 1), (0, 100), (99, 100), (100, 101), (100, 1000), (1000, 5000), (1000, 100), (100, 100), (-1, 0),
            (0, -1),
        ))),
        *_each("latency", {"upper_threshold_ms": 100}),
        policy("latency"),
        *_each("numeric_attribute", *numeric),
        *_each("boolean_attribute", *booleans, {"key": "mixed"}),
        *_each("string_attribute", *strings),
        *_each("probabilistic", *({"sampling_percentage": share} for share in (
            0, 0.000001, 0.1, 1, 10, 33.333, 50, 99.9, 100, 100.5, 250, -1,
        ))),
        *_each("probabilistic", *({"sampling_percentage": share, "hash_salt": salt} for share, salt in (
            (10, "a"), (50, "default-hash-seed"), (50, "größe"), (50, ""), (100, "a"),
        ))),
        *_each("span_count", {"min_spans": 5}, {"min_spans": 5, "max_spans": 5}, {"max_spans": 3}, {"min_spans": 0},
               {"min_spans": 6, "max_spans": 5}, {"min_spans": -1, "max_spans": -1}, {"min_spans": 2, "max_spans": 8},
               {"min_spans": 13}, {"min_spans": 1, "max_spans": 2147483647}),
        *_each("trace_state", {"key": "vendor", "values": ["a"]}, {"key": "vendor", "values": ["b", "c", ""]},
               {"key": "vendor", "values": []}, {"key": "vendor", "values": [""]}, {"key": "other", "values": ["a"]},
               {"key": "", "values": ["a"]}, {"key": "ot", "values": ["th:8;rv:7f0123456789ab"]},
               {"key": "tenant@vendor", "values": ["a"]}, {"key": "vendor", "values": ["v" * 256, "v" * 257]},
               {"key": "vendor", "values": ["v" * 249]}, {"key": "Upper", "values": ["x"]}),
        # Limits that nothing can reach, and such that nothing can pass.
        *_each("rate_limiting", {"spans_per_second": 10**9}, {"spans_per_second": 0},
               {"spans_per_second": 0, "burst_capacity": 0}),
        *_each("bytes_limiting", {"bytes_per_second": 10**12}, {"bytes_per_second": 0}, {"bytes_per_second": 1}),
    ]  # fmt: skip


OPERATORS = ("==", "!=", "<", "<=", ">", ">=")
LITERALS = ("0", "5", "-5", "500", "5.0", "499.9999999", '"500"', '"acme"', '""', "true", "false", "nil", "0x0102ff",
            '["a", 5, true]', "[]", '{"k": "v", "n": 5}', "9007199254740993")  # fmt: skip


PATTERNS = r"""
a
^a
a$
^a$
^$
.
^.$
^..$
(?s)^.$
(?s)b.a
(?m)^a$
(?m)a$
(?i)A
(?i)^k$
(?i)s
(?i)É
(?i)i
(?i)[h-j]
(?i)[^i]
(?i)^\w$
(?i)[[:lower:]]
(?i)μ
(?i:a)b
(?i)a(?-i:b)
\d
^\d+$
\D
\w
^\w+$
\W
\s
^\s$
\S
\bb
a\b
\Bb
\Aa
a\z
[a-c]{2}
^[^a]$
[]a]
[^]a]
[a-]
[\w-]b
[[:alpha:]]
[[:word:]]+b
^[[:space:]]$
[[:punct:]]
\.
a\.b
\/api\/v\d+\/
\x41
\x{65E5}
\n
\t|\v|\f|\r
\Qa.b\E
\Q[
a|5
^(a|ab)$
(?:abc){2}
(?P<name>a)b
(?<name>a)b
(?P<n>a)(?P<n>b)
a{2}
a{2,}b
a{,2}
\{2}
x*
a+?b
a??b
(|a)b
日
[é-ü]
ß
\101
é|É
""".strip().splitlines()


def patterns() -> list[Policy]:
    """Go's regular expressions, as the policy and as OTTL take them."""
    found = []
    for pattern in PATTERNS:
        escaped = pattern.replace("$", "$$")
        found.append(policy("string_attribute", key="text", values=[escaped], enabled_regex_matching=True))
        quoted = escaped.replace("\\", "\\\\").replace('"', '\\"')
        found.append(ottl(f'IsMatch(span.attributes["text"], "{quoted}")'))
    return found


def comparisons() -> list[Policy]:
    """A value of any type or none beside a literal of every type, with every operator."""
    return [
        ottl(f'span.attributes["mixed"] {operator} {literal}', mode="propagate")
        for operator in OPERATORS
        for literal in LITERALS
    ]


# Paths; logic; what upstream takes without complaint; arithmetic; converters.
SPAN_CONDITIONS = r"""
span.name == "probe"
span.name != ""
span.kind == SPAN_KIND_SERVER
span.kind >= 3
span.kind.string == "Client"
span.kind.deprecated_string == "SPAN_KIND_CONSUMER"
span.status.code == STATUS_CODE_ERROR
span.status.code == 0
span.status.message == "timeout"
span.status.code == STATUS_CODE_OK or span.status.code == STATUS_CODE_UNSET
span.trace_state == "vendor=a"
span.trace_state["vendor"] == "a"
span.trace_state["vendor"] == ""
span.trace_state["vendor"] != nil
span.flags == 1
span.flags > 255
span.dropped_attributes_count == 0
span.parent_span_id == SpanID(0x0000000000000000)
span.parent_span_id.string == ""
span.trace_id.string == "00000000000000000000000000000005"
span.trace_id == TraceID(0x00000000000000000000000000000005)
span.span_id.string == "0000000000000007"
span.span_id == SpanID(0x0000000000000007)
span.end_time_unix_nano - span.start_time_unix_nano > 100000000
span.start_time_unix_nano == 0
span.end_time - span.start_time > Duration("100ms")
span.end_time - span.start_time == Duration("1s")
span.end_time < span.start_time
span.start_time_unix_nano + 50000000 == span.end_time_unix_nano
resource.attributes["service.name"] == "cart"
resource.attributes["mixed"] == 5
resource.attributes["mixed"] != nil
scope.name == "http"
scope.version != ""
scope.attributes["mixed"] != nil
instrumentation_scope.name == "db"
scope.name == nil
instrumentation_scope.attributes["mixed"] == "acme"
resource.dropped_attributes_count == 0
span.attributes["mixed"]["k"] == "v"
span.attributes["mixed"][0] == "a"
span.attributes["mixed"]["n"] > 4
span.attributes["absent"]["k"] == nil
span.attributes["absent"] == nil
true
false
not false
not (true and false)
true or false and false
(true or false) and false
span.kind == 1 and not span.name == "probe"
span.attributes["mixed"] == 5 or span.attributes["rare"] == 5
not IsRootSpan() and span.kind == SPAN_KIND_CLIENT
IsRootSpan()
not IsRootSpan()
span.attributes["cache.hit"] == true
not span.attributes["cache.hit"] == false
name == "probe"
attributes["mixed"] == 5
span.attributes[0] == 1
IsRootSpan(1)
span.attributes["mixed"] + 1 == 6
span.attributes["mixed"] * 2 > 9
span.attributes["mixed"] - 5 == 0
span.attributes["mixed"] / 2 == 2
span.attributes["mixed"] / 2.0 == 2.5
1 + 2 * 3 == 7
(1 + 2) * 3 == 9
span.kind * 2 - 1 == 3
7 / 2 == 3
-7 / 2 == -3
1.5 + 1 == 2.5
span.attributes["mixed"] / 0 == 0
IsString(span.attributes["mixed"])
IsInt(span.attributes["mixed"])
IsDouble(span.attributes["mixed"])
IsBool(span.attributes["mixed"])
IsMap(span.attributes["mixed"])
IsList(span.attributes["mixed"])
IsMatch(span.attributes["mixed"], "^[0-9]+$$")
IsMatch(span.attributes["mixed"], "a")
IsMatch(span.name, "^GET .*")
IsMatch(span.name, "\\.b\\+")
IsMatch(span.name, "(?i)^get")
IsMatch(span.name, "^two.lines$$")
IsMatch(span.name, "(?s)^two.lines$$")
IsMatch(span.name, "(?m)^lines$$")
IsMatch(span.name, "^\\w+$$")
IsMatch(span.name, "^$$")
IsMatch(resource.attributes["mixed"], "5")
IsMatch(span.kind, "[23]")
HasPrefix(span.name, "GET")
HasPrefix(span.name, "")
HasSuffix(span.name, "orders")
HasPrefix(span.attributes["mixed"], "ac")
HasSuffix(span.attributes["mixed"], "me")
Concat([span.name, "x"], "-") == "probe-x"
Concat([span.attributes["mixed"], span.kind], ":") == "5:1"
Concat([span.attributes["mixed"]], "") == "<nil>"
Len(span.attributes["mixed"]) == 4
Len(span.name) > 10
Len(span.name) == 4
Len(span.attributes["mixed"]) == 0
Len(span.events) > 1
Len(span.attributes) == 0
Int(span.attributes["mixed"]) == 5
Int(span.attributes["mixed"]) == 500
Int(span.attributes["mixed"]) == nil
Int(span.attributes["mixed"]) == 1
Double(span.attributes["mixed"]) == 5.0
Double(span.attributes["mixed"]) > 1.0
String(span.attributes["mixed"]) == "5"
String(span.events) == "{}"
String(span.span_id) == "[0,0,0,0,0,0,0,7]"
String(span.attributes["mixed"]) == "true"
String(span.attributes["mixed"]) == ""
String(span.attributes["mixed"]) == "1e+300"
String(span.attributes["mixed"]) == "{\"k\":\"v\",\"n\":5}"
Substring(span.name, 0, 3) == "GET"
Substring(span.name, 4, 100) == "x"
Substring(span.name, 0, 4) == "prob"
ToLowerCase(span.name) == "get /health"
ToUpperCase(span.name) == "KÄSE"
ConvertCase(span.name, "upper") == "PROBE"
ConvertCase(span.attributes["mixed"], "lower") == "acme"
Split(span.name, " ")[0] == "GET"
Split(span.name, "/")[1] == "api"
Split(span.name, "b")[0] == "pro"
ContainsValue(span.attributes["mixed"], "a")
ContainsValue(span.attributes["mixed"], 5)
ContainsValue(["probe", "publish"], span.name)
Seconds(span.end_time - span.start_time) >= 1
Seconds(Duration("1m")) == 60
Milliseconds(span.end_time - span.start_time) > 100
Milliseconds(span.end_time - span.start_time) == 50
Microseconds(span.end_time - span.start_time) == 50000
Nanoseconds(span.end_time - span.start_time) == 1000000
Minutes(span.end_time - span.start_time) == 1
Trim(span.name) == span.name
""".strip().splitlines()

EVENT_CONDITIONS = r"""
spanevent.name == "exception"
spanevent.attributes["mixed"] == 5
spanevent.attributes["mixed"] != nil
spanevent.name == "exception" and span.status.code == STATUS_CODE_ERROR
resource.attributes["service.name"] == "cart"
span.name == "probe"
spanevent.attributes["mixed"] == "acme"
scope.name == "http"
spanevent.event_index == 1
spanevent.time_unix_nano > span.start_time_unix_nano
IsMatch(spanevent.name, "^re")
spanevent.name != ""
name == "retry"
HasPrefix(spanevent.attributes["mixed"], "a")
spanevent.dropped_attributes_count == 0
""".strip().splitlines()


def conditions() -> list[Policy]:
    """What conditions can say, with each error mode where they can fail, and several of them in one policy."""
    found = [ottl(text, mode=mode) for text in SPAN_CONDITIONS for mode in ("ignore", "propagate")]
    found += [ottl(event=(text,), mode=mode) for text in EVENT_CONDITIONS for mode in ("ignore", "propagate")]
    wrong, right = 'HasPrefix(span.attributes["mixed"], "a")', 'span.name == "probe"'
    for mode in ("ignore", "silent", "propagate"):
        found += [
            ottl(wrong, right, mode=mode),
            ottl(right, wrong, mode=mode),
            ottl(f"{wrong} or {right}", mode=mode),
            ottl(f"{right} or {wrong}", mode=mode),
            ottl(f"{wrong} and {right}", mode=mode),
            ottl(f"not {wrong}", mode=mode),
            ottl(right, event=('spanevent.name == "retry"',), mode=mode),
            ottl("false", event=(EVENT_CONDITIONS[-2],), mode=mode),
        ]
    default = ottl(wrong, right)
    del default["ottl_condition"]["error_mode"]
    return [*found, default]


def combined() -> list[tuple[list[Policy], dict[str, Any]]]:
    """Policies inside policies and beside each other, and settings of the processor."""
    first = {"sample_on_first_match": True}
    lists: list[list[Policy]] = [
        [],
        [and_(ERRORS, SLOW)],
        [and_()],
        [and_(ALWAYS)],
        [and_(ERRORS, not_(SLOW))],
        [and_(not_(ERRORS), not_(SLOW), TENTH)],
        [and_(SLOW, FAILS)],
        [and_(not_(FAILS))],
        [not_(ERRORS)],
        [not_(FAILS)],
        [not_(ALWAYS)],
        [drop(ERRORS)],
        [drop(), ALWAYS],
        [drop(ERRORS), ALWAYS],
        [ALWAYS, drop(ERRORS)],
        [ALWAYS, drop(ERRORS, SLOW)],
        [ALWAYS, drop(SLOW, not_(ERRORS))],
        [ALWAYS, drop(FAILS)],
        [ALWAYS, drop(SLOW, FAILS)],
        [drop(ERRORS, name="a"), drop(SLOW, name="b"), HALF],
        [FAILS, ERRORS],
        [FAILS],
        [FAILS, ALWAYS],
        [composite(ERRORS, SLOW, TENTH)],
        [composite(ERRORS, percent=0)],
        [composite(ERRORS, SLOW, percent=250)],
        [composite(and_(ERRORS, SLOW), and_(SLOW, not_(ERRORS)), TENTH)],
        [composite(FAILS, ALWAYS)],
        [composite(ALWAYS, FAILS)],
        [composite(ERRORS, SLOW, total=0)],
        [composite(ERRORS, SLOW), TENTH],
        [composite()],
        [drop(ORDERS), composite(ERRORS, ALWAYS)],
        [and_(ERRORS, policy("bytes_limiting", bytes_per_second=10**12))],
        [and_(ERRORS, policy("rate_limiting", spans_per_second=0))],
        [ERRORS, SLOW, ORDERS, TENTH],
        [
            policy("string_attribute", key="http.route", values=["/health"], invert_match=True),
            policy("numeric_attribute", key="mixed", min_value=5, invert_match=True, name="n"),
        ],
        [policy("string_attribute", key="http.route", values=["/health"], invert_match=True), ERRORS],
        [and_(policy("string_attribute", key="http.route", values=["/health"], invert_match=True), ERRORS)],
        [not_(policy("boolean_attribute", key="cache.hit", value=True, invert_match=True))],
        [drop(policy("string_attribute", key="service.name", values=["cart"], invert_match=True)), ALWAYS],
    ]
    unallocated = composite(ERRORS, SLOW)
    unallocated["composite"]["rate_allocation"] = [{"policy": "status_code-0", "percent": 100}]
    nothing = composite(ERRORS, SLOW)
    del nothing["composite"]["rate_allocation"], nothing["composite"]["policy_order"]
    backwards = composite(ERRORS, SLOW)
    backwards["composite"]["policy_order"].reverse()
    backwards["composite"]["rate_allocation"][0]["percent"] = 0
    lists += [[unallocated], [nothing], [backwards]]
    found: list[tuple[list[Policy], dict[str, Any]]] = [(policies, more) for policies in lists for more in ({}, first)]
    found += [([ALWAYS], {"maximum_trace_size_bytes": size}) for size in (1, 300, 500, 1000, 1500, 2000, 10**9)]
    return found


def random_lists(seed: int, count: int) -> list[tuple[list[Policy], dict[str, Any]]]:
    """Lists of one to eight policies drawn from all types, nested as upstream allows."""
    random = Random(seed)
    leaves = simple() + conditions() + comparisons()
    by_type: dict[str, list[Policy]] = {}
    for leaf in leaves:
        by_type.setdefault(leaf["type"], []).append(leaf)
    kinds = sorted(by_type)

    def leaf() -> Policy:
        shape = random.random()
        if shape < 0.1:
            return policy(
                "string_attribute", key=random.choice(("http.route", "url.path")), values=random.sample(ROUTES, 2)
            )
        if shape < 0.15:
            return policy("string_attribute", key="service.name", values=random.sample(SERVICES, 2))
        if shape < 0.2:
            return ottl(f"span.name == {random.choice([repr(name) for name in NAMES[:3]])}".replace("'", '"'))
        if shape < 0.3:
            return policy(
                "probabilistic", sampling_percentage=random.choice((1, 5, 10, 25, 50)), hash_salt=random.choice("abc")
            )
        return random.choice(by_type[random.choice(kinds)])

    def inner() -> Policy:
        return not_(leaf()) if random.random() < 0.3 else leaf()

    def several(make: Any) -> list[Policy]:
        return [make() for _number in range(random.randint(1, 3))]

    def top() -> Policy:
        shape = random.random()
        if shape < 0.4:
            return leaf()
        if shape < 0.6:
            return and_(*several(inner))
        if shape < 0.7:
            return not_(leaf())
        if shape < 0.85:
            return drop(*several(inner))
        return composite(*several(lambda: and_(*several(inner)) if random.random() < 0.3 else leaf()))

    found = []
    for _number in range(count):
        policies = [{**top(), "name": f"policy-{place}"} for place in range(random.randint(1, 8))]
        found.append((policies, {"sample_on_first_match": True} if random.random() < 0.5 else {}))
    return found


def fixed() -> list[Policy]:
    """Conditions that have the same result for every span, whatever it has."""
    texts = (
        'span.kind == "SERVER"', 'kind != "SPAN_KIND_SERVER"', 'span.kind.string == "SERVER"',
        'span.status.code == "ERROR"', 'status.code != "ERROR"', "span.status.code >= 0",
        'IsMatch(span.kind, "SERVER")', 'IsMatch("name", "timeout")', '"name" == "timeout"', "span.name == 5",
        "span.name == nil", "span.name != nil", 'span.trace_id == "00"', "nil == span.kind", '"SERVER" == span.kind',
        'span.name < 5', "true", "false", "not false", "1 == 1", "true or span.kind == 2", "false and span.kind == 2",
    )  # fmt: skip
    return [ottl(text) for text in texts] + [ottl(event=('IsMatch("name", "timeout")',))]


def surprising() -> list[list[Policy]]:
    """Lists that keep everything or nothing without looking so."""
    drops = [
        drop(), {"name": "drop", "type": "drop"}, drop(policy("span_count", min_spans=1)), drop(policy("span_count")),
        drop(ottl("true")),
        drop(not_(ottl("false"))), drop(policy("string_attribute", key="a", values=[""], invert_match=True)),
        drop(policy("status_code", status_codes=["OK", "ERROR", "UNSET"])),
        drop(ALWAYS, policy("probabilistic", sampling_percentage=100)), drop(not_(policy("trace_state", key="a"))),
        drop(not_(policy("rate_limiting"))),
    ]  # fmt: skip
    keeps_nothing = [
        [composite()], [{"name": "c", "type": "composite"}], [composite(ERRORS, SLOW, total=0)], [not_(ALWAYS)],
        [and_(ERRORS, not_(ERRORS))], [policy("numeric_attribute", key="mixed", min_value=5, max_value=3)],
        [policy("latency", threshold_ms=50, upper_threshold_ms=50)], [policy("span_count", min_spans=5, max_spans=3)],
        [policy("string_attribute")], [policy("trace_state", key="a", values=[""])], [policy("rate_limiting")],
        [policy("boolean_attribute", value=True)], [and_(ALWAYS, policy("string_attribute", key="mixed", values=[]))],
    ]  # fmt: skip
    return [[one, ALWAYS] for one in drops] + keeps_nothing + [[and_()], [{"name": "a", "type": "and"}]]


REFUSED_PATTERNS = (
    "a**", "a*+", "*", "(?>a)", "(?#c)", "(?<=a)b", "(?x)a", "[a", "[z-a]", "[[:foo:]]", "a{1001}", r"a\Z", r"\h",
    r"\k<n>", r"\u0041", r"[\b]", r"\p{Foo}", "a\\", "(a))", "(?P<n-n>a)",
)  # fmt: skip

REFUSED_CONDITIONS = r"""
span.name
span.name = "a"
span.name == "a" and
span.name == "a" && true
span.nothing == 1
span.attributes["cache.hit"]
not span.attributes["cache.hit"]
span.kind == SPAN_KIND_NONE
IsRoot()
IsMatch(span.name, "(")
IsMatch(span.name)
Substring(span.name, "a", 1) == ""
(span.name == "a"
span.name == "a")
spanevent.name == "a"
metric.name == 1
set(span.name, "a")
not
1 ==
"a" == 'a'
span.name == nil or or true
IsMatch(span.name, "a(?=b)")
span.trace_id == TraceID(0x00)
span.attributes == 1 == 1
Isrootspan()
span.name == "a" AND true
0x0 == 1
5 + == 1
span.status.nothing == 1
ConvertCase(span.name, "odd") == ""
""".strip().splitlines()


def refused() -> list[tuple[str, list[Policy]]]:
    """Lists with which the collector does not start, and why."""
    cases = [
        ("a name twice", [ERRORS, ERRORS]),
        ("no name", [{"type": "always_sample"}]),
        ("an empty name", [{"name": "", "type": "always_sample"}]),
        ("an unknown type", [{"name": "x", "type": "sometimes"}]),
        ("no type", [{"name": "x"}]),
        ("an unknown status", [policy("status_code", status_codes=["error"])]),
        ("no status", [policy("status_code", status_codes=[])]),
        ("a broken pattern", [policy("string_attribute", key="a", values=["("], enabled_regex_matching=True)]),
        ("a lookahead", [policy("string_attribute", key="a", values=["a(?!b)"], enabled_regex_matching=True)]),
        ("a backreference", [policy("string_attribute", key="a", values=[r"(a)\1"], enabled_regex_matching=True)]),
        *(
            (f"the pattern {one}", [policy("string_attribute", values=[one], enabled_regex_matching=True)])
            for one in REFUSED_PATTERNS
        ),
        ("and in and", [and_(and_(ERRORS))]),
        ("drop in and", [and_(drop(ERRORS))]),
        ("composite in and", [and_(composite(ERRORS))]),
        ("composite in composite", [composite(composite(ERRORS))]),
        ("not in composite", [composite(not_(ERRORS))]),
        ("not in not", [not_(not_(ERRORS))]),
        ("and in not", [not_(and_(ERRORS))]),
        ("and in drop", [drop(and_(ERRORS))]),
        ("no condition", [policy("ottl_condition", error_mode="ignore")]),
        ("an unknown error mode", [ottl("true", mode="loud")]),
        ("an unknown option", [policy("latency", threshold=100)]),
        ("text for a number", [policy("latency", threshold_ms="soon")]),
    ]
    cases += [(f"OTTL {text}", [ottl(text)]) for text in ("", *REFUSED_CONDITIONS)]
    cases += [(f"OTTL for events {text}", [ottl(event=(text,))]) for text in ("IsRootSpan()", "spanevent.nothing == 1")]
    return cases
