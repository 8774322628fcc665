"""What keeps the page to itself: the headers of its answers, and the token of its POSTs."""

from __future__ import annotations

import hmac
import secrets

import msgspec

from claude_max_proxy import Forbidden, InvalidRequest


# Nothing but the page's own files, and nothing inline. Pictures that a reader attaches are data URLs.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
GUARDED = {
    "content-security-policy": _POLICY,
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
NOT_KEPT = {"cache-control": "no-store"}
KEPT = {"cache-control": "private, max-age=31536000, immutable"}

# Another process, another token: whoever has an older page reloads it.
TOKEN = secrets.token_urlsafe(24)


class _Post(msgspec.Struct):
    token: str = ""


def check_token(body: bytes) -> None:
    """Raise an error unless a POST's body is JSON with this process's token, which only the page knows."""
    try:
        given = msgspec.json.decode(body, type=_Post).token
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"the body is not what the page sends: {error}") from error
    if not hmac.compare_digest(given.encode(), TOKEN.encode()):
        raise Forbidden("the page is older than the proxy: load it again")
