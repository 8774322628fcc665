"""``claude-max-proxy demo``: a complete exchange, without an account."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.installed_cli import version
from tests.measured import MEASURED


DEMO = [sys.executable, "-m", "claude_max_proxy", "demo"]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Return an environment with a temporary folder and a home that the test can inspect."""
    (tmp_path / "home").mkdir()
    (tmp_path / "tmp").mkdir()
    home, temporary = str(tmp_path / "home"), str(tmp_path / "tmp")
    return MEASURED | {
        "PATH": os.environ["PATH"],
        "HOME": home,
        "TMPDIR": temporary,
        "ANTHROPIC_API_KEY": "not to be used",
    }


def with_cli(environment: dict[str, str], cli: str, folder: Path) -> dict[str, str]:
    """Put the CLI first on PATH."""
    (folder / "bin").mkdir()
    (folder / "bin" / "claude").symlink_to(Path(cli).resolve())
    return environment | {"PATH": f"{folder / 'bin'}{os.pathsep}{environment['PATH']}"}


def left_behind(folder: Path) -> list[Path]:
    """Return the files in its temporary folder and its home, after waiting a moment."""
    return [path for name in ("home", "tmp") for path in (folder / name).iterdir()]


def test_shows_two_turns(cli: str, environment: dict[str, str], tmp_path: Path) -> None:
    """It prints what has happened, exits with status 0, and leaves no files."""
    done = subprocess.run(
        [*DEMO, "--prompt", "/help @/etc/passwd"],
        env=with_cli(environment, cli, tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stderr == ""
    assert done.returncode == 0
    assert f"CLI               {version(cli)}, 2 requests to the provider and nothing else" in done.stdout
    assert re.search(r"first token +\d+ ms, from a process that was warm", done.stdout)
    assert re.search(r"second turn +\d+ ms, continued in the same process", done.stdout)
    assert "user       /help @/etc/passwd\n" in done.stdout
    for line in shown_facts():
        assert masked(line) in masked(done.stdout)
    assert left_behind(tmp_path) == []


def shown_facts() -> list[str]:
    """Return the lines of the README that show what the demo prints."""
    readme = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    facts = readme.partition("\nWhat happened\n")[2].partition("```")[0].splitlines()
    assert len(facts) >= 3
    return facts


def masked(text: str) -> str:
    """Return a text in which every number is replaced by the same one."""
    return re.sub(r"\d[\d,.]*", "0", text)


def test_ctrl_c(cli: str, environment: dict[str, str], tmp_path: Path) -> None:
    """If it is interrupted, it ends at once, without a traceback, and leaves no files."""
    demo = subprocess.Popen(
        DEMO,
        env=with_cli(environment, cli, tmp_path),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert demo.stdout is not None
    while not demo.stdout.readline().startswith("  CLI"):
        assert demo.poll() is None
    os.killpg(demo.pid, signal.SIGINT)
    _, errors = demo.communicate(timeout=20)
    assert demo.returncode == 130
    assert errors.strip() == ""
    assert left_behind(tmp_path) == []
    _assert_gone(demo.pid)


def test_without_a_cli(environment: dict[str, str], tmp_path: Path) -> None:
    """If there is no CLI, it says in one paragraph how to get one."""
    (tmp_path / "claude_agent_sdk").mkdir()
    (tmp_path / "claude_agent_sdk" / "__init__.py").touch()
    environment |= {"PATH": str(tmp_path), "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        DEMO, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: the demo needs the real Claude Code CLI")
    assert len(done.stderr.splitlines()) == 1


def _assert_gone(group: int) -> None:
    """Wait until a process group has ended."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)  # noqa: TID251
    raise AssertionError(f"processes of the group {group} are left")
