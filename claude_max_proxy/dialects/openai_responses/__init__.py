"""OpenAI's Responses API, a built-in plugin."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta

from claude_max_proxy import InvalidRequest, ProxyError, RegisterDialect, Request, hookimpl
from claude_max_proxy import Settings as BaseSettings
from claude_max_proxy.dialect import Dialect, Exchange
from claude_max_proxy.dialects.openai_responses.envelope import Envelope, error_envelope, shown_thoughts
from claude_max_proxy.dialects.openai_responses.items import resolved
from claude_max_proxy.dialects.openai_responses.output import Item, Items
from claude_max_proxy.dialects.openai_responses.reading import Asked, hear, read
from claude_max_proxy.dialects.openai_responses.routes import StoredResponses
from claude_max_proxy.dialects.openai_responses.schemas import ResponseRequest
from claude_max_proxy.dialects.openai_responses.store import Store, Stored
from claude_max_proxy.dialects.openai_responses.writing import Keep, ResponsesWriter
from claude_max_proxy.route import Route


Count = Annotated[int, Meta(ge=1)]


class Settings(BaseSettings, frozen=True):
    """Which responses are kept in memory, so that a later request can go on from them."""

    store: Annotated[
        bool,
        Meta(
            description="Keep each response whose request does not forbid it, so that "
            "`previous_response_id` can name it."
        ),
    ] = True
    store_limit: Annotated[
        Count,
        Meta(
            description="How many responses are kept at most. Beyond it, the one that was used least "
            "recently is dropped."
        ),
    ] = 1000
    store_bytes: Annotated[
        Count, Meta(description="How large all kept responses may be together, in bytes.")
    ] = 100_000_000


class OpenAIResponses(Dialect):
    """``POST /v1/responses``, with and without ``/v1``, and the routes for stored responses."""

    name = "openai-responses"
    routes: tuple[str, ...] = ("/v1/responses", "/responses")
    body = ResponseRequest

    def __init__(self, settings: Settings | None = None) -> None:
        """Begin without stored responses."""
        self._settings = settings or Settings()
        self.stored = StoredResponses(Store())

    @property
    def further_routes(self) -> tuple[Route, ...]:
        """The routes for stored responses."""
        return self.stored.routes()

    def open(self, body: bytes) -> Exchange:
        """Read the body of a request for a response."""
        request, asked = read(body)
        if asked.body.store and not self._settings.store:
            request.ignore("store")
        keep = self._keep(asked)
        envelope = Envelope(request.model, asked.body, stored=keep is not None)
        items = Items(asked.origins, bool(shown_thoughts(asked.body)))
        return Exchange(
            request, ResponsesWriter(envelope, items, keep), partial(self._resume, request, asked)
        )

    def take_over(self, before: Dialect) -> None:
        """Go on with the responses that ``before`` has stored."""
        if isinstance(before, OpenAIResponses):
            self.stored.store = before.stored.store

    def keep_only(self, owners: Collection[str]) -> None:
        """Forget the responses of all other owners."""
        self.stored.store.keep_only(owners)

    def error(self, error: ProxyError) -> bytes:
        """Return an error in OpenAI's envelope."""
        return msgspec.json.encode(error_envelope(error))

    def _resume(self, request: Request, asked: Asked) -> None:
        """Note who will own the response, and add the conversation from which the request goes on."""
        asked.owner = owner = request.client.owner
        if asked.goes_back:
            store = self.stored.store
            asked.history = self._history(asked)
            asked.items = resolved(asked.items, lambda id_: store.item(id_, owner))
            hear(request, asked.body, [msgspec.json.decode(raw) for raw in asked.history], asked.items)

    def _keep(self, asked: Asked) -> Keep | None:
        if not self._settings.store or asked.body.store is False:
            return None

        def keep(id_: str, body: bytes, output: list[Item]) -> None:
            own = (msgspec.json.encode(item) for item in asked.items)
            given = tuple(msgspec.json.encode(item) for item in output)
            stored = Stored(id_, asked.owner, body, (*asked.history, *own), given)
            settings = self._settings
            self.stored.store.put(stored, most=settings.store_limit, most_bytes=settings.store_bytes)

        return keep

    def _history(self, asked: Asked) -> tuple[bytes, ...]:
        before = asked.body.previous_response_id
        if not before:
            return ()

        stored = self.stored.store.get(before, asked.owner)
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
    """Add the dialect of the Responses API."""
    register(OpenAIResponses(settings))
