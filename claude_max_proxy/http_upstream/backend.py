"""What all backends over HTTP have in common: a name, and a client that they start and stop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from functools import partial
from typing import Any

import msgspec

from claude_max_proxy.backend import Backend, ModelInfo
from claude_max_proxy.capabilities.refusals import TRIES, Refusals, explained, refused_parameter, strip, tell
from claude_max_proxy.concurrency.aside import aside, is_large
from claude_max_proxy.errors import UpstreamRefused
from claude_max_proxy.events import Events
from claude_max_proxy.facts.plan_windows import PlanWindow
from claude_max_proxy.http_upstream.client import HttpUpstream
from claude_max_proxy.http_upstream.reader import Reader
from claude_max_proxy.http_upstream.settings import HttpSettings
from claude_max_proxy.request import Request


logger = logging.getLogger(__name__)

_encode = msgspec.json.Encoder().encode
_NO_HEADERS: Mapping[str, str] = {}


class HttpBackend(Backend):
    """One ``[backends.<name>]`` over HTTP; a subclass adds ``answer`` and uses :meth:`ask` for it.

    ``upstream`` is the client of its API. ``refusals`` remembers which parameters its models have refused.
    """

    def __init__(self, name: str, settings: HttpSettings, headers: Mapping[str, str]) -> None:
        """Prepare the client; ``headers`` are those that the API asks for. No connection is opened yet."""
        self.name = name
        self.retries = settings.retries
        self.upstream = HttpUpstream(name, settings, headers)
        self.refusals = Refusals()

    def take_over(self, before: Backend) -> None:
        """Share the bound on connections with the previous configuration's backend, if that is over HTTP."""
        if isinstance(before, HttpBackend):
            self.upstream.take_over(before.upstream)

    async def start(self) -> None:
        """Get ready, without connecting to the API."""
        await self.upstream.start()

    async def stop(self) -> None:
        """Close every connection."""
        await self.upstream.stop()

    def describe(self, model: str) -> ModelInfo:
        """Return what the settings say about ``model``."""
        return self.upstream.describe(model)

    def health(self) -> dict[str, Any]:
        """Return the state of the backend: whether the newest answer failed, and how."""
        return self.upstream.health()

    def windows(self) -> tuple[PlanWindow, ...]:
        """Return the provider's limits, as the headers of its answers have told them."""
        return self.upstream.windows()

    def hear_windows(self, windows: Sequence[PlanWindow]) -> None:
        """Take note of the limits that another replica was told."""
        self.upstream.hear_windows(windows)

    async def ask(
        self,
        path: str,
        compose: Callable[[], dict[str, Any]],
        reader: Callable[[], Reader],
        request: Request,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> Events:
        """Send the body that ``compose`` makes, and yield the events that a ``reader`` makes of the answer.

        ``compose`` returns the body as a ``dict``, which has a ``model``. ``headers`` are sent in addition to
        the usual ones. Closing this generator hangs up. If the model refuses a parameter without which the
        answer means the same, the request is sent again without it, and ``request.ignored`` names it. Raises
        a :class:`ProxyError` for everything else that goes wrong.
        """
        large = is_large(request)
        body, began = await aside(compose, large=large), False
        model = str(body["model"])
        for tries in range(TRIES + 1):
            tell(request, strip(body, self.refusals.of(model, request.tools)))
            try:
                written = await aside(partial(_encode, body), large=large)
                events = self.upstream.stream(path, written, reader(), headers)
                async with aclosing(events):
                    async for event in events:
                        began = True
                        yield event
                break
            except UpstreamRefused as error:
                if began or tries == TRIES or not self.refusals.learn(model, error, body, request.tools):
                    raise explained(error) from error
                logger.warning(
                    "%s: asking again without what %s refuses: %s",
                    self.name,
                    model,
                    refused_parameter(error.message, error.param),
                )
