"""The name of a proxy among several."""

from __future__ import annotations

import re

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.config import Config, ServerConfig, convert
from claude_max_proxy.config.replica import PATTERN, named_by


SHARED = {"url": "env:DATABASE"}


def test_the_name_that_is_set() -> None:
    """The configuration's name is used as it is, also where something is shared."""
    server = {"replica": "proxy-1.a_B"}
    assert convert({"server": server}, Config, "").server.replica == "proxy-1.a_B"
    assert convert({"server": server, "shared": SHARED}, Config, "").server.replica == "proxy-1.a_B"


def test_the_default() -> None:
    """A proxy that shares something has a name that may be in a header; one that is alone needs none."""
    assert Config().server.replica == ""
    name = convert({"shared": SHARED}, Config, "").server.replica
    assert name
    assert re.search(PATTERN, name)


@pytest.mark.parametrize("name", ["a b", "a\r\nx: y", "a\n", "\u00e9", "a:b", "x" * 65, "\x00"])
def test_names_that_cannot_be_used(name: str) -> None:
    """What may not be in a header, or is too long, is refused by the setting's name."""
    with pytest.raises(ConfigError, match=r"^server\.replica: "):
        convert({"replica": name}, ServerConfig, "server")


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("desk", "desk"),
        ("proxy-7d9f.cluster.local", "proxy-7d9f.cluster.local"),
        ("Zo\u00eb's laptop", "Zo-s-laptop"),
        ("x" * 300, "x" * 64),
        ("\u00e9\u00e9", "proxy"),
        ("", "proxy"),
    ],
)
def test_host_names(host: str, name: str) -> None:
    """Whatever a machine is called, a safe name is made of it."""
    assert named_by(host) == name
