"""What the scripted API refuses in messages and their content."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.judging import Case, assistant, call, judge, messages, result, rule_of, text, user
from tests.pictures import GIF, IMAGES, JPEG, PDF, PNG


EMPTY = "messages: text content blocks must be non-empty"
BLANK = "messages: text content blocks must contain non-whitespace text"
PATTERN = "String should match pattern '^[a-zA-Z0-9_-]+$'"
NO_RESULT = (
    "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. Each "
    "`tool_use` block must have a corresponding `tool_result` block in the next message."
)
MARK = {"cache_control": {"type": "ephemeral"}}
LONG = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}
NO_PREFILL = (
    "This model does not support assistant message prefill. The conversation must end with a user message."
)
LATE_NOTE = (
    "messages.0: role 'system' must follow a user message and be the last message or be followed by an "
    "assistant message"
)


def no_call(path: str, number: str) -> str:
    """Return what the API says about a result that answers no call."""
    return (
        f"{path}: unexpected `tool_use_id` found in `tool_result` blocks: {number}. Each `tool_result` block "
        "must have a corresponding `tool_use` block in the previous message."
    )


def picture(label: str = "image/png", data: str = PNG) -> dict[str, Any]:
    """Return a block with an image."""
    return {"type": "image", "source": {"type": "base64", "media_type": label, "data": data}}


def document(data: str = PDF) -> dict[str, Any]:
    """Return a block with a PDF."""
    source = {"type": "base64", "media_type": "application/pdf", "data": data}
    return {"type": "document", "source": source}


def ask(*blocks: dict[str, Any]) -> dict[str, Any]:
    """Return a conversation of one message."""
    return messages(user(*blocks))


def led(*blocks: dict[str, Any], made: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a conversation in which the model called, and these blocks came back."""
    return messages(user("Look!"), assistant(made or call()), user(*blocks))


def seen(*content: dict[str, Any]) -> dict[str, Any]:
    """Return a conversation that ends in a tool's result with these blocks."""
    return led(result(content=list(content)))


def labelled(label: str, actual: str) -> str:
    """Return what the API says about a wrong label."""
    return (
        f"messages.0.content.0.image.source.base64: The image was specified using the {label} media type, "
        f"but the image appears to be a {actual} image"
    )


