"""Keeps the record of a request that is refused before the gateway has seen it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar.datastructures import Headers

from claude_max_proxy.errors import ProxyError
from claude_max_proxy.record import Record
from claude_max_proxy.server.arrival import LONGEST_PATH
from claude_max_proxy.server.clients import client_from
from claude_max_proxy.server.request_headers import traceparent


def refusal(scope: Any, error: ProxyError, asking: Mapping[str, str], name: str, replica: str) -> Record:
    """Return the record of a request with this ``scope`` and the id ``name``, which ended in ``error``.

    ``asking`` are the paths that ask a model, and their dialects. ``replica`` is the name of this proxy.
    """
    headers, state = Headers.from_scope(scope), scope["state"]
    total = time.monotonic() - state["arrived"]
    return Record(
        state.get("model", ""),
        dialect=asking.get(scope["path"], ""),
        client=msgspec.structs.replace(client_from(headers, state), identity=""),
        status=error.status,
        total=total,
        error=error.logged,
        id=name,
        path=scope["path"][:LONGEST_PATH],
        began=time.time() - total,
        ending="refused",
        code=error.code or "",
        traceparent=traceparent(headers.get("traceparent", "")),
        replica=replica,
    )
