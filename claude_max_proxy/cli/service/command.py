"""``claude-max-proxy service``: install, uninstall, status, logs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.service.launchd import Launchd
from claude_max_proxy.cli.service.log import follow_file, follow_journal
from claude_max_proxy.cli.service.plan import Manager, Plan, check_paths, log_file, make_plan
from claude_max_proxy.cli.service.systemd import Systemd
from claude_max_proxy.cli.service.windows import Windows


MANAGERS: dict[str, type[Manager]] = {"systemd": Systemd, "launchd": Launchd, "windows": Windows}
_TIMEOUT = 60


def manager_for(name: str | None) -> Manager:
    """Return the service manager with this name, or the platform's own."""
    own = {"darwin": "launchd", "win32": "windows"}.get(sys.platform, "systemd")
    return MANAGERS[name or own]()


def install(config_file: str | None, name: str | None, *, show: bool) -> None:
    """Write the service's file and start the service, or only ``show`` the file."""
    manager = manager_for(name)
    plan = make_plan(config_file)
    check_paths(plan)
    content = manager.render(plan)
    if show:
        encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
        click.echo(content.decode(encoding).rstrip())
        _say_notes(plan, manager)
        return

    manager.available()
    path = manager.file()
    known = path.exists()
    _write(path, content)
    if manager.name != "systemd":
        plan.log.parent.mkdir(parents=True, exist_ok=True)
    if known and manager.name == "launchd":
        _run(manager.uninstall_commands(), must=False)
    _run(manager.install_commands(), must=True)
    click.echo(
        f"\nThe proxy is running as a service{f' at {plan.url}' if plan.url else ''}. {manager.after()}"
    )
    _say_notes(plan, manager)


def uninstall(name: str | None) -> None:
    """Stop the service and remove its file."""
    manager = manager_for(name)
    path = manager.file()
    if not path.exists():
        raise ConfigError(_missing(manager))

    manager.available()
    _run(manager.uninstall_commands(), must=False)
    path.unlink()
    click.echo(f"removed {path}")
    if isinstance(manager, Systemd):
        _run([["systemctl", "--user", "daemon-reload"]], must=False)


def status(name: str | None) -> int:
    """Print the state of the service; return 0 if it runs."""
    manager = manager_for(name)
    path = manager.file()
    if not path.exists():
        click.echo(f"not installed: there is no {path}; `claude-max-proxy service install` installs it")
        return 1

    manager.available()
    click.echo(f"installed: {path}")
    try:
        return subprocess.run(manager.status_command(), check=False, timeout=_TIMEOUT).returncode
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"{manager.name} does not answer") from error


def logs(name: str | None, lines: int, *, follow: bool) -> int:
    """Show the log, with ``follow`` until interrupted; return the exit status."""
    manager = manager_for(name)
    if not manager.file().exists():
        raise ConfigError(f"{_missing(manager)}; `claude-max-proxy service install` makes it")
    if isinstance(manager, Systemd):
        return follow_journal(lines, follow=follow)

    follow_file(log_file(), lines, follow=follow)
    return 0


def _missing(manager: Manager) -> str:
    return f"no service is installed: there is no {manager.file()}"


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
    click.echo(f"wrote {path}")


def _run(commands: list[list[str]], *, must: bool) -> None:
    for command in commands:
        click.echo(f"ran   {subprocess.list2cmdline(command)}")
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ConfigError(f"{command[0]} failed: {error}") from error
        if done.returncode and must:
            said = (done.stderr or done.stdout).strip() or f"status {done.returncode}"
            raise ConfigError(f"`{subprocess.list2cmdline(command)}` failed: {said}")


def _say_notes(plan: Plan, manager: Manager) -> None:
    for note in plan.notes:
        where = (
            f"; put them into {plan.variables_file}, one NAME=value a line"
            if isinstance(manager, Systemd)
            else '; in proxy.toml, name a file instead, as in api_key = "file:PATH", or, for what the CLI '
            'reads, as in [backends.claude] env = { NAME = "file:PATH" }'
        )
        click.echo(f"Note: {note}{where}", err=True)
