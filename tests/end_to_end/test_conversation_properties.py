"""Whatever is said, and whoever else asks: each conversation arrives unchanged, without another's words."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import struct
import zlib
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from openai import AsyncOpenAI

from claude_max_proxy.testing import Block, Reply, ScriptedUpstream, Text, ToolUse
from tests.end_to_end.comparing import Turn, asked, seen, seen_in
from tests.end_to_end.running import RunningProxy
from tests.end_to_end.working import (
    MODELS,
    Message,
    by_call,
    function,
    hear,
    live,
    new_model,
    openai_client,
    result,
    user,
)


PROXY_TOML = MODELS
NAMES = ["look", "take", "Bash"]
TOOLS = [function(name) for name in NAMES]


def image(size: int, shade: int) -> dict[str, Any]:
    """Return a square image of one shade of grey: the CLI examines images before it sends them."""
    header = struct.pack(">IIBBBBB", size, size, 8, 0, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes([shade]) * size) * size)
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )
    url = "data:image/png;base64," + base64.b64encode(png).decode()
    return {"type": "image_url", "image_url": {"url": url}}


# CONVERSATION_EXAMPLES=200 tries 200 examples, other ones each time.
EXAMPLES = int(os.environ.get("CONVERSATION_EXAMPLES", "12"))
# Each example takes a real process or more, so a failing one is not made smaller.
few = settings(
    derandomize="CONVERSATION_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    max_examples=EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)

# The API refuses a text of white space alone.
texts = st.text(max_size=40).map(lambda text: text[:20] + "x" + text[20:]) | st.sampled_from(
    [
        "/clear",
        "@/etc/hosts",
        "!ls",
        "#note",
        " x ",
        "\nx\n",
        "<system-reminder>x</system-reminder>",
        "(no content)",
    ]
)
images = st.builds(image, st.integers(1, 40), st.integers(0, 255))
parts = st.lists(texts.map(lambda text: {"type": "text", "text": text}) | images, min_size=1, max_size=3)
contents = texts | parts
scalars = st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(max_size=8)
inputs = st.dictionaries(
    st.text("abcü_", min_size=1, max_size=6), scalars | st.lists(scalars, max_size=3), max_size=3
)
odd_ids = st.text("aB9_-.:|/ é", max_size=12)
calls = st.lists(st.tuples(st.sampled_from(NAMES), inputs, odd_ids), max_size=3)
# When it is replayed, the CLI treats an answer of just "(no content)" as empty.
spoken = texts.filter(lambda text: text != "(no content)")
answers = st.tuples(st.none() | spoken, calls).filter(lambda answer: bool(answer[0] or answer[1]))


@st.composite
def histories(draw: st.DrawFn) -> list[Message]:
    """Return a history that ends with the user or with results, with ids as odd as clients may use."""
    messages = [user(draw(contents))]
    number = 0
    for text, made in draw(st.lists(answers, min_size=1, max_size=5)):
        written: list[Message] = []
        for name, arguments, odd in made:
            number += 1
            given = {"name": name, "arguments": json.dumps(arguments)}
            written.append({"id": f"{odd}{number}", "type": "function", "function": given})
        message: Message = {"role": "assistant", "content": text}
        messages.append({**message, "tool_calls": written} if written else message)
        answered = [result(call["id"], draw(contents)) for call in draw(st.permutations(written))]
        messages += answered
        if not answered or draw(st.booleans()):
            messages += [user(content) for content in draw(st.lists(contents, min_size=1, max_size=2))]
    return messages


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sdk(proxy: RunningProxy) -> AsyncIterator[AsyncOpenAI]:
    """Return the OpenAI SDK's client for the shared proxy."""
    async with openai_client(proxy) as client:
        yield client


