// SPDX-FileCopyrightText: orion.tracing contributors
// SPDX-License-Identifier: Apache-2.0
'use strict';
// The storefront: what customers reach, in front of the gateway. There is no tracing set-up here: the agent brings it.

const http = require('node:http');

const { context, propagation, trace } = require('@opentelemetry/api');
const express = require('express');
const pino = require('pino');

const GATEWAY = process.env.GATEWAY_URL || 'http://gateway';
const PORT = Number(process.env.PORT || 8080);

// The agent adds trace_id and span_id to each line.
const log = pino({ base: undefined, messageKey: 'message', timestamp: pino.stdTimeFunctions.isoTime });

const app = express();
app.use(express.json());

/**
 * Puts the tenant into the baggage, which all later requests and messages of the trace carry.
 *
 * It runs before express, where the active span is that of the request; in a middleware it may be the middleware's.
 */
function withTenant(request, response) {
  const tenant = request.headers['x-tenant-id'];
  if (!tenant) {
    app(request, response);
    return;
  }
  // The agent copies the baggage to spans when they start, and the span of this request has started.
  trace.getActiveSpan()?.setAttribute('tenant.id', tenant);
  const baggage = (propagation.getActiveBaggage() ?? propagation.createBaggage()).setEntry('tenant.id', { value: tenant });
  context.with(propagation.setBaggage(context.active(), baggage), () => app(request, response));
}

/** Passes the gateway's answer on. A gateway that cannot be reached is a 502. */
async function order(path, body, response) {
  let answer;
  try {
    answer = await fetch(`${GATEWAY}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(40_000),
    });
  } catch (error) {
    // A handled exception is on no span unless it is recorded. The agent sets the status, from the 502.
    trace.getActiveSpan()?.recordException(error);
    log.error({ error: String(error) }, 'the gateway does not answer');
    response.status(502).json({ detail: 'the gateway does not answer' });
    return;
  }
  log.info({ status: answer.status }, 'checkout');
  response.status(answer.status).type('json').send(await answer.text());
}

app.post('/checkout', async (request, response) => {
  const { sku, quantity } = request.body ?? {};
  await order('/api/v1/orders', { sku, quantity }, response);
});

app.post('/checkout/batch', async (request, response) => {
  const { orders } = request.body ?? {};
  await order('/api/v1/orders/batch', { orders }, response);
});

app.get('/', (request, response) => {
  response.sendFile('index.html', { root: __dirname });
});

app.get('/healthz', (request, response) => {
  response.json({ status: 'ok' });
});

// Longer than a client keeps an idle connection (the API server's proxy 90 s): a request that is sent on a connection
// which the server has just closed is lost.
const server = http.createServer({ keepAliveTimeout: 95_000 }, withTenant);
server.listen(PORT, () => log.info({ port: PORT }, 'the storefront serves'));

process.on('SIGTERM', () => server.close());
