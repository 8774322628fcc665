"""An API's address and the headers of every request to it, worked out once when the backend is built."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import SplitResult, urlsplit
from urllib.request import getproxies, proxy_bypass

import msgspec

from claude_max_proxy.config import quoted
from claude_max_proxy.config.secret import masked_url, may_be_secret, resolve_secret
from claude_max_proxy.errors import ConfigError
from claude_max_proxy.http_upstream.settings import HttpSettings


_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_SHORTEST = 6  # characters; anything shorter may occur in a text by chance
# Headers that users cannot set: we frame the requests, and the events of a compressed stream would be
# delayed.
_OURS = {"host", "content-length", "transfer-encoding", "connection", "accept-encoding"}


class Endpoint(msgspec.Struct, frozen=True):
    """The address and the headers of one API. ``headers`` may contain keys, so they are never shown."""

    host: str
    tls: bool
    authority: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return f"Endpoint({self.shown!r})"

    def url(self, path: str) -> str:
        """Return the whole URL of ``path`` below the base URL."""
        query = f"?{self.query}" if self.query else ""
        return f"{self._scheme}://{self.authority}{self.path}{path}{query}"

    def secrets(self, given: Collection[str]) -> Iterator[str]:
        """Yield the values of headers that must not be shown.

        These are the headers with the names ``given``, and those whose names suggest a secret.
        """
        own = {name.lower() for name in given}
        for name, value in self.headers:
            secret = value.rpartition(" ")[2]  # without the name of the scheme, such as Bearer
            if (name in own or may_be_secret(name.lower())) and len(secret) >= _SHORTEST:
                yield secret

    @property
    def shown(self) -> str:
        """The base URL as it may be shown: the query, which may contain a key, is masked."""
        return masked_url(self.url(""))

    @property
    def proxy(self) -> str:
        """The URL of the proxy that the environment names for this host, or an empty text.

        Requests to this machine never use a proxy.
        """
        if _is_local(self.host) or proxy_bypass(self.host):
            return ""

        proxies = getproxies()
        url = proxies.get(self._scheme) or proxies.get("all") or ""
        return url if "://" in url or not url else f"http://{url}"

    @property
    def _scheme(self) -> str:
        return "https" if self.tls else "http"


def endpoint(name: str, settings: HttpSettings, own: Mapping[str, str]) -> Endpoint:
    """Return the endpoint for ``[backends.<name>]``.

    ``own`` are the headers that its API asks for; headers in the settings override them. Raises
    :class:`ConfigError` for a URL or a header that cannot be used.
    """
    path = f"backends.{quoted(name)}"
    parts = _split(settings.base_url, f"{path}.base_url")
    host = parts.hostname or ""
    headers = {
        "accept": "text/event-stream, application/json",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "user-agent": "claude-max-proxy",
        **own,
        **_given(settings.headers, f"{path}.headers"),
    }
    return Endpoint(
        host,
        parts.scheme == "https",
        parts.netloc,
        parts.path.rstrip("/"),
        parts.query,
        tuple(headers.items()),
    )


def _split(url: str, path: str) -> SplitResult:
    wrong = ConfigError(f'{path}: must be a URL, as in "https://api.example.com/v1"')
    try:
        parts = urlsplit(url)
        valid = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError as error:
        raise wrong from error
    if not valid or not (url.isascii() and url.isprintable()) or " " in url:
        raise wrong
    if parts.username or parts.password:
        raise ConfigError(f"{path}: may hold no user name or password; say them in api_key or headers")
    return parts


def _given(headers: Mapping[str, str], path: str) -> dict[str, str]:
    given = {}
    for name, text in headers.items():
        where = f"{path}.{quoted(name)}"
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{where}: not the name of a header")
        if name.lower() in _OURS:
            raise ConfigError(f"{where}: this header is the proxy's own")
        given[name.lower()] = resolve_secret(text, where).reveal()
    return given


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
