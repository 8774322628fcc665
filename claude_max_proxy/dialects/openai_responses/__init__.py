"""OpenAI's Responses API, a built-in plugin."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Annotated

import msgspec
from msgspec import Meta

from claude_max_proxy import ConfigError, InvalidRequest, ProxyError, RegisterDialect, Request, hookimpl
from claude_max_proxy import Settings as BaseSettings
from claude_max_proxy.dialect import Dialect, Exchange
from claude_max_proxy.dialects.openai_responses.envelope import Envelope, error_envelope, shown_thoughts
from claude_max_proxy.dialects.openai_responses.items import references, resolved
from claude_max_proxy.dialects.openai_responses.memory import MemoryStore
from claude_max_proxy.dialects.openai_responses.output import Item, Items
from claude_max_proxy.dialects.openai_responses.reading import Asked, hear, read
from claude_max_proxy.dialects.openai_responses.routes import StoredResponses
from claude_max_proxy.dialects.openai_responses.schemas import ResponseRequest
from claude_max_proxy.dialects.openai_responses.stored import Stored
from claude_max_proxy.dialects.openai_responses.vaulted import VaultedStore
from claude_max_proxy.dialects.openai_responses.writing import ResponsesWriter
from claude_max_proxy.route import Route
from claude_max_proxy.vault import Vault


Count = Annotated[int, Meta(ge=1)]


class Settings(BaseSettings, frozen=True):
    """Which responses are kept, so that a later request can go on from them.

    The bounds are those of what is kept in memory; with ``[shared]``, that table has others.
    """

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


class _Keeping:
    """Takes a response that is complete, until it is stored."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self.taken: Stored | None = None

    def take(self, id_: str, body: bytes, output: list[Item]) -> None:
        """Take the response with this id, body and output."""
        asked = self._asked
        own = (msgspec.json.encode(item) for item in asked.items)
        given = tuple(msgspec.json.encode(item) for item in output)
        self.taken = Stored(id_, asked.owner, body, (*asked.history, *own), given)


class OpenAIResponses(Dialect):
    """``POST /v1/responses``, with and without ``/v1``, and the routes for stored responses."""

    name = "openai-responses"
    routes: tuple[str, ...] = ("/v1/responses", "/responses")
    body = ResponseRequest

    def __init__(self, settings: Settings | None = None) -> None:
        """Begin without stored responses."""
        self._settings = settings or Settings()
        self.stored = StoredResponses(MemoryStore(self._settings.store_limit, self._settings.store_bytes))

    @property
    def further_routes(self) -> tuple[Route, ...]:
        """The routes for stored responses."""
        return self.stored.routes()

    def open(self, body: bytes) -> Exchange:
        """Read the body of a request for a response."""
        request, asked = read(body)
        if asked.body.store and not self._settings.store:
            request.ignore("store")
        keeping = _Keeping(asked) if self._settings.store and asked.body.store is not False else None
        keep = keeping.take if keeping is not None else None
        envelope = Envelope(request.model, asked.body, stored=keep is not None)
        items = Items(asked.origins, bool(shown_thoughts(asked.body)))
        resume = partial(self._resume, request, asked)
        return Exchange(
            request, ResponsesWriter(envelope, items, keep), resume, partial(self._settle, keeping)
        )

    def take_over(self, before: Dialect) -> None:
        """Go on with the responses that ``before`` has stored."""
        mine, theirs = self.stored.store, getattr(getattr(before, "stored", None), "store", None)
        if isinstance(mine, MemoryStore) and isinstance(theirs, MemoryStore):
            self.stored.store = mine.taking_over(theirs)

    def share(self, vault: Vault | None) -> None:
        """Store responses where every replica finds them."""
        if not self._settings.store:
            return
        if vault is None:
            raise ConfigError(
                "shared.encryption_key: stored responses of all replicas lie in the database of [shared], "
                "sealed with this key; set it, or store none with `store = false` in "
                "[plugins.openai_responses]"
            )
        self.stored.store = VaultedStore(vault)

    def keep_only(self, owners: Collection[str]) -> None:
        """Forget the responses of all other owners."""
        self.stored.store.keep_only(owners)

    def error(self, error: ProxyError) -> bytes:
        """Return an error in OpenAI's envelope."""
        return msgspec.json.encode(error_envelope(error))

    async def _resume(self, request: Request, asked: Asked) -> None:
        """Note who will own the response, and add the conversation from which the request goes on."""
        asked.owner = owner = request.client.owner
        if asked.goes_back:
            asked.history = await self._history(asked)
            found = await self.stored.store.items(references(asked.items), owner)
            asked.items = resolved(asked.items, found.get)
            hear(request, asked.body, [msgspec.json.decode(raw) for raw in asked.history], asked.items)

    async def _settle(self, keeping: _Keeping | None) -> None:
        """Store the response, before its client hears that it is complete."""
        if keeping is not None and keeping.taken is not None:
            await self.stored.store.put(keeping.taken)

    async def _history(self, asked: Asked) -> tuple[bytes, ...]:
        before = asked.body.previous_response_id
        if not before:
            return ()

        stored = await self.stored.store.get(before, asked.owner)
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
