"""Names of models with a ``*``."""

from __future__ import annotations

import pytest

from claude_max_proxy.formats import matches, wildcard_text


@pytest.mark.parametrize(
    ("pattern", "name", "text"),
    [
        ("claude-*", "claude-opus", "opus"),
        ("*", "any", "any"),
        ("a*z", "az", ""),
        ("a*b*c", "a1b2b3c", "1b2"),
        ("a*b*c", "a1c", None),
        ("a*b*c*d", "a1c2b3d", None),
        ("ab*ba", "aba", None),
        ("claude-*", "gpt", None),
    ],
)
def test_what_a_star_stands_for(pattern: str, name: str, text: str | None) -> None:
    """The first ``*`` stands for the longest text that fits; the pieces after it must be there, in order."""
    assert wildcard_text(pattern, name) == text
    assert matches(pattern, name) == (text is not None)
