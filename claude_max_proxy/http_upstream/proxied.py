"""The way to an API by httpx: through the environment's proxy, or over HTTP/2."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping

import httpx

from claude_max_proxy.http_upstream.endpoint import Endpoint
from claude_max_proxy.http_upstream.exchange import ConnectionBroken
from claude_max_proxy.http_upstream.settings import HttpSettings


_CLOSE_TIMEOUT = 2.0


class HttpxExchange:
    """An answer that httpx reads."""

    def __init__(self, response: httpx.Response) -> None:
        """Begin after the head."""
        self.status = response.status_code
        self.headers: Mapping[str, str] = response.headers
        self._response = response
        self._chunks = response.aiter_raw()

    async def read(self) -> bytes:
        """Give the next piece of the body, nothing at its end."""
        try:
            return await anext(self._chunks, b"")
        except (httpx.TransportError, httpx.StreamError) as error:
            raise ConnectionBroken(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Close the answer; httpx keeps the connection only after its end."""
        await self._response.aclose()


class Httpx:
    """A pool of httpx's connections to one endpoint."""

    def __init__(self, endpoint: Endpoint, settings: HttpSettings, tls: ssl.SSLContext) -> None:
        """Prepare the client, once; how many ask at once is bounded by who asks, and so is all waiting."""
        self._endpoint = endpoint
        self._headers = [
            (name.encode(), text.encode()) for name, text in (("host", endpoint.authority), *endpoint.headers)
        ]
        self._client = httpx.AsyncClient(
            verify=tls,
            http2=settings.http2,
            limits=httpx.Limits(max_keepalive_connections=settings.max_connections),
            timeout=httpx.Timeout(None, connect=settings.connect_timeout),
        )

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> HttpxExchange:
        """Ask; return when the answer's head is there."""
        more = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
        url = self._endpoint.url(path)
        request = httpx.Request("POST", url, headers=[*self._headers, *more], content=body)
        try:
            return HttpxExchange(await self._client.send(request, stream=True))
        except httpx.TransportError as error:
            raise ConnectionBroken(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        """Close the client."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._client.aclose()
