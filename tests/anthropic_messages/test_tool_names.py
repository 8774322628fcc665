"""The client's tool names and an upstream's."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claude_max_proxy.anthropic_messages import ToolNames


@given(
    st.lists(
        st.text(min_size=1, max_size=150) | st.sampled_from(["a b", "a.b", "a_b"]), unique=True, max_size=6
    ),
    st.integers(20, 128),
)
def test_names_go_both_ways(names: list[str], longest: int) -> None:
    """Every name gets a distinct name that the upstream accepts, and is mapped back."""
    mapped = ToolNames(names, {"a_b"}, longest)
    for name in names:
        upstream = mapped.upstream(name)
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", upstream)
        assert len(upstream) <= longest
        assert upstream != "a_b"
        assert mapped.client[upstream] == name
    assert len(mapped.client) == len(names)


def test_most_names_are_the_same() -> None:
    """A name that the upstream accepts is not changed; one that it does not accept stays recognisable."""
    names = ToolNames(["read-file_2", "read.file", "read file"])
    assert names.upstream("read-file_2") == "read-file_2"
    assert names.upstream("read.file").startswith("read_file_")
    assert names.upstream("read.file") != names.upstream("read file")


def test_a_mapped_name_gives_way() -> None:
    """A tool that already has the name which another tool would be mapped to keeps it."""
    other = ToolNames(["a.b"]).upstream("a.b")
    for given_names in (["a.b", other], [other, "a.b"]):
        names = ToolNames(given_names)
        assert names.upstream(other) == other
        assert names.upstream("a.b") not in {other, "a.b"}


@pytest.mark.parametrize("name", ["gone", "taken", "gone.too"])
def test_a_tool_of_the_history(name: str) -> None:
    """A tool that is no longer offered is still called by a name that the upstream accepts."""
    names = ToolNames(["here"], {"taken"})
    assert re.fullmatch(r"[a-zA-Z0-9_-]+", names.upstream(name))
    assert (names.upstream(name) == name) == (name == "gone")
