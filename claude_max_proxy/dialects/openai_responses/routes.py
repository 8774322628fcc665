"""What can be asked about responses that were stored: to have one again, its input, and to forget it."""

from __future__ import annotations

from typing import Any

import msgspec

from claude_max_proxy import Call, InvalidRequest, NotFound, Route
from claude_max_proxy.dialects.openai_responses.store import Store, Stored


_MOST_ITEMS = 100
_USUAL_ITEMS = 20
# What a listed content part has, though a client need not send it.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "output_text": {"annotations": [], "logprobs": []},
    "input_image": {"detail": "auto"},
}


class StoredResponses:
    """Answers what is asked about the responses of a store."""

    def __init__(self, store: Store) -> None:
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

    def retrieve(self, call: Call) -> bytes:
        """Return a response as it was given."""
        if call.query.get("stream", "false").lower() == "true":
            raise InvalidRequest("stream: a stored response comes whole; leave stream out", param="stream")
        return self._find(call).body

    def delete(self, call: Call) -> bytes:
        """Forget a response."""
        stored = self._find(call)
        self.store.delete(stored.id, call.client.key)
        return msgspec.json.encode({"id": stored.id, "object": "response", "deleted": True})

    def input_items(self, call: Call) -> bytes:
        """List what led to a response, the newest first unless ``order`` is ``asc``; ``after`` goes on."""
        rows = [_row(raw, index) for index, raw in enumerate(self._find(call).context)]
        if _choice(call, "order", ("desc", "asc")) == "desc":
            rows.reverse()
        if after := call.query.get("after"):
            place = next((index for index, row in enumerate(rows) if row["id"] == after), None)
            if place is None:
                raise InvalidRequest(f"after: there is no item {after[:100]!r}", param="after")
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

    def _find(self, call: Call) -> Stored:
        id_ = call.parameters["id"]
        found = self.store.get(id_, call.client.key)
        if found is None:
            raise NotFound(f"Response with id {id_[:100]!r} not found.", code="response_not_found")
        return found


def _row(raw: bytes, index: int) -> dict[str, Any]:
    """Write an item as the API lists it: with its type and an id, also where the client gave none."""
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
