"""What an answer with embeddings says about the tokens that were used."""

from __future__ import annotations

import msgspec

from claude_max_proxy.events import Usage


class _Used(msgspec.Struct):
    prompt_tokens: int = 0


class _Answer(msgspec.Struct):
    usage: _Used | None = None


_decoder = msgspec.json.Decoder(_Answer)


def usage_of(answer: bytes) -> Usage | None:
    """Return the tokens that an answer's body names, or ``None`` if it names none that make sense."""
    try:
        used = _decoder.decode(answer).usage
    except (msgspec.DecodeError, RecursionError):
        return None
    return Usage(used.prompt_tokens) if used is not None and used.prompt_tokens > 0 else None
