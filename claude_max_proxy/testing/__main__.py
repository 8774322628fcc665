"""Serves the scripted Messages API in the foreground, so that you can let a CLI use it.

    python -m claude_max_proxy.testing [--port N]

It prints the environment variables to export, and runs until Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys

from claude_max_proxy.testing.upstream import ScriptedUpstream


async def serve(port: int) -> None:
    """Serve on this port of 127.0.0.1 until this is cancelled; 0 means a free port."""
    async with ScriptedUpstream(recording=False, port=port) as upstream:
        exports = " ".join(f"{name}={text}" for name, text in upstream.environment().items())
        print(f"Serving {upstream.url}; to use it: export {exports}", flush=True)
        await asyncio.Event().wait()


def main() -> int:
    """Serve until Ctrl-C; return the exit status, which is 1 if the port cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m claude_max_proxy.testing",
        description="A scripted Messages API on loopback, for trying out a CLI without an account.",
    )
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1 (default: free one)")
    arguments = parser.parse_args()
    try:
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(serve(arguments.port))
    except OSError as error:
        print(f"Cannot serve on port {arguments.port}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
