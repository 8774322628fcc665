"""The headers of every answer that name its request, and those that plugins add."""

from __future__ import annotations

import logging
import re

from claude_max_proxy import request_id
from claude_max_proxy.request import Request


logger = logging.getLogger(__name__)

Headers = list[tuple[bytes, bytes]]
_NAME = re.compile(r"x-[a-z0-9-]{1,100}")
_VALUE = re.compile(r"[\x20-\x7e]{0,500}")
_MOST = 50
# W3C Trace Context: version, trace id, parent id and flags, of which neither id may be zero.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def request_ids() -> Headers:
    """Return headers with the request's id, under the names that OpenAI's and Anthropic's clients read."""
    name = (request_id.current() or request_id.begin()).encode()
    return [(b"x-request-id", name), (b"request-id", name)]


def added_headers(request: Request | None) -> Headers:
    """Return the headers that plugins have added to the answer, without those that are not well-formed."""
    if request is None or not request.answer_headers:
        return []

    headers: Headers = []
    for name, value in list(request.answer_headers.items())[:_MOST]:
        if (
            isinstance(name, str)
            and isinstance(value, str)
            and _NAME.fullmatch(name)
            and _VALUE.fullmatch(value)
        ):
            headers.append((name.encode(), value.encode()))
        else:
            logger.warning("a plugin's header for the answer is not well-formed and is left out")
    return headers


def traceparent(said: str) -> str:
    """Return the header ``traceparent`` if it is well-formed, otherwise an empty text."""
    return said if _TRACEPARENT.fullmatch(said) else ""
