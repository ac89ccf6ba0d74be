# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""Shipments in PostgreSQL."""

from __future__ import annotations

from psycopg_pool import AsyncConnectionPool

from fulfilment.shipping import Order, Shipments

CREATE = """CREATE TABLE IF NOT EXISTS shipments (
  order_id uuid PRIMARY KEY, sku text NOT NULL, quantity integer NOT NULL, attempt integer NOT NULL,
  shipped_at timestamptz NOT NULL DEFAULT now()
)"""
INSERT = """INSERT INTO shipments (order_id, sku, quantity, attempt) VALUES (%s, %s, %s, %s)
  ON CONFLICT (order_id) DO NOTHING"""


class Store(Shipments):
    """The table of shipments. url: postgresql://user:password@host/database."""

    def __init__(self, url: str) -> None:
        self._pool = AsyncConnectionPool(url, min_size=1, max_size=5, open=False)

    async def open(self) -> None:
        """Waits for the database, up to a minute, and creates the table where it is missing."""
        await self._pool.open(wait=True, timeout=60)
        async with self._pool.connection() as connection:
            await connection.execute(CREATE)

    async def close(self) -> None:
        await self._pool.close()

    async def add(self, order: Order) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(INSERT, (order.id, order.sku, order.quantity, order.attempt))
