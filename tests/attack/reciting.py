"""Models that recite: they answer with the canaries of the whole conversation that reached them, in order.

A client compares that with what it has sent. If there is another client's word in the answer, or one of its
own is missing, conversations were mixed.
"""

from __future__ import annotations

import itertools
import re
import secrets
from typing import Any

from claude_max_proxy.testing import Answer, Reply, Text
from claude_max_proxy.testing.directives import newest_user


RECITE = "[recite]"
CANARY = re.compile(r"CANARY-[a-z]+-[0-9a-f]{8}")
_NOBODYS = "no canary"


def new_canary(kind: str = "prompt") -> str:
    """Return a new word."""
    return f"CANARY-{kind}-{secrets.token_hex(4)}"


def recited(body: dict[str, Any]) -> Answer | None:
    """Recite if the words or a tool's results ask for it; None leaves the request to the directives."""
    if not _asks(body):
        return None
    return Reply((Text(said(heard(body))),))


def _asks(body: dict[str, Any]) -> bool:
    text, results = newest_user(body)
    if any(RECITE in one for one in (text, *results)):
        return True
    last = (body.get("messages") or [{}])[-1]
    return last.get("role") == "tool" and RECITE in str(last.get("content"))


def heard(body: dict[str, Any]) -> list[str]:
    """List the canaries in a request's instructions and messages in their order, without equal neighbours.

    The recited answers of the history hold those of the turns before: they are left out.
    """
    found = CANARY.findall(str(body.get("system", "")))
    for message in body.get("messages", []):
        if message.get("role") != "assistant":
            found += CANARY.findall(str(message.get("content", "")))
    return [canary for canary, _ in itertools.groupby(found)]


def said(canaries: list[str]) -> str:
    """Return the answer to a conversation with these canaries."""
    return " ".join(canaries) or _NOBODYS
