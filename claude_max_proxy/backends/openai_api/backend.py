"""The OpenAI-compatible backend: writes the question, lets the client ask it, and reads the answer."""

from __future__ import annotations

from functools import partial

import msgspec

from claude_max_proxy import Check, Events, HttpBackend, InvalidRequest, Request
from claude_max_proxy.backends.openai_api.reading import AnswerReader
from claude_max_proxy.backends.openai_api.settings import OpenAIApiSettings
from claude_max_proxy.backends.openai_api.tools import names_of
from claude_max_proxy.backends.openai_api.writing import compose


class OpenAIApi(HttpBackend):
    """One ``[backends.<name>]`` of type ``openai``."""

    any_stop = True

    def __init__(self, name: str, settings: OpenAIApiSettings) -> None:
        """Prepare; nothing is opened before :meth:`start`."""
        key = settings.key(name)
        super().__init__(name, settings, {"authorization": f"Bearer {key.reveal()}"} if key else {})
        self.honours = settings.honoured
        self._settings = settings

    def check(self) -> Check:
        """Return the check that it is there and takes the key."""
        return self.upstream.check("/models")

    def answer(self, request: Request, model: str) -> Events:
        """Answer with the events of one chat completion, which is always streamed from the upstream."""
        body = partial(compose, request, model, self._settings)
        return self.ask(
            "/chat/completions", body, partial(AnswerReader, self.name, names_of(request)), request
        )

    async def embed(self, body: bytes, model: str) -> bytes:
        """Ask for embeddings; the client's body goes on as it is, but for the model's name."""
        try:
            fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"the body is not a JSON object: {error}", code="invalid_json") from error
        fields["model"] = msgspec.Raw(msgspec.json.encode(model))
        return await self.upstream.ask("/embeddings", msgspec.json.encode(fields))
