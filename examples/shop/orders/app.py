# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""The routes of the orders service."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import UUID

from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from opentelemetry import trace

from orders.model import NewOrder, NewOrders, Order, Orders
from orders.ordering import Ordering, OutOfStock, PricingFailed, UnknownSku

logger = logging.getLogger("orders")


def create_app(connect: Callable[[], AbstractAsyncContextManager[Ordering]]) -> FastAPI:
    """The orders service. connect: what it works with, for as long as it runs."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with connect() as ordering:
            app.state.ordering = ordering
            yield

    app = FastAPI(title="orders", lifespan=lifespan)

    @app.exception_handler(UnknownSku)
    async def unknown_sku(request: Request, error: UnknownSku) -> JSONResponse:
        return JSONResponse({"detail": f"the shop does not sell {error}"}, 404)

    @app.exception_handler(OutOfStock)
    async def out_of_stock(request: Request, error: OutOfStock) -> JSONResponse:
        return JSONResponse({"detail": f"there are not enough pieces of {error} in stock"}, 409)

    @app.exception_handler(PricingFailed)
    async def pricing_failed(request: Request, error: PricingFailed) -> JSONResponse:
        # A handled exception is on no span unless it is recorded. The status comes from the agent, which sees the 502.
        trace.get_current_span().record_exception(error)
        logger.error("%s", error)
        return JSONResponse({"detail": str(error)}, 502)

    @app.post("/orders", status_code=201)
    async def place_order(request: Request, order: NewOrder) -> Order:
        return await ordering(request).place(order)

    # Before /orders/{order_id}, which would match it.
    @app.post("/orders/batch", status_code=201)
    async def place_orders(request: Request, new: NewOrders) -> Orders:
        return Orders(orders=await ordering(request).place_all(new.orders))

    @app.get("/orders/{order_id}")
    async def get_order(request: Request, order_id: UUID) -> Order:
        order = await ordering(request).find(order_id)
        if order is None:
            raise HTTPException(404, f"there is no order {order_id}")
        return order

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        return {"status": "ok"}

    return app


def ordering(request: Request) -> Ordering:
    service: Ordering = request.app.state.ordering
    return service
