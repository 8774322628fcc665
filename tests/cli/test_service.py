"""``claude-max-proxy service``: the files that it writes, and the commands that it runs."""

from __future__ import annotations

import os
import plistlib
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result

from claude_max_proxy.cli.commands import service
from claude_max_proxy.cli.service.log import follow_file
from claude_max_proxy.cli.service.plan import Plan, make_plan
from claude_max_proxy.cli.service.systemd import UNIT, Systemd
from claude_max_proxy.cli.service.windows import NAMESPACE


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home with a proxy.toml and a CLI, and with no service manager except what a test puts on the PATH."""
    home = tmp_path / "a home"
    cli = home / "bin" / "claude"
    cli.parent.mkdir(parents=True)
    cli.write_text("#!/bin/sh\n")
    cli.chmod(0o755)
    for name in ("XDG_CONFIG_HOME", "ANTHROPIC_API_KEY", "HTTPS_PROXY", "HTTP_PROXY", "CLAUDE_CONFIG_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", str(cli.parent))
    monkeypatch.chdir(home)
    (home / "proxy.toml").write_text("[server]\nport = 4567\ndrain_timeout = 60\n")
    return home


def run(*words: str) -> Result:
    """Run a subcommand."""
    return CliRunner().invoke(service, words)


def printed(manager: str) -> str:
    """Return the service's file, as ``--print`` shows it."""
    result = run("install", "--print", "--manager", manager)
    assert result.exit_code == 0, result.exception
    return result.stdout


def program(home: Path, name: str, script: str) -> Path:
    """Put a program on the PATH that records its arguments; return the file that it records them in."""
    log = home / f"{name}.log"
    path = home / "bin" / name
    path.write_text(f'#!/bin/sh\necho "$@" >> "{log}"\n{script}\n')
    path.chmod(0o755)
    return log


def test_the_systemd_unit(home: Path) -> None:
    """The unit runs this interpreter with this configuration, finds the CLI, and reloads by a signal."""
    lines = printed("systemd").splitlines()
    command = f'"{sys.executable}" "-m" "claude_max_proxy" "serve" "--config" "{home}/proxy.toml"'
    assert f"ExecStart={command}" in lines
    assert f"WorkingDirectory={home}" in lines
    path = next(line for line in lines if line.startswith('Environment="PATH='))
    assert path.startswith(f'Environment="PATH={home}/bin:')
    assert path.endswith('/usr/bin:/bin:/usr/sbin:/sbin"')
    assert {"Restart=on-failure", "ExecReload=/bin/kill -HUP $MAINPID", "TimeoutStopSec=75"} <= set(lines)


@pytest.mark.parametrize("folder", ["plain", "with space", 'a"quote', "50%h$HOME", "back\\slash", "ümläut"])
def test_systemd_takes_the_unit(home: Path, folder: str) -> None:
    """The checker of systemd finds no fault, whatever the paths contain."""
    checker = shutil.which("systemd-analyze", path="/usr/bin:/bin")
    assert checker, "systemd-analyze is needed, from the package systemd"
    (home / folder).mkdir()
    config = home / folder / "proxy.toml"
    config.write_text("")
    unit = home / UNIT
    unit.write_bytes(Systemd().render(make_plan(str(config))))
    environment = {"HOME": str(home), "XDG_RUNTIME_DIR": str(home), "PATH": "/usr/bin:/bin"}
    command = [checker, "verify", "--user", "--man=no", str(unit)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=30)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_launchd_agent(home: Path) -> None:
    """With the property list the agent starts at login and again after a crash, and writes a log."""
    agent: dict[str, Any] = plistlib.loads(printed("launchd").encode())
    serve = ["-m", "claude_max_proxy", "serve", "--config", str(home / "proxy.toml")]
    assert agent["ProgramArguments"] == [sys.executable, *serve]
    assert agent["EnvironmentVariables"]["PATH"].split(":")[0] == str(home / "bin")
    assert (agent["RunAtLoad"], agent["KeepAlive"]) == (True, {"SuccessfulExit": False})
    assert agent["StandardOutPath"] == agent["StandardErrorPath"]
    assert agent["ExitTimeOut"] == 75


def test_the_windows_task(home: Path) -> None:
    """The task has the scheduler's namespace and elements, and runs our command without a window."""
    task = ET.fromstring(printed("windows").replace("encoding='utf-16'", ""))
    names = {"t": NAMESPACE}
    assert task.tag == f"{{{NAMESPACE}}}Task"
    assert [child.tag.rpartition("}")[2] for child in task] == [
        *("RegistrationInfo", "Triggers", "Principals", "Settings", "Actions")
    ]
    principal = task.find("t:Principals/t:Principal", names)
    actions = task.find("t:Actions", names)
    assert principal is not None
    assert actions is not None
    assert principal.get("id") == actions.get("Context")
    arguments = task.findtext("t:Actions/t:Exec/t:Arguments", "", names)
    assert "-m claude_max_proxy serve --config" in arguments
    assert f'set "PATH={home}/bin' in arguments
    assert task.findtext("t:Settings/t:ExecutionTimeLimit", "", names) == "PT0S"


