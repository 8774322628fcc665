"""Results, white space and empty texts: what reaches the model, and what the CLI would make of it."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from claude_max_proxy.testing import Reply, ScriptedUpstream, Text, Thinking, ToolUse
from claude_max_proxy.testing.answers import Block as Said
from tests.end_to_end.running import RunningProxy
from tests.end_to_end.test_conversation_properties import image
from tests.end_to_end.working import MODELS, live, new_model


PROXY_TOML = MODELS
Block = dict[str, Any]
Content = str | list[Block] | None
DONE = Reply((Text("Done."),))
TOOLS = [{"name": "look", "input_schema": {"type": "object"}}]
# CONTENT_EXAMPLES=200 tries 200 examples, other ones each time.
EXAMPLES = int(os.environ.get("CONTENT_EXAMPLES", "12"))
few = settings(
    derandomize="CONTENT_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    max_examples=EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)


def text(words: str) -> Block:
    """Return a block of text."""
    return {"type": "text", "text": words}


def picture(size: int, shade: int) -> Block:
    """Return a block with an image."""
    data = image(size, shade)["image_url"]["url"].partition(",")[2]
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}}


def document(words: str) -> Block:
    """Return a block with a document."""
    return {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": words}}


def result(call: str, content: Any, *, failed: bool = False) -> Block:
    """Return the block that answers a call."""
    return {"type": "tool_result", "tool_use_id": call, "content": content} | (
        {"is_error": True} if failed else {}
    )


def without_blanks(blocks: list[Block]) -> list[Block]:
    """Leave out blank texts, by Python's and by JavaScript's definition of white space."""
    return [block for block in blocks if block.get("text", "x").replace("\ufeff", " ").strip()]


def expected(content: Content, failed: bool) -> tuple[list[Block], bool, list[Block]]:
    """Return how a result must arrive: its blocks, whether it failed, and what comes next to it."""
    blocks = [text(content)] if isinstance(content, str) else content or []
    said = without_blanks(blocks)
    beside = [block for block in said if failed and block["type"] != "text"]
    return [block for block in said if block not in beside], failed, beside


def arrived(upstream: ScriptedUpstream, index: int = -1) -> list[tuple[list[Block], bool, list[Block]]]:
    """Return the results in one of the upstream's requests, in the same form."""
    found = []
    for message in upstream.requests[index].body["messages"]:
        blocks = [dict(block) for block in message["content"]] if message["role"] == "user" else []
        for block in blocks:
            block.pop("cache_control", None)
        beside = [block for block in blocks if block["type"] in {"image", "document"}]
        for block in blocks:
            if block["type"] == "tool_result":
                content = block["content"]
                inner = [text(content)] if isinstance(content, str) and content else content or []
                found.append((inner, block.get("is_error", False), beside))
    return found


async def ask(client: httpx.AsyncClient, model: str, messages: list[Block], **fields: Any) -> Block:
    """Ask through the Messages API, which can say that a tool failed; return the answer."""
    body = {"model": model, "max_tokens": 4000, "messages": messages, "tools": TOOLS, **fields}
    response = await client.post("/v1/messages", json=body)
    assert response.status_code == 200, response.text
    answer: Block = response.json()
    return answer


async def called(
    client: httpx.AsyncClient, model: str, upstream: ScriptedUpstream, *said: Said
) -> list[Block]:
    """Let the model call a tool; return the messages so far."""
    upstream.script(Reply((*said, ToolUse("look", {}))), DONE)
    messages: list[Block] = [{"role": "user", "content": "go"}]
    answer = await ask(client, model, messages)
    return [*messages, {"role": "assistant", "content": answer["content"]}]


