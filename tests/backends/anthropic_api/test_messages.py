"""How messages are written for the Messages API."""

from __future__ import annotations

import pytest

from claude_max_proxy import InvalidRequest, Message, Reasoning, Text
from claude_max_proxy.anthropic_messages import ToolNames
from claude_max_proxy.backends.anthropic_api.messages import write_messages


ASKED = Message("user", [Text("Begin.")])


@pytest.mark.parametrize("end", ["so far ", "so far\n", "so far \t"])
def test_a_prefill_that_ends_in_white_space(end: str) -> None:
    """The API goes on from no white space, so the client is told to leave it out."""
    prefill = Message("assistant", [Text(end)])
    with pytest.raises(InvalidRequest, match="white space"):
        write_messages([ASKED, prefill], ToolNames(), thinking=False)
    further = write_messages([ASKED, prefill, ASKED], ToolNames(), thinking=False)
    assert further[-1]["role"] == "user"


def test_nothing_to_answer() -> None:
    """Thoughts alone are nothing to answer where they cannot be sent."""
    with pytest.raises(InvalidRequest, match="nothing to answer"):
        write_messages([Message("assistant", [Reasoning("hm")])], ToolNames(), thinking=False)
