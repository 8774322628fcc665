"""The routes for stored responses: retrieve one, list its input, or delete it."""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import InvalidRequest, NotFound
from claude_max_proxy.dialects.openai_responses.stored import ResponseStore, Stored
from claude_max_proxy.route import Call, Route


_MOST_ITEMS = 100
_USUAL_ITEMS = 20
# The fields of a listed content part that a client need not send.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "output_text": {"annotations": [], "logprobs": []},
    "input_image": {"detail": "auto"},
}


class StoredResponses:
    """Answers the requests about the responses in a store."""

    def __init__(self, store: ResponseStore) -> None:
        """Answer from ``store``."""
        self.store = store

    def routes(self) -> tuple[Route, ...]:
        """Return the routes, each with and without ``/v1``."""
        table = (
            Route("GET", "/responses/{id}", self.retrieve, "A stored response"),
            Route("DELETE", "/responses/{id}", self.delete, "Forget a stored response"),
            Route("GET", "/responses/{id}/input_items", self.input_items, "What led to a stored response"),
        )
        return tuple(
            msgspec.structs.replace(route, path=prefix + route.path)
            for prefix in ("/v1", "")
            for route in table
        )

    async def retrieve(self, call: Call) -> bytes:
        """Return the body of a stored response."""
        if call.query.get("stream", "false").lower() == "true":
            raise InvalidRequest.at("stream", "a stored response comes whole; leave stream out")
        return (await self._find(call)).body

    async def delete(self, call: Call) -> bytes:
        """Delete a response, and return the body that says so."""
        id_ = call.parameters["id"]
        if not await self.store.delete(id_, call.client.owner):
            raise _missing(id_)
        return msgspec.json.encode({"id": id_, "object": "response", "deleted": True})

    async def input_items(self, call: Call) -> bytes:
        """Return the list of items that led to a response.

        The newest item comes first, unless the parameter ``order`` is ``asc``. ``after`` is the id of the
        item after which the list begins.
        """
        rows = [_row(raw, index) for index, raw in enumerate((await self._find(call)).context)]
        if _choice(call, "order", ("desc", "asc")) == "desc":
            rows.reverse()
        if after := call.query.get("after"):
            place = next((index for index, row in enumerate(rows) if row["id"] == after), None)
            if place is None:
                raise InvalidRequest.at("after", f"there is no item {after[:100]!r}")
            rows = rows[place + 1 :]
        limit = _limit(call)
        page = rows[:limit]
        listed = {
            "object": "list",
            "data": page,
            "first_id": page[0]["id"] if page else "",
            "last_id": page[-1]["id"] if page else "",
            "has_more": len(rows) > limit,
        }
        return msgspec.json.encode(listed)

    async def _find(self, call: Call) -> Stored:
        id_ = call.parameters["id"]
        found = await self.store.get(id_, call.client.owner)
        if found is None:
            raise _missing(id_)
        return found


def _missing(id_: str) -> NotFound:
    return NotFound(f"Response with id {id_[:100]!r} not found.", code="response_not_found")


def _row(raw: bytes, index: int) -> dict[str, Any]:
    """Return an item in the form of the API's lists, with a type and an id even if the client sent none."""
    item: dict[str, Any] = msgspec.json.decode(raw)
    kind = item.setdefault("type", "message")
    if not isinstance(item.get("id"), str):
        item["id"] = f"item_{index}"
    if kind != "reasoning":
        item.setdefault("status", "completed")
    if kind == "message" and isinstance(item["content"], str):
        said = "output_text" if item["role"] == "assistant" else "input_text"
        item["content"] = [{"type": said, "text": item["content"]}]
    if kind == "message":
        item["content"] = [_DEFAULTS.get(part["type"], {}) | part for part in item["content"]]
    return item


def _choice(call: Call, name: str, choices: tuple[str, ...]) -> str:
    given = call.query.get(name, choices[0])
    if given not in choices:
        raise InvalidRequest(f"{name} must be one of {', '.join(choices)}", param=name)
    return given


def _limit(call: Call) -> int:
    given = call.query.get("limit", str(_USUAL_ITEMS))
    limit = int(given) if given.isdecimal() and len(given) < 9 else 0
    if not 1 <= limit <= _MOST_ITEMS:
        raise InvalidRequest(f"limit must be a number from 1 to {_MOST_ITEMS}", param="limit")
    return limit
