"""The Messages API backend: writes the question, lets the client ask it, and reads the answer."""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import Events, HttpUpstream, ModelInfo, Request
from claude_max_proxy.backends.anthropic_api.reading import AnswerReader
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings
from claude_max_proxy.backends.anthropic_api.writing import answer_tool, write


class AnthropicApi:
    """One ``[backends.<name>]`` of type ``anthropic``."""

    honours = frozenset({"top_k"})

    def __init__(self, name: str, settings: AnthropicApiSettings) -> None:
        """Prepare; nothing is opened before :meth:`start`."""
        self.name = name
        self._settings = settings
        key = settings.key(name)
        headers = {"anthropic-version": settings.version}
        self._upstream = HttpUpstream(name, settings, headers | ({"x-api-key": key.reveal()} if key else {}))

    async def start(self) -> None:
        """Get ready, without connecting."""
        await self._upstream.start()

    async def stop(self) -> None:
        """Close every connection."""
        await self._upstream.stop()

    def describe(self, model: str) -> ModelInfo:
        """Say what the settings say of ``model``."""
        info = self._upstream.describe(model)
        return info if info.owner else msgspec.structs.replace(info, owner="anthropic")

    def health(self) -> dict[str, Any]:
        """Say how the newest answer ended."""
        return self._upstream.health()

    def answer(self, request: Request, model: str) -> Events:
        """Answer with the events of one message, which is always streamed from the upstream."""
        body = write(request, model, self._settings)
        return self._upstream.answer("/v1/messages", body, AnswerReader(self.name, answer_tool(request)))
