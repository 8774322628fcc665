"""The Messages API backend: writes the question, lets the client ask it, and reads the answer."""

from __future__ import annotations

from functools import partial

import msgspec

from claude_max_proxy import Check, Events, HttpBackend, ModelInfo, Request, UpstreamFailed
from claude_max_proxy.backends.anthropic_api.reading import AnswerReader
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings
from claude_max_proxy.backends.anthropic_api.tools import answer_tool, names_of
from claude_max_proxy.backends.anthropic_api.writing import NATIVE, compose, headers, write_count


class _Count(msgspec.Struct):
    """What the upstream counted."""

    input_tokens: int


_decode_count = msgspec.json.Decoder(_Count).decode


class AnthropicApi(HttpBackend):
    """One ``[backends.<name>]`` of type ``anthropic``."""

    honours = frozenset(NATIVE)

    def __init__(self, name: str, settings: AnthropicApiSettings) -> None:
        """Prepare; nothing is opened before :meth:`start`."""
        key = settings.key(name)
        headers = {"anthropic-version": settings.version}
        super().__init__(name, settings, headers | ({"x-api-key": key.reveal()} if key else {}))
        self._settings = settings

    def describe(self, model: str) -> ModelInfo:
        """Say what the settings say of ``model``."""
        info = super().describe(model)
        return info if info.owner else msgspec.structs.replace(info, owner="anthropic")

    def check(self) -> Check:
        """Return the check that it is there and takes the key."""
        return self.upstream.check("/v1/models")

    def answer(self, request: Request, model: str) -> Events:
        """Answer with the events of one message, which is always streamed from the upstream."""
        body = partial(compose, request, model, self._settings)
        reader = partial(AnswerReader, self.name, answer_tool(request, model), names_of(request))
        return self.ask("/v1/messages", body, reader, request, headers(request))

    async def count_tokens(self, request: Request, model: str) -> int:
        """Let the upstream count what a request would put in."""
        body = write_count(request, model, self._settings)
        answer = await self.upstream.ask("/v1/messages/count_tokens", body, headers(request))
        try:
            return _decode_count(answer).input_tokens
        except msgspec.DecodeError as error:
            raise UpstreamFailed(f"the provider's count cannot be read: {error}") from error
