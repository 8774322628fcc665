"""The Messages API backend: writes the request, sends it, and reads the answer."""

from __future__ import annotations

from functools import partial

import msgspec

from claude_max_proxy import Check, Events, Request, aside, is_large
from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.backends.anthropic_api.reading import AnswerReader
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings
from claude_max_proxy.backends.anthropic_api.tools import answer_tool, names_of
from claude_max_proxy.backends.anthropic_api.writing import NATIVE, compose, headers, write_count
from claude_max_proxy.errors import UpstreamFailed
from claude_max_proxy.http_upstream import HttpBackend


class _Count(msgspec.Struct):
    """The upstream's answer to a request to count tokens."""

    input_tokens: int


_decode_count = msgspec.json.Decoder(_Count).decode


class AnthropicApi(HttpBackend):
    """One ``[backends.<name>]`` of type ``anthropic``."""

    honours = frozenset(NATIVE)

    def __init__(self, name: str, settings: AnthropicApiSettings) -> None:
        """Prepare the client; no connection is opened yet."""
        key = settings.key(name)
        headers = {"anthropic-version": settings.version}
        super().__init__(name, settings, headers | ({"x-api-key": key.reveal()} if key else {}))
        self._settings = settings

    def describe(self, model: str) -> ModelInfo:
        """Return what the settings say about ``model``."""
        info = super().describe(model)
        return info if info.owner else msgspec.structs.replace(info, owner="anthropic")

    def check(self) -> Check:
        """Return the check that the API answers and accepts the key."""
        return self.upstream.check("/v1/models")

    def answer(self, request: Request, model: str) -> Events:
        """Answer with the events of one message, which is always streamed from the upstream."""
        body = partial(compose, request, model, self._settings)
        reader = partial(AnswerReader, self.name, answer_tool(request, model), names_of(request))
        return self.ask("/v1/messages", body, reader, request, headers(request))

    async def count_tokens(self, request: Request, model: str) -> int:
        """Ask the upstream how many input tokens a request would have.

        Raises :class:`UpstreamFailed` for an answer that cannot be read.
        """
        write = partial(write_count, request, model, self._settings)
        body = await aside(write, large=is_large(request))
        answer = await self.upstream.ask("/v1/messages/count_tokens", body, headers(request))
        try:
            return _decode_count(answer).input_tokens
        except msgspec.DecodeError as error:
            raise UpstreamFailed(f"the provider's count cannot be read: {error}") from error
