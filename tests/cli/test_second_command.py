"""``claude-max-api``, the command of the npm package that this proxy replaces."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from claude_max_proxy import __version__
from tests.cli.serving_process import ask, serving


COMMAND = str(Path(sys.executable).with_name("claude-max-api"))


async def test_it_serves(tmp_path: Path) -> None:
    """It serves on the port that it is given, like ``claude-max-proxy serve``, and ends in the same way."""
    async with serving(tmp_path, program=[COMMAND, "0"]) as proxy:
        url = await proxy.says(r"address\s+(\S+)")
        answer = await ask(url)
        assert answer.json()["choices"][0]["message"]["content"] == "hi"
        assert await proxy.stop() == 0
    assert "Traceback" not in proxy.said


@pytest.mark.parametrize(
    ("words", "status", "output"),
    [
        (["--version"], 0, f"claude-max-proxy, version {__version__}"),
        (["-h"], 0, "Serve on PORT (3456 unless said otherwise)"),
        (["70000"], 2, "70000 is not in the range"),
        (["here"], 2, "'here' is not a valid integer"),
        (["4000", "5000"], 2, "5000"),
    ],
)
def test_at_the_prompt(tmp_path: Path, words: list[str], status: int, output: str) -> None:
    """It explains itself, and says what is wrong with its arguments."""
    result = subprocess.run(
        [COMMAND, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == status
    assert output in result.stdout + result.stderr
    assert "Traceback" not in result.stderr
