"""Writes and reads the field ``encrypted_content`` of a reasoning item.

The provider signs its thoughts and wants them back unchanged. So the field contains the signature, whether
the thought was redacted, and its text if the item's summary does not show it. This is MessagePack in base64,
after a prefix by which we recognise it. It is opaque to clients, but not secret. Content without the prefix,
perhaps another provider's, is no proof for our provider, so it is left out.
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
    """Return the field for a thought, or ``None`` if it has no signature.

    ``shown`` says that the summary contains the thought's text.
    """
    if not thought.signature:
        return None

    sealed = _Sealed(thought.signature, thought.redacted, "" if shown else thought.text)
    return _PREFIX + base64.urlsafe_b64encode(msgspec.msgpack.encode(sealed)).decode()


def read_thought(item: ReasoningItem) -> Reasoning | None:
    """Return the thought that a client sends back, or ``None`` if nothing of it is left."""
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
