"""Reads a body of ``POST /v1/responses`` into a :class:`Request`. Pure: bytes in, values out.

``instructions`` and messages of the roles ``system`` and ``developer``, wherever they stand, become
``Request.system`` in order, joined by an empty line, since the upstream knows one system prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from claude_max_proxy import Client, Request, wire
from claude_max_proxy.dialects.openai_responses.items import Talk, as_items, has_references, read_items
from claude_max_proxy.dialects.openai_responses.parameters import apply_parameters
from claude_max_proxy.dialects.openai_responses.schemas import Raw, ResponseRequest
from claude_max_proxy.dialects.openai_responses.tools import Origins


STATE = "openai_responses"
_decoder = msgspec.json.Decoder(ResponseRequest)


class Asked(msgspec.Struct):
    """What the writer and the store need to know of a request, in the client's own form.

    ``history`` are the items of the responses that it goes on from, ``items`` its own.
    """

    body: ResponseRequest
    items: list[Raw]
    origins: Origins
    history: Sequence[bytes] = ()

    @property
    def goes_back(self) -> bool:
        """Whether it needs what was stored before."""
        return bool(self.body.previous_response_id) or has_references(self.items)


def read(body: bytes) -> Request:
    """Read a body; raise :class:`InvalidRequest` with the path of the first field that is wrong.

    Of what it refers to nothing is known yet: ``request.messages`` are those of its own items.
    """
    unknown: list[str] = []
    asked = wire.decode(_decoder, body, unknown)
    items = as_items(asked.input)
    client = Client(session=asked.prompt_cache_key or "")
    request = Request(asked.model, stream=bool(asked.stream), client=client, ignored=unknown)
    hear(request, asked, (), items)
    origins = apply_parameters(asked, request)
    request.state[STATE] = Asked(asked, items, origins)
    return request


def hear(request: Request, body: ResponseRequest, history: Sequence[Raw], items: Sequence[Raw]) -> None:
    """Set the instructions and the messages of ``request`` to what history and items say."""
    request.messages = []
    talk = Talk([body.instructions] if body.instructions else [], request)
    read_items(history, talk, known=True)
    read_items(items, talk)
    request.system = "\n\n".join(talk.systems)
