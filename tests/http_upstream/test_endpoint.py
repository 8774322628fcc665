"""Where an API is: URLs, headers, and whether a proxy is used."""

from __future__ import annotations

import re

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.http_upstream import HttpSettings
from claude_max_proxy.http_upstream.endpoint import endpoint


PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.mark.parametrize(
    ("url", "whole", "tls"),
    [
        ("http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1/x", False),
        ("http://127.0.0.1/v1/", "http://127.0.0.1/v1/x", False),
        ("https://api.example.com", "https://api.example.com/x", True),
        ("https://[::1]:8443/a?api-version=1", "https://[::1]:8443/a/x?api-version=1", True),
    ],
)
def test_urls(url: str, whole: str, tls: bool) -> None:
    """Paths are joined to the base URL, and its query stays."""
    made = endpoint("a", HttpSettings(base_url=url), {})
    assert (made.url("/x"), made.tls) == (whole, tls)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"base_url": "127.0.0.1:11434"}, "backends.a.base_url: must be a URL"),
        ({"base_url": "ftp://x/"}, "backends.a.base_url: must be a URL"),
        ({"base_url": "http://x:99999"}, "backends.a.base_url: must be a URL"),
        ({"base_url": "http://x/a b"}, "backends.a.base_url: must be a URL"),
        ({"base_url": "http://x/a\r\nb"}, "backends.a.base_url: must be a URL"),
        ({"base_url": "http://me:pw@x"}, "backends.a.base_url: may hold no user name or password"),
        ({"base_url": "http://x", "headers": {"a b": "c"}}, 'backends.a.headers."a b": not the name'),
        ({"base_url": "http://x", "headers": {"Host": "c"}}, "backends.a.headers.Host: this header is"),
        ({"base_url": "http://x", "headers": {"a": "b\r\nc: d"}}, "backends.a.headers.a: holds characters"),
        ({"base_url": "http://x", "headers": {"a": "env:NOT_SET"}}, "backends.a.headers.a: the environment"),
    ],
)
def test_what_cannot_be_used(settings: dict[str, object], message: str) -> None:
    """A URL or a header that cannot be used is an error that names its path."""
    with pytest.raises(ConfigError, match=f"^{re.escape(message)}"):
        endpoint("a", HttpSettings(**settings), {})  # type: ignore[arg-type]


def test_the_users_headers_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header of the user's replaces the API's own, however it is spelled, and may be a secret too."""
    monkeypatch.setenv("MINE", "other")
    settings = HttpSettings(base_url="http://x", headers={"Authorization": "env:MINE"})
    made = endpoint("a", settings, {"authorization": "Bearer key"})
    assert dict(made.headers)["authorization"] == "other"
    assert "other" not in repr(made)


@pytest.mark.parametrize(
    ("url", "environment", "proxy"),
    [
        ("http://api.example.com", {}, ""),
        ("http://api.example.com", {"http_proxy": "http://p:1"}, "http://p:1"),
        ("https://api.example.com", {"http_proxy": "http://p:1"}, ""),
        ("http://api.example.com", {"http_proxy": "p:1"}, "http://p:1"),
        ("https://api.example.com", {"all_proxy": "http://p:1"}, "http://p:1"),
        ("http://api.example.com", {"http_proxy": "http://p:1", "no_proxy": "example.com"}, ""),
        ("http://127.0.0.1:1", {"http_proxy": "http://p:1"}, ""),
        ("http://localhost:1", {"http_proxy": "http://p:1"}, ""),
    ],
)
def test_proxies(monkeypatch: pytest.MonkeyPatch, url: str, environment: dict[str, str], proxy: str) -> None:
    """The environment's proxy is used where it applies, and never for this machine itself."""
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, text in environment.items():
        monkeypatch.setenv(name, text)
    assert endpoint("a", HttpSettings(base_url=url), {}).proxy == proxy
