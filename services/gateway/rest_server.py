"""The gateway on a socket: how it begins to listen, and how it stops."""

import asyncio
from contextlib import suppress

from aiohttp import web

from services.gateway.app import Gateway

# For requests that were cancelled to be answered.
LAST_WORDS_SECONDS = 0.5
# aiohttp takes 0 for no limit.
AT_ONCE = 0.05


class RestServer:
    """Serves a gateway; running requests have `drain_seconds` to finish after a stop."""

    def __init__(self, gateway: Gateway, address: str, drain_seconds: float) -> None:
        self._gateway = gateway
        self._address = address
        self._drain_seconds = drain_seconds
        self.port = 0

    async def start(self) -> None:
        """Bind and serve; raises `OSError` when the address is taken. Port 0 picks a free one."""
        self._server = self._gateway.server()
        self._runner = web.ServerRunner(self._server, shutdown_timeout=AT_ONCE)
        await self._runner.setup()
        host, _, port = self._address.rpartition(":")
        self._site = web.TCPSite(self._runner, host.strip("[]"), int(port))
        try:
            await self._site.start()
        except OSError as error:
            await self._runner.cleanup()
            raise OSError(f"cannot listen on {self._address}: {error.strerror}") from error
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Refuse new requests and let running ones finish; what takes too long is told to retry."""
        await self._site.stop()
        # What has arrived already may begin.
        await asyncio.sleep(0)
        self._server.pre_shutdown()
        end = asyncio.get_running_loop().call_later(self._drain_seconds, self._server.interrupt)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._drain_seconds + LAST_WORDS_SECONDS):
                await self._server.shutdown(None)
        end.cancel()
        await self._runner.cleanup()
