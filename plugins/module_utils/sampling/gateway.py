# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""What the gateways do to traces before the samplers see them: head sampling, and attributes that are inserted.

Rules: processor/probabilisticsamplerprocessor (sampler_mode.go, tracesprocessor.go), pkg/sampling (probability.go,
randomness.go) and processor/{attributes,resource}processor v0.158.0 of opentelemetry-collector-contrib.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from ansible_collections.orion.tracing.plugins.module_utils.common.errors import InvalidInput
from ansible_collections.orion.tracing.plugins.module_utils.otlp import documents as otlp
from ansible_collections.orion.tracing.plugins.module_utils.sampling.evaluate import expand

DIGITS = 14
# Thresholds and the randomness of trace ids have 56 bits. A threshold of this is never reached.
NEVER = 1 << (4 * DIGITS)
DEFAULT_PRECISION = 4
MODES = ("proportional", "equalizing")


def head_threshold(percentage: float, precision: int = DEFAULT_PRECISION) -> int:
    """How many of 2^56 values of randomness are rejected: ProbabilityToThresholdWithPrecision of pkg/sampling.

    percentage: 0 to 100, which the processor holds as a float of 32 bits. precision: hexadecimal digits, more where the
    probability is close to 0 or 1.
    """
    held = min(struct.unpack("f", struct.pack("f", percentage))[0], 100.0)
    if held <= 0:
        return NEVER
    ratio = max(held / 100, 1 / NEVER)
    if ratio == 1:
        return 0
    # Go's division of the exponent, which is at most 0 here, cuts towards 0.
    digits = min(DIGITS, max(precision + -math.frexp(part)[1] // 4 for part in (ratio, 1 - ratio)))
    threshold = NEVER - math.floor(Fraction(ratio * NEVER) + Fraction(1, 2))
    shift = 4 * (DIGITS - digits)
    if shift:
        threshold = (threshold + (1 << (shift - 1))) >> shift << shift
    return threshold


@dataclass(frozen=True)
class Gateway:
    """threshold: of head_threshold; 0 rejects nothing. resource, spans: attributes that are added where there are
    none of that name."""

    threshold: int = 0
    resource: Mapping[str, Any] = field(default_factory=dict)
    spans: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_config(cls, processors: Mapping[str, Any]) -> Gateway:
        """From the processors of a collector's configuration, in the order of its pipeline. InvalidInput for what
        cannot be predicted.

        Processors other than probabilistic_sampler, resource and attributes are passed over: what k8s_attributes and
        resource_detection add depends on where a trace comes from.
        """
        threshold = 0
        added: dict[str, dict[str, Any]] = {"resource": {}, "attributes": {}}
        for name, config in processors.items():
            kind, settings = name.partition("/")[0], config or {}
            if kind == "probabilistic_sampler":
                threshold = _threshold(name, settings)
            elif kind in added:
                for action in settings.get("attributes" if kind == "resource" else "actions") or ():
                    if action.get("action") != "insert" or "value" not in action:
                        raise InvalidInput(
                            f"the gateways' processor {name} has {action!r}",
                            "what it makes of a trace cannot be predicted",
                            "Use the action insert with a value.",
                        )
                    added[kind].setdefault(action["key"], expand(action["value"], name))
        return cls(threshold, added["resource"], added["attributes"])

    def passes(self, trace_id: str) -> bool:
        """Whether head sampling keeps the spans of a trace without a tracestate of its own: by the last 56 bits of the
        trace id.

        Source: https://www.w3.org/TR/trace-context-2/#randomness-of-trace-id
        """
        return self.threshold <= int(trace_id[-DIGITS:], 16)

    def document(self, document: otlp.Document) -> otlp.Document:
        """A document, of traces that pass, as the samplers get it. The spans have no tracestate of their own."""
        state = {"traceState": f"ot=th:{self.threshold:0{DIGITS}x}".rstrip("0")} if self.threshold else {}
        return {
            "resourceSpans": [
                {
                    **part,
                    "resource": self._with(part.get("resource") or {}, self.resource),
                    "scopeSpans": [
                        {
                            **scope,
                            "spans": [{**self._with(span, self.spans), **state} for span in scope.get("spans") or ()],
                        }
                        for scope in part.get("scopeSpans") or ()
                    ],
                }
                for part in document["resourceSpans"]
            ]
        }

    @staticmethod
    def _with(holder: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
        present = holder.get("attributes") or []
        names = {pair["key"] for pair in present}
        more = otlp.attributes({key: value for key, value in wanted.items() if key not in names})
        return {**holder, "attributes": [*present, *more]}


def _threshold(name: str, settings: Mapping[str, Any]) -> int:
    mode, percentage = settings.get("mode"), settings.get("sampling_percentage", 0)
    if mode not in MODES:
        raise InvalidInput(
            f"the gateways' processor {name} has the mode {mode!r}",
            "what it keeps cannot be predicted",
            f"Use one of {', '.join(MODES)}.",
        )
    if isinstance(percentage, bool) or not isinstance(percentage, (int, float)) or not percentage >= 0:
        raise InvalidInput(
            f"the gateways' processor {name} has the sampling_percentage {percentage!r}", "", "Give 0 to 100."
        )
    return head_threshold(percentage, settings.get("sampling_precision", DEFAULT_PRECISION))
