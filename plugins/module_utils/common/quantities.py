# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""Lengths of time and amounts of memory as Go, Grafana and Kubernetes write them. Pure: no I/O, no Ansible.

Every function takes the text (a number, as YAML reads one, is taken by its text) and raises ValueError, with the text
in its message, for what does not have the shape. Space around it is refused, as it is by those who read it in the end.
It is the caller who knows the option or variable, and names it.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

MEBIBYTE, GIBIBYTE = 2**20, 2**30

# What to write instead of something that is no duration or no quantity.
DURATION_REMEDY = "Write numbers with the units h, m, s or ms, such as 168h, 1h30m or 10s."
QUANTITY_REMEDY = "Write a quantity such as 512Mi or 2Gi."

_NUMBER = r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+"
# Go takes both of Unicode's characters for micro.
_SECONDS = {"ns": 1e-9, "us": 1e-6, "\u00b5s": 1e-6, "\u03bcs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_PART = re.compile(rf"({_NUMBER})({'|'.join(_SECONDS)})")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")

_INTERVAL = re.compile(r"(-?[0-9]+)(ms|s|m|h|d|w)")
_DAYS = {"d": 86400.0, "w": 604800.0}

_SCALES = {"": Decimal(1), "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3")}
_SCALES |= {letter: Decimal(1000) ** power for power, letter in enumerate("kMGTPE", 1)}
_SCALES |= {f"{letter}i": Decimal(1024) ** power for power, letter in enumerate("KMGTPE", 1)}
# No quantity exceeds 2^63 - 1, so two digits are more than any exponent needs.
_QUANTITY = re.compile(rf"([+-]?(?:{_NUMBER}))(?:[eE]([+-]?[0-9]{{1,2}})|({'|'.join(_SCALES)}))")
_NO_MEMORY = re.compile(r"[+-].*|.*[num]|.*[eE]-.*")


def duration_seconds(value: Any) -> float:
    """Seconds of a Go duration: numbers, each with a unit (h, m, s, ms, us, ns), such as 168h, 1h30m, 1.5s or 500ms.

    A sign, and 0 without a unit, are refused although Go takes them: nothing here can last less than no time.
    Source: https://pkg.go.dev/time#ParseDuration.
    """
    if not _DURATION.fullmatch(str(value)):
        raise ValueError(f"'{value}' is not a Go duration such as 10s, 1m30s or 500ms")
    return sum(float(number) * _SECONDS[unit] for number, unit in _PART.findall(str(value)))


def interval_seconds(value: Any) -> float:
    """Seconds of a Grafana interval: one whole number, which may be negative, and one unit (w, d, h, m, s, ms), such as
    -5m or 1h.

    Fractions, and the units M and y, are refused although Grafana takes them, as by the grafana role's chart.
    Source: packages/grafana-data/src/datetime/rangeutil.ts of https://github.com/grafana/grafana.
    """
    match = _INTERVAL.fullmatch(str(value))
    if not match:
        raise ValueError(f"'{value}' is not an interval such as -5m or 1h")
    return int(match[1]) * (_SECONDS | _DAYS)[match[2]]


def quantity(value: Any) -> Decimal:
    """The number that a Kubernetes quantity stands for: one with a suffix (n, u, m, k to E, Ki to Ei), with an exponent
    or alone, such as 500m, 1.5, -2k, 512Mi or 1e9.

    Sources: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/, and for n and u
    pkg/api/resource/suffix.go of https://github.com/kubernetes/apimachinery.
    """
    match = _QUANTITY.fullmatch(str(value))
    if not match:
        raise ValueError(f"'{value}' is not a Kubernetes quantity such as 512Mi or 2Gi")
    number, exponent, suffix = match.groups()
    return Decimal(number) * (Decimal(10) ** int(exponent) if exponent else _SCALES[suffix])


def memory_bytes(value: Any) -> int:
    """Whole bytes of a quantity of memory or storage, such as 512Mi, 2G, 1.5Gi, 1073741824 or 1e9. A fraction of a byte
    is dropped.

    Signs, the suffixes n, u and m, and negative exponents are refused although Kubernetes takes them: nothing is
    measured in thousandths of a byte, so 512m was meant as 512M or 512Mi.
    """
    number = quantity(value)
    if _NO_MEMORY.fullmatch(str(value)):
        raise ValueError(f"'{value}' is not a Kubernetes quantity of bytes such as 512Mi or 2Gi")
    return int(number)


def go_mem_limit(memory_limit: Any, percent: int) -> str:
    """GOMEMLIMIT for a container's memory limit: so many percent of it, in whole MiB, as <n>MiB."""
    return f"{memory_bytes(memory_limit) * percent // 100 // MEBIBYTE}MiB"
