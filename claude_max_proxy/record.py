"""One finished request, as observers see it."""

from __future__ import annotations

import msgspec

from claude_max_proxy.events import Usage
from claude_max_proxy.request import Client


CLIENT_LEFT = 499


class Record(msgspec.Struct):
    """What became of one request.

    Times are in seconds from its arrival; ``first_token`` is ``None`` if none came.

    ``status`` is the HTTP status the client got or, once the answer had begun, the one that its failure
    stands for; 499 when the client left first. ``live`` says whether a conversation was continued in place,
    ``queued`` how long the request waited for the backend.
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
