# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a service has to pass on of traceparent and tracestate: the cases of W3C's own test suite as a table.

Source: https://github.com/w3c/trace-context/tree/main/test at strictness 2, and
https://www.w3.org/TR/trace-context/. Sampled flags are 01, so that the traces are recorded.
"""

from __future__ import annotations

from dataclasses import dataclass

TRACE = "12345678901234567890123456789012"
PARENT = "1234567890123456"
VALID = ("traceparent", f"00-{TRACE}-{PARENT}-01")
Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Case:
    """headers: of the request. continued: whether the next service gets the same trace id. tracestate: members that it
    has to get; None: none. deviation: why the Python SDK does otherwise than W3C's suite wants;
    continued and tracestate are then what it does."""

    headers: Headers
    continued: bool
    tracestate: tuple[str, ...] | None = None
    deviation: str = ""


def _parent(value: str, continued: bool = False, deviation: str = "") -> Case:
    return Case((("traceparent", value),), continued, deviation=deviation)


def _state(*values: str, wanted: tuple[str, ...] | None, deviation: str = "", name: str = "tracestate") -> Case:
    return Case((VALID, *((name, value) for value in values)), True, wanted, deviation=deviation)


REPEATED = "the SDK takes a repeated key for a malformed tracestate; W3C wants one of its members at least"
LEVEL_1 = (
    "the SDK has the grammar of level 1: a tenant of at most 241 characters, one @, a system of at most 14; the suite "
    "has that of level 2, where @ is a character like others"
)
IDS = f"{TRACE}-{PARENT}"
MEMBERS = tuple(f"bar{number:02}={number:02}" for number in range(1, 34))
ALL_KEY = "abcdefghijklmnopqrstuvwxyz0123456789_-*/"
ALL_VALUE = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in ",=")

CASES: dict[str, Case] = {
    "neither header": Case((), False),
    "traceparent alone": Case((VALID,), True),
    "traceparent twice": Case(
        (VALID, ("traceparent", f"00-{TRACE[:-1]}1-{PARENT}-01")), True,
        deviation="the propagator reads the first of several headers of a name; W3C wants a new trace",
    ),
    "header name trace-parent": Case((("trace-parent", VALID[1]),), False),
    "header name trace.parent": Case((("trace.parent", VALID[1]),), False),
    "header name TraceParent": Case((("TraceParent", VALID[1]),), True),
    "header name TrAcEpArEnT": Case((("TrAcEpArEnT", VALID[1]),), True),
    "header name TRACEPARENT": Case((("TRACEPARENT", VALID[1]),), True),
    "version 00 with a trailing dot": _parent(f"00-{IDS}-01."),
    "version 00 with more fields": _parent(f"00-{IDS}-01-what-the-future-will-be-like"),
    "a future version": _parent(f"cc-{IDS}-01", True),
    "a future version with more fields": _parent(f"cc-{IDS}-01-what-the-future-will-be-like", True),
    "a future version with a dot after the flags": _parent(f"cc-{IDS}-01.what-the-future-will-be-like"),
    "version ff": _parent(f"ff-{IDS}-01"),
    "version with a dot first": _parent(f".0-{IDS}-01"),
    "version with a dot last": _parent(f"0.-{IDS}-01"),
    "version of three digits": _parent(f"000-{IDS}-01"),
    "version of four digits": _parent(f"0000-{IDS}-01"),
    "version of one digit": _parent(f"0-{IDS}-01"),
    "trace id all zero": _parent(f"00-{'0' * 32}-{PARENT}-01"),
    "trace id with a dot first": _parent(f"00-.{TRACE[1:]}-{PARENT}-01"),
    "trace id with a dot last": _parent(f"00-{TRACE[:-1]}.-{PARENT}-01"),
    "trace id too long": _parent(f"00-{TRACE}3-{PARENT}-01"),
    "trace id too short": _parent(f"00-{TRACE[:-1]}-{PARENT}-01"),
    "parent id all zero": _parent(f"00-{TRACE}-{'0' * 16}-01"),
    "parent id with a dot first": _parent(f"00-{TRACE}-.{PARENT[1:]}-01"),
    "parent id with a dot last": _parent(f"00-{TRACE}-{PARENT[:-1]}.-01"),
    "parent id too long": _parent(f"00-{TRACE}-{PARENT}7-01"),
    "parent id too short": _parent(f"00-{TRACE}-{PARENT[:-1]}-01"),
    "flags with a dot first": _parent(f"00-{IDS}-.0"),
    "flags with a dot last": _parent(f"00-{IDS}-0."),
    "flags too long": _parent(f"00-{IDS}-001"),
    "flags too short": _parent(f"00-{IDS}-1"),
    "a space before traceparent": _parent(f" {VALID[1]}", True),
    "a tab before traceparent": _parent(f"\t{VALID[1]}", True),
    "a space after traceparent": _parent(f"{VALID[1]} ", True),
    "a tab after traceparent": _parent(f"{VALID[1]}\t", True),
    "tabs and spaces around traceparent": _parent(f"\t {VALID[1]} \t", True),
    "tracestate alone": Case((("tracestate", "foo=1,bar=2"),), False),
    "tracestate": _state("foo=1,bar=2", wanted=("foo=1", "bar=2")),
    "header name trace-state": _state("foo=1", wanted=None, name="trace-state"),
    "header name trace.state": _state("foo=1", wanted=None, name="trace.state"),
    "header name TraceState": _state("foo=1", wanted=("foo=1",), name="TraceState"),
    "header name TrAcEsTaTe": _state("foo=1", wanted=("foo=1",), name="TrAcEsTaTe"),
    "header name TRACESTATE": _state("foo=1", wanted=("foo=1",), name="TRACESTATE"),
    "tracestate empty": _state("", wanted=None),
    "tracestate with an empty one after it": _state("foo=1", "", wanted=("foo=1",)),
    "tracestate with an empty one before it": _state("", "foo=1", wanted=("foo=1",)),
    "tracestate in three headers": _state(
        "foo=1,bar=2", "rojo=1,congo=2", "baz=3", wanted=("foo=1", "bar=2", "rojo=1", "congo=2", "baz=3")
    ),
    "tracestate with a key twice": _state("foo=1,foo=2", wanted=None, deviation=REPEATED),
    "tracestate with a key in two headers": _state("foo=1", "foo=2", wanted=None, deviation=REPEATED),
    "tracestate with all characters": _state(f"{ALL_KEY}={ALL_VALUE}", wanted=(f"{ALL_KEY}={ALL_VALUE}",)),
    "tracestate with all characters and a tenant": _state(
        f"{ALL_KEY}@a-z0-9_-*/={ALL_VALUE}", wanted=(f"{ALL_KEY}@a-z0-9_-*/={ALL_VALUE}",)
    ),
    "spaces and tabs between members": _state("foo=1 \t , \t bar=2, \t baz=3", wanted=("foo=1", "bar=2", "baz=3")),
    "tabs around spaces between members": _state(
        "foo=1\t \t,\t \tbar=2,\t \tbaz=3", wanted=("foo=1", "bar=2", "baz=3")
    ),
    "a space before tracestate": _state(" foo=1", wanted=("foo=1",)),
    "a tab before tracestate": _state("\tfoo=1", wanted=("foo=1",)),
    "a space after tracestate": _state("foo=1 ", wanted=("foo=1",)),
    "a tab after tracestate": _state("foo=1\t", wanted=("foo=1",)),
    "tabs and spaces around tracestate": _state("\t foo=1 \t", wanted=("foo=1",)),
    "a key with a space": _state("foo =1", wanted=None),
    "a key in upper case": _state("FOO=1", wanted=None),
    "a key with a dot": _state("foo.bar=1", wanted=None),
    "a key that ends with @": _state("foo@=1,bar=2", wanted=None, deviation=LEVEL_1),
    "a key that begins with @": _state("@foo=1,bar=2", wanted=None),
    "a key with @@": _state("foo@@bar=1,bar=2", wanted=None, deviation=LEVEL_1),
    "a key with two @": _state("foo@bar@baz=1,bar=2", wanted=None, deviation=LEVEL_1),
    "32 members": _state(",".join(MEMBERS[:32]), wanted=MEMBERS[:32]),
    "32 members in four headers": _state(
        *(",".join(MEMBERS[first : min(first + 10, 32)]) for first in range(0, 32, 10)), wanted=MEMBERS[:32]
    ),
    "33 members": _state(",".join(MEMBERS), wanted=None),
    "a key of 256 characters": _state("foo=1", f"{'z' * 256}=1", wanted=("foo=1", f"{'z' * 256}=1")),
    "a key of 257 characters": _state("foo=1", f"{'z' * 257}=1", wanted=None),
    "a tenant of 241 characters": _state(
        "foo=1", f"{'t' * 241}@{'v' * 14}=1", wanted=("foo=1", f"{'t' * 241}@{'v' * 14}=1")
    ),
    "a tenant of 242 characters": _state("foo=1", f"{'t' * 242}@v=1", wanted=None, deviation=LEVEL_1),
    "a system of 15 characters": _state("foo=1", f"t@{'v' * 15}=1", wanted=None, deviation=LEVEL_1),
    "a value with =": _state("foo=bar=baz", wanted=None),
    "an empty value": _state("foo=,bar=3", wanted=None),
    # Beyond the suite: lengths of values, and no limit to the whole below 8192 characters.
    "trace id in upper case": _parent(f"00-{'AB' * 16}-{PARENT}-01"),
    "traceparent empty": _parent(""),
    "tracestate with a malformed traceparent": Case((("traceparent", f"{VALID[1]}-"), ("tracestate", "foo=1")), False),
    "a value of 256 characters": _state(f"foo={'v' * 256}", wanted=(f"foo={'v' * 256}",)),
    "a value of 257 characters": _state(f"foo={'v' * 257}", wanted=None),
    "more than 512 characters": _state(
        f"foo={'v' * 250},bar={'w' * 250},baz=1", wanted=(f"foo={'v' * 250}", f"bar={'w' * 250}", "baz=1")
    ),
    "the random flag": _parent(f"00-{IDS}-03", True),
}  # fmt: skip
