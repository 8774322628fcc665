"""Starts the programs. It is outside of the package, because importing that takes a part of a second.

Until the program itself handles Ctrl-C, Ctrl-C ends it at once, without a traceback.
"""

from __future__ import annotations

import signal


def main() -> None:
    """Run ``claude-max-proxy``."""
    _start("main")


def claude_max_api() -> None:
    """Run ``claude-max-api``."""
    _start("claude_max_api")


def _start(program: str) -> None:
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:  # and not ignored, as in the background of a shell
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from claude_max_proxy.cli import main as programs

    signal.signal(signal.SIGINT, before)
    getattr(programs, program)()
