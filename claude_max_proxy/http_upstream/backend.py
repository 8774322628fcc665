"""What every backend over HTTP is but for its API: a name, and a client that it starts and stops."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import aclosing
from typing import Any

import msgspec

from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.errors import UpstreamRefused
from claude_max_proxy.events import Events
from claude_max_proxy.http_upstream.client import HttpUpstream, Reader
from claude_max_proxy.http_upstream.settings import HttpSettings
from claude_max_proxy.refusals import TRIES, Refusals, explained, strip, tell
from claude_max_proxy.request import Request


logger = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
_NO_HEADERS: Mapping[str, str] = {}


class HttpBackend:
    """One ``[backends.<name>]`` over HTTP; a subclass answers by its ``upstream``.

    ``refusals`` is what its models were seen to refuse.
    """

    def __init__(self, name: str, settings: HttpSettings, headers: Mapping[str, str]) -> None:
        """Prepare; nothing is opened before :meth:`start`. ``headers`` are what its API asks for."""
        self.name = name
        self.upstream = HttpUpstream(name, settings, headers)
        self.refusals = Refusals()

    async def start(self) -> None:
        """Get ready, without connecting."""
        await self.upstream.start()

    async def stop(self) -> None:
        """Close every connection."""
        await self.upstream.stop()

    def describe(self, model: str) -> ModelInfo:
        """Say what the settings say of ``model``."""
        return self.upstream.describe(model)

    def health(self) -> dict[str, Any]:
        """Say how the newest answer ended."""
        return self.upstream.health()

    async def ask(
        self,
        path: str,
        compose: Callable[[], dict[str, Any]],
        reader: Callable[[], Reader],
        request: Request,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Events:
        """Ask with the body that ``compose`` makes, and give what a ``reader`` makes of the answer.

        Closing this hangs up. A parameter that the model refuses is taken out of the body, where the answer
        means the same without it, and named in ``request.ignored``. Raises the :class:`ProxyError` of
        whatever else goes wrong.
        """
        body, began = compose(), False
        model = str(body["model"])
        for tries in range(TRIES + 1):
            tell(request, strip(body, self.refusals.of(model, request.tools)))
            try:
                events = self.upstream.answer(path, _encode(body), reader(), headers)
                async with aclosing(events):
                    async for event in events:
                        began = True
                        yield event
                break
            except UpstreamRefused as error:
                if began or tries == TRIES or not self.refusals.learn(model, error, body, request.tools):
                    raise explained(error) from error
                logger.warning(
                    "%s: asking again without what %s refuses: %s", self.name, model, error.message
                )
