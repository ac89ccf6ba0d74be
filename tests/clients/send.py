# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Sends one trace with OpenTelemetry's own exporter of a protocol; runs in the environment of requirements/clients.txt.

usage: send.py PROTOCOL HOST:PORT RUN. Prints the trace's ids as JSON.
"""

from __future__ import annotations

import json
import sys

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode


def exporter(protocol: str, host: str) -> SpanExporter:
    if protocol == "otlp-grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc

        return Grpc(endpoint=f"http://{host}", insecure=True)
    if protocol == "otlp-http":
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http

        return Http(endpoint=f"http://{host}/v1/traces")
    if protocol == "jaeger-grpc":
        from opentelemetry.exporter.jaeger.proto.grpc import JaegerExporter as JaegerGrpc

        return JaegerGrpc(collector_endpoint=host, insecure=True)
    if protocol == "jaeger-thrift":
        from opentelemetry.exporter.jaeger.thrift import JaegerExporter as JaegerThrift

        return JaegerThrift(collector_endpoint=f"http://{host}/api/traces?format=jaeger.thrift")
    if protocol == "zipkin-json":
        from opentelemetry.exporter.zipkin.json import ZipkinExporter as ZipkinJson

        return ZipkinJson(endpoint=f"http://{host}/api/v2/spans")
    if protocol == "zipkin-proto":
        from opentelemetry.exporter.zipkin.proto.http import ZipkinExporter as ZipkinProto

        return ZipkinProto(endpoint=f"http://{host}/api/v2/spans")
    raise SystemExit(f"{protocol} is no protocol of this script")


class Checked(SpanExporter):
    """Remembers what the exporter of the protocol answered, which the SDK ignores."""

    def __init__(self, inner: SpanExporter) -> None:
        self.inner, self.results = inner, []

    def export(self, spans):
        self.results.append(self.inner.export(spans))
        return self.results[-1]

    def shutdown(self) -> None:
        self.inner.shutdown()


def main() -> None:
    protocol, host, run = sys.argv[1:]
    checked = Checked(exporter(protocol, host))
    provider = TracerProvider(resource=Resource.create({"service.name": f"client-{protocol}"}))
    provider.add_span_processor(SimpleSpanProcessor(checked))
    tracer = provider.get_tracer("orion.clients")
    with tracer.start_as_current_span("GET /orders", kind=SpanKind.SERVER) as root:
        root.set_attribute("orion.client.run", run)
        root.set_attribute("http.request.method", "GET")
        with tracer.start_as_current_span("SELECT orders", kind=SpanKind.CLIENT) as child:
            child.set_attribute("orion.client.run", run)
            child.set_attribute("db.rows", 3)
            child.set_status(Status(StatusCode.ERROR, "deadlock"))
    provider.shutdown()
    failed = [result for result in checked.results if result is not SpanExportResult.SUCCESS]
    if failed or len(checked.results) != 2:
        raise SystemExit(f"{protocol}: the exporter reports {checked.results}")
    ids = {
        "trace_id": f"{root.context.trace_id:032x}",
        "root": f"{root.context.span_id:016x}",
        "child": f"{child.context.span_id:016x}",
    }
    print(json.dumps(ids))


if __name__ == "__main__":
    main()
