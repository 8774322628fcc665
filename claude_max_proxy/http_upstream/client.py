"""A client of one API over HTTP: tries again before the first byte, watches silences, hangs up when left."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.check import Check
from claude_max_proxy.config import quoted
from claude_max_proxy.deadline import Deadline
from claude_max_proxy.errors import (
    Busy,
    ProxyError,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
)
from claude_max_proxy.events import Event, Events
from claude_max_proxy.http_upstream.checking import http_check
from claude_max_proxy.http_upstream.endpoint import endpoint
from claude_max_proxy.http_upstream.failures import (
    ConnectionBroken,
    Report,
    failure,
    report_body,
    retry_after,
)
from claude_max_proxy.http_upstream.settings import HttpSettings
from claude_max_proxy.http_upstream.trust import check_authority


if TYPE_CHECKING:  # httpx is imported where a backend over HTTP is started
    from claude_max_proxy.http_upstream.connections import Connections
    from claude_max_proxy.http_upstream.exchange import Exchange

logger = logging.getLogger(__name__)

_RETRIED = frozenset({408, 409, 429})
_LONGEST_WAIT = 10
_BACKOFF = 0.25
_BACKOFF_LIMIT = 8.0
_ERROR_LIMIT = 64 * 1024
_LAST_WAIT = 0.05
_BUSY_RETRY = 1
_NO_HEADERS: Mapping[str, str] = {}


class Reader(Protocol):
    """Reads one answer. ``ended`` says that its last word was heard, ``error`` how it failed, if it did."""

    ended: bool
    error: ProxyError | None

    def feed(self, piece: bytes) -> list[Event]:
        """Take more of the body; give the events that it completes."""

    def finish(self) -> list[Event]:
        """Take the body's end; give the events that are still owed."""