TEXTS = [
    Case(EMPTY, ask(text(""), text("b")), ask(text("a"), text("b"))),
    Case(BLANK, ask(text("a"), text(" \n\t")), ask(text("a"), text(" \n\tb"))),
    Case(BLANK, messages(user(" \n")), messages(user(" \na"))),
    Case(EMPTY, seen(text("")), seen(text("a"))),
    Case(BLANK, seen(text("a"), text("\n")), seen(text("a"))),
    Case(EMPTY.replace("messages", "system"), {"system": [text("")]}, {"system": [text("a")]}),
    Case(BLANK.replace("messages", "system"), {"system": [text("a"), text(" ")]}, {"system": [text("a")]}),
    Case(BLANK.replace("messages", "system"), {"system": " "}, {"system": ""}),
    Case(
        "messages.0.content.0.text: cache_control cannot be set for empty text blocks",
        ask(text("", **MARK)),
        ask(text("a", **MARK)),
    ),
    Case(
        "system.0: cache_control cannot be set for empty text blocks",
        {"system": [text("", **MARK)]},
        {"system": [text("a", **MARK)]},
    ),
    Case(
        "messages.0: all messages must have non-empty content except for the optional final assistant "
        "message",
        messages(user("")),
        messages(user("a"), assistant("")),
    ),
    Case(
        "messages: final assistant content cannot end with trailing whitespace",
        messages(user("a"), assistant("b ")),
        messages(user("a"), assistant("b")),
    ),
    Case(
        "messages: final assistant content cannot end with trailing whitespace",
        messages(user("a"), assistant(text("b\n"))),
        messages(user("a"), assistant(text("b\n")), user("c")),
    ),
]
ROLES = [
    Case("messages: at least one message is required", {"messages": []}, messages(user("a"))),
    Case('messages: first message must use the "user" role', messages(assistant("a")), messages(user("a"))),
    Case(
        "messages.0.role: Input should be 'user', 'assistant' or 'system'",
        messages({"role": "tool", "content": "a"}),
        messages(user("a")),
    ),
    Case(
        NO_PREFILL,
        messages(user("a"), assistant("b")) | {"model": "claude-sonnet-5-5"},
        messages(user("a"), assistant("b"), user("c")) | {"model": "claude-sonnet-5-5"},
    ),
    Case(
        "role 'system' is not supported on this model",
        messages(user("a"), {"role": "system", "content": "b"}),
        messages(user("a"), {"role": "system", "content": "b"}) | {"model": "claude-opus-4-8"},
    ),
    Case(
        LATE_NOTE.replace("0", "1"),
        messages(user("a"), {"role": "system", "content": "b"}, user("c")) | {"model": "claude-opus-4-8"},
        messages(user("a"), {"role": "system", "content": "b"}, assistant("c"), user("d"))
        | {"model": "claude-opus-4-8"},
    ),
]
CALLS = [
    Case(NO_RESULT, led(text("a")), led(result(), text("a"))),
    Case(NO_RESULT, messages(user("a"), assistant(call())), led(result())),
    # Content before the results separates them from their calls.
    Case(NO_RESULT, led(text("a"), result()), led(result(), text("a"))),
    Case(no_call("messages.0.content.0", "toolu_1"), ask(result()), led(result())),
    Case(no_call("messages.2.content.1", "toolu_2"), led(result(), result("toolu_2")), led(result())),
    Case(
        "messages.2.content.1: each tool_use must have a single result. "
        "Found multiple `tool_result` blocks with id: toolu_1",
        led(result(), result()),
        led(result()),
    ),
    Case(
        "messages.3.content.0: `tool_use` ids must be unique",
        messages(user("a"), assistant(call()), user(result()), assistant(call()), user(result())),
        messages(user("a"), assistant(call()), user(result()), assistant(call("b")), user(result("b"))),
    ),
    Case(
        f"messages.1.content.0.tool_use.id: {PATTERN}",
        led(result("call:1"), made=call("call:1")),
        led(result("call-1"), made=call("call-1")),
    ),
    Case(f"messages.2.content.0.tool_result.tool_use_id: {PATTERN}", led(result("")), led(result())),
    Case(
        "messages.1.content.0.tool_use.input: Input should be a valid dictionary",
        led(result(), made=call(input="{}")),
        led(result(), made=call(input={})),
    ),
    Case("messages.0: `tool_use` blocks can only be in `assistant` messages", ask(call()), led(result())),
    Case(
        "messages.1: `tool_result` blocks can only be in `user` messages",
        messages(user("a"), assistant(result()), user("b")),
        led(result()),
    ),
]
BASE64 = "messages.0.content.0.image.source.base64"
MEDIA = [
    Case(labelled("image/png", "image/jpeg"), ask(picture(data=JPEG)), ask(picture("image/jpeg", JPEG))),
    Case(
        labelled("image/webp", "image/gif"), ask(picture("image/webp", GIF)), ask(picture("image/gif", GIF))
    ),
    Case(
        f"{BASE64}.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
        ask(picture("image/jpg", JPEG)),
        ask(picture("image/jpeg", JPEG)),
    ),
    Case(f"{BASE64}: invalid base64 data", ask(picture(data=f"{PNG[:8]}*{PNG[8:]}")), ask(picture())),
    Case(f"{BASE64}: invalid base64 data", ask(picture(data=PNG.rstrip("="))), ask(picture())),
    Case(f"{BASE64}: image cannot be empty", ask(picture(data="")), ask(picture())),
    Case("Could not process image", ask(picture(data=PDF)), ask(picture())),
    Case(
        f"{BASE64}: image exceeds 5 MB maximum: 5242884 bytes > 5242880 bytes",
        ask(picture(data="A" * (5 * 1024 * 1024 + 4))),
        ask(picture()),
    ),
    Case(
        "messages.2.content.0.tool_result.content.0.image.source.base64: invalid base64 data",
        seen(picture(data="a b")),
        seen(picture()),
    ),
    Case(
        "messages.0.content.0.image.source.url.url: Only HTTPS URLs are supported.",
        ask({"type": "image", "source": {"type": "url", "url": "http://127.0.0.1/a.png"}}),
        ask({"type": "image", "source": {"type": "url", "url": "https://127.0.0.1/a.png"}}),
    ),
    Case(
        "messages.0.content.0.document.source.base64.data: The PDF specified was not valid.",
        ask(document(base64.b64encode(b"a").decode())),
        ask(document()),
    ),
]
CACHING = [
    Case(
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        ask(*[text("a", **MARK)] * 4) | {"system": [text("a", **MARK)]},
        ask(*[text("a", **MARK)] * 3) | {"system": [text("a", **MARK)]},
    ),
    Case(
        "A maximum of 4 blocks with cache_control may be provided. Found 5.",
        ask(*[text("a", **MARK)] * 4) | MARK,
        ask(*[text("a", **MARK)] * 3) | MARK,
    ),
    Case(
        "messages.0.content.0.cache_control.ttl: a ttl='1h' cache_control block must not come after a "
        "ttl='5m' cache_control block. Note that blocks are processed in the following order: `tools`, "
        "`system`, `messages`.",
        ask(text("a", **LONG)) | {"system": [text("a", **MARK)]},
        ask(text("a", **MARK)) | {"system": [text("a", **LONG)]},
    ),
    Case(
        "messages.0.content.0.cache_control.ttl: Input should be '5m' or '1h'",
        ask(text("a", cache_control={"type": "ephemeral", "ttl": "1d"})),
        ask(text("a", **LONG)),
    ),
    Case(
        "messages.0.content.0.cache_control.scope: Extra inputs are not permitted",
        ask(text("a", cache_control={"type": "ephemeral", "scope": "global"})),
        ask(text("a", **MARK)),
    ),
]
SHAPES = [
    Case(
        "messages.0.content.0.text.note: Extra inputs are not permitted",
        ask(text("a", note=1)),
        ask(text("a")),
    ),
    Case(
        "messages.0.name: Extra inputs are not permitted",
        messages(user("a") | {"name": "b"}),
        messages(user("a")),
    ),
    Case("messages.0.content.0.text.text: Field required", ask({"type": "text"}), ask(text("a"))),
    Case(
        "messages.0.content.0: Unable to extract tag using discriminator 'type'",
        ask({"text": "a"}),
        ask(text("a")),
    ),
    Case(
        "system.0: Input tag 'image' found using 'type' does not match any of the expected tags: 'text'",
        {"system": [picture()]},
        {"system": [text("a")]},
    ),
]
CASES = [*TEXTS, *ROLES, *CALLS, *MEDIA, *CACHING, *SHAPES]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.message[:60])
def test_the_fault_alone_is_refused(case: Case) -> None:
    """The API refuses the fault in its own words, and nothing else."""
    assert judge(case.bad) == case.message
    assert judge(case.good) == ""


