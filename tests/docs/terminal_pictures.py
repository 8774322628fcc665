"""The pictures in the README: what a terminal shows, as SVG files in `docs/pictures/`.

    make pictures

Each is what the program really printed, with the real CLI and a scripted provider: nobody needs an account.
Only the paths and ports of the machine are replaced, by those of a usual installation.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import httpx
from rich.console import Console
from rich.text import Text

from claude_max_proxy.cli.demonstration import Proxy
from claude_max_proxy.testing import ScriptedUpstream
from tests.installed_cli import NEWEST, command


FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
_WIDTH, _TEXT_WIDTH = 122, 116
_STYLES = {"You ": "bold cyan", "What happened": "bold"}
_TIMEOUT = 120
_USUAL = {"bin": "/usr/local/bin", "port": "3456"}
# The format of `rich`, without the fonts that it would have the reader's browser fetch.
_THEIRS: str = inspect.signature(Console.export_svg).parameters["code_format"].default
_FORMAT = re.sub(r"@font-face \{\{.*?\}\}\s*", "", _THEIRS, flags=re.DOTALL).replace(
    "Fira Code, monospace", "monospace"
)


def main() -> None:
    """Write all pictures."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="claude-max-pictures-") as folder:
        program = Path(folder) / "bin" / "claude"
        program.parent.mkdir()
        program.symlink_to(Path(command(NEWEST)).resolve())
        _write("demo", "make demo", _demo(program))
        _write("serve", "claude-max-proxy serve", asyncio.run(_serve(program, Path(folder))))


def _demo(program: Path) -> str:
    """Return what `claude-max-proxy demo` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "claude_max_proxy", "demo"],
        env=os.environ | {"PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT,
        check=True,
    )
    return _usual(done.stdout, program)


async def _serve(program: Path, home: Path) -> str:
    """Return what `claude-max-proxy serve` prints while a chat program uses it."""
    async with (
        ScriptedUpstream() as upstream,
        Proxy(home, str(program), upstream.environment()) as proxy,
        httpx.AsyncClient(base_url=proxy.url, timeout=_TIMEOUT) as client,
    ):
        await proxy.ready()
        client.base_url = httpx.URL(f"{proxy.url}/v1/")
        for number, said in enumerate(_conversations(), start=1):
            reply = await client.post("chat/completions", json={"model": "claude-sonnet-4", "messages": said})
            reply.raise_for_status()
            await proxy.logged(number)
        return _usual("\n".join(proxy.log), program)


def _conversations() -> list[list[dict[str, str]]]:
    """Return the messages of each request: three turns, another last question, and a new conversation."""
    turns = [
        {"role": "system", "content": "You help with a garden."},
        {"role": "user", "content": "[[say Tomatoes like the sun.]] What do tomatoes like?"},
        {"role": "assistant", "content": "Tomatoes like the sun."},
        {"role": "user", "content": "[[say Every morning.]] How often do I water them?"},
        {"role": "assistant", "content": "Every morning."},
        {"role": "user", "content": "[[say In August.]] When are they ripe?"},
    ]
    other = {"role": "user", "content": "[[say In March.]] When do I sow them?"}
    new = {"role": "user", "content": "[[say In autumn.]] When do I plant garlic?"}
    return [turns[:2], turns[:4], turns, [*turns[:5], other], [turns[0], new]]


def _usual(text: str, program: Path) -> str:
    """Replace the paths and the ports."""
    text = text.replace(str(program.parent), _USUAL["bin"])
    proxies = set(re.findall(r"http://127\.0\.0\.1:(\d+)/v1", text))
    for port in proxies:
        text = text.replace(f":{port}/v1", f":{_USUAL['port']}/v1")
    return text


def _write(name: str, typed: str, printed: str) -> None:
    """Write one picture: a command, and what it printed.

    Each line has one style, as not every program that shows pictures keeps the parts of a line in step.
    """
    console = Console(record=True, width=_WIDTH, file=io.StringIO(), force_terminal=True)
    console.print(Text(f"$ {typed}", style="bold green"))
    for line in printed.strip().splitlines():
        style = next((style for start, style in _STYLES.items() if line.startswith(start)), "")
        for part in textwrap.wrap(line, _TEXT_WIDTH, subsequent_indent="  ") or [""]:
            console.print(Text(part, style=style))
    svg = console.export_svg(title=typed, code_format=_FORMAT, unique_id=f"terminal-{name}")
    (FOLDER / f"{name}.svg").write_text("\n".join(line.rstrip() for line in svg.splitlines()) + "\n", "utf-8")


if __name__ == "__main__":
    main()