class HttpUpstream:
    """The API of one ``[backends.<name>]``."""

    def __init__(self, name: str, settings: HttpSettings, headers: Mapping[str, str]) -> None:
        """Settle where it is; ``headers`` are what its API asks for.

        Raises :class:`ConfigError` for settings that cannot be used. Nothing is opened.
        """
        self.name = name
        self._settings = settings
        self._endpoint = endpoint(name, settings, headers)
        check_authority(settings.tls_ca, f"backends.{quoted(name)}.tls_ca")
        self._connections: Connections | None = None
        self._room = asyncio.Semaphore(settings.max_connections)
        self._last_failure = ""

    async def start(self) -> None:
        """Get ready, without connecting."""
        # A while of importing, in which others are being answered.
        await asyncio.to_thread(import_module, "claude_max_proxy.http_upstream.connections")
        from claude_max_proxy.http_upstream.connections import prepared

        self._connections = await prepared(self._endpoint, self._settings)

    async def stop(self) -> None:
        """Close every connection, within a bound."""
        if self._connections is not None:
            await self._connections.close()

    def check(self, path: str) -> Check:
        """Return a check that gets ``path`` and says whether the API is there and takes the key."""
        settings = self._settings
        return http_check(self.name, self._endpoint, path, settings.connect_timeout, settings.tls_ca)

    def describe(self, model: str) -> ModelInfo:
        """Say what the settings say of ``model``."""
        facts = self._settings.models.get(model)
        if facts is None:
            return ModelInfo(model)

        return ModelInfo(
            model, facts.context_window, facts.max_output_tokens, facts.modalities, owner=facts.owner
        )

    def health(self) -> dict[str, Any]:
        """Say how the newest answer ended."""
        facts = {"status": "degraded" if self._last_failure else "ok", "url": self._endpoint.url("")}
        if self._last_failure:
            facts["last_failure"] = self._last_failure
        return facts

    async def answer(
        self, path: str, body: bytes, reader: Reader, headers: Mapping[str, str] = _NO_HEADERS
    ) -> Events:
        """Ask, and give what ``reader`` makes of the answer as it comes; closing this hangs up.

        ``headers`` go along with this request only.

        Raises the :class:`ProxyError` of whatever goes wrong.
        """
        idle = Deadline(self._settings.idle_timeout)
        try:
            async with self._exchange(path, body, headers) as (exchange, first):
                piece = first
                while piece:
                    for event in self._read(reader, piece):
                        yield event
                    piece = await (_last(exchange) if reader.ended else self._next(exchange, idle))
            for event in reader.finish():
                yield event
        except ProxyError as error:
            self._note(error)
            raise
        finally:
            idle.close()
        self._note(reader.error)

    async def ask(self, path: str, body: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> bytes:
        """Ask, and give the whole body of the answer."""
        content = bytearray()
        idle = Deadline(self._settings.idle_timeout)
        try:
            async with self._exchange(path, body, headers) as (exchange, first):
                piece = first
                while piece:
                    content += piece
                    piece = await self._next(exchange, idle)
        except ProxyError as error:
            self._note(error)
            raise
        finally:
            idle.close()
        self._note(None)
        return bytes(content)

    # --- one answer

    @asynccontextmanager
    async def _exchange(
        self, path: str, body: bytes, headers: Mapping[str, str]
    ) -> AsyncGenerator[tuple[Exchange, bytes], None]:
        """Find room for an exchange, begin it, and give it with its first bytes; close it whatever comes."""
        await self._find_room()
        try:
            exchange, piece = await self._begin(path, body, headers)
            try:
                yield exchange, piece
            finally:
                await exchange.close()
        finally:
            self._room.release()

    async def _find_room(self) -> None:
        if not self._room.locked():
            await self._room.acquire()  # which does not wait then
            return

        limit = self._settings.first_byte_timeout
        try:
            async with asyncio.timeout(limit):
                await self._room.acquire()
        except TimeoutError as error:
            raise Busy(
                f"all {self._settings.max_connections} connections to {self._where} are in use, and none "
                f"came free for {limit:g} s; max_connections sets how many there are",
                retry_after=_BUSY_RETRY,
            ) from error

    async def _begin(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[Exchange, bytes]:
        """Ask until there is a first byte, as often as makes sense."""
        attempt = 0
        while True:
            try:
                return await self._attempt(path, body, headers)
            except _TryAgain as again:
                if attempt >= self._settings.retries:
                    raise again.error from again.__cause__
                wait = again.error.retry_after
                delay = float(wait) if wait else min(_BACKOFF_LIMIT, _BACKOFF * 2.0**attempt)
                logger.warning("%s: trying again after: %s", self.name, again.error.message)
                await asyncio.sleep(delay * (1 + random.random() / 2))  # noqa: S311  # only spreads the load
                attempt += 1

    async def _attempt(self, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[Exchange, bytes]:
        assert self._connections is not None, "the backend was not started"
        limit = self._settings.first_byte_timeout
        exchange: Exchange | None = None
        try:
            async with asyncio.timeout(limit):
                exchange = await self._connections.post(path, body, headers)
                if 200 <= exchange.status < 300:
                    return exchange, await exchange.read()
                content = await exchange.beginning(_ERROR_LIMIT)
        except BaseException as error:
            if exchange is not None:
                await exchange.close()
            if isinstance(error, TimeoutError):
                raise UpstreamTimeout(f"nothing came from {self._where} for {limit:g} s") from error
            if isinstance(error, ConnectionBroken):
                raise _TryAgain(self._unreachable(error)) from error
            raise
        await exchange.close()
        raise self._refused(exchange, report_body(exchange.status, content))

    def _refused(self, exchange: Exchange, found: Report) -> Exception:
        wait = retry_after(exchange.headers)
        error = failure(found, self.name, wait)
        temporary = exchange.status in _RETRIED or exchange.status >= 500
        soon = wait is not None and wait <= _LONGEST_WAIT
        patient = soon or (wait is None and exchange.status != 429)
        forbidden = exchange.headers.get("x-should-retry") == "false"
        lasting = not isinstance(error, UpstreamError)  # the input is too long, however it is said
        return _TryAgain(error) if temporary and patient and not forbidden and not lasting else error

    async def _next(self, exchange: Exchange, idle: Deadline) -> bytes:
        """Wait for more."""
        try:
            with idle:
                return await exchange.read()
        except TimeoutError as error:
            limit = self._settings.idle_timeout
            raise UpstreamTimeout(f"nothing more came from {self._where} for {limit:g} s") from error
        except ConnectionBroken as error:
            raise UpstreamFailed(f"the answer of {self._where} broke off: {error}") from error

    def _read(self, reader: Reader, piece: bytes) -> list[Event]:
        try:
            return reader.feed(piece)
        except (ValueError, msgspec.DecodeError) as error:
            raise UpstreamFailed(
                f"{self._where} answers what this type of backend cannot read ({error}); check base_url"
            ) from error

    @property
    def _where(self) -> str:
        return f"[backends.{quoted(self.name)}] ({self._endpoint.url('')})"

    def _unreachable(self, error: ConnectionBroken) -> UpstreamFailed:
        return UpstreamFailed(f"{self._where} cannot be reached: {error}; is it running, and base_url right?")

    def _note(self, error: ProxyError | None) -> None:
        """Remember what is wrong with the upstream; that a request was wrong says it is well."""
        if isinstance(error, Busy):  # which says nothing of it
            return
        if isinstance(error, UpstreamError) and not isinstance(error, UpstreamRefused):
            self._last_failure = f"{type(error).__name__}: {error.message}"
        else:
            self._last_failure = ""


class _TryAgain(Exception):
    """The attempt failed in a way that may pass."""

    def __init__(self, error: ProxyError) -> None:
        super().__init__(error.message)
        self.error = error


async def _last(exchange: Exchange) -> bytes:
    """Wait a moment, after the answer's last word, for the end that lets the connection live on."""
    try:
        async with asyncio.timeout(_LAST_WAIT):
            return await exchange.read()
    except (ConnectionBroken, TimeoutError):
        return b""
