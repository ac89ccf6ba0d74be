# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""The routes of the fulfilment service, and its consumer, which runs beside them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query

from fulfilment.shipping import shipping_cost

logger = logging.getLogger("fulfilment")


def create_app(consume: Callable[[], Awaitable[None]]) -> FastAPI:
    """The fulfilment service. consume: processes messages until it is cancelled."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        consumer = asyncio.ensure_future(consume())
        consumer.add_done_callback(report)
        app.state.consumer = consumer
        yield
        consumer.cancel()
        await asyncio.wait([consumer])

    app = FastAPI(title="fulfilment", lifespan=lifespan)

    @app.get("/shipping-cost")
    async def cost(quantity: Annotated[int, Query(ge=1, le=1000)]) -> dict[str, int]:
        return {"shipping_cost_cents": shipping_cost(quantity)}

    @app.get("/healthz")
    async def health() -> dict[str, str]:
        # Kubernetes starts the pod again where the consumer has ended.
        if app.state.consumer.done():
            raise HTTPException(503, "the consumer has ended; the log has the reason")
        return {"status": "ok"}

    return app


def report(consumer: asyncio.Future[None]) -> None:
    if not consumer.cancelled() and (error := consumer.exception()):
        logger.error("the consumer has ended", exc_info=error)
