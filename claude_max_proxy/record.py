"""The record of one finished request, as observers get it."""

from __future__ import annotations

from typing import Literal

import msgspec

from claude_max_proxy.events import FinishReason, Usage
from claude_max_proxy.request import Client


CLIENT_LEFT = 499

Ending = Literal["completed", "refused", "broken", "left", ""]


class Record(msgspec.Struct):
    """What happened to one request, without any of its content.

    There is a record for every request for an answer, for embeddings or for a count of tokens, and for every
    request that was refused, on any route.

    - ``model``: the name that the client asked for; empty if the request was refused before it was known.
    - ``backend``, ``upstream_model``: what was asked last; empty if nothing was. ``answered_by`` is the
      provider's full name of the model that answered, for which ``upstream_model`` may be an alias.
    - ``dialect``: the dialect of the route, such as "openai-chat"; "openai-embeddings" for embeddings, and
      with "-count" after it for a count of tokens. It is empty for routes that ask no model.
    - ``path``: the path of the request, of which at most 200 characters are kept.
    - ``status``: the HTTP status that the client got. If a streamed answer failed after its beginning, this
      is the status that the failure stands for. It is 499 if the client left before the end, and 0 while the
      request is being answered.
    - ``began``: when the request arrived, in seconds since 1970.
    - ``first_token``, ``last_token``: the times from the request's arrival to the first and to the last
      word of the answer, in seconds; ``None`` if there was none.
    - ``pieces``: in how many pieces the answer came.
    - ``total``: the time from the request's arrival to its end, in seconds.
    - ``queued``: how long the request waited for the backend, in seconds.
    - ``live``: whether a conversation was continued in place; if it was not, ``replayed`` may say why.
    - ``ending``: "completed"; "refused" if it failed before the client got a part of the answer; "broken" if
      it failed after that; "left" if the client left; empty while the request is being answered.
    - ``finish``: why the model ended the answer; empty if it did not.
    - ``error``: why the request failed; empty if it did not. ``code`` is the error's code.
    - ``id``, ``traceparent``: as in the request.
    - ``replica``: the name of the proxy that answered, among several (``[server] replica``).
    """

    model: str
    upstream_model: str = ""
    backend: str = ""
    dialect: str = ""
    client: Client = Client()
    status: int = 200
    usage: Usage | None = None
    first_token: float | None = None
    total: float = 0.0
    queued: float = 0.0
    live: bool = False
    stream: bool = False
    error: str = ""
    id: str = ""
    path: str = ""
    began: float = 0.0
    last_token: float | None = None
    pieces: int = 0
    replayed: str = ""
    ending: Ending = ""
    finish: FinishReason | Literal[""] = ""
    code: str = ""
    traceparent: str = ""
    answered_by: str = ""
    replica: str = ""
