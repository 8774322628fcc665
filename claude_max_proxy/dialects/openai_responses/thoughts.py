"""What goes into a reasoning item's ``encrypted_content`` and comes back out of it.

The provider signs its thoughts and wants them back as they were. So the field holds the signature, whether
the thought was redacted, and its text where the item's summary does not show it: base64 of MessagePack,
after a prefix that says so. It is opaque to clients, not secret. What lacks the prefix, another provider's
perhaps, is no proof here and is left out.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from claude_max_proxy import Reasoning
from claude_max_proxy.dialects.openai_responses.schemas import ReasoningItem


_PREFIX = "cmp1."


class _Sealed(msgspec.Struct, array_like=True):
    signature: str
    redacted: bool = False
    text: str = ""


def seal(thought: Reasoning, *, shown: bool) -> str | None:
    """Write a thought's proof, ``None`` when it has none; ``shown`` says that the summary holds its text."""
    if not thought.signature:
        return None

    sealed = _Sealed(thought.signature, thought.redacted, "" if shown else thought.text)
    return _PREFIX + base64.urlsafe_b64encode(msgspec.msgpack.encode(sealed)).decode()


def read_thought(item: ReasoningItem) -> Reasoning | None:
    """Read a thought that a client hands back, ``None`` when nothing of it is left."""
    text = "\n\n".join(piece.text for piece in item.summary or item.content or [])
    sealed = _unseal(item.encrypted_content or "")
    thought = Reasoning(sealed.text or text, sealed.signature, sealed.redacted)
    return thought if thought.text or thought.signature else None


def _unseal(content: str) -> _Sealed:
    if not content.startswith(_PREFIX):
        return _Sealed("")

    try:
        packed = base64.urlsafe_b64decode(content.removeprefix(_PREFIX))
        return msgspec.msgpack.decode(packed, type=_Sealed)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        return _Sealed("")
