"""What JavaScript's JSON would change is reported; everything else is not."""

from __future__ import annotations

import json
import shutil
import subprocess
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from claude_max_proxy import Message, Request, Tool, ToolCall
from claude_max_proxy.backends.claude_cli.exactness import inexact


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        ({"maximum": 2**53}, []),
        ({"maximum": 2**53 + 1}, ["precision"]),
        ({"maximum": 2**63 - 1}, ["precision"]),
        ({"minimum": -(2**63)}, ["precision"]),  # a double, but written with zeros at its end
        ({"minimum": 10**18}, []),
        ({"minimum": -(2**63) + 1}, ["precision"]),
        ({"enum": ["12345678901234567890"]}, []),
        ({"a": {"1": {}, "2": {}, "b": 1}}, []),
        ({"a": {"b": 1, "1": {}}}, ["member_order"]),
        ({"a": [{"2": 1, "10": 1}, {"10": 1, "2": 1}]}, ["member_order"]),
        ({"a": {"b": 1, "01": 1, "4294967295": 1}}, []),
        ({"a": 1.5e300, "b": True, "c": None, "d": 0.1}, []),
    ],
)
def test_tools(value: dict[str, Any], changes: list[str]) -> None:
    """The tool is named by its path, with what would change."""
    request = Request("m", tools=[Tool("a"), Tool("b", parameters=value, path="functions[1]")])
    assert inexact(request) == [f"functions[1].{change}" for change in changes]


def test_further_places() -> None:
    """Schemas of answers and calls in the history are checked, too."""
    calls = [ToolCall("a", "f", '{"id": 9007199254740993}'), ToolCall("b", "f", '{"id": 9007199254740993')]
    request = Request("m", messages=[Message("assistant", list(calls))], response_schema={"b": {}, "1": {}})
    assert inexact(request) == ["response_format.member_order", "tool_calls.precision"]


VALUES = st.recursive(
    st.integers(-(2**70), 2**70)
    | st.booleans()
    | st.text(max_size=3)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["0", "00", "1", "7", "10", "a", "__proto__", "4294967295"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["a", "b", "1", "0"]), VALUES, max_size=3), min_size=200, max_size=200
    )
)
@settings(max_examples=3, deadline=None, phases=[Phase.generate])
def test_it_is_what_javascript_does(values: list[dict[str, Any]]) -> None:
    """A value is reported exactly if Node would write it differently."""
    node = shutil.which("node")
    assert node is not None, "the tests need Node"
    script = "process.stdout.write(JSON.stringify(JSON.parse(require('fs').readFileSync(0, 'utf8'))))"
    given_text = json.dumps(values)
    ran = subprocess.run(
        [node, "-e", script], input=given_text.encode(), capture_output=True, check=True, timeout=30
    )
    for value, given_value, seen in zip(values, _read(given_text), _read(ran.stdout), strict=True):
        told = inexact(Request("m", tools=[Tool("f", parameters=value)]))
        same = _ordered(given_value) == _ordered(seen)
        assert (told == []) == same, (value, seen)


def _read(text: str | bytes) -> Any:
    """Read numbers with all their digits."""
    return json.loads(text, parse_int=Decimal, parse_float=Decimal)


def _ordered(value: Any) -> Any:
    """Make the order of members matter in comparisons."""
    if isinstance(value, dict):
        return [[name, _ordered(inner)] for name, inner in value.items()]
    return [_ordered(inner) for inner in value] if isinstance(value, list) else value
