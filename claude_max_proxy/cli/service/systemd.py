"""The user's own systemd: a unit that starts with the user's session."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.service.plan import Plan


UNIT = "claude-max-proxy.service"
_TIMEOUT = 15


class Systemd:
    """``systemctl --user``."""

    name = "systemd"

    def file(self) -> Path:
        """In the user's unit folder."""
        base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        return Path(base) / "systemd" / "user" / UNIT

    def render(self, plan: Plan) -> bytes:
        """Write a unit.

        It is hardened where the CLI does not mind: it writes its login and settings below the home, its
        JavaScript engine makes code as it runs, and its own sandbox needs namespaces.
        """
        words = [_quoted(f"{key}={value}") for key, value in plan.environment.items()]
        environment = "\n".join(f"Environment={word}" for word in words)
        command = " ".join(_quoted(word, command=True) for word in plan.command)
        return _UNIT.format(
            command=command,
            environment=environment,
            folder=_escaped(str(plan.folder)),
            variables=_escaped(str(plan.variables_file)),
            stop_timeout=plan.stop_timeout,
        ).encode()

    def available(self) -> None:
        """Ask the user's manager for a sign of life."""
        command = ["systemctl", "--user", "show-environment"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = "there is no systemctl" if isinstance(error, FileNotFoundError) else str(error)
        else:
            if done.returncode == 0:
                return
            reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "it says no more"
        raise ConfigError(
            f"your user has no systemd here ({reason}), as in most containers and with `su`. "
            "In a container, run `claude-max-proxy serve` as the container's own command; "
            "elsewhere log in directly, or print the unit with `claude-max-proxy service install --print`"
        )

    def install_commands(self) -> list[list[str]]:
        """Enable and (re)start it."""
        systemctl = ["systemctl", "--user"]
        return [[*systemctl, "daemon-reload"], [*systemctl, "enable", UNIT], [*systemctl, "restart", UNIT]]

    def uninstall_commands(self) -> list[list[str]]:
        """Stop and disable it."""
        return [["systemctl", "--user", "disable", "--now", UNIT]]

    def status_command(self) -> list[str]:
        """``systemctl --user status``."""
        return ["systemctl", "--user", "status", "--no-pager", "--lines=5", UNIT]

    def after(self) -> str:
        """Say how it goes on without a session."""
        return (
            "It runs while you are logged in; `loginctl enable-linger` keeps it running without. "
            f"`systemctl --user reload {UNIT}` makes it read proxy.toml again, which it also does by itself."
        )


def _escaped(text: str) -> str:
    """Write a value in which systemd shall expand nothing."""
    return text.replace("%", "%%")


def _quoted(text: str, *, command: bool = False) -> str:
    """Quote a word of a command or an assignment; in commands a dollar sign would be a variable."""
    text = _escaped(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text.replace("$", "$$")}"' if command else f'"{text}"'


_UNIT = """\
# Written by `claude-max-proxy service install`, which writes it anew; for changes of your own:
# systemctl --user edit claude-max-proxy.service

[Unit]
Description=claude-max-proxy: an OpenAI endpoint for your own Claude Code login
StartLimitIntervalSec=120
StartLimitBurst=5

[Service]
Type=exec
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
WorkingDirectory={folder}
{environment}
# Variables that are secrets, one NAME=value a line, if there are any. It should be readable by you alone.
EnvironmentFile=-{variables}
Restart=on-failure
RestartSec=2
KillMode=mixed
TimeoutStopSec={stop_timeout}
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native

[Install]
WantedBy=default.target
"""
