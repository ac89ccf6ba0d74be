# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""The Python agent: PYTHONPATH has this file's folder, so Python runs it before the application.

It lies where opentelemetry-instrumentation has a file of the same name and purpose, and does three things more:

- What OpenTelemetry depends on (protobuf, requests, typing_extensions, wrapt and so on) comes last on the import path.
  An application that has such a package keeps its own version; only what it lacks is taken from the agent.
- OTEL_BAGGAGE_SPAN_ATTRIBUTES: baggage keys, comma separated, that every span gets as attributes. Default: none.
- A process that ends by SIGTERM exports the spans and log records that wait first. Python does so only when it exits
  of itself, and uvicorn, for one, ends by the signal.

An error here leaves the application running without traces, with one message in its log.

Source: https://docs.python.org/3/library/site.html#module-sitecustomize
"""

# mypy: ignore-errors
# (it runs beside packages that this checkout does not have)

import logging
import os
import signal
import sys
import threading
import time
from pathlib import Path

AGENT = Path(__file__).resolve().parents[3]
LONGEST_EXPORT = 5.0  # seconds, of the 30 that Kubernetes gives a pod by default


def copy_baggage(provider, keys):
    """Adds upstream's processor for exactly these keys to the tracer provider."""
    from opentelemetry.processor.baggage import BaggageSpanProcessor

    provider.add_span_processor(BaggageSpanProcessor(keys.__contains__))


def export_at_sigterm(*providers):
    """Leaves a handler of the application's own, or of the server that embeds Python, as it is."""
    if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        return

    def end(signum, frame):
        # in a thread: the signal may have interrupted the code that holds the exporter's lock
        exports = [threading.Thread(target=provider.shutdown, daemon=True) for provider in providers]
        for export in exports:
            export.start()
        last = time.monotonic() + LONGEST_EXPORT
        for export in exports:
            export.join(max(0, last - time.monotonic()))
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)

    signal.signal(signal.SIGTERM, end)


def start():
    sys.path.append(str(AGENT / "dependencies"))
    from opentelemetry.instrumentation.auto_instrumentation import initialize

    initialize()
    from opentelemetry._logs import get_logger_provider
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import get_tracer_provider

    provider = get_tracer_provider()
    if not isinstance(provider, TracerProvider):  # OTEL_SDK_DISABLED, or what failed is in the log
        return
    keys = {key.strip() for key in os.environ.get("OTEL_BAGGAGE_SPAN_ATTRIBUTES", "").split(",")} - {""}
    if keys:
        copy_baggage(provider, keys)
    logs = get_logger_provider()
    export_at_sigterm(provider, *([logs] if isinstance(logs, LoggerProvider) else []))


try:
    start()
except Exception:
    logging.getLogger(__name__).exception("OpenTelemetry did not start, so there are no traces of this process")
