# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""Starts the gateway."""

import httpx

from gateway.app import create_app
from service import serve, setting

serve(create_app(httpx.AsyncClient(base_url=setting("ORDERS_URL"), timeout=30)))
