"""Fingerprints: equal for what a client sends back in another spelling, different for anything else."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_max_proxy import (
    Agent,
    Audio,
    File,
    Image,
    Message,
    Reasoning,
    Request,
    Text,
    Tool,
    ToolCall,
    ToolResult,
)
from claude_max_proxy.backends.claude_cli.fingerprint import extend, root
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind


KIND = ProcessKind("opus")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text(max_size=4), JSON, max_size=4)
IDS = st.from_regex(r"call[A-Za-z0-9]{24}", fullmatch=True)
TEXTS = st.builds(Text, st.text(max_size=8))
CALLS = st.builds(ToolCall, IDS, st.text(min_size=1, max_size=5), OBJECTS.map(json.dumps))
RESULTS = st.builds(
    lambda identity, texts, failed: ToolResult(identity, tuple(texts), failed),
    IDS,
    st.lists(TEXTS, max_size=2),
    st.booleans(),
)
USERS = st.builds(lambda parts: Message("user", parts), st.lists(TEXTS | RESULTS, max_size=3))
ASSISTANTS = st.builds(lambda parts: Message("assistant", parts), st.lists(TEXTS | CALLS, max_size=3))
HISTORIES = st.lists(USERS | ASSISTANTS, max_size=5)


def of(messages: list[Message]) -> bytes:
    """Return the fingerprint of a conversation."""
    return extend(root(Request("m"), KIND), messages)


def handed_back(message: Message) -> Message:
    """Return a message as a client sends it back: in another spelling, with the same meaning."""
    if message.role == "user":
        return Message(
            "user",
            [
                msgspec.structs.replace(part, id=re.sub(r"[^A-Za-z0-9]", "", part.id) + "-_")
                if isinstance(part, ToolResult)
                else part
                for part in message.parts
            ],
        )

    text = "".join(part.text for part in message.parts if isinstance(part, Text))
    calls = [
        ToolCall(
            f"{part.id[:10]}_{part.id[10:]}",
            part.name,
            json.dumps(dict(reversed(json.loads(part.arguments).items())), indent=2, ensure_ascii=False),
        )
        for part in message.parts
        if isinstance(part, ToolCall)
    ]
    return Message("assistant", [Reasoning("dropped or not"), Text(text), *calls])


@settings(max_examples=50)
@given(HISTORIES)
def test_what_clients_do_to_a_history(messages: list[Message]) -> None:
    """Joined texts, re-serialised arguments, missing ids and other reasoning change nothing."""
    assert of(messages) == of([handed_back(message) for message in messages])


@settings(max_examples=50)
@given(HISTORIES, HISTORIES)
def test_a_prefix_can_be_continued(before: list[Message], after: list[Message]) -> None:
    """A fingerprint that is extended equals the fingerprint of the whole."""
    assert extend(of(before), after) == of(before + after)


@settings(max_examples=50)
@given(HISTORIES, st.integers(0, 5), TEXTS)
def test_ephemeral_messages_do_not_count(messages: list[Message], place: int, text: Text) -> None:
    """A message that is marked ephemeral may be anywhere, or missing."""
    floating = Message("user", [text], ephemeral=True)
    assert of(messages) == of([*messages[:place], floating, *messages[place:]])


def meaning(messages: list[Message]) -> Any:
    """Return what a history says, computed in another way, to check inequality."""
    said = []
    for message in messages:
        if message.role == "assistant":
            text = "".join(part.text for part in message.parts if isinstance(part, Text))
            calls = [
                [part.id, part.name, json.dumps(json.loads(part.arguments), sort_keys=True)]
                for part in message.parts
                if isinstance(part, ToolCall)
            ]
            said += [["assistant", text if text.strip() else "", calls]] if text.strip() or calls else []
        elif parts := [part for part in map(without_blanks, message.parts) if part]:
            said.append(["user", repr(parts)])
    return said


def without_blanks(part: Any) -> Any:
    """Return a user's part as it goes upstream, or nothing for text of white space alone."""
    if isinstance(part, ToolResult):
        return msgspec.structs.replace(part, parts=tuple(filter(None, map(without_blanks, part.parts))))
    return part if part.text.strip() else None


@settings(max_examples=50)
@given(HISTORIES, HISTORIES)
def test_other_histories_differ(first: list[Message], second: list[Message]) -> None:
    """Two histories have the same fingerprint exactly if they say the same."""
    assert (of(first) == of(second)) is (meaning(first) == meaning(second))


WHITE = Text(" \n")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([Text("hi"), WHITE], [Text("hi")]),
        ([ToolResult("c", (WHITE,))], [ToolResult("c", ())]),
        ([ToolResult("c", (WHITE, Text("a ")))], [ToolResult("c", (Text("a "),))]),
    ],
)
def test_white_space_of_a_user(one: list[Any], other: list[Any]) -> None:
    """Texts of white space alone make no difference: they do not reach the model."""
    assert of([Message("user", one)]) == of([Message("user", other)])


