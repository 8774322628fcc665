"""Running commands of the CLI that print something and exit, and programs that do not exit."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from claude_max_proxy.backends.claude_cli.short_run import run_once
from claude_max_proxy.errors import BackendUnavailable


def program(folder: Path, script: str) -> list[str]:
    """Make a program from a shell script that writes down its process id."""
    file = folder / "claude"
    file.write_text(f"#!/bin/sh\necho $$ > {folder}/pid\n{script}\n")
    file.chmod(0o700)
    return [str(file)]


def lives(folder: Path) -> bool:
    """Return whether the program still runs."""
    state = Path(f"/proc/{(folder / 'pid').read_text().strip()}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] != "Z"


async def test_what_it_prints(tmp_path: Path) -> None:
    """The exit status and both outputs are returned, also long ones."""
    said = await run_once(
        program(tmp_path, 'echo "one $1"; echo two >&2; head -c 300000 /dev/zero | tr "\\0" x; exit 3'),
        "--version",
        env={},
        timeout=10,
    )
    assert (said.status, said.output[:18], len(said.output)) == (3, "one --version\ntwo\n", 300_018)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("tr '\\0' x </dev/zero", "prints more than 1,000,000 bytes"),
        ("while :; do echo garbage; done", "prints more than 1,000,000 bytes"),
        ("sleep 600", "does not answer"),
    ],
    ids=["a line without an end", "lines without an end", "silence"],
)
async def test_what_does_not_end(tmp_path: Path, script: str, told: str) -> None:
    """A program that never stops printing, or does not exit, is killed, and its output is not collected."""
    began = time.monotonic()
    with pytest.raises(BackendUnavailable, match=told):
        await run_once(program(tmp_path, script), "--version", env={}, timeout=1 if "sleep" in script else 30)
    assert time.monotonic() - began < 20
    assert not lives(tmp_path)


async def test_what_cannot_be_run(tmp_path: Path) -> None:
    """A missing program is named."""
    with pytest.raises(BackendUnavailable, match="none cannot be run: No such file"):
        await run_once([str(tmp_path / "none")], "--version", env={}, timeout=5)
