"""Reading files that another user may have created."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from claude_max_proxy.config.regular_file import read_regular


def test_a_file(tmp_path: Path) -> None:
    """A regular file is read whole, also if its path is a link."""
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(tmp_path / "file", 7) == read_regular(tmp_path / "link", 7) == b"content"


def test_one_that_is_too_large(tmp_path: Path) -> None:
    """A file larger than the limit is refused without being read."""
    file = tmp_path / "file"
    with file.open("wb") as opened:
        opened.truncate(1 << 40)  # a hole: nothing is written
    with pytest.raises(OSError, match="it is larger than 8,000,000 bytes"):
        read_regular(file, 8_000_000)


def test_one_without_a_size(tmp_path: Path) -> None:
    """If the size of a file is not known before it is read, the same limit applies."""
    path = Path("/proc/self/maps")
    if not path.exists():
        pytest.skip("there is no /proc here")
    with pytest.raises(OSError, match="it is larger than 10 bytes"):
        read_regular(path, 10)


@pytest.mark.skipif(os.name != "posix", reason="what there is on POSIX")
@pytest.mark.parametrize("kind", ["a FIFO", "a socket", "a directory", "a device"])
def test_what_is_no_file(tmp_path: Path, kind: str) -> None:
    """A file that is not regular is reported with its kind, and reading it does not block."""
    path = tmp_path / "x"
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "a directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(OSError, match=f"it is {kind}, not a regular file"):
        read_regular(path, 10)


def test_nothing(tmp_path: Path) -> None:
    """A missing file is reported as missing."""
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none", 10)
