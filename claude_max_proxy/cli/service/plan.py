"""Plans the service: what all service managers need to know."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.launching import search_path, serve_command
from claude_max_proxy.cli.sockets import local_url
from claude_max_proxy.config import load
from claude_max_proxy.runtime.runtime import APPLICATION, Runtime, find_config, user_directory


# The variables for the CLI that contain no secret. Those for HTTP proxies are not here: they may contain a
# password.
_CARRIED = ("CLAUDE_CONFIG_DIR", "NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_SECRETS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN")
_GRACE = 15


class Plan(msgspec.Struct, frozen=True):
    """What the service runs: ``command`` in ``folder``, with ``environment`` added to the service manager's.

    ``stop_timeout`` is how many seconds running answers may take to end. ``notes`` are for the user.
    """

    command: tuple[str, ...]
    folder: Path
    environment: dict[str, str]
    stop_timeout: int
    log: Path
    variables_file: Path
    url: str
    notes: tuple[str, ...] = ()


class Manager(Protocol):
    """A platform's service manager: where its file is, what the file contains, and the commands for it."""

    name: str

    def file(self) -> Path:
        """Return the path of the service's file."""

    def render(self, plan: Plan) -> bytes:
        """Return the content of the file."""

    def available(self) -> None:
        """Raise :class:`ConfigError` if the service manager cannot be used."""

    def install_commands(self) -> list[list[str]]:
        """Return the commands that start the service, now and in future, once its file is there."""

    def uninstall_commands(self) -> list[list[str]]:
        """Return the commands that stop the service permanently, before its file is removed."""

    def status_command(self) -> list[str]:
        """Return the command that prints the state of the service."""

    def after(self) -> str:
        """Return what the user should know after the installation."""


def make_plan(config_file: str | None, environment: Mapping[str, str] = os.environ) -> Plan:
    """Return the plan for this configuration. Raises :class:`ConfigError` if it cannot be used."""
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
    """Return the path of the log file, for service managers that keep no log themselves."""
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Logs" / f"{APPLICATION}.log"
    return user_directory() / f"{APPLICATION}.log"


def _environment(runtime: Runtime, environment: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the variables that the service gets, and notes about those that it does not get."""
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
    """Yield the variables to which ``env:NAME`` refers anywhere in a table."""
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
    """Raise :class:`ConfigError` for a path with a line end, which a service file cannot contain."""
    for text in (*plan.command, *plan.environment.values(), str(plan.folder)):
        if "\n" in text or "\r" in text:
            raise ConfigError(f"{text!r} contains a line end, which a service's file cannot contain")
