"""A client of one API over HTTP: retries until the first byte, limits silences, and hangs up when closed."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any

import msgspec

from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.check import Check
from claude_max_proxy.concurrency.deadline import Deadline
from claude_max_proxy.config import quoted
from claude_max_proxy.config.secret import MASK
from claude_max_proxy.errors import (
    Busy,
    ProxyError,
    UpstreamError,
    UpstreamFailed,
    UpstreamRefused,
    UpstreamTimeout,
)
from claude_max_proxy.events import Event, Events
from claude_max_proxy.facts.plan_windows import PlanWindow, PlanWindows
from claude_max_proxy.http_upstream.doctor import http_check
from claude_max_proxy.http_upstream.endpoint import endpoint
from claude_max_proxy.http_upstream.failures import (
    ConnectionBroken,
    Report,
    failure,
    report_body,
    retry_after,
)
from claude_max_proxy.http_upstream.limit_headers import sightings
from claude_max_proxy.http_upstream.reader import Reader
from claude_max_proxy.http_upstream.settings import HttpSettings
from claude_max_proxy.http_upstream.trust import check_authority


if TYPE_CHECKING:  # httpx is imported where a backend over HTTP is started
    from claude_max_proxy.http_upstream.connections import Connections
    from claude_max_proxy.http_upstream.response import UpstreamResponse

logger = logging.getLogger(__name__)

_RETRIED = frozenset({408, 409, 429})
_LONGEST_WAIT = 10
_BACKOFF = 0.25
_BACKOFF_LIMIT = 8.0
_ERROR_LIMIT = 64 * 1024
_LAST_WAIT = 0.05
_BUSY_RETRY = 1
_NO_HEADERS: Mapping[str, str] = {}


class HttpUpstream:
    """The API of one ``[backends.<name>]``."""

    def __init__(self, name: str, settings: HttpSettings, headers: Mapping[str, str]) -> None:
        """Work out the API's address and headers; ``headers`` are those that the API asks for.

        Raises :class:`ConfigError` for settings that cannot be used. No connection is opened.
        """
        self.name = name
        self._settings = settings
        self._endpoint = endpoint(name, settings, headers)
        check_authority(settings.tls_ca, f"backends.{quoted(name)}.tls_ca")
        self._secrets = [value.encode() for value in self._endpoint.secrets(settings.headers)]
        self._connections: Connections | None = None
        self._room = asyncio.Semaphore(settings.max_connections)
        self._last_failure = ""
        self._windows = PlanWindows()

    def take_over(self, before: HttpUpstream) -> None:
        """Also count the answers of the previous client, if its bound on connections is the same.

        If it had the same address and key, what it knows of the provider's limits is known here too.
        """
        if before._settings.max_connections == self._settings.max_connections:
            self._room = before._room
        if before._endpoint == self._endpoint:
            self._windows = before._windows

    async def start(self) -> None:
        """Get ready, without connecting to the API."""
        # The import takes a while; in a thread, it does not delay other answers.
        await asyncio.to_thread(import_module, "claude_max_proxy.http_upstream.connections")
        from claude_max_proxy.http_upstream.connections import prepared

        self._connections = await prepared(self._endpoint, self._settings)

    async def stop(self) -> None:
        """Close every connection, within a time limit."""
        if self._connections is not None:
            await self._connections.close()

    def check(self, path: str) -> Check:
        """Return a check for ``doctor`` that gets ``path`` and finds out whether the API accepts the key."""
        settings = self._settings
        return http_check(self.name, self._endpoint, path, settings.connect_timeout, settings.tls_ca)

    def describe(self, model: str) -> ModelInfo:
        """Return what the settings say about ``model``."""
        facts = self._settings.models.get(model)
        if facts is None:
            return ModelInfo(model)

        return ModelInfo(
            model, facts.context_window, facts.max_output_tokens, facts.modalities, owner=facts.owner
        )

    def health(self) -> dict[str, Any]:
        """Return the state of the API: whether the newest answer failed, and how."""
        facts = {"status": "degraded" if self._last_failure else "ok", "url": self._endpoint.shown}
        if self._last_failure:
            facts["last_failure"] = self._last_failure
        return facts

    def windows(self) -> tuple[PlanWindow, ...]:
        """Return the provider's limits, as the headers of its answers have told them."""
        return self._windows.current(time.time())

    def hear_windows(self, windows: Sequence[PlanWindow]) -> None:
        """Take note of the limits that another replica was told."""
        for window in windows:
            self._windows.see(window)

    async def stream(
        self, path: str, body: bytes, reader: Reader, headers: Mapping[str, str] = _NO_HEADERS
    ) -> Events:
        """Send ``body``, and yield the events that ``reader`` makes of the answer as it arrives.

        ``headers`` are only sent with this request. Closing this generator hangs up. Raises a
        :class:`ProxyError` for whatever goes wrong.
        """
        idle, length = Deadline(self._settings.idle_timeout), 0
        try:
            async with self._answer_to(path, body, headers) as (response, first):
                piece = first
                while piece:
                    length = self._bounded(length + len(piece))
                    for event in self._read(reader, piece):
                        yield event
                    piece = await (_last(response) if reader.ended else self._next(response, idle))
            for event in reader.finish():
                yield event
        except ProxyError as error:
            self._note(error)
            raise
        finally:
            idle.close()
        self._note(reader.error)

    async def ask(self, path: str, body: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> bytes:
        """Send ``body``, and return the whole body of the answer.

        Raises a :class:`ProxyError` for whatever goes wrong.
        """
        content = bytearray()
        idle = Deadline(self._settings.idle_timeout)
        try:
            async with self._answer_to(path, body, headers) as (response, first):
                piece = first
                while piece:
                    self._bounded(len(content) + len(piece))
                    content += piece
                    piece = await self._next(response, idle)
        except ProxyError as error:
            self._note(error)
            raise
        finally:
            idle.close()
        self._note(None)
        return bytes(content)

    # --- one answer

    @asynccontextmanager
    async def _answer_to(
        self, path: str, body: bytes, headers: Mapping[str, str]
    ) -> AsyncGenerator[tuple[UpstreamResponse, bytes], None]:
        """Wait for a free connection, send the request, and yield the response with its first bytes.

        The response is closed in every case.
        """
        await self._find_room()
        try:
            response, piece = await self._begin(path, body, headers)
            try:
                yield response, piece
            finally:
                await response.close()
        finally:
            self._room.release()

    async def _find_room(self) -> None:
        if not self._room.locked():
            await self._room.acquire()  # this does not wait, as there is room
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

    async def _begin(
        self, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[UpstreamResponse, bytes]:
        """Send the request until the first bytes of an answer arrive, as often as ``retries`` allows."""
        attempt = 0
        while True:
            try:
                return await self._attempt(path, body, headers)
            except _TryAgain as again:
                if attempt >= self._settings.retries:
                    raise again.error from again.__cause__
                wait = again.error.retry_after
                delay = float(wait) if wait else min(_BACKOFF_LIMIT, _BACKOFF * 2.0**attempt)
                logger.warning("%s: trying again after: %s", self.name, again.error.logged)
                await asyncio.sleep(delay * (1 + random.random() / 2))  # noqa: S311  # it only spreads load
                attempt += 1

    async def _attempt(
        self, path: str, body: bytes, headers: Mapping[str, str]
    ) -> tuple[UpstreamResponse, bytes]:
        assert self._connections is not None, "the backend was not started"
        limit = self._settings.first_byte_timeout
        response: UpstreamResponse | None = None
        try:
            async with asyncio.timeout(limit):
                response = await self._connections.post(path, body, headers)
                for window in sightings(response.headers.items(), time.time()):
                    self._windows.see(window)
                if 200 <= response.status < 300:
                    return response, await response.read()
                content = self._hidden(await response.beginning(_ERROR_LIMIT))
        except BaseException as error:
            if response is not None:
                await response.close()
            if isinstance(error, TimeoutError):
                raise UpstreamTimeout(f"nothing came from {self._where} for {limit:g} s") from error
            if isinstance(error, ConnectionBroken):
                raise _TryAgain(self._unreachable(error)) from error
            raise
        await response.close()
        raise self._refused(response, report_body(response.status, content))

    def _hidden(self, content: bytes) -> bytes:
        """Mask our keys in an error that a client will read: some providers repeat the whole request."""
        for secret in self._secrets:
            content = content.replace(secret, MASK.encode())
        return content

    def _refused(self, response: UpstreamResponse, found: Report) -> Exception:
        wait = retry_after(response.headers)
        request_id = response.headers.get("x-request-id") or response.headers.get("request-id", "")
        error = failure(found, self.name, wait, request_id)
        temporary = response.status in _RETRIED or response.status >= 500
        soon = wait is not None and wait <= _LONGEST_WAIT
        patient = soon or (wait is None and response.status != 429)
        forbidden = response.headers.get("x-should-retry") == "false"
        lasting = not isinstance(error, UpstreamError)  # such as an input that is too long
        return _TryAgain(error) if temporary and patient and not forbidden and not lasting else error

    async def _next(self, response: UpstreamResponse, idle: Deadline) -> bytes:
        """Return the next piece of the body, within ``idle_timeout``."""
        try:
            with idle:
                return await response.read()
        except TimeoutError as error:
            limit = self._settings.idle_timeout
            raise UpstreamTimeout(f"nothing more came from {self._where} for {limit:g} s") from error
        except ConnectionBroken as error:
            raise UpstreamFailed(f"the answer of {self._where} broke off: {error}") from error

    def _bounded(self, length: int) -> int:
        """Return ``length``, an answer's bytes so far; raise :class:`UpstreamFailed` if it is too long."""
        if length > self._settings.max_answer_bytes:
            raise UpstreamFailed(
                f"the answer of {self._where} is longer than {self._settings.max_answer_bytes} bytes; "
                "max_answer_bytes sets the limit"
            )
        return length

    def _read(self, reader: Reader, piece: bytes) -> list[Event]:
        try:
            return reader.feed(piece)
        except (ValueError, msgspec.DecodeError) as error:
            raise UpstreamFailed(
                f"{self._where} answers what this type of backend cannot read ({error}); check base_url"
            ) from error

    @property
    def _where(self) -> str:
        return f"[backends.{quoted(self.name)}] ({self._endpoint.shown})"

    def _unreachable(self, error: ConnectionBroken) -> UpstreamFailed:
        return UpstreamFailed(f"{self._where} cannot be reached: {error}; is it running, and base_url right?")

    def _note(self, error: ProxyError | None) -> None:
        """Remember what is wrong with the upstream. If only a request was wrong, the upstream is fine."""
        if isinstance(error, Busy):  # this says nothing about the upstream
            return
        if isinstance(error, UpstreamError) and not isinstance(error, UpstreamRefused):
            self._last_failure = f"{type(error).__name__}: {error.logged}"
        else:
            self._last_failure = ""


class _TryAgain(Exception):
    """The attempt failed for a reason that may be temporary."""

    def __init__(self, error: ProxyError) -> None:
        super().__init__(error.logged)
        self.error = error


async def _last(response: UpstreamResponse) -> bytes:
    """Wait a moment after the last event for the end of the body, so that the connection can be kept."""
    try:
        async with asyncio.timeout(_LAST_WAIT):
            return await response.read()
    except (ConnectionBroken, TimeoutError):
        return b""
