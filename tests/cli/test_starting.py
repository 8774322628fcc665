"""Ctrl-C while the program starts: it ends at once, without a traceback, and leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


pytestmark = pytest.mark.slow
START = [sys.executable, "-c", "from claude_max_proxy_start import main; main()", "serve"]
# It prints that it is being imported, and blocks.
SLOW = """
import os, time
os.write(1, b"importing\\n")  # not by print, whose lock a thread that is left behind would keep
end = time.monotonic() + 60
while time.monotonic() < end:
    pass
"""
QUICK = """
from claude_max_proxy import hookimpl

@hookimpl
def configured(new):
    print("importing", flush=True)
    import time
    time.sleep(2)
"""


@pytest.mark.parametrize(
    ("name", "source", "signals", "status"),
    [
        ("msgspec.py", SLOW, 1, -signal.SIGINT),  # the first that the package imports
        ("litestar.py", SLOW, 1, 130),
        ("claude-max-proxy/plugins/slow.py", SLOW, 1, 130),
        ("claude-max-proxy/plugins/quick.py", QUICK, 1, 0),
        ("claude-max-proxy/plugins/quick.py", QUICK, 2, 128 + signal.SIGINT),
    ],
    ids=["the package", "the server", "a plugin", "the server's start", "the server's start, twice"],
)
def test_ctrl_c(tmp_path: Path, name: str, source: str, signals: int, status: int) -> None:
    """Whatever it is about to do, it ends, says no more than a line, and its socket's file is gone."""
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source)
    socket = tmp_path / "socket"
    (tmp_path / "proxy.toml").write_text(
        f'[server]\nunix_socket = "{socket}"\n[plugins]\npaths = ["claude-max-proxy/plugins"]\n'
        '[models]\n"claude-*" = "claude/*"\n'
    )
    environment = {**os.environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "PATH": "/bin"}
    with subprocess.Popen(
        START,
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "importing\n"
        for _ in range(signals):
            program.send_signal(signal.SIGINT)
            time.sleep(0.3)  # noqa: TID251  # two that wait together are one
        _, errors = program.communicate(timeout=20)
    assert program.returncode == status, errors
    assert "Traceback" not in errors
    assert not socket.exists()
