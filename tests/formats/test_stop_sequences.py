"""The stop sequences that clients send."""

from __future__ import annotations

import pytest

from claude_max_proxy import InvalidRequest, Request
from claude_max_proxy.formats.stop_sequences import read_stops


def test_what_is_taken() -> None:
    """One or several are taken, each once; an empty one means nothing, and is named as ignored."""
    request = Request("m")
    assert read_stops(None, "stop", request) == []
    assert read_stops("a", "stop", request) == ["a"]
    assert read_stops(["a", "b", "a"], "stop", request) == ["a", "b"]
    assert request.ignored == []
    assert read_stops(["", "a"], "stop", request) == ["a"]
    assert request.ignored == ["stop"]


MANY, LONG = [str(number) for number in range(64)], "x" * 1024


@pytest.mark.parametrize(("most", "more"), [(MANY, [*MANY, "one"]), ([LONG], [LONG + "x"])])
def test_the_most(most: list[str], more: list[str]) -> None:
    """So many are taken, and as long ones, and no more: what is refused is named by the parameter."""
    assert read_stops(most, "stop", Request("m")) == most
    with pytest.raises(InvalidRequest, match="at most") as refused:
        read_stops(more, "stop_sequences", Request("m"))
    assert refused.value.param == "stop_sequences"
