"""Splitting bytes into lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy.backends.claude_cli.framing import LineFramer


def framed(wire: bytes, cuts: list[int]) -> list[bytes]:
    """Return the lines of ``wire``, fed in pieces of these sizes, repeatedly."""
    framer, lines, start, turn = LineFramer(10_000), [], 0, 0
    while start < len(wire):
        size = cuts[turn % len(cuts)]
        lines += framer.feed(wire[start : start + size])
        start, turn = start + size, turn + 1
    return lines


@given(
    st.lists(st.binary().map(lambda line: line.replace(b"\n", b" "))), st.lists(st.integers(1, 9), min_size=1)
)
def test_however_it_is_cut(lines: list[bytes], cuts: list[int]) -> None:
    """The lines are the same, wherever the bytes are cut; empty lines are left out."""
    wire = b"".join(line + b"\n" for line in lines)
    assert [line for line in lines if line] == framed(wire, cuts)


def test_a_line_that_is_not_ended_waits() -> None:
    """An incomplete line is kept for the next chunk."""
    framer = LineFramer(100)
    assert framer.feed(b"one\ntw") == [b"one"]
    assert framer.feed(b"o") == []
    assert framer.feed(b"\n\nthree\n") == [b"two", b"three"]


def test_nothing_is_stripped() -> None:
    """White space at either end of a line is part of the line."""
    assert LineFramer(100).feed(b"  a \r\n") == [b"  a \r"]


@pytest.mark.parametrize("size", [1, 3, 64])
def test_a_line_is_bounded(size: int) -> None:
    """A line that never ends is refused as soon as it is too long."""
    framer = LineFramer(10)
    pieces = [b"x" * size] * 20
    with pytest.raises(ValueError, match="longer than 10 bytes"):
        for _ in map(framer.feed, pieces):
            pass


def test_the_bound_is_per_line() -> None:
    """The limit applies to an incomplete line, however many complete ones come with it."""
    framer = LineFramer(10)
    assert sum(len(framer.feed(b"123456\n123")) + len(framer.feed(b"4\n")) for _ in range(100)) == 200