@pytest.mark.parametrize("label", IMAGES)
def test_every_kind_of_image_is_taken(label: str) -> None:
    """An image with the right label is accepted from the user and from a tool."""
    assert judge(ask(picture(label, IMAGES[label]))) == ""
    assert judge(seen(picture(label, IMAGES[label]))) == ""


@pytest.mark.parametrize("content", ["", [], None, " "])
def test_an_empty_result_is_none_of_the_faults(content: object) -> None:
    """A tool may return nothing: only a block of text must not be empty."""
    made = result(content=content)
    if content is None:
        del made["content"]
    assert judge(led(made)) == ""


def test_a_message_may_set_an_effort_alone() -> None:
    """A message may set only an effort, as the newest CLI does if a turn's effort changes."""
    setting = {"role": "system", "content": [], "output_config": {"effort": "low"}}
    said = messages(user("a"), setting) | {"model": "claude-sonnet-5-5"}
    assert judge(said, "per-turn-control-2026-07-01") == ""
    assert judge(said) == "messages.1.output_config: Extra inputs are not permitted"
    del setting["output_config"]
    assert judge(said, "per-turn-control-2026-07-01").startswith(
        "messages.1: all messages must have non-empty"
    )


def test_the_rules_have_cases() -> None:
    """Each rule about messages refuses at least one of the cases."""
    rules = {"check_shapes", "check_roles", "check_texts", "check_sides", "check_ids", "check_pairs"}
    assert {rule_of(case) for case in CASES} >= rules | {"check_media", "check_caching"}