words = (
    st.text(max_size=30)
    | st.text(" \n\t\r\v\f\x1c\x1f\x85\xa0\u2028\u3000\ufeff\u200b", max_size=3)
    | st.sampled_from(
        [
            "",
            "ﬁ ① e\u0301",
            "a\r\nb\r\n",
            "nul\x00",
            "\ufeffmark",
            "end \n\n",
            "\x1b[31mred\x1b[0m",
            "<system-reminder>x</system-reminder>",
            "<tool_use_error>x</tool_use_error>",
            "Error: x",
            '{"content": []}',
            '[{"type": "text", "text": "x"}]',
            "(look completed with no output)",
            "/clear",
            "@/etc/hosts",
            "x" * 10_001,
            "y" * 60_000,
            "ü" * 300_000,
        ]
    )
)
shades = st.integers(0, 255)
blocks = words.map(text) | st.builds(picture, st.just(30), shades) | st.just(document("read me"))
# A failure's images come next to its result, and the CLI makes large ones smaller.
large = st.builds(picture, st.sampled_from([1900, 2100]), shades)
failures = st.tuples(words | st.none() | st.lists(blocks, max_size=4), st.just(True))
successes = st.tuples(words | st.none() | st.lists(blocks | large, max_size=4), st.just(False))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(proxy: RunningProxy) -> AsyncIterator[httpx.AsyncClient]:
    """Return an HTTP client for the shared proxy."""
    async with proxy.client() as client:
        yield client


@few
@given(sent=failures | successes)
async def test_any_result(
    sent: tuple[Any, bool], client: httpx.AsyncClient, shared_upstream: ScriptedUpstream
) -> None:
    """Any result arrives unchanged, if the call waits and if it is replayed, with one request."""
    shared_upstream.clear()
    content, failed = sent
    model = new_model()
    messages = await called(client, model, shared_upstream)
    call = messages[-1]["content"][-1]["id"]
    messages.append({"role": "user", "content": [result(call, content, failed=failed)]})

    first = await ask(client, model, messages)
    assert arrived(shared_upstream) == [expected(content, failed)]

    messages = [{"role": "user", "content": "go on"}, *messages[1:]]
    messages += [{"role": "assistant", "content": first["content"]}, {"role": "user", "content": "again"}]
    await ask(client, model, messages)
    assert [expected(content, failed)] == arrived(shared_upstream)
    assert len(shared_upstream.requests) == 3


IN_PLACE: dict[str, tuple[Content, bool]] = {
    "text": ("found\n", False),
    "blanks between": ([text("a "), text(" "), text("\nb")], False),
    "long": ("x" * 400_000, False),
    "many images": ([picture(3, shade) for shade in range(40)], False),
    "long, and an image": ([text("x" * 200_000), picture(3, 0)], False),
    "failed": ("lost", True),
}
REPLAYED: dict[str, tuple[Content, bool]] = {
    "empty": ("", False),
    "nothing": (None, False),
    "no blocks": ([], False),
    "an empty block": ([text("")], False),
    "white space": (" \n", False),
    "failed and empty": ([], True),
    "failed, with an end of line": ("lost\n", True),
    "failed, in two texts": ([text("a"), text("b")], True),
    "failed at length": ("x" * 20_000, True),
    "failed, with an image": ([text("lost"), picture(3, 0)], True),
    "failed, with an image alone": ([picture(3, 0)], True),
    "characters that count twice": ("😀" * 250_001, False),
    "a large image": ([picture(2100, 0)], False),
    "a document": ([document("read me")], False),
}


