# Copyright: orion.tracing contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A server on this machine made as far away as one in another region: a forwarder of TCP that takes its time."""

from __future__ import annotations

import asyncio
import contextlib
import threading


class Forwarder:
    """Forwards a port of its own, on loopback, to another one; whatever passes arrives half a round trip later.

    A connection is made in no time, so its first bytes wait for a whole round trip more, as its handshake would have.
    """

    def __init__(self, port: int, round_trip: float) -> None:
        self._target, self._delay = port, round_trip / 2
        self._loop = asyncio.new_event_loop()
        self.port = self._loop.run_until_complete(self._listen())
        threading.Thread(target=self._loop.run_forever, daemon=True).start()

    async def _listen(self) -> int:
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port: int = server.sockets[0].getsockname()[1]
        self._server = server
        return port

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(2 * self._delay)
        back, out = await asyncio.open_connection("127.0.0.1", self._target)
        await asyncio.gather(self._pass(reader, out), self._pass(back, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Bytes keep their order because every one of them is as late as the others."""
        with contextlib.suppress(OSError):
            while data := await reader.read(1 << 16):
                self._loop.call_later(self._delay, writer.write, data)
        self._loop.call_later(self._delay, writer.close)
