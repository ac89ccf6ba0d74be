# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""Starts the orders service."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError
from sqlalchemy.exc import OperationalError

from orders.app import create_app
from orders.ordering import Ordering
from orders.store import Store
from service import serve, setting, wait_for

DATABASE, KAFKA, PRICING = setting("DATABASE_URL"), setting("KAFKA_BOOTSTRAP_SERVERS"), setting("PRICING_URL")


@asynccontextmanager
async def connect() -> AsyncIterator[Ordering]:
    """The service with its database, its prices and its topic."""
    async with AsyncExitStack() as stack:
        store = Store(DATABASE)
        stack.push_async_callback(store.close)
        await wait_for("the database", store.prepare, OperationalError)

        # The messages of a batch go out together: within 10 ms.
        producer = AIOKafkaProducer(bootstrap_servers=KAFKA, linger_ms=10)
        stack.push_async_callback(producer.stop)
        await wait_for("Kafka", producer.start, KafkaConnectionError)

        prices = await stack.enter_async_context(httpx.AsyncClient(base_url=PRICING, timeout=20))
        yield Ordering(store, prices, producer)


serve(create_app(connect))
