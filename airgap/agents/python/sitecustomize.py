# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Python agent: PYTHONPATH has this file's folder, so Python runs it before the application.

It lies where opentelemetry-instrumentation has a file of the same name and purpose, and does two things more:

- What OpenTelemetry depends on (protobuf, requests, typing_extensions, wrapt and so on) comes last on the import path.
  An application that has such a package keeps its own version; only what it lacks is taken from the agent.
- OTEL_BAGGAGE_SPAN_ATTRIBUTES: baggage keys, comma separated, that every span gets as attributes. Default: none.

An error here leaves the application running without traces, with one message in its log.

Source: https://docs.python.org/3/library/site.html#module-sitecustomize
"""

import logging
import os
import sys
from pathlib import Path

AGENT = Path(__file__).resolve().parents[3]


def copy_baggage(keys: frozenset[str]) -> None:
    """Adds upstream's processor for exactly these keys to the tracer provider that was just made."""
    from opentelemetry.processor.baggage import BaggageSpanProcessor
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import get_tracer_provider

    provider = get_tracer_provider()
    if isinstance(provider, TracerProvider):
        provider.add_span_processor(BaggageSpanProcessor(keys.__contains__))


def start() -> None:
    sys.path.append(str(AGENT / "dependencies"))
    from opentelemetry.instrumentation.auto_instrumentation import initialize

    initialize()
    keys = frozenset(key.strip() for key in os.environ.get("OTEL_BAGGAGE_SPAN_ATTRIBUTES", "").split(",")) - {""}
    if keys:
        copy_baggage(keys)


try:
    start()
except Exception:
    logging.getLogger(__name__).exception("OpenTelemetry did not start, so there are no traces of this process")
