"""The CLI's lines, in both directions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from claude_max_proxy.backends.claude_cli import protocol
from claude_max_proxy.backends.claude_cli.protocol import Garbage, decode, decode_initialized


DEEP = b"[" * 100_000


@pytest.mark.parametrize(
    ("line", "path", "value"),
    [
        (b'{"type":"stream_event","event":{"type":"message_stop"}}', "event.type", "message_stop"),
        (
            b'{"event":{"delta":{"text":"\xe2\x82\xac","type":"x"},"type":"y"},"type":"stream_event"}',
            "event.delta.text",
            "€",
        ),
        (b'{"type":"result","is_error":true,"api_error_status":429,"result":"no"}', "api_error_status", 429),
        (b'{"type":"result","result":""}', "is_error", False),
        (b'{"type":"rate_limit_event","rate_limit_info":{"resetsAt":5}}', "rate_limit_info.resets_at", 5.0),
        (b'{"type":"control_response","response":{"request_id":"r"}}', "response.request_id", "r"),
        (
            b'{"type":"control_request","request":{"message":{"params":{"_meta":{"claudecode/toolUseId":"t"}}}}}',
            "request.message.params.tool_use_id",
            "t",
        ),
        (b'{"type":"something_new","whatever":[1]}', "type", "something_new"),
    ],
)
def test_what_the_cli_says(line: bytes, path: str, value: Any) -> None:
    """Each kind of line is read, with its fields in any order; unknown ones are skipped."""
    found: Any = decode(line)
    for name in path.split("."):
        found = getattr(found, name)
    assert value == found


def test_a_kind_we_do_not_know() -> None:
    """A line of an unknown kind may have any shape."""
    assert decode(b'{"type":"new","event":"not an object"}') is None


@pytest.mark.parametrize(
    "line",
    [
        b"npm warn deprecated",
        b"{",
        b"\xff\xfe",
        b'{"type":"result","result":"\xff"}',
        b"[]",
        b'{"type":"result","result":5}',
        b'{"type":"stream_event","event":{}}',
        DEEP,
        b'{"type":5,"x":' + DEEP + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_protocol(line: bytes) -> None:
    """A line that is no JSON object, or has the wrong shape for its kind, is garbage and nothing worse."""
    with pytest.raises(Garbage):
        decode(line)


def test_an_introduction() -> None:
    """The answer to ``initialize`` is read as far as it can be."""
    known = decode_initialized(
        msgspec.Raw(b'{"account":{"tokenSource":"x"},"models":[{"value":"opus","supportsEffort":true}]}')
    )
    assert known.account.token_source == "x"
    assert (known.models[0].value, known.models[0].supports_effort) == ("opus", True)
    for response in (b"null", b'{"models":5}', b"{"):
        assert decode_initialized(msgspec.Raw(response)).models == []


def test_requests_have_ids_of_their_own() -> None:
    """Each of our requests is one line with a unique id."""
    first, line = protocol.control_request("interrupt", why="x")
    second, _ = protocol.control_request("interrupt")
    assert first != second
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert msgspec.json.decode(line) == {
        "type": "control_request",
        "request_id": first,
        "request": {"subtype": "interrupt", "why": "x"},
    }


@pytest.mark.parametrize(("given", "written"), [(3, 3), ("a", "a"), (None, 0), (0, 0)])
def test_an_mcp_answer(given: int | str | None, written: int | str) -> None:
    """A JSON-RPC answer carries the id of its request."""
    response = msgspec.json.decode(protocol.mcp_response("r", given, {"a": 1}))["response"]
    assert response == {
        "subtype": "success",
        "request_id": "r",
        "response": {"mcp_response": {"jsonrpc": "2.0", "id": written, "result": {"a": 1}}},
    }


def test_a_refusal() -> None:
    """A request that we do not serve is refused with a reason."""
    assert msgspec.json.decode(protocol.refusal("r", "no"))["response"] == {
        "subtype": "error",
        "request_id": "r",
        "error": "no",
    }


def test_a_line_is_one_line() -> None:
    """Whatever is written, a line ends only once."""
    assert protocol.line("user", text="a\nb\r\u2028").count(b"\n") == 1


@pytest.mark.parametrize("answer", [b"[]", b'{"rawMaxTokens": "x", "rewound": 5}', b"{", b'"text"'])
def test_answers_of_another_form(answer: bytes) -> None:
    """An answer that cannot be read says nothing, and above all not that something was taken back."""
    raw = msgspec.Raw(answer)
    assert protocol.decode_context(raw) == protocol.ContextUsage()
    assert not protocol.is_rewound(protocol.ControlResponse(subtype="success", response=raw))
    if answer[:2] != b'{"':  # of a plan, everything may be missing
        assert protocol.decode_usage(raw) == protocol.PlanUsage()


def test_answers_that_say_something() -> None:
    """A plan is read as it is, and lines are taken back only if the answer succeeded and says so."""
    assert protocol.decode_usage(msgspec.Raw(b'{"rate_limits": {"a": 1}}')).rate_limits == {"a": 1}
    for subtype, rewound in (("success", b"true"), ("success", b"false"), ("error", b"true")):
        raw = msgspec.Raw(b'{"rewound": ' + rewound + b"}")
        answer = protocol.ControlResponse(subtype=subtype, response=raw)
        assert protocol.is_rewound(answer) == ((subtype, rewound) == ("success", b"true"))
