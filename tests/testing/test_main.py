"""The scripted API as a command in the foreground."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import httpx
import pytest


@pytest.mark.skipif(os.name == "nt", reason="sends Ctrl-C as a signal")
def test_in_the_foreground_it_ends_cleanly() -> None:
    """The command prints in one line how to use it, and ends on Ctrl-C without a traceback."""
    command = [sys.executable, "-m", "claude_max_proxy.testing", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = line.split()[1].rstrip(";")
        assert f"export ANTHROPIC_BASE_URL={url} " in line
        assert httpx.get(url, trust_env=False).status_code == 200
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=5)
    assert errors == ""
    assert process.returncode == 0
