/*
 * SPDX-FileCopyrightText: orion.tracing contributors
 * SPDX-License-Identifier: Apache-2.0
 *
 * The Node.js agent: NODE_OPTIONS=--require …/autoinstrumentation.js starts OpenTelemetry before the application.
 *
 * All settings are OpenTelemetry's environment variables. One is ours:
 *   OTEL_BAGGAGE_SPAN_ATTRIBUTES  baggage keys, comma separated, that every span gets as attributes; default: none
 * and OTEL_PROPAGATORS takes `jaeger`, which the SDK itself does not know any more.
 *
 * An error here leaves the application running without traces, with one message on stderr.
 *
 * Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
 */
'use strict';

const { register } = require('node:module');
const { pathToFileURL } = require('node:url');
const { isInternalThread, isMainThread } = require('node:worker_threads');

function list(variable) {
  return (process.env[variable] ?? '').split(',').map((word) => word.trim()).filter(Boolean);
}

function number(variable) {
  const value = Number(process.env[variable]);
  return value > 0 ? value : undefined;
}

/** Span processors with the one for baggage; undefined, so that the SDK makes its own, where no key is asked for. */
function spanProcessors(diag) {
  const keys = new Set(list('OTEL_BAGGAGE_SPAN_ATTRIBUTES'));
  const exporters = list('OTEL_TRACES_EXPORTER');
  if (!keys.size) return undefined;
  if (exporters.length && exporters.join() !== 'otlp') {
    diag.warn(`OTEL_BAGGAGE_SPAN_ATTRIBUTES needs OTEL_TRACES_EXPORTER=otlp, which is ${exporters}: it has no effect.`);
    return undefined;
  }
  const { BaggageSpanProcessor } = require('@opentelemetry/baggage-span-processor');
  const { BatchSpanProcessor } = require('@opentelemetry/sdk-trace');
  const protocols = { grpc: 'grpc', 'http/json': 'http', 'http/protobuf': 'proto' };
  const asked = process.env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL || process.env.OTEL_EXPORTER_OTLP_PROTOCOL;
  const { OTLPTraceExporter } = require(`@opentelemetry/exporter-trace-otlp-${protocols[asked?.trim()] ?? 'proto'}`);
  const batches = new BatchSpanProcessor({
    exporter: new OTLPTraceExporter(),
    maxQueueSize: number('OTEL_BSP_MAX_QUEUE_SIZE'),
    scheduledDelayMillis: number('OTEL_BSP_SCHEDULE_DELAY'),
    exportTimeoutMillis: number('OTEL_BSP_EXPORT_TIMEOUT'),
    maxExportBatchSize: number('OTEL_BSP_MAX_EXPORT_BATCH_SIZE'),
  });
  return [new BaggageSpanProcessor((key) => keys.has(key)), batches];
}

/** Propagators with Jaeger's; undefined, so that the SDK makes its own, where it is not asked for. */
function textMapPropagator(diag) {
  const names = list('OTEL_PROPAGATORS');
  if (!names.includes('jaeger')) return undefined;
  const { CompositePropagator, W3CBaggagePropagator, W3CTraceContextPropagator } = require('@opentelemetry/core');
  const { B3InjectEncoding, B3Propagator } = require('@opentelemetry/propagator-b3');
  const { JaegerPropagator } = require('@opentelemetry/propagator-jaeger');
  const known = {
    b3: () => new B3Propagator(),
    b3multi: () => new B3Propagator({ injectEncoding: B3InjectEncoding.MULTI_HEADER }),
    baggage: () => new W3CBaggagePropagator(),
    jaeger: () => new JaegerPropagator(),
    tracecontext: () => new W3CTraceContextPropagator(),
  };
  for (const name of names.filter((name) => !known[name])) {
    diag.warn(`OTEL_PROPAGATORS: ${name} is not one of ${Object.keys(known)}: it is left out.`);
  }
  return new CompositePropagator({ propagators: names.flatMap((name) => known[name]?.() ?? []) });
}

/**
 * Spans and log records that wait are exported before the process ends. A process that has no listener of its own for
 * SIGTERM ends by it, as it does without the agent. One whose listener removes itself and sends SIGTERM again ends by the
 * second.
 */
function exportAtTheEnd(sdk, providers) {
  const shutdown = () => sdk.shutdown().catch(() => undefined);
  process.once('beforeExit', shutdown);
  process.on('SIGTERM', async function end() {
    if (process.listenerCount('SIGTERM') > 1) {
      await Promise.allSettled(providers().map((provider) => provider?.forceFlush?.()));
      return;
    }
    await shutdown();
    process.removeListener('SIGTERM', end);
    process.kill(process.pid, 'SIGTERM');
  });
}

function start() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 22 || (major === 22 && minor < 15)) {
    throw new Error(`Node.js is ${process.versions.node}, and the instrumentations need 22.15 or later`);
  }
  const { diag, DiagConsoleLogger, DiagLogLevel, logs, trace } = require('@opentelemetry/api');
  // without OTEL_LOG_LEVEL the SDK is silent, also about an endpoint that does not answer and about dropped spans
  if (!process.env.OTEL_LOG_LEVEL) diag.setLogger(new DiagConsoleLogger(), { logLevel: DiagLogLevel.WARN });
  const { getNodeAutoInstrumentations } = require('@opentelemetry/auto-instrumentations-node');
  const { NodeSDK } = require('@opentelemetry/sdk-node');
  // modules that the application loads with `import`; threads inherit it
  if (isMainThread) register('@opentelemetry/instrumentation/hook.mjs', pathToFileURL(__filename));
  const sdk = new NodeSDK({
    instrumentations: [getNodeAutoInstrumentations()],
    spanProcessors: spanProcessors(diag),
    textMapPropagator: textMapPropagator(diag),
  });
  sdk.start();
  exportAtTheEnd(sdk, () => [trace.getTracerProvider().getDelegate?.(), logs.getLoggerProvider()]);
}

try {
  // Node.js runs --require in the thread of the module hooks too, where no application runs
  if (!isInternalThread) start();
} catch (error) {
  console.error(`OpenTelemetry did not start, so there are no traces of this process: ${error.message}`);
}
