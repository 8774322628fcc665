"""The answers that are under way, by their owners: when an API key is revoked, its answers are ended."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any, Protocol

from litestar.response import Response
from litestar.types import ASGIApp, Receive, Scope, Send

from claude_max_proxy.errors import InvalidKey, ProxyError, Stopping


class Endable(Protocol):
    """An answer: an ASGI application that can be ended early."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the answer."""

    def end(self, error: ProxyError) -> None:
        """End the answer with a failure."""


class Answering(Response[None]):
    """Lets a route answer with an ASGI application."""

    def __init__(self, application: ASGIApp) -> None:
        """Answer with ``application``."""
        super().__init__(None)
        self._application = application

    def to_asgi_response(self, *_: Any, **__: Any) -> ASGIApp:  # type: ignore[override]  # any ASGI application serves
        """Return the application."""
        return self._application


class Running:
    """The answers of one application that are under way."""

    def __init__(self) -> None:
        """Begin without answers."""
        self._answers: dict[str, set[Endable]] = defaultdict(set)
        self._owners: Collection[str] | None = None
        self._streams: set[Endable] = set()
        self._closed = False

    def sent(self, answer: Endable, owner: str, *, awaited: bool = True) -> Response[None]:
        """Return what a route returns to have ``answer`` sent, for as long as its owner's key holds.

        If nobody waits for the end of the answer, it is not ``awaited``, and :meth:`end_streams` ends it.
        """

        async def send_it(scope: Scope, receive: Receive, send: Send) -> None:
            self._answers[owner].add(answer)
            if not awaited:
                self._streams.add(answer)
            if not awaited and self._closed:
                answer.end(_closing())
            if self._is_revoked(owner):  # it may have been revoked since its key was checked
                answer.end(_revoked())
            try:
                await answer(scope, receive, send)
            finally:
                self._streams.discard(answer)
                self._answers[owner].discard(answer)
                if not self._answers[owner]:
                    del self._answers[owner]

        return Answering(send_it)

    def end_streams(self) -> None:
        """End all answers that nobody waits for the end of, also those that begin later."""
        self._closed = True
        for stream in self._streams:
            stream.end(_closing())

    def keep_only(self, owners: Collection[str]) -> int:
        """End all answers to other API keys than these, also those that begin later.

        Returns how many answers were ended now. Answers to requests without a key, which were sent when none
        was needed, go on.
        """
        self._owners = owners
        ended = [
            answer for owner, those in self._answers.items() if self._is_revoked(owner) for answer in those
        ]
        for answer in ended:
            answer.end(_revoked())
        return len(ended)

    def _is_revoked(self, owner: str) -> bool:
        return bool(owner) and self._owners is not None and owner not in self._owners


def _revoked() -> InvalidKey:
    return InvalidKey("this proxy no longer accepts this API key: it was removed or changed")


def _closing() -> Stopping:
    return Stopping("the configuration that this answer belongs to has gone out of use")
