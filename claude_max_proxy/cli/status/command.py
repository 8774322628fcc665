"""Shows the state of the running proxy, once or again and again."""

from __future__ import annotations

import os
import shutil
import sys
import threading

import click
import msgspec

from claude_max_proxy.cli.status.asking import NoAnswer, address, ask, read
from claude_max_proxy.cli.status.screen import Line, screen
from claude_max_proxy.config import ServerConfig, load
from claude_max_proxy.runtime.runtime import find_config


_PAUSE = 2.0  # seconds
_AS_WIDE_AS_NEEDED = 10_000
_HOME_AND_CLEAR = "\x1b[H\x1b[J"


def run(config_file: str | None, port: int | None, *, watch: bool, as_json: bool) -> int:
    """Print the state; return the exit status, which is 1 if no proxy could be asked.

    With ``watch``, print it every two seconds until Ctrl-C.
    """
    server = load(find_config(config_file)).server
    if port is not None:
        server = msgspec.structs.replace(server, port=port, unix_socket="")
    if not watch:
        return _once(server, as_json=as_json)

    pause = threading.Event()
    try:
        while True:
            _once(server, as_json=as_json, again=True)
            pause.wait(_PAUSE)
    except KeyboardInterrupt:
        return 0


def _once(server: ServerConfig, *, as_json: bool, again: bool = False) -> int:
    lines, code = [], 0
    try:
        content = ask(server)
        if as_json:
            click.echo(content)
            return 0
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else _AS_WIDE_AS_NEEDED
        lines = screen(read(content), address(server), width, fancy=_is_fancy())
    except NoAnswer as error:
        if as_json:
            click.echo(msgspec.json.encode({"running": False, "problem": str(error)}))
            return 1
        lines, code = [Line(str(error), "red")], 1
    if again and sys.stdout.isatty():
        lines = lines[: shutil.get_terminal_size().lines - 1]
        click.echo(_HOME_AND_CLEAR, nl=False)
    for line in lines:
        click.echo(_styled(line), err=bool(code) and not again)
    return code


def _styled(line: Line) -> str:
    """Return the line with its colour, which ``click.echo`` leaves out where nobody would see it."""
    if os.environ.get("NO_COLOR"):
        return line.text
    return click.style(line.text, fg=line.color or None, bold=line.bold)


def _is_fancy() -> bool:
    try:
        "█░…".encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
