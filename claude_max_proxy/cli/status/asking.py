"""Asks the running proxy for its state, at the address and with the key that ``proxy.toml`` names."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx
import msgspec

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.sockets import local_url
from claude_max_proxy.config import ApiKey, ServerConfig
from claude_max_proxy.config.secret import find_secret
from claude_max_proxy.formats.quoting import plain
from claude_max_proxy.observers.meter.report import Report


_TIMEOUT = 15.0
_SHOWN = 200


class NoAnswer(Exception):
    """There is no state to show; the message says why, and what to do."""


def address(server: ServerConfig) -> str:
    """Return where the configured server listens, for people. Raises :class:`ConfigError` for port 0."""
    return server.unix_socket or local_url(server)


def ask(server: ServerConfig) -> bytes:
    """Return the answer of ``GET /status``, which is a :class:`Report` in JSON.

    Raises :class:`NoAnswer`, and :class:`ConfigError` for an address or a key that cannot be used.
    """
    where, headers = address(server), _headers(server)
    try:
        with _client(server) as client:
            answer = client.get("/status", headers=headers)
    except httpx.ConnectError as error:
        raise NoAnswer(f"No proxy is running at {where}. To start one: claude-max-proxy serve") from error
    except httpx.TimeoutException as error:
        raise NoAnswer(f"What runs at {where} does not answer within {_TIMEOUT:g} s.") from error
    except (httpx.HTTPError, OSError) as error:
        raise NoAnswer(f"What runs at {where} does not answer as this proxy would: {error}") from error
    if answer.status_code != 200:
        raise NoAnswer(_refusal(answer, where, known=bool(headers)))
    return answer.content


def read(content: bytes) -> Report:
    """Return what an answer says. Raises :class:`NoAnswer` if it is not one of this version's proxy."""
    try:
        return msgspec.json.decode(content, type=Report)
    except msgspec.MsgspecError as error:
        raise NoAnswer(f"The proxy that is running is another version than this command: {error}") from error


def _client(server: ServerConfig) -> httpx.Client:
    if server.unix_socket:
        socket = str(Path(server.unix_socket).expanduser())
        transport = httpx.HTTPTransport(uds=socket)
        return httpx.Client(base_url="http://localhost", transport=transport, timeout=_TIMEOUT)

    verify: ssl.SSLContext | bool = True
    if server.tls_certificate:  # whoever has this certificate is the proxy, whatever name it is for
        verify = ssl.create_default_context(cafile=str(Path(server.tls_certificate).expanduser()))
        verify.check_hostname = False
        verify.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return httpx.Client(base_url=local_url(server), timeout=_TIMEOUT, trust_env=False, verify=verify)


def _headers(server: ServerConfig) -> dict[str, str]:
    """Return the header with the first key that may see the state, if keys are needed."""
    for name, entry in server.api_keys.items():
        if isinstance(entry, ApiKey) and entry.admin:
            return {"authorization": f"Bearer {find_secret(entry.key, name)}"}
    if server.api_keys:
        raise ConfigError(
            "server.api_keys: none has `admin = true`, which the state of the proxy asks for; write one as "
            'NAME = { key = "…", admin = true }'
        )
    return {}


def _refusal(answer: httpx.Response, where: str, *, known: bool) -> str:
    if answer.status_code == 401:
        what = "the key in this proxy.toml" if known else "a request without a key"
        return f"The proxy at {where} does not accept {what}. Does it run with another configuration?"
    if answer.status_code == 404:
        return (
            f"What runs at {where} has no /status: it is an older version or another program, or the plugin "
            "meter is switched off."
        )
    return f"What runs at {where} answers with {answer.status_code}: {plain(answer.text[:_SHOWN])}"