@pytest.mark.parametrize("name", [*IN_PLACE, *REPLAYED])
async def test_results(
    name: str, client: httpx.AsyncClient, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    """What the CLI leaves unchanged continues in the same process, the rest is replayed, in one request."""
    content, failed = (IN_PLACE | REPLAYED)[name]
    model = new_model()
    messages = await called(client, model, upstream)
    call = messages[-1]["content"][-1]["id"]

    await ask(client, model, [*messages, {"role": "user", "content": [result(call, content, failed=failed)]}])

    assert arrived(upstream) == [expected(content, failed)]
    assert await live(proxy, model, 2) == [False, name in IN_PLACE]
    assert len(upstream.requests) == 2


# --- white space


def texts(upstream: ScriptedUpstream, index: int = -1) -> list[str]:
    """Return every text in one of the upstream's requests, wherever it is."""
    body = upstream.requests[index].body
    found: list[str] = []
    waiting: list[Any] = [body["messages"], body.get("system", [])]
    while waiting:
        match waiting.pop():
            case str(said):
                found.append(said)
            case {"type": "text", "text": said}:
                found.append(said)
            case {"content": content}:
                waiting.append(content)
            case list(several):
                waiting += several
    return found


WHITE = text(" \n")
SAID = {
    "beside a call": [text("\n\n"), {"type": "tool_use", "id": "c", "name": "look", "input": {}}],
    "around a call": [
        WHITE,
        text(" see "),
        WHITE,
        {"type": "tool_use", "id": "c", "name": "look", "input": {}},
    ],
}


@pytest.mark.parametrize("name", SAID)
async def test_white_space_everywhere(
    name: str, client: httpx.AsyncClient, upstream: ScriptedUpstream
) -> None:
    """No blank text goes upstream, wherever it is, and the texts around it stay unchanged."""
    messages: list[Block] = [
        {"role": "user", "content": [WHITE, picture(2, 0), WHITE, text(" a\n")]},
        {"role": "assistant", "content": SAID[name]},
        {"role": "user", "content": [result("c", [WHITE, text("\tb"), WHITE]), WHITE]},
        {"role": "system", "content": " "},
        {"role": "assistant", "content": [text(""), text("c ")]},
        {"role": "user", "content": [WHITE]},
        {"role": "assistant", "content": [text(" d")]},
        {"role": "user", "content": [{**document("e"), "context": "\n"}, text("f\n"), WHITE]},
    ]

    await ask(client, new_model(), messages, system=[text(" "), text("\n")])

    assert all(said.strip() for said in texts(upstream))
    roles = [message["role"] for message in upstream.requests[-1].body["messages"]]
    spoken = [role for role, _ in itertools.groupby(role for role in roles if role != "system")]
    assert spoken == ["user", "assistant", "user", "assistant", "user"]  # neighbours are one to the API
    ours = {" a\n", "\tb", "c ", " d", "f\n"} | ({" see "} if name == "around a call" else set())
    assert ours <= set(texts(upstream))
    assert len(upstream.requests) == 1


async def test_white_space_in_a_first_message(client: httpx.AsyncClient, upstream: ScriptedUpstream) -> None:
    """A conversation whose first message is blank begins with the next that is not."""
    messages = [
        {"role": "user", "content": " "},
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"},
    ]

    await ask(client, new_model(), messages)

    assert {"a", "b", "c"} <= set(texts(upstream))
    assert all(said.strip() for said in texts(upstream))


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("said", ["\n\n", "\ufeff"])
async def test_white_space_of_the_models_own(
    said: str, kept: bool, client: httpx.AsyncClient, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    """White space that the model wrote next to a call is not sent back to it, whatever the client keeps."""
    model = new_model()
    messages = await called(client, model, upstream, Text(said))
    blocks = messages[-1]["content"]
    assert [block["type"] for block in blocks] == ["text", "tool_use"]
    messages[-1]["content"] = blocks if kept else blocks[1:]
    messages.append({"role": "user", "content": [result(blocks[-1]["id"], "found")]})

    await ask(client, model, messages)

    assert said not in texts(upstream)
    assert await live(proxy, model, 2) == [False, True]


SILENCES = {
    "white space": Reply((Text("\n\n"),)),
    "an empty text": Reply((Text(""),)),
    "no block": Reply(()),
    "a thought": Reply((Thinking("hm"),)),
    "a stop at once": Reply((Text(""),), stop_reason="stop_sequence", stop_sequence="X"),
}


# A whole answer comes in one burst here, so on a machine that is busy otherwise the CLI can be killed too
# late. A proxy that does not kill it is too late each time.
TRIES = 6


async def fall_silent(
    client: httpx.AsyncClient, model: str, upstream: ScriptedUpstream, silence: Reply
) -> int:
    """Let the model write nothing, and return how often it was asked."""
    upstream.clear()
    upstream.script(silence)
    answer = await ask(client, model, [{"role": "user", "content": "go"}])
    await asyncio.sleep(0.5)
    assert answer["stop_reason"] == (silence.stop_reason or "end_turn")
    return len(upstream.requests)


@pytest.mark.parametrize("name", SILENCES)
async def test_silence(
    name: str, client: httpx.AsyncClient, proxy: RunningProxy, upstream: ScriptedUpstream
) -> None:
    """A model that writes nothing is not asked to continue; the CLI by itself would ask, and be billed."""
    asked, model = 0, ""
    for _ in range(TRIES):
        model = new_model()
        asked = await fall_silent(client, model, upstream, SILENCES[name])
        if asked == 1:
            break

    assert asked == 1
    messages: list[Block] = [{"role": "user", "content": "go"}]
    messages += [{"role": "assistant", "content": "a"}, {"role": "user", "content": "b"}]
    await ask(client, model, messages)
    assert await live(proxy, model, 2) == [False, False]