@pytest.mark.parametrize("manager", ["systemd", "launchd", "windows"])
def test_no_secrets(home: Path, monkeypatch: pytest.MonkeyPatch, manager: str) -> None:
    """No file contains a secret; variables that the service will not have are named."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-hush")
    monkeypatch.setenv("HTTPS_PROXY", "http://me:hush@proxy:1")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:1")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", "/elsewhere")
    monkeypatch.setenv("MY_KEY", "my hush")
    (home / "proxy.toml").write_text(
        '[server]\napi_keys = { a = "written hush" }\n'
        '[backends.o]\ntype = "openai"\nbase_url = "http://127.0.0.1:1"\napi_key = "env:MY_KEY"\n'
    )
    result = run("install", "--print", "--manager", manager)
    assert "hush" not in result.output
    assert "ANTHROPIC_API_KEY, HTTPS_PROXY, MY_KEY" in result.stderr
    assert ('[backends.claude] env = { NAME = "file:PATH" }' in result.stderr) is (manager != "systemd")
    assert "http://proxy:1" in result.stdout
    assert "/elsewhere" in result.stdout


def test_installing_with_systemd(home: Path) -> None:
    """The unit is written where systemd looks, and enabled; each step is shown. Uninstalling undoes it."""
    log = program(home, "systemctl", "exit 0")
    result = run("install", "--manager", "systemd")
    assert result.exit_code == 0, result.exception
    unit = home / ".config" / "systemd" / "user" / UNIT
    assert f"wrote {unit}" in result.stdout
    assert f"ran   systemctl --user enable {UNIT}" in result.stdout
    assert "http://127.0.0.1:4567/v1" in result.stdout
    assert unit.read_text().strip() == printed("systemd").strip()
    assert run("status", "--manager", "systemd").exit_code == 0
    assert run("uninstall", "--manager", "systemd").exit_code == 0
    assert not unit.exists()
    assert log.read_text().splitlines() == [
        "--user show-environment",
        "--user daemon-reload",
        f"--user enable {UNIT}",
        f"--user restart {UNIT}",
        "--user show-environment",
        f"--user status --no-pager --lines=5 {UNIT}",
        "--user show-environment",
        f"--user disable --now {UNIT}",
        "--user daemon-reload",
    ]


def test_installing_with_launchd(home: Path) -> None:
    """The agent is loaded into the user's own domain; if it is loaded already, it is unloaded first."""
    log = program(home, "launchctl", "exit 0")
    for _ in range(2):
        result = run("install", "--manager", "launchd")
        assert result.exit_code == 0, result.exception
    agent = home / "Library" / "LaunchAgents" / "local.claude-max-proxy.plist"
    assert agent.is_file()
    domain = f"gui/{os.getuid()}"
    bootstrap, bootout = f"bootstrap {domain} {agent}", f"bootout {domain}/local.claude-max-proxy"
    assert log.read_text().splitlines() == [bootstrap, bootout, bootstrap]


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("", "there is no systemctl"),
        ("echo 'Failed to connect to bus: No medium found' >&2; exit 1", "No medium"),
    ],
)
def test_where_there_is_no_user_systemd(home: Path, script: str, reason: str) -> None:
    """In a container the command says that it is one, and what to do, and writes nothing."""
    if script:
        program(home, "systemctl", script)
    result = run("install", "--manager", "systemd")
    assert reason in str(result.exception)
    assert "as the container's own command" in str(result.exception)
    assert not (home / ".config").exists()


def test_a_step_that_fails(home: Path) -> None:
    """What the service manager reports is shown to the user."""
    program(home, "launchctl", "echo 'Bootstrap failed: 5' >&2; exit 5")
    assert "Bootstrap failed: 5" in str(run("install", "--manager", "launchd").exception)


def test_nothing_is_installed(home: Path) -> None:
    """If the service is not installed, ``status`` says so and returns 1, and uninstalling is refused."""
    status = run("status", "--manager", "systemd")
    assert status.exit_code == 1
    assert status.stdout.startswith(f"not installed: there is no {home}")
    assert "no service is installed" in str(run("uninstall", "--manager", "systemd").exception)


@pytest.mark.parametrize("manager", ["systemd", "launchd", "windows"])
def test_the_log_of_no_service(home: Path, manager: str) -> None:
    """Without a service its log says so, and how to get one, whatever the journal or an old file has."""
    program(home, "journalctl", "exit 0")
    told = str(run("logs", "--manager", manager).exception)
    assert told.startswith("no service is installed: there is no /")
    assert told.endswith("`claude-max-proxy service install` makes it")


def test_a_service_that_has_logged_nothing(home: Path) -> None:
    """A log file that is not there yet is told."""
    program(home, "launchctl", "exit 0")
    assert run("install", "--manager", "launchd").exit_code == 0
    assert "there is no log yet" in str(run("logs", "--manager", "launchd").exception)


def test_a_broken_configuration_is_not_installed(home: Path) -> None:
    """No service is written if it could not start."""
    (home / "proxy.toml").write_text("[server]\nprot = 1\n")
    assert "did you mean 'port'" in str(run("install", "--print").exception)


def test_the_journal(home: Path) -> None:
    """With systemd, the journal is shown as the log."""
    log = program(home, "journalctl", "exit 0")
    program(home, "systemctl", "exit 0")
    assert run("install", "--manager", "systemd").exit_code == 0
    assert run("logs", "--manager", "systemd", "--no-follow", "-n", "5").exit_code == 0
    assert log.read_text() == f"--user --unit {UNIT} --lines 5 --output cat --no-pager\n"


def test_the_log_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Without a journal, the last lines of the log file are shown."""
    path = tmp_path / "log"
    path.write_text("".join(f"{number}\n" for number in range(10)))
    follow_file(path, 2, follow=False)
    assert capfd.readouterr().out == "8\n9\n"


def test_a_service_needs_no_configuration(home: Path) -> None:
    """With the default settings no file is named, so that a proxy.toml that is written later is found."""
    (home / "proxy.toml").unlink()
    plan: Plan = make_plan(None)
    assert plan.command[-1] == "serve"
    assert plan.folder == home
    assert stat.S_ISDIR(plan.folder.stat().st_mode)
