"""What ``serve`` prints first: where it listens, what it offers, how to try it, and how its backends are."""

from __future__ import annotations

import asyncio
import re
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from claude_max_proxy import __version__
from claude_max_proxy.cli.sockets import host_and_port, url_of
from claude_max_proxy.config import ApiKey, Config, ServerConfig
from claude_max_proxy.formats.patterns import matches
from claude_max_proxy.formats.quoting import plain
from claude_max_proxy.runtime.runtime import Runtime


_TIMEOUT = 30.0
_MODEL = "claude-sonnet-4"


def announce(runtime: Runtime, listener: socket.socket) -> None:
    """Print where the server listens, what it offers, and how to try it."""
    config = runtime.config
    unix = config.server.unix_socket
    rows = [
        ("address", f"{url_of(listener, config.server)}/v1{f' on {unix}' if unix else ''}"),
        ("config", str(config.source or "none: the defaults")),
        *_plugin_rows(runtime),
        ("models", ", ".join(_plain_names(config))),
        *_try(config, listener).items(),
    ]
    click.echo(f"claude-max-proxy {__version__}")
    for name, value in rows:
        click.echo(f"  {name:<8}  {plain(value)}")


async def announce_backends(runtime: Runtime) -> None:
    """Print the state of each backend as soon as it is known, or what is known of it after a while."""
    waiting = dict(runtime.backends)
    end = asyncio.get_running_loop().time() + _TIMEOUT
    while waiting:
        late = asyncio.get_running_loop().time() > end
        for name in [n for n, b in waiting.items() if late or _is_known(b.health())]:
            click.echo(f"  {name:<8}  {plain(_summary(waiting.pop(name).health()))}")
        await asyncio.sleep(0.05)


def _is_known(facts: dict[str, Any]) -> bool:
    """Return whether a backend knows how it is; one that runs a program learns who is logged in last."""
    if facts.get("status") == "starting":
        return False
    return "command" not in facts or "login" in facts or "problem" in facts


def _plugin_rows(runtime: Runtime) -> list[tuple[str, str]]:
    """Return a row for each plugin in use that is not built in: its name, and where its code is from."""
    plugins = sorted((one for one in runtime.plugins if one.origin != "built-in"), key=lambda one: one.name)
    width = max((len(plugin.name) for plugin in plugins), default=0)
    rows = [f"{plugin.name:<{width}}  {plugin.origin}" for plugin in plugins]
    return list(zip(["plugins", *[""] * len(rows)], rows, strict=False))


def _plain_names(config: Config) -> list[str]:
    names = [name for name, entry in config.models.items() if not entry.hidden]
    return [name for name in names if "/" not in name and "*" not in name]


def _summary(facts: dict[str, Any]) -> str:
    if problem := facts.get("problem"):
        words = [facts.get("command", ""), facts.get("version", ""), str(problem)]
        words = words[1:] if words[0] and words[0] in words[2] else words  # it says which CLI it is about
    else:
        words = [str(facts.get(name, "")) for name in ("command", "version", "login")]
    return " · ".join(word for word in words if word) or str(facts.get("status", "ok"))


# --- a command to try it with


def _try(config: Config, listener: socket.socket) -> dict[str, str]:
    """Return a command that sends this server a request, and which variable has to be set for it."""
    model, key = _model_and_key(config)
    body = msgspec.json.encode({"model": model, "messages": [{"role": "user", "content": "Hello!"}]}).decode()
    words = ["curl", *_reaching(config.server, listener), "-H", "Content-Type: application/json", "-d", body]
    command = shlex.join(words)
    if key is None:
        return {"try": command}

    name, reference = key
    row = {"try": f'{command} -H "Authorization: Bearer {reference}"'}
    return row if reference != "$KEY" else {**row, "KEY": f"is the API key {name!r} of [server] api_keys"}


def _reaching(server: ServerConfig, listener: socket.socket) -> Iterator[str]:
    """Return the words with which curl reaches the server from this machine."""
    path = "/v1/chat/completions"
    if server.unix_socket:
        yield from ("--unix-socket", str(Path(server.unix_socket).expanduser().absolute()))
        yield f"http://localhost{path}"
        return

    host, port = host_and_port(listener)
    if not server.tls_certificate:
        yield f"http://{host}:{port}{path}"
        return

    yield from ("--cacert", str(Path(server.tls_certificate).expanduser().absolute()))
    if server.allowed_hosts:  # which its certificate is for, most likely
        yield from ("--resolve", f"{server.allowed_hosts[0]}:{port}:{host}")
        host = server.allowed_hosts[0]
    yield f"https://{host}:{port}{path}"


def _model_and_key(config: Config) -> tuple[str, tuple[str, str] | None]:
    """Return a model to ask for, and the name of a key that may, with what a shell puts in its place."""
    models = [_MODEL, *_plain_names(config)]
    for name, given in config.server.api_keys.items():
        entry = given if isinstance(given, ApiKey) else ApiKey(key=given)
        allowed = (
            one for one in models if not entry.models or any(matches(two, one) for two in entry.models)
        )
        return next(allowed, _MODEL), (name, _reference(entry.key))

    return _MODEL, None


def _reference(given: str) -> str:
    """Return how a shell finds a key. The key itself is not printed: logs keep what is."""
    kind, _, place = given.partition(":")
    if kind == "env" and re.fullmatch(r"[A-Za-z_]\w*", place, re.ASCII):
        return f"${place}"
    if kind == "file" and place:
        return f"$(cat {shlex.quote(str(Path(place).expanduser().absolute()))})"
    return "$KEY"
