# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""The gateway's routes. The agent makes the spans of the requests; what is left to write is the tenant's baggage."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID

import httpx
from fastapi import FastAPI, HTTPException, Request, Response
from opentelemetry import baggage, context, trace
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

logger = logging.getLogger("gateway")


class TenantInBaggage:
    """Puts the tenant into the baggage, which all later spans, requests and messages of the trace carry.

    A request through the storefront has it already; one that comes directly names its tenant in x-tenant-id. This is a
    middleware, not a dependency: FastAPI leaves a dependency before it sends the answer to an HTTPException.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        tenant = Headers(scope=scope).get("x-tenant-id") if scope["type"] == "http" else None
        if tenant is None or baggage.get_baggage("tenant.id") is not None:
            await self._app(scope, receive, send)
            return
        # The agent copies the baggage to spans when they start, and the span of this request has started.
        trace.get_current_span().set_attribute("tenant.id", tenant)
        token = context.attach(baggage.set_baggage("tenant.id", tenant))
        try:
            await self._app(scope, receive, send)
        finally:
            context.detach(token)


def create_app(orders: httpx.AsyncClient) -> FastAPI:
    """The gateway in front of the orders service that this client reaches."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with orders:
            yield

    app = FastAPI(title="gateway", lifespan=lifespan)
    app.add_middleware(TenantInBaggage)

    async def forward(request: Request, path: str) -> Response:
        """The answer of the orders service; 502 where it fails."""
        try:
            answer = await orders.request(
                request.method, path, content=await request.body(), headers={"content-type": "application/json"}
            )
        except httpx.TransportError as error:
            # A handled exception leaves no trace unless it is recorded. The agent sets the status, from the 502.
            trace.get_current_span().record_exception(error)
            logger.error("the orders service does not answer: %r", error)
            raise HTTPException(502, "the orders service does not answer") from error
        if answer.is_server_error:
            logger.error("the orders service failed", extra={"fields": {"status": answer.status_code}})
            raise HTTPException(502, "the orders service failed")
        return Response(answer.content, answer.status_code, media_type="application/json")

    @app.post("/api/v1/orders")
    async def place_order(request: Request) -> Response:
        return await forward(request, "/orders")

    # Before /orders/{order_id}, which would match it.
    @app.post("/api/v1/orders/batch")
    async def place_orders(request: Request) -> Response:
        return await forward(request, "/orders/batch")

    @app.get("/api/v1/orders/{order_id}")
    async def get_order(request: Request, order_id: UUID) -> Response:
        return await forward(request, f"/orders/{order_id}")

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app
