# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""What comes in and goes out over HTTP and Kafka."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field


class NewOrder(BaseModel):
    """An order as a customer places it."""

    sku: Annotated[str, Field(min_length=1, max_length=100)]
    quantity: Annotated[int, Field(ge=1, le=1000)]


class NewOrders(BaseModel):
    """Several orders in one request."""

    orders: Annotated[list[NewOrder], Field(min_length=1, max_length=100)]


class Order(NewOrder):
    """An order as it is stored and announced."""

    id: UUID
    total_cents: int


class Orders(BaseModel):
    """The orders of a batch."""

    orders: list[Order]
