# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# Private to this collection: not an interface for users, may change in any release.
"""W3C tracestate as Go's OpenTelemetry SDK reads it.

Source: https://www.w3.org/TR/trace-context/#tracestate-header
"""

from __future__ import annotations

import re

_KEY = re.compile(r"[a-z][_0-9a-z\-*/]{0,255}|[a-z0-9][_0-9a-z\-*/]{0,240}@[a-z][_0-9a-z\-*/]{0,13}", re.ASCII)
_VALUE = re.compile(r"[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]", re.ASCII)


def parse_trace_state(text: str) -> dict[str, str] | None:
    """Values by key. None for text that ParseTraceState of go.opentelemetry.io/otel/trace v1.45.0 refuses."""
    if not text:
        return {}
    found: dict[str, str] = {}
    for member in text.split(","):
        if not member:
            continue
        key, sign, value = member.partition("=")
        key, value = key.lstrip(" \t"), value.rstrip(" \t")
        if not sign or not _KEY.fullmatch(key) or not _VALUE.fullmatch(value):
            return None
        if key in found:
            return None
        found[key] = value
        if len(found) > 32:
            return None
    return found
