# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requests as the simulator's other readers see them."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable

from ansible_collections.orion.tracing.plugins.module_utils.otlp.records import Record, decode_plainly, parse_protobuf
from google.protobuf.json_format import Parse
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

_IDS = re.compile(rb'("(?:traceId|spanId|parentSpanId)": ")([0-9a-f]+)"')


def read_protobuf(requests: Iterable[bytes]) -> list[Record]:
    """By way of protobuf, whose own JSON form has ids in base64."""
    return [parse_protobuf(Parse(_IDS.sub(_base64, body), TracesData()).SerializeToString()) for body in requests]


def _base64(found: re.Match[bytes]) -> bytes:
    return found[1] + base64.b64encode(bytes.fromhex(found[2].decode())) + b'"'


def read_plainly(requests: Iterable[bytes]) -> list[Record]:
    """As they are read without msgspec."""
    return [decode_plainly(body) for body in requests]
