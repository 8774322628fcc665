"""What counts as white space alone: the Messages API refuses it as a text and as a stop sequence. Pure."""

from __future__ import annotations


_BYTE_ORDER_MARK = "\ufeff"  # white space to JavaScript, so to the Claude Code CLI, and not to Python


def is_blank(text: str) -> bool:
    """Tell whether a text is empty or white space alone, by Python's count and JavaScript's together."""
    return not text.strip() or not text.replace(_BYTE_ORDER_MARK, " ").strip()
