"""The user's own systemd, with a unit that starts with the user's session."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.service.plan import Plan


UNIT = "claude-max-proxy.service"
_TIMEOUT = 15


class Systemd:
    """The service manager that is controlled by ``systemctl --user``."""

    name = "systemd"

    def file(self) -> Path:
        """Return the path of the unit, in the user's folder for units."""
        base = os.environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
        return Path(base) / "systemd" / "user" / UNIT

    def render(self, plan: Plan) -> bytes:
        """Return a unit.

        It is hardened as far as the CLI allows. The CLI writes its login and settings below the home
        directory, its JavaScript engine generates code at run time, and its own sandbox needs namespaces.
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
        """Raise :class:`ConfigError` if the user's service manager does not answer."""
        command = ["systemctl", "--user", "show-environment"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = "there is no systemctl" if isinstance(error, FileNotFoundError) else str(error)
        else:
            if done.returncode == 0:
                return
            reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "it gave no reason"
        raise ConfigError(
            f"your user has no systemd here ({reason}), as in most containers and with `su`. "
            "In a container, run `claude-max-proxy serve` as the container's own command; "
            "elsewhere log in directly, or print the unit with `claude-max-proxy service install --print`"
        )

    def install_commands(self) -> list[list[str]]:
        """Return the commands that enable the unit and start it, or restart it."""
        systemctl = ["systemctl", "--user"]
        return [[*systemctl, "daemon-reload"], [*systemctl, "enable", UNIT], [*systemctl, "restart", UNIT]]

    def uninstall_commands(self) -> list[list[str]]:
        """Return the commands that stop and disable the unit."""
        return [["systemctl", "--user", "disable", "--now", UNIT]]

    def status_command(self) -> list[str]:
        """Return the ``systemctl --user status`` command for the unit."""
        return ["systemctl", "--user", "status", "--no-pager", "--lines=5", UNIT]

    def after(self) -> str:
        """Return a note that says how the service can go on without a session."""
        return (
            "It runs while you are logged in; `loginctl enable-linger` keeps it running without. "
            f"`systemctl --user reload {UNIT}` makes it read proxy.toml again, which it also does by itself."
        )


def _escaped(text: str) -> str:
    """Return a value in which systemd expands nothing."""
    return text.replace("%", "%%")


def _quoted(text: str, *, command: bool = False) -> str:
    """Return a word of a command or an assignment in quotes; in a command, dollar signs are escaped too."""
    text = _escaped(text).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text.replace("$", "$$")}"' if command else f'"{text}"'


_UNIT = """\
# Written by `claude-max-proxy service install`, which overwrites it; for changes of your own:
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
# For secret variables, one NAME=value a line. Nobody but you should be able to read this file.
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