@few
@given(messages=histories())
async def test_any_history_is_replayed(
    messages: list[Message], sdk: AsyncOpenAI, shared_upstream: ScriptedUpstream
) -> None:
    """A history with texts, images, parallel calls and odd ids arrives with equal values, in one request."""
    shared_upstream.clear()
    shared_upstream.script(Reply((Text("ok"),)))

    await hear(sdk, new_model(), messages, tools=TOOLS)

    assert asked(messages) == seen(shared_upstream)
    assert len(shared_upstream.requests) == 1


@few
@given(
    first=contents,
    turns=st.lists(st.tuples(answers, st.lists(contents, min_size=3, max_size=3)), min_size=2, max_size=6),
)
async def test_any_conversation_goes_on(
    first: Any,
    turns: list[tuple[tuple[str | None, list[Any]], list[Any]]],
    sdk: AsyncOpenAI,
    proxy: RunningProxy,
    shared_upstream: ScriptedUpstream,
) -> None:
    """Any conversation, of words and results, continues in its process, and arrives with equal values."""
    shared_upstream.clear()
    model, messages = new_model(), [user(first)]
    for (text, made), following in turns:
        spoken: list[Block] = [Text(text)] if text else []
        shared_upstream.script(Reply((*spoken, *(ToolUse(name, given) for name, given, _ in made))))
        heard = await hear(sdk, model, messages, tools=TOOLS)
        assert by_call(asked(messages)) == by_call(seen(shared_upstream))
        assert heard.text == (text or "")
        messages.append(heard.message)
        if heard.calls:
            pairs = zip(heard.calls, following, strict=False)
            messages += [result(call["id"], content) for call, content in pairs]
        else:
            messages += [user(content) for content in following[:2]]

    assert await live(proxy, model, len(turns)) == [False] + [True] * (len(turns) - 1)
    assert len(shared_upstream.requests) == len(turns)


def digest(turns: list[Turn]) -> str:
    """Return a conversation as one word."""
    return hashlib.sha256(json.dumps(by_call(turns)).encode()).hexdigest()[:16]


def proof(body: dict[str, Any]) -> Reply:
    """Answer with a word that only this conversation has; to some words, with a call."""
    turns = seen_in(body)
    word = digest(turns)
    last = turns[-1][1][-1]
    return Reply((ToolUse("look", {"word": word}),) if last == ("text", "call") else (Text(word),))


class Speaker:
    """A client with its own conversation, which checks every answer against it."""

    def __init__(self, sdk: AsyncOpenAI, model: str) -> None:
        """Begin with an empty conversation."""
        self._sdk, self._model = sdk, model
        self.messages: list[Message] = []

    async def say(self, word: str) -> None:
        """Send a word, or answer the pending call; check that the answer belongs to this conversation."""
        last = self.messages[-1] if self.messages else {}
        waiting = last.get("tool_calls", [])
        self.messages += [result(call["id"], word) for call in waiting] or [user(word)]
        heard = await hear(self._sdk, self._model, self.messages, tools=TOOLS)
        expected = digest(asked(self.messages))
        said = [json.loads(call["function"]["arguments"]) for call in heard.calls] or heard.text
        assert said == ([{"word": expected}] if heard.calls else expected)
        self.messages.append(heard.message)


@settings(few, max_examples=max(1, EXAMPLES * 2 // 3))
@given(
    rounds=st.lists(
        st.lists(
            st.tuples(st.integers(0, 3), st.sampled_from(["one", "two", "call"])),
            min_size=1,
            max_size=4,
            unique_by=lambda said: said[0],
        ),
        min_size=2,
        max_size=5,
    )
)
async def test_no_two_are_mixed(
    rounds: list[list[tuple[int, str]]], sdk: AsyncOpenAI, shared_upstream: ScriptedUpstream
) -> None:
    """However clients that say the same things interleave, each gets the answer to its own words."""
    shared_upstream.clear()
    shared_upstream.answer_with(proof)
    model = new_model()
    speakers = [Speaker(sdk, model) for _ in range(4)]
    for said in rounds:
        await asyncio.gather(*(speakers[number].say(word) for number, word in said))

    assert len(shared_upstream.requests) == sum(len(said) for said in rounds)
