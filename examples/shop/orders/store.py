# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""Stock and orders in PostgreSQL. The agent makes a span of each statement, without the values of its parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, Uuid, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from orders.model import Order

metadata = MetaData()
stock = Table("stock", metadata, Column("sku", Text, primary_key=True), Column("available", BigInteger, nullable=False))
orders = Table(
    "orders",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("sku", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("total_cents", BigInteger, nullable=False),
)

SKUS = ("book", "slow", "broken-price", "flaky-shipment")
# More than any load test sells.
INITIAL_STOCK = 1_000_000_000


class OrderStore(Protocol):
    """What ordering needs of a store."""

    async def known(self, sku: str) -> bool:
        """Whether the shop sells this sku."""

    async def take(self, sku: str, quantity: int) -> int | None:
        """Takes so many pieces from the stock. Returns what is left, or None where there are not enough."""

    async def put_back(self, sku: str, quantity: int) -> None:
        """Puts pieces back into the stock."""

    async def add(self, order: Order) -> None:
        """Stores a new order."""

    async def find(self, order_id: UUID) -> Order | None:
        """The order with this id."""


class Store(OrderStore):
    """The tables of a PostgreSQL database. url: postgresql://user:password@host/database."""

    def __init__(self, url: str) -> None:
        self._engine = create_async_engine(make_url(url).set(drivername="postgresql+psycopg"), pool_size=10)

    async def prepare(self) -> None:
        """Creates the tables that are missing, and the stock of each sku that has none."""
        rows: Sequence[dict[str, object]] = [{"sku": sku, "available": INITIAL_STOCK} for sku in SKUS]
        async with self._engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            await connection.execute(insert(stock).values(rows).on_conflict_do_nothing())

    async def close(self) -> None:
        await self._engine.dispose()

    async def known(self, sku: str) -> bool:
        async with self._engine.connect() as connection:
            return await connection.scalar(select(stock.c.sku).where(stock.c.sku == sku)) is not None

    async def take(self, sku: str, quantity: int) -> int | None:
        statement = (
            update(stock)
            .where(stock.c.sku == sku, stock.c.available >= quantity)
            .values(available=stock.c.available - quantity)
            .returning(stock.c.available)
        )
        async with self._engine.begin() as connection:
            left: int | None = await connection.scalar(statement)
        return left

    async def put_back(self, sku: str, quantity: int) -> None:
        statement = update(stock).where(stock.c.sku == sku).values(available=stock.c.available + quantity)
        async with self._engine.begin() as connection:
            await connection.execute(statement)

    async def add(self, order: Order) -> None:
        async with self._engine.begin() as connection:
            await connection.execute(insert(orders).values(order.model_dump()))

    async def find(self, order_id: UUID) -> Order | None:
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(orders).where(orders.c.id == order_id))).mappings().first()
        return Order.model_validate(dict(row)) if row else None
