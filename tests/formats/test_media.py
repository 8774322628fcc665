"""Inline files: their bytes decide what they are, however they are labelled and encoded."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy import File, Image, InvalidRequest, Request, ToolResult, formats
from claude_max_proxy.dialects.anthropic_messages import AnthropicMessages
from claude_max_proxy.dialects.openai_chat import OpenAIChat
from claude_max_proxy.dialects.openai_responses import OpenAIResponses
from tests.pictures import GIF, IMAGES, JPEG, OTHERS, PDF, PNG, data_url


LABELS = [
    "image/png",
    "image/jpg",
    "Image/JPEG",
    "application/octet-stream",
    "",
    "image/heic",
    "text/html",
    "pdf",
]
SPELLINGS = [
    "data:{};base64,{}",
    "DATA:{};BASE64,{}",
    "data:{};charset=utf-8;name=x.png;base64,{}",
    " data:{} ; base64,{}\n",
]


@pytest.mark.parametrize("label", LABELS)
@pytest.mark.parametrize(("kind", "data"), IMAGES.items())
def test_labels_mean_nothing(label: str, kind: str, data: str) -> None:
    """An image is recognised by its bytes, also if another type of file was announced."""
    for spelling in SPELLINGS:
        url = spelling.format(label, data)
        assert formats.read_image(url, "here") == Image(kind, data)
        assert formats.read_document(url, "x", "here") == Image(kind, data)
    assert formats.inline_image(label, data, "here") == Image(kind, data)


@given(st.binary(min_size=1, max_size=200), st.integers(0, 3), st.integers(1, 80))
def test_ways_to_write_base64(body: bytes, way: int, width: int) -> None:
    """Line breaks, the URL alphabet, missing padding: all are decoded as the standard says."""
    plain = base64.b64encode(b"\xff\xd8\xff" + body).decode()
    written = plain
    if way & 1:
        written = "\r\n".join(written[at : at + width] for at in range(0, len(written), width))
    if way & 2:
        written = written.translate(str.maketrans("+/", "-_")).rstrip("=")
    assert formats.read_image(data_url(written), "here") == Image("image/jpeg", plain)


def test_written_as_urls_are() -> None:
    """A data URL without base64 is accepted, too, and base64 may be percent-encoded."""
    escaped = "".join(f"%{byte:02x}" for byte in base64.b64decode(GIF))
    assert formats.read_image(f"data:image/gif,{escaped}", "here") == Image("image/gif", GIF)
    assert formats.read_image(data_url(PNG.replace("=", "%3D").replace("+", "%2B")), "here") == Image(
        "image/png", PNG
    )


@pytest.mark.parametrize("data", ["", " ", "====", "not base64!", "AAAA=AAA", "AB", "é"])
def test_no_base64(data: str) -> None:
    """Invalid base64 is refused by its path."""
    for read in (formats.read_image, lambda url, path: formats.read_document(url, "x", path)):
        with pytest.raises(InvalidRequest) as refused:
            read(data_url(data), "messages[1].content[0]")
        assert refused.value.param == "messages[1].content[0]"


def test_too_many_escapes() -> None:
    """A data URL with more than a million escapes, which are slow to read, is refused by its path."""
    with pytest.raises(InvalidRequest, match="send base64") as refused:
        formats.read_document("data:text/plain," + "%41" * 1_000_001, "a", "here")
    assert refused.value.param == "here"


@pytest.mark.parametrize(("what", "body"), [*OTHERS.items(), ("PDF", base64.b64decode(PDF))])
def test_no_image(what: str, body: bytes) -> None:
    """A file that no model accepts as an image is named, with the types that are accepted."""
    with pytest.raises(InvalidRequest, match="PNG, JPEG, GIF or WebP") as refused:
        formats.read_image(data_url(base64.b64encode(body).decode()), "here")
    assert what in refused.value.message


def test_documents() -> None:
    """A PDF is recognised whatever its label; text must be labelled as text and be readable."""
    assert formats.read_document(data_url(PDF, "application/octet-stream"), "a", "here") == File(
        "application/pdf", PDF, "a"
    )
    text = base64.b64encode("Über %PDF- und PK".encode()).decode()
    assert formats.read_document(data_url(text, "text/markdown"), "a", "here") == File(
        "text/plain", text, "a"
    )
    for label, body in (
        ("application/pdf", b"no"),
        ("application/zip", b"PK\3\4"),
        ("text/plain", b"\xff\xfe"),
    ):
        with pytest.raises(InvalidRequest):
            formats.read_document(data_url(base64.b64encode(body).decode(), label), "a", "here")


WRONG = data_url(JPEG, "image/jpg")


def _chat() -> bytes:
    part = {"type": "image_url", "image_url": {"url": WRONG}}
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    messages = [
        {"role": "user", "content": [part]},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": [part]},
        {"role": "user", "content": [part]},
    ]
    return json.dumps({"model": "m", "messages": messages}).encode()


def _responses() -> bytes:
    part = {"type": "input_image", "image_url": WRONG}
    items = [
        {"role": "user", "content": [part]},
        {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [part]},
        {"role": "user", "content": [part]},
    ]
    return json.dumps({"model": "m", "input": items}).encode()


def _messages() -> bytes:
    block = {"type": "image", "source": {"type": "base64", "media_type": "image/jpg", "data": JPEG}}
    messages = [
        {"role": "user", "content": [block]},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "c", "name": "f", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c", "content": [block]}, block]},
    ]
    return json.dumps({"model": "m", "max_tokens": 9, "messages": messages}).encode()


@pytest.mark.parametrize(
    ("dialect", "body"),
    [(OpenAIChat(), _chat()), (OpenAIResponses(), _responses()), (AnthropicMessages(), _messages())],
    ids=lambda value: getattr(value, "name", ""),
)
def test_everywhere(dialect: Any, body: bytes) -> None:
    """Images of users, in histories and from tools get the right label in every API."""
    request: Request = dialect.open(body).request
    parts = [part for message in request.messages for part in message.parts]
    inner = [piece for part in parts if isinstance(part, ToolResult) for piece in part.parts]
    images = [part for part in [*parts, *inner] if isinstance(part, Image)]
    assert images == [Image("image/jpeg", JPEG)] * 3
