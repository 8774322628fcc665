"""What a service is made of, for every service manager alike."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.launching import search_path, serve_command
from claude_max_proxy.cli.listening import local_url
from claude_max_proxy.config import load
from claude_max_proxy.runtime import APPLICATION, Runtime, find_config, user_directory


# What the CLI is told by the environment and is no secret; the proxies' may hold a password.
_CARRIED = ("CLAUDE_CONFIG_DIR", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_SECRETS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
_GRACE = 15


class Plan(msgspec.Struct, frozen=True):
    """``command`` is what runs, in ``folder``, with ``environment`` alone added to the manager's own.

    ``stop_timeout`` is how long running answers may take to end, in seconds. ``notes`` are for the user.
    """

    command: tuple[str, ...]
    folder: Path
    environment: dict[str, str]
    stop_timeout: int
    log: Path
    variables_file: Path
    url: str
    notes: tuple[str, ...] = ()

    @property
    def command_line(self) -> str:
        """The command as a shell takes it."""
        return shlex.join(self.command)


class Manager(Protocol):
    """A platform's service manager: where its file goes, what is in it, and the commands around it."""

    name: str

    def file(self) -> Path:
        """Where the file goes."""

    def render(self, plan: Plan) -> bytes:
        """Write the file's content."""

    def available(self) -> None:
        """Raise :class:`ConfigError` where the manager cannot be used."""

    def install_commands(self) -> list[list[str]]:
        """What starts the service now and from now on, once its file is there."""

    def uninstall_commands(self) -> list[list[str]]:
        """What stops the service for good, before its file is removed."""

    def status_command(self) -> list[str]:
        """What says how the service stands."""

    def after(self) -> str:
        """What the user should know once it is installed."""


def make_plan(config_file: str | None, environment: Mapping[str, str] = os.environ) -> Plan:
    """Plan the service for the configuration that is found; raise :class:`ConfigError` if it is broken."""
    runtime = Runtime(load(find_config(config_file)))
    server = runtime.config.server
    carried, notes = _environment(runtime, environment)
    source = runtime.config.source
    return Plan(
        command=tuple(serve_command(runtime.config)),
        folder=source.resolve().parent if source else Path.home(),
        environment=carried,
        stop_timeout=min(int(server.drain_timeout), 3600) + _GRACE,
        log=log_file(),
        variables_file=user_directory() / "environment",
        url=f"{local_url(server)}/v1" if server.port and not server.unix_socket else "",
        notes=tuple(notes),
    )


def log_file() -> Path:
    """Return the log file, for managers that keep no log of their own."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Logs" / f"{APPLICATION}.log"
    return user_directory() / f"{APPLICATION}.log"


def _environment(runtime: Runtime, environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the variables to carry, and say which the service will not have."""
    carried = {"PATH": search_path(runtime), "PYTHONUNBUFFERED": "1"}
    missing = [name for name in _SECRETS if environment.get(name)]
    for name in (*_CARRIED, *_PROXIES):
        value = environment.get(name, "")
        if value and name in _PROXIES and urlsplit(value).password:
            missing.append(name)
        elif value:
            carried[name] = value
    missing += sorted(set(_named(runtime.config.backends)) | set(_named(_keys(runtime))))
    notes = []
    if missing:
        names = ", ".join(dict.fromkeys(missing))
        notes.append(
            f"a service's file holds no secrets, so it does not have these variables of your shell: {names}"
        )
    return carried, notes


def _keys(runtime: Runtime) -> Any:
    return msgspec.to_builtins(runtime.config.server.api_keys)


def _named(value: Any) -> Iterator[str]:
    """Name the variables that ``env:NAME`` refers to, anywhere in a table."""
    match value:
        case dict():
            for one in value.values():
                yield from _named(one)
        case list() | tuple():
            for one in value:
                yield from _named(one)
        case str() if value.startswith("env:"):
            yield value.removeprefix("env:")


def check_paths(plan: Plan) -> None:
    """Refuse what no service file can say: a line end in a path."""
    for text in (*plan.command, *plan.environment.values(), str(plan.folder)):
        if "\n" in text or "\r" in text:
            raise ConfigError(f"{text!r} holds a line end, which a service's file cannot say")
