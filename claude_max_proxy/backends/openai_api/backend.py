"""The OpenAI-compatible backend: writes the request, sends it, and reads the answer."""

from __future__ import annotations

from functools import partial

import msgspec

from claude_max_proxy import Check, Events, InvalidRequest, Request
from claude_max_proxy.backends.openai_api.reading import AnswerReader
from claude_max_proxy.backends.openai_api.settings import OpenAIApiSettings
from claude_max_proxy.backends.openai_api.tools import names_of
from claude_max_proxy.backends.openai_api.writing import compose
from claude_max_proxy.errors import UpstreamFailed
from claude_max_proxy.http_upstream import HttpBackend


class _Embeddings(msgspec.Struct):
    """What an answer must contain; the rest is passed on to the client unread."""

    data: list[msgspec.Raw]


_embeddings = msgspec.json.Decoder(_Embeddings)


class OpenAIApi(HttpBackend):
    """One ``[backends.<name>]`` of type ``openai``."""

    any_stop = True

    def __init__(self, name: str, settings: OpenAIApiSettings) -> None:
        """Prepare the client; no connection is opened yet."""
        key = settings.key(name)
        super().__init__(name, settings, {"authorization": f"Bearer {key.reveal()}"} if key else {})
        self.honours = settings.honoured
        self._settings = settings

    def check(self) -> Check:
        """Return the check that the API answers and accepts the key."""
        return self.upstream.check("/models")

    def answer(self, request: Request, model: str) -> Events:
        """Answer with the events of one chat completion, which is always streamed from the upstream."""
        body = partial(compose, request, model, self._settings)
        return self.ask(
            "/chat/completions", body, partial(AnswerReader, self.name, names_of(request)), request
        )

    async def embed(self, body: bytes, model: str) -> bytes:
        """Ask for embeddings, and return the body of the answer.

        The client's body is passed on unchanged, except for the model's name. Raises :class:`InvalidRequest`
        if it is no JSON object, and :class:`UpstreamFailed` if the answer is no list of embeddings.
        """
        try:
            fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        except msgspec.DecodeError as error:
            raise InvalidRequest(f"the body is not a JSON object: {error}", code="invalid_json") from error
        fields["model"] = msgspec.Raw(msgspec.json.encode(model))
        answer = await self.upstream.ask("/embeddings", msgspec.json.encode(fields))
        try:
            _embeddings.decode(answer)
        except (msgspec.DecodeError, RecursionError) as error:
            raise UpstreamFailed(f"the provider's answer is no list of embeddings: {error}") from error
        return answer
