"""macOS's launchd, which runs the proxy as an agent in the user's session."""

from __future__ import annotations

import os
import plistlib
import shutil
from pathlib import Path

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.service.plan import Plan


LABEL = "local.claude-max-proxy"
_RESTART_AFTER = 5  # seconds


class Launchd:
    """The service manager that is controlled by ``launchctl``."""

    name = "launchd"

    def file(self) -> Path:
        """Return the path of the property list, in the folder of the user's agents."""
        return Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"

    def render(self, plan: Plan) -> bytes:
        """Return the property list."""
        return plistlib.dumps(
            {
                "Label": LABEL,
                "ProgramArguments": list(plan.command),
                "WorkingDirectory": str(plan.folder),
                "EnvironmentVariables": plan.environment,
                "RunAtLoad": True,
                "KeepAlive": {"SuccessfulExit": False},
                "ThrottleInterval": _RESTART_AFTER,
                "ExitTimeOut": plan.stop_timeout,
                "ProcessType": "Interactive",  # because somebody waits for each answer
                "StandardOutPath": str(plan.log),
                "StandardErrorPath": str(plan.log),
            },
            sort_keys=False,
        )

    def available(self) -> None:
        """Raise :class:`ConfigError` if there is no ``launchctl``."""
        if shutil.which("launchctl") is None:
            raise ConfigError("there is no launchctl here; launchd is macOS's service manager")

    def install_commands(self) -> list[list[str]]:
        """Return the commands that unload the agent, if it is loaded, and load it."""
        return [["launchctl", "bootstrap", _domain(), str(self.file())]]

    def uninstall_commands(self) -> list[list[str]]:
        """Return the command that unloads the agent."""
        return [["launchctl", "bootout", f"{_domain()}/{LABEL}"]]

    def status_command(self) -> list[str]:
        """Return the ``launchctl print`` command for the agent."""
        return ["launchctl", "print", f"{_domain()}/{LABEL}"]

    def after(self) -> str:
        """Return a note that says when the service runs."""
        return "It runs while you are logged in, and starts again with your next login."


def _domain() -> str:
    return f"gui/{os.getuid()}" if hasattr(os, "getuid") else "gui"
