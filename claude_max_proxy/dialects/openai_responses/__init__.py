"""OpenAI's Responses API, a built-in plugin."""

from __future__ import annotations

from typing import Annotated

import msgspec

from claude_max_proxy import (
    Dialect,
    InvalidRequest,
    ProxyError,
    RegisterDialect,
    Request,
    Route,
    hookimpl,
)
from claude_max_proxy import Settings as BaseSettings
from claude_max_proxy.dialects.openai_responses.envelope import Envelope, error_envelope, shown_thoughts
from claude_max_proxy.dialects.openai_responses.items import resolved
from claude_max_proxy.dialects.openai_responses.output import Item, Items
from claude_max_proxy.dialects.openai_responses.reading import STATE, Asked, hear, read
from claude_max_proxy.dialects.openai_responses.routes import StoredResponses
from claude_max_proxy.dialects.openai_responses.schemas import ResponseRequest
from claude_max_proxy.dialects.openai_responses.store import Store, Stored
from claude_max_proxy.dialects.openai_responses.writing import Keep, ResponsesWriter


Count = Annotated[int, msgspec.Meta(ge=1)]


class Settings(BaseSettings, frozen=True):
    """``[plugins.openai_responses]``: whether responses are kept, in memory, and how many at most."""

    store: bool = True
    store_limit: Count = 1000
    store_bytes: Count = 100_000_000


class OpenAIResponses:
    """``POST /v1/responses``, with and without ``/v1``, and what is kept of it."""

    name = "openai-responses"
    routes: tuple[str, ...] = ("/v1/responses", "/responses")
    body = ResponseRequest

    def __init__(self, settings: Settings | None = None) -> None:
        """Begin with nothing stored."""
        self._settings = settings or Settings()
        self.stored = StoredResponses(Store())

    @property
    def further_routes(self) -> tuple[Route, ...]:
        """The routes of stored responses."""
        return self.stored.routes()

    def read(self, body: bytes) -> Request:
        """Read a response request."""
        request = read(body)
        asked: Asked = request.state[STATE]
        if asked.body.store and not self._settings.store:
            request.ignore("store")
        return request

    def resume(self, request: Request) -> None:
        """Put the conversation together that ``request`` goes on from, as far as it was stored."""
        asked: Asked = request.state[STATE]
        if asked.goes_back:
            key, store = request.client.key, self.stored.store
            asked.history = self._history(asked, key)
            asked.items = resolved(asked.items, lambda id_: store.item(id_, key))
            hear(request, asked.body, [msgspec.json.decode(raw) for raw in asked.history], asked.items)

    def take_over(self, before: Dialect) -> None:
        """Go on with the responses that ``before`` has stored."""
        if isinstance(before, OpenAIResponses):
            self.stored.store = before.stored.store

    def writer(self, request: Request) -> ResponsesWriter:
        """Begin the answer."""
        asked: Asked = request.state[STATE]
        keep = self._keep(asked, request.client.key)
        envelope = Envelope(request.model, asked.body, stored=keep is not None)
        return ResponsesWriter(envelope, Items(asked.origins, bool(shown_thoughts(asked.body))), keep)

    def error(self, error: ProxyError) -> bytes:
        """Write OpenAI's error envelope."""
        return msgspec.json.encode(error_envelope(error))

    def _keep(self, asked: Asked, key: str) -> Keep | None:
        if not self._settings.store or asked.body.store is False:
            return None

        def keep(id_: str, body: bytes, output: list[Item]) -> None:
            own = (msgspec.json.encode(item) for item in asked.items)
            given = tuple(msgspec.json.encode(item) for item in output)
            stored = Stored(id_, key, body, (*asked.history, *own), given)
            settings = self._settings
            self.stored.store.put(stored, most=settings.store_limit, most_bytes=settings.store_bytes)

        return keep

    def _history(self, asked: Asked, key: str) -> tuple[bytes, ...]:
        before = asked.body.previous_response_id
        if not before:
            return ()

        stored = self.stored.store.get(before, key)
        if stored is None:
            raise InvalidRequest(
                f"Previous response with id {before[:100]!r} not found: it was never stored, or "
                "is not any more; send the whole conversation as input",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        return stored.items


@hookimpl
def register_dialects(register: RegisterDialect, settings: Settings) -> None:
    """Serve the Responses API."""
    register(OpenAIResponses(settings))
