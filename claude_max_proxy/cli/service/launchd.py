"""macOS's launchd: an agent of the user's session."""

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
    """``launchctl``."""

    name = "launchd"

    def file(self) -> Path:
        """Among the user's agents."""
        return Path.home() / "Library" / "LaunchAgents" / f"{LABEL}.plist"

    def render(self, plan: Plan) -> bytes:
        """Write the property list."""
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
                "ProcessType": "Interactive",  # somebody waits for each answer
                "StandardOutPath": str(plan.log),
                "StandardErrorPath": str(plan.log),
            },
            sort_keys=False,
        )

    def available(self) -> None:
        """Look for ``launchctl``."""
        if shutil.which("launchctl") is None:
            raise ConfigError("there is no launchctl here; launchd is macOS's service manager")

    def install_commands(self) -> list[list[str]]:
        """Load it anew."""
        return [["launchctl", "bootstrap", _domain(), str(self.file())]]

    def uninstall_commands(self) -> list[list[str]]:
        """Unload it."""
        return [["launchctl", "bootout", f"{_domain()}/{LABEL}"]]

    def status_command(self) -> list[str]:
        """``launchctl print``."""
        return ["launchctl", "print", f"{_domain()}/{LABEL}"]

    def after(self) -> str:
        """Say when it runs."""
        return "It runs while you are logged in, and starts again with your next login."


def _domain() -> str:
    return f"gui/{os.getuid()}" if hasattr(os, "getuid") else "gui"
