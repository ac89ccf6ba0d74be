# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""The Prometheus text exposition format: parse it, take differences, add up. Pure.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

Series = tuple[str, frozenset[tuple[str, str]]]
Samples = dict[Series, float]

_LINE = re.compile(
    r"""([a-zA-Z_:][a-zA-Z0-9_:]*)              # name
        \s*(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})?  # labels; their values may hold braces
        \s+(\S+)(?:\s+-?\d+)?                   # value, time
        \s*(?:\#.*)?                            # exemplar""",
    re.VERBOSE,
)
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")


def parse(text: str) -> Samples:
    """Value of every series, by metric name and labels.

    Comments, and lines of newer forms such as quoted UTF-8 names, are passed over.
    """
    samples: Samples = {}
    for line in text.splitlines():
        match = _LINE.fullmatch(line.strip())
        if match is None:
            continue
        name, labels, value = match.groups()
        try:
            number = float(value)
        except ValueError:
            continue
        pairs = frozenset((key, _unescape(text)) for key, text in _LABEL.findall(labels or ""))
        samples[name, pairs] = number
    return samples


def increase(before: Mapping[Series, float], after: Mapping[Series, float]) -> Samples:
    """How far each counter of one process went up. After a restart (a lower value) it counts from 0, as in PromQL."""
    return {
        series: value - before[series] if value >= before.get(series, 0.0) and series in before else value
        for series, value in after.items()
    }


def add(parts: Iterable[Mapping[Series, float]]) -> Samples:
    """The sum of the same series over several processes."""
    total: Samples = {}
    for part in parts:
        for series, value in part.items():
            total[series] = total.get(series, 0.0) + value
    return total


def has(samples: Mapping[Series, float], name: str) -> bool:
    """Whether a metric is there at all; name as in total."""
    return any(metric in (name, name + "_total") for metric, _labels in samples)


def total(samples: Mapping[Series, float], name: str, **labels: str) -> float:
    """Sum of all series of a metric with these labels.

    name stands for itself and for name_total: OpenTelemetry's exporter adds the suffix to counters or not, by version
    and setting.
    """
    wanted = labels.items()
    return sum(
        value
        for (metric, pairs), value in samples.items()
        if metric in (name, name + "_total") and all(pair in pairs for pair in wanted)
    )


def by_label(samples: Mapping[Series, float], name: str, label: str, **labels: str) -> dict[str, float]:
    """The same, separately for each value of one label. Series without that label count under ''."""
    values: dict[str, float] = {}
    wanted = labels.items()
    for (metric, pairs), value in samples.items():
        if metric in (name, name + "_total") and all(pair in pairs for pair in wanted):
            key = dict(pairs).get(label, "")
            values[key] = values.get(key, 0.0) + value
    return dict(sorted(values.items()))


def _unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: "\n" if match[1] == "n" else match[1], text)
