"""Windows' task scheduler, with a task that starts when the user logs on."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.service.plan import Plan
from claude_max_proxy.runtime.runtime import user_directory


TASK = "claude-max-proxy"
NAMESPACE = "http://schemas.microsoft.com/windows/2004/02/mit/task"


class Windows:
    """The service manager that is controlled by ``schtasks``."""

    name = "windows"

    def file(self) -> Path:
        """Return the path of the file, next to the user's proxy.toml; the scheduler keeps its own copy."""
        return user_directory() / f"{TASK}.xml"

    def render(self, plan: Plan) -> bytes:
        """Return the task in the form that the scheduler imports."""
        ET.register_namespace("", NAMESPACE)
        task = ET.Element(_name("Task"), version="1.2")
        _add(task, "RegistrationInfo/Description", "An OpenAI endpoint for your own Claude Code login")
        _add(task, "Triggers/LogonTrigger/Enabled", "true")
        _add(task, "Triggers/LogonTrigger/UserId", _user())
        _add(task, "Principals/Principal/UserId", _user()).set("id", "Author")
        _add(task, "Principals/Principal/LogonType", "InteractiveToken")
        _add(task, "Principals/Principal/RunLevel", "LeastPrivilege")
        for name, value in _SETTINGS.items():
            _add(task, f"Settings/{name}", value)
        command, arguments = _hidden(plan)
        _add(task, "Actions/Exec/Command", command)
        _add(task, "Actions/Exec/Arguments", arguments)
        _add(task, "Actions/Exec/WorkingDirectory", str(plan.folder))
        task.find(_name("Actions")).set("Context", "Author")  # type: ignore[union-attr]
        ET.indent(task)
        content: bytes = ET.tostring(task, encoding="utf-16", xml_declaration=True)
        return content

    def available(self) -> None:
        """Raise :class:`ConfigError` if there is no ``schtasks``."""
        if shutil.which("schtasks") is None:
            raise ConfigError("there is no schtasks here; it is Windows' task scheduler")

    def install_commands(self) -> list[list[str]]:
        """Return the commands that import the task and run it."""
        create = ["schtasks", "/Create", "/F", "/TN", TASK, "/XML", str(self.file())]
        return [create, ["schtasks", "/Run", "/TN", TASK]]

    def uninstall_commands(self) -> list[list[str]]:
        """Return the commands that end and remove the task."""
        return [["schtasks", "/End", "/TN", TASK], ["schtasks", "/Delete", "/F", "/TN", TASK]]

    def status_command(self) -> list[str]:
        """Return the ``schtasks /Query`` command for the task."""
        return ["schtasks", "/Query", "/TN", TASK, "/V", "/FO", "LIST"]

    def after(self) -> str:
        """Return a note that says when the service runs."""
        return "It runs while you are logged on, and starts again with your next logon."


def _hidden(plan: Plan) -> tuple[str, str]:
    """Return a command that runs without a window and writes to the log, and its arguments.

    A task cannot set environment variables, so the shell sets them.
    """
    variables = " && ".join(f'set "{name}={value}"' for name, value in plan.environment.items())
    line = f'{variables} && {subprocess.list2cmdline(plan.command)} >> "{plan.log}" 2>&1'
    return "conhost.exe", f'--headless cmd.exe /d /s /c "{line}"'


def _user() -> str:
    domain = os.environ.get("USERDOMAIN", "")
    return f"{domain}\\{getpass.getuser()}" if domain else getpass.getuser()


def _name(tag: str) -> str:
    return f"{{{NAMESPACE}}}{tag}"


def _add(parent: ET.Element, path: str, text: str) -> ET.Element:
    """Add an element at a path, with the missing ones above it; return the element above the last one."""
    *above, last = path.split("/")
    for tag in above:
        found = parent.find(_name(tag))
        parent = ET.SubElement(parent, _name(tag)) if found is None else found
    ET.SubElement(parent, _name(last)).text = text
    return parent


# These are in the order that the scheduler's schema demands.
_SETTINGS = {
    "MultipleInstancesPolicy": "IgnoreNew",
    "DisallowStartIfOnBatteries": "false",
    "StopIfGoingOnBatteries": "false",
    "AllowHardTerminate": "true",
    "StartWhenAvailable": "true",
    "RunOnlyIfNetworkAvailable": "false",
    "Enabled": "true",
    "Hidden": "true",
    "ExecutionTimeLimit": "PT0S",
}
