"""Reads a body of ``POST /v1/responses`` into a :class:`Request`. Pure.

``instructions`` and all messages with the roles ``system`` and ``developer`` become ``Request.system``, in
their order and joined by an empty line, since upstreams have only one system prompt.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from claude_max_proxy import Client, Request, formats
from claude_max_proxy.dialects.openai_responses.items import Talk, as_items, has_references, read_items
from claude_max_proxy.dialects.openai_responses.parameters import apply_parameters
from claude_max_proxy.dialects.openai_responses.schemas import Raw, ResponseRequest
from claude_max_proxy.dialects.openai_responses.tools import Origins


_decoder = msgspec.json.Decoder(ResponseRequest)


class Asked(msgspec.Struct):
    """What the writer and the store need to know about a request, in the client's own form.

    ``history`` are the items of the responses from which it goes on, ``items`` its own items. ``owner`` is
    the owner under whom the response is stored.
    """

    body: ResponseRequest
    items: list[Raw]
    origins: Origins
    history: Sequence[bytes] = ()
    owner: str = ""

    @property
    def goes_back(self) -> bool:
        """Whether the request refers to stored responses or items."""
        return bool(self.body.previous_response_id) or has_references(self.items)


def read(body: bytes) -> tuple[Request, Asked]:
    """Read a body; return the request, and what the writer and the store need.

    What the body refers to is not known yet, so ``request.messages`` are only those of its own items. Raises
    :class:`InvalidRequest` with the path of the first field that is wrong.
    """
    unknown: list[str] = []
    asked = formats.decode(_decoder, body, unknown)
    items = as_items(asked.input)
    client = Client(session=asked.prompt_cache_key or "")
    request = Request(asked.model, stream=bool(asked.stream), client=client, ignored=unknown)
    hear(request, asked, (), items)
    origins = apply_parameters(asked, request)
    return request, Asked(asked, items, origins)


def hear(request: Request, body: ResponseRequest, history: Sequence[Raw], items: Sequence[Raw]) -> None:
    """Set the instructions and the messages of ``request`` from the history and the items."""
    request.messages = []
    talk = Talk([body.instructions] if body.instructions else [], request)
    read_items(history, talk, known=True)
    read_items(items, talk)
    request.system = "\n\n".join(talk.systems)
