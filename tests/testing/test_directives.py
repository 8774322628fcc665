"""Which answer a request asks for."""

from __future__ import annotations

from typing import Any

import pytest

from claude_max_proxy.testing import (
    Answer,
    Drop,
    Fault,
    Hang,
    Reply,
    Text,
    Thinking,
    ToolUse,
    answer_for,
    conversation,
    system_text,
)


REMINDER = {"type": "text", "text": "<system-reminder>[[drop]]</system-reminder>"}


def ask(*messages: tuple[str, Any]) -> dict[str, Any]:
    """Return a request with these messages, each a role and its content."""
    return {"messages": [{"role": role, "content": content} for role, content in messages]}


def result(text: str) -> dict[str, Any]:
    """Return a tool result with this text."""
    content = [{"type": "text", "text": text}]
    return {"type": "tool_result", "tool_use_id": "toolu_1", "content": content}


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ('[[tool read {"path": "a]]b"}]]', Reply((ToolUse("read", {"path": "a]]b"}),))),
        ("[[tool a]] and [[tool b {}]]", Reply((ToolUse("a"), ToolUse("b")))),
        ("[[say one moment]] [[tool a]]", Reply((Text("one moment"), ToolUse("a")))),
        ("[[deltas 3]]", Reply((Text("w0 w1 w2"),))),
        ("[[pace 0.5 2]]", Reply((Text("w0 w1"),), pace=0.5)),
        ("[[status 529]]", Fault(529, "overloaded_error", "overloaded error")),
        ("[[status 400 no good]]", Fault(400, "invalid_request_error", "no good")),
        ("[[drop]]", Drop()),
        ("[[drop 3]]", Drop(3)),
        ("[[hang]]", Hang()),
        ("[[hang 2]]", Hang(2)),
        ("[[refuse]]", Reply((), stop_reason="refusal")),
        ("[[say hi there]]", Reply((Text("hi there"),))),
    ],
)  # fmt: skip
def test_a_directive_makes_its_answer(text: str, answer: Answer) -> None:
    """Each directive leads to the answer that it names."""
    assert answer_for(ask(("user", text))) == answer


def test_directives_without_a_block_echo() -> None:
    """Sleeping, thinking and the token limit are followed by an echo of the message."""
    echo = Text("You said: [[sleep 0.2]]")
    assert answer_for(ask(("user", "[[sleep 0.2]]"))) == Reply((echo,), delay=0.2)
    echo = Text("You said: [[think why]]")
    assert answer_for(ask(("user", "[[think why]]"))) == Reply((Thinking("why"), echo))
    echo = Text("You said: [[max_tokens]]")
    assert answer_for(ask(("user", "[[max_tokens]]"))) == Reply((echo,), stop_reason="max_tokens")


def test_a_limit_is_the_plans() -> None:
    """The limit directive is a 429 with the headers of a used-up plan."""
    answer = answer_for(ask(("user", "[[limit]]")))
    assert isinstance(answer, Fault)
    assert answer.status == 429
    assert "anthropic-ratelimit-unified-reset" in answer.headers


def test_the_default_is_an_echo_of_the_newest_user_message() -> None:
    """Without a directive the newest text is returned, cut at 200 characters."""
    body = ask(("user", "[[drop]]"), ("assistant", "ok"), ("user", "x" * 300))
    assert answer_for(body) == Reply((Text("You said: " + "x" * 200),))
    assert answer_for(ask()) == Reply((Text("You said: "),))


def test_the_results_of_tools_come_back() -> None:
    """A message with tool results is answered with their texts."""
    plain = {"type": "tool_result", "tool_use_id": "toolu_2", "content": "two"}
    body = ask(("user", "[[tool a]]"), ("assistant", "…"), ("user", [result("one"), plain]))
    assert answer_for(body) == Reply((Text("Results: one | two"),))


def test_the_notes_of_the_cli_are_not_looked_at() -> None:
    """Reminders and system messages neither hide the user's text nor contain directives that count."""
    user = [REMINDER, {"type": "text", "text": "hello"}]
    body = ask(("user", user), ("system", "[[status 500]]"), ("user", [REMINDER]))
    assert answer_for(body) == Reply((Text("You said: hello"),))


def test_a_result_may_fault_but_not_call() -> None:
    """A directive in a tool result counts when there is no user text, unless it calls a tool."""
    assert answer_for(ask(("user", [result("[[drop]]")]))) == Drop()
    called = Reply((Text("Results: [[tool a]]"),))
    assert answer_for(ask(("user", [result("[[tool a]]")]))) == called
    both = [result("[[drop]]"), {"type": "text", "text": "[[say user]]"}]
    assert answer_for(ask(("user", both))) == Reply((Text("user"),))


@pytest.mark.parametrize(
    "text",
    ["[[status]]", "[[status 200]]", "[[deltas x]]", "[[tool a {]]", "[[tool]]", "[[pace 1]]"],
)
def test_a_bad_directive_is_refused_loudly(text: str) -> None:
    """A directive that makes no sense is a 400 and not an echo."""
    answer = answer_for(ask(("user", text)))
    assert isinstance(answer, Fault)
    assert answer.status == 400
    assert answer.message.startswith("bad directive")


@pytest.mark.parametrize("text", ["[[unknown]]", "[[toolbox]]", "[[say no end", "[ [drop]]"])
def test_what_is_no_directive_is_echoed(text: str) -> None:
    """Brackets that name no directive are ordinary text."""
    assert answer_for(ask(("user", text))) == Reply((Text("You said: " + text),))


def test_a_conversation_is_what_the_client_sent() -> None:
    """The CLI's notes and cache marks are removed, and strings become blocks."""
    mark = {"cache_control": {"type": "ephemeral"}}
    user: list[dict[str, Any]] = [
        REMINDER,
        {"type": "text", "text": "b", **mark},
        {**result("c"), **mark},
    ]
    body = ask(("user", "a"), ("system", "note"), ("user", [REMINDER]), ("user", user))
    assert conversation(body) == [
        ("user", [{"type": "text", "text": "a"}]),
        ("user", [{"type": "text", "text": "b"}, result("c")]),
    ]
    assert "cache_control" in user[1]


def test_the_system_text_is_what_the_client_sent() -> None:
    """The CLI's own first blocks are removed; a string is used as it is."""
    own = "You are a Claude agent, built on Anthropic's Claude Agent SDK."
    texts = ["x-anthropic-billing-header: cc_version=1", own, "Be ", own]
    system = [{"type": "text", "text": text} for text in texts]
    assert system_text({"system": system}) == "Be " + own
    assert system_text({"system": "plain"}) == "plain"
    assert system_text({}) == ""
