"""The OpenAI-compatible backend: writes the question, lets the client ask it, and reads the answer."""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import Events, HttpUpstream, InvalidRequest, ModelInfo, Request
from claude_max_proxy.backends.openai_api.reading import AnswerReader
from claude_max_proxy.backends.openai_api.settings import OpenAIApiSettings
from claude_max_proxy.backends.openai_api.writing import write


class OpenAIApi:
    """One ``[backends.<name>]`` of type ``openai``."""

    def __init__(self, name: str, settings: OpenAIApiSettings) -> None:
        """Prepare; nothing is opened before :meth:`start`."""
        self.name = name
        self.honours = settings.honoured
        self._settings = settings
        key = settings.key(name)
        self._upstream = HttpUpstream(
            name, settings, {"authorization": f"Bearer {key.reveal()}"} if key else {}
        )

    async def start(self) -> None:
        """Get ready, without connecting."""
        await self._upstream.start()

    async def stop(self) -> None:
        """Close every connection."""
        await self._upstream.stop()

    def describe(self, model: str) -> ModelInfo:
        """Say what the settings say of ``model``."""
        return self._upstream.describe(model)

    def health(self) -> dict[str, Any]:
        """Say how the newest answer ended."""
        return self._upstream.health()

    def answer(self, request: Request, model: str) -> Events:
        """Answer with the events of one chat completion, which is always streamed from the upstream."""
        body = write(request, model, self._settings)
        return self._upstream.answer("/chat/completions", body, AnswerReader(self.name))

    async def embed(self, body: bytes, model: str) -> bytes:
        """Ask for embeddings; the client's body goes on as it is, but for the model's name."""
        try:
            fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"the body is not a JSON object: {error}", code="invalid_json") from error
        fields["model"] = msgspec.Raw(msgspec.json.encode(model))
        return await self._upstream.ask("/embeddings", msgspec.json.encode(fields))