@pytest.mark.parametrize("handed", [[], [Text("")], [WHITE], [WHITE, WHITE]])
def test_white_space_beside_a_call(handed: list[Any]) -> None:
    """A client may send back the white space that the model wrote next to a call, or leave it out."""
    call = ToolCall("c", "look", "{}")
    said = Message("assistant", [WHITE, call])
    assert of([USER, said]) == of([USER, Message("assistant", [*handed, call])])
    assert of([USER, said]) != of([USER, Message("assistant", [Text("a"), call])])


USER = Message("user", [Text("ab")])
VARIANTS = [
    [],
    [USER],
    [USER, USER],
    [Message("assistant", [Text("ab")])],
    [Message("user", [Text("a"), Text("b")])],
    [Message("user", [Text("a")]), Message("user", [Text("b")])],
    [Message("user", [Text("ab ")])],
    [Message("user", [Image("image/png", "ab")])],
    [Message("user", [Image("image/gif", "ab")])],
    [Message("user", [Image(url="ab")])],
    [Message("user", [Audio("ab", "wav")])],
    [Message("user", [Audio("ab", "mp3")])],
    [Message("user", [File("a", "ab")])],
    [Message("user", [File("a", "ab", "name")])],
    [Message("user", [ToolResult("c", (Text("ab"),))])],
    [Message("user", [ToolResult("d", (Text("ab"),))])],
    [Message("user", [ToolResult("c", (Text("ab"),), is_error=True)])],
    [Message("user", [ToolResult("c", (Text("a"), Text("b")))])],
    [Message("assistant", [ToolCall("c", "ab", "{}")])],
    [Message("assistant", [ToolCall("d", "ab", "{}")])],
    [Message("assistant", [ToolCall("c", "ab", '{"a":1}')])],
    [Message("assistant", [ToolCall("c", "ab", '{"a":"1"}')])],
    [Message("assistant", [ToolCall("c", "ab", '{"a":true}')])],
    [Message("assistant", [ToolCall("c", "ab", "{")])],
    [Message("assistant", [ToolCall("c", "ab", "{}"), ToolCall("d", "ab", "{}")])],
    [Message("assistant", [ToolCall("d", "ab", "{}"), ToolCall("c", "ab", "{}")])],
]


def test_no_two_alike() -> None:
    """Every difference in what was said is a difference in the fingerprint."""
    assert len({of(messages) for messages in VARIANTS}) == len(VARIANTS)


AGENT = Agent(("Read",), "work")


def test_what_binds_a_process() -> None:
    """A process's kind, instructions, schema and an agent's tools are part of the fingerprint."""
    bound = ProcessKind("opus", AGENT)
    requests = [
        (Request("m"), KIND),
        (Request("m"), ProcessKind("sonnet")),
        (Request("m", system="s"), KIND),
        (Request("m", response_schema={}), KIND),
        (Request("m", response_schema={"x": 1}), KIND),
        (Request("m", agent=AGENT), bound),
        (Request("m", agent=AGENT, tools=[Tool("a")]), bound),
        (Request("m", agent=AGENT, tools=[Tool("a", "d")]), bound),
        (Request("m", agent=AGENT, tools=[Tool("a"), Tool("b")]), bound),
        (Request("m", agent=AGENT, tools=[Tool("b"), Tool("a")]), bound),
    ]
    assert len({root(request, kind) for request, kind in requests}) == len(requests)


def test_what_does_not_bind_a_process() -> None:
    """The client's name for the model, its tools, and the spelling of schemas make no difference."""
    one = Request(
        "opus", tools=[Tool("a", parameters={"x": 1})], stream=True, response_schema={"x": 1, "y": 2}
    )
    two = Request("claude-opus-4", response_schema={"y": 2, "x": 1})
    assert root(one, KIND) == root(two, KIND)


@pytest.mark.parametrize("thought", [Reasoning("hm"), Reasoning("")])
def test_an_unsigned_thought_in_a_users_message(thought: Reasoning) -> None:
    """Thoughts that are not signed are not written for the model, so they make no difference anywhere."""
    assert of([USER, Message("user", [thought])]) == of([USER])
    assert of([Message("user", [thought, Text("ab")])]) == of([USER])


def test_signed_thoughts_in_a_users_message() -> None:
    """Signed thoughts are written for the model, also in a user's message, where a plugin may put them."""
    thoughts = [Reasoning("a", "s"), Reasoning("b", "s"), Reasoning("a", "t")]
    histories = [[Message("user", [thought])] for thought in thoughts]
    assert len({of([]), *map(of, histories)}) == 1 + len(thoughts)
