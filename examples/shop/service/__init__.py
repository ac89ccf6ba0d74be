# SPDX-FileCopyrightText: orion.tracing contributors
# SPDX-License-Identifier: Apache-2.0
"""What the Python services share: JSON logs, the HTTP server, the wait for what a service needs at its start."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

import uvicorn
from fastapi import FastAPI

from service import logs

T = TypeVar("T")
# Longer than any client here keeps an idle connection (Node.js 4 s, httpx and Java 5 s, the API server's proxy 90 s): a
# request that is sent on a connection which the server has just closed is lost.
KEEP_ALIVE_SECONDS = 95
logger = logging.getLogger(__name__)


def setting(name: str) -> str:
    """The environment variable of this name; without it the service ends with a message."""
    value = os.environ.get(name)
    if not value:
        raise SystemExit(f"the environment variable {name} is missing; the service cannot start without it; set it")
    return value


def serve(app: FastAPI) -> None:
    """Serves the application on PORT (default: 8080) until the process is asked to end."""
    logs.configure()
    port = int(os.environ.get("PORT", "8080"))
    # log_config: uvicorn logs as the service does. access_log: the services log what happened instead.
    uvicorn.run(
        app, host="0.0.0.0", port=port, log_config=None, access_log=False, timeout_keep_alive=KEEP_ALIVE_SECONDS
    )


async def wait_for(what: str, connect: Callable[[], Awaitable[T]], errors: type[Exception], seconds: float = 60) -> T:
    """The result of connect, which is tried again for so many seconds while it raises one of these errors."""
    end = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await connect()
        except errors as error:
            if asyncio.get_running_loop().time() > end:
                raise
            logger.info("waiting for %s: %s", what, error)
            await asyncio.sleep(0.5)
