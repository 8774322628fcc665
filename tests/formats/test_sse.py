"""Server-sent events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy.formats.sse import Decoder, Opening, ServerSentEvent, encode


CASES = [
    (b"data: a\n\n", [ServerSentEvent("a")]),
    (b"data:a\n\n", [ServerSentEvent("a")]),
    (b"data:  a \n\n", [ServerSentEvent(" a ")]),
    (b"data: a\r\n\r\n", [ServerSentEvent("a")]),
    (b"data: a\ndata: b\n\n", [ServerSentEvent("a\nb")]),
    (b"data\n\n", [ServerSentEvent("")]),
    (b"event: message\r\ndata: a\r\n\r\n", [ServerSentEvent("a", "message")]),
    (b"event: lost\n\ndata: a\n\n", [ServerSentEvent("a")]),
    (b": a comment\n\ndata: a\n\n", [ServerSentEvent("a")]),
    (b"id: 7\nretry: 3\nunknown: x\ndata: a\n\n", [ServerSentEvent("a")]),
    ("data: grüße 🦀 €\n\n".encode(), [ServerSentEvent("grüße 🦀 €")]),
    (b"data: a\n\ndata: b\n\n", [ServerSentEvent("a"), ServerSentEvent("b")]),
    (b"data: never ended\n", []),
    (b"\n\n\r\n", []),
]


@pytest.mark.parametrize(("wire", "events"), CASES)
def test_whole(wire: bytes, events: list[ServerSentEvent]) -> None:
    """Each wire form reads as its events."""
    assert events == list(Decoder().feed(wire))


@pytest.mark.parametrize(("wire", "events"), CASES)
def test_byte_by_byte(wire: bytes, events: list[ServerSentEvent]) -> None:
    """It makes no difference where the bytes are cut, within a character or between CR and LF."""
    decoder = Decoder()
    assert events == [event for byte in wire for event in decoder.feed(bytes([byte]))]


@pytest.mark.parametrize(
    "wire",
    [
        b"data: " + b"x" * 200,
        b"data: x\n" * 50,
        b"data\n" * 101,
        b"data: " + b"x" * 200 + b"\n\n",
        b"\r" * 200,
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_an_event_is_bounded(wire: bytes, size: int) -> None:
    """An event larger than the limit is refused, in however many lines and pieces it comes."""
    decoder = Decoder(limit=100)
    pieces = [wire[start : start + size] for start in range(0, len(wire), size)]
    with pytest.raises(ValueError, match="larger than 100 bytes"):
        any(decoder.feed(piece) and False for piece in pieces)


def test_the_bound_is_per_event() -> None:
    """The limit applies to each event, not to the whole stream."""
    decoder = Decoder(limit=100)
    assert sum(len(list(decoder.feed(b"data: x\n\n"))) for _ in range(1000)) == 1000


def test_bytes_that_are_no_text() -> None:
    """Data that is not UTF-8 raises a specific error."""
    with pytest.raises(UnicodeDecodeError):
        list(Decoder().feed(b"data: \xff\n\n"))


def test_encode() -> None:
    """An event is written with its name, if it has one, and its data."""
    assert encode(b"[DONE]") == b"data: [DONE]\n\n"
    assert encode(b"{}", "ping") == b"event: ping\ndata: {}\n\n"


LINES = st.text(st.characters(exclude_characters="\r\n", codec="utf-8"))


@given(st.lists(st.tuples(LINES, LINES)), st.lists(st.integers(1, 9), min_size=1))
def test_what_is_written_is_read(events: list[tuple[str, str]], cuts: list[int]) -> None:
    """Whatever is encoded is decoded to the same events, cut anywhere."""
    wire = b"".join(encode(data.encode(), name) for data, name in events)
    decoder, read, start, turn = Decoder(), [], 0, 0
    while start < len(wire):
        end = start + cuts[turn % len(cuts)]
        read += decoder.feed(wire[start:end])
        start, turn = end, turn + 1
    assert [ServerSentEvent(data, name) for data, name in events] == read


@pytest.mark.parametrize(
    ("pieces", "document"),
    [
        ([b'{"a":', b"1}"], 0),
        ([b" \r\n", b"", b"\t[1]"], 2),
        ([b"<html>"], 0),
        ([b"\n", b"data: {", b'{"a"'], None),
        ([b": comment", b"\n\n", b"<"], None),
        ([b" ", b"\n"], None),
    ],
)
def test_an_opening(pieces: list[bytes], document: int | None) -> None:
    """The first bytes that are no white space decide, once, whether an answer is a document or a stream."""
    opening = Opening()
    assert [opening.is_document(piece) for piece in pieces] == [
        number == document for number in range(len(pieces))
    ]
