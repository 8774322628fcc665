"""The connections to one API: httpx, over aiohttp's connections where that is possible.

httpx's own transport, which is used for proxies and HTTP/2, takes more than twice the CPU time per request.
docs/architecture.md has the measurements.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Mapping

import aiohttp
import httpx

from claude_max_proxy.http_upstream.breakage import reason
from claude_max_proxy.http_upstream.endpoint import Endpoint
from claude_max_proxy.http_upstream.failures import ConnectionBroken
from claude_max_proxy.http_upstream.pool import KEEP_ALIVE, newest, pooled_by_aiohttp
from claude_max_proxy.http_upstream.response import UpstreamResponse
from claude_max_proxy.http_upstream.settings import HttpSettings
from claude_max_proxy.http_upstream.trust import trusted


_CLOSE_TIMEOUT = 2.0
# From this size on, in bytes, aiohttp logs a warning about a body that is not a stream.
_STREAMED = 1024 * 1024
# The adapter lets some of aiohttp's errors through. RuntimeError is raised by a client that was closed.
_BROKEN = (httpx.TransportError, aiohttp.ClientError, RuntimeError)
_HUNG_UP = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)


class Connections:
    """The connections to one API, one for each request at a time.

    The caller limits how many requests there are at a time, and how long they may take.
    """

    def __init__(self, endpoint: Endpoint, settings: HttpSettings, tls: ssl.SSLContext | None) -> None:
        """Prepare, without opening a connection; ``tls`` is needed for HTTPS, for proxies and for HTTP/2."""
        limit = settings.connect_timeout
        self._endpoint = endpoint
        self._headers = httpx.Headers([("host", endpoint.authority), *endpoint.headers])
        # httpx's limit on the wait for the pool becomes aiohttp's limit on making a connection.
        self._extensions = {"timeout": {"connect": limit, "pool": limit}}
        self._urls: dict[str, httpx.URL] = {}
        self._transport: httpx.AsyncBaseTransport
        if settings.http2 or endpoint.proxy:
            self._transport = _by_httpx(endpoint, settings, tls)
        else:
            self._transport = pooled_by_aiohttp(tls)

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> UpstreamResponse:
        """Send a request with these headers and the endpoint's; return when the answer's head has arrived.

        The other side may close an idle connection at the moment when it is used again. Then it has answered
        nothing, and another connection is tried. Raises :class:`ConnectionBroken` if no connection can be
        made, or if it breaks.
        """
        request = self._request(path, body, headers)
        while True:
            newest.set(None)
            try:
                return await _answer(await self._transport.handle_async_request(request))
            except _BROKEN as error:
                line = newest.get()
                stale = line is not None and line.used and isinstance(error.__cause__, _HUNG_UP)
                if not stale:
                    raise ConnectionBroken(reason(error)) from error
            except asyncio.CancelledError:
                _hang_up()
                raise

    async def close(self) -> None:
        """Close all connections, within a time limit."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._transport.aclose()

    def _request(self, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Request:
        url = self._urls.get(path)
        if url is None:
            url = self._urls[path] = httpx.URL(self._endpoint.url(path))
        sent = self._headers.copy()
        sent["content-length"] = str(len(body))
        sent.update(headers)
        stream = httpx.ByteStream(body)
        request = httpx.Request("POST", url, headers=sent, stream=stream, extensions=self._extensions)
        if len(body) < _STREAMED:
            request.read()
        return request


async def prepared(endpoint: Endpoint, settings: HttpSettings) -> Connections:
    """Return the connections to ``endpoint``, after loading the certificates if they are needed."""
    tls = None
    if endpoint.tls or endpoint.proxy or settings.http2:
        tls = await asyncio.to_thread(trusted, settings.tls_ca, http2=settings.http2)
    return Connections(endpoint, settings, tls)


def _hang_up() -> None:
    """Abort the connection of a request that has no answer yet.

    If it were only closed, it would first send the rest of the request.
    """
    line = newest.get()
    if line is not None and line.transport is not None:
        line.transport.abort()


async def _answer(response: httpx.Response) -> UpstreamResponse:
    """Return the answer, to be read; raise :class:`ConnectionBroken` if it asks for another protocol."""
    answer = UpstreamResponse(response, _BROKEN)
    if answer.status == 101:
        await answer.close()
        raise ConnectionBroken("it wants to speak another protocol than HTTP")
    return answer


def _by_httpx(
    endpoint: Endpoint, settings: HttpSettings, tls: ssl.SSLContext | None
) -> httpx.AsyncBaseTransport:
    assert tls is not None
    return httpx.AsyncHTTPTransport(
        verify=tls,
        http2=settings.http2,
        limits=httpx.Limits(max_keepalive_connections=settings.max_connections, keepalive_expiry=KEEP_ALIVE),
        proxy=endpoint.proxy or None,
    )
