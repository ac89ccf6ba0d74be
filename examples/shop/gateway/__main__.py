# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Starts the gateway."""

import httpx

from gateway.app import create_app
from service import serve, setting

serve(create_app(httpx.AsyncClient(base_url=setting("ORDERS_URL"), timeout=30)))
