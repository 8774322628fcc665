"""``serve --log-file``: the log in a file, too."""

from __future__ import annotations

import contextlib
import logging
import re
from pathlib import Path

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.log.file import LogFile
from tests.cli.serving_process import ask, serving


def log_file(path: Path, files: int = 2) -> LogFile:
    """A file of at most 1000 bytes."""
    return LogFile(path, largest=1000, files=files, setting="--log-file")


async def test_a_served_request(tmp_path: Path) -> None:
    """What is logged is also in the file, whose folder is made, with the date of each line."""
    path = tmp_path / "new" / "proxy.log"
    async with serving(tmp_path, "", "--log-file", str(path)) as proxy:
        assert (await ask(await proxy.says(r"address\s+(\S+)"))).status_code == 200
        assert await proxy.stop() == 0
    assert re.search(r"(?m)^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO .*→ claude/one", path.read_text("utf-8"))


@pytest.mark.parametrize("files", [2, 5])
def test_a_bound(tmp_path: Path, files: int) -> None:
    """The files do not grow for ever: the oldest lines are gone. Nobody else can read them."""
    file = log_file(tmp_path / "log", files=files)
    for number in range(1000):
        file.handle(logging.makeLogRecord({"msg": f"line {number} of many", "levelname": "INFO"}))
    file.close()
    paths = sorted(tmp_path.iterdir())
    written = [path.read_text() for path in paths]
    assert [len(text) <= 1000 for text in written] == [True] * files
    assert "line 999 of many" in written[0]
    assert [path.stat().st_mode & 0o777 for path in paths] == [0o600] * files


def test_a_full_disk(capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be written is dropped without a word."""
    file = log_file(Path("/dev/full"))
    file.handle(logging.makeLogRecord({"msg": "lost", "levelname": "INFO"}))
    with contextlib.suppress(OSError):  # as the program's end does
        file.close()
    assert capsys.readouterr().err == ""


def test_no_place(tmp_path: Path) -> None:
    """A place where no file can be is told."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"^--log-file: \S+/file/log cannot be written: "):
        log_file(tmp_path / "file" / "log")
