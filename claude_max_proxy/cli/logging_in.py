"""``claude-max-proxy login``: the CLI's own login, in this terminal, for the backend that will use it."""

from __future__ import annotations

import os
import subprocess

import click

from claude_max_proxy import ConfigError
from claude_max_proxy.backends.claude_cli.advice import LOG_IN, how_to_log_in
from claude_max_proxy.backends.claude_cli.backend import ClaudeCli
from claude_max_proxy.backends.claude_cli.command import environment, find_command
from claude_max_proxy.backends.claude_cli.directory import private_directory
from claude_max_proxy.config import load, near_miss
from claude_max_proxy.errors import BackendUnavailable
from claude_max_proxy.runtime.runtime import Runtime, find_config


# What a terminal and a browser need; none of it says where a login is kept.
_TERMINAL = (
    *("TERM", "COLORTERM", "BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "DBUS_SESSION_BUS_ADDRESS"),
    *("SSH_CONNECTION", "SSH_TTY"),
)


def run(backend: str | None, config_file: str | None) -> int:
    """Log in the CLI of this backend, or of the first that has one; return the CLI's exit status.

    Raises :class:`ConfigError` if there is no such backend, or no CLI.
    """
    settings = _chosen(Runtime(load(find_config(config_file))), backend).settings
    try:
        command = find_command(settings.command)
        folder = private_directory()
    except BackendUnavailable as error:
        raise ConfigError(error.message) from error
    click.echo(f"running {how_to_log_in(command, settings.env)}", err=True)
    terminal = {name: os.environ[name] for name in _TERMINAL if name in os.environ}
    variables = {**terminal, **environment(os.environ, settings.env)}
    try:
        return subprocess.run([*command, *LOG_IN], env=variables, cwd=folder, check=False).returncode
    except OSError as error:
        raise ConfigError(f"{command[0]} cannot be run: {error.strerror or error}") from error


def _chosen(runtime: Runtime, name: str | None) -> ClaudeCli:
    found = {key: one for key, one in runtime.backends.items() if isinstance(one, ClaudeCli)}
    if name is not None and name not in found:
        raise ConfigError(f"no backend of type claude-cli is called {name!r}{near_miss(name, found)}")
    if not found:
        raise ConfigError("no backend of type claude-cli is configured, and only those have a login")
    return found[name] if name is not None else next(iter(found.values()))
