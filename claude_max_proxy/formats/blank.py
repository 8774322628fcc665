"""Recognises white space, which the Messages API refuses as a text and as a stop sequence. Pure."""

from __future__ import annotations


_BYTE_ORDER_MARK = "\ufeff"  # white space in JavaScript, and so for the Claude Code CLI, but not in Python


def is_blank(text: str) -> bool:
    """Return whether a text consists only of what Python or JavaScript counts as white space."""
    return not text.strip() or not text.replace(_BYTE_ORDER_MARK, " ").strip()
