"""Serve the scripted Messages API in the foreground, so that a person can point a CLI at it.

    python -m claude_max_proxy.testing [--port N]

It prints the variables to export and runs until Ctrl-C.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys

from claude_max_proxy.testing.upstream import ScriptedUpstream


async def serve(port: int) -> None:
    """Serve on this port of 127.0.0.1, 0 for a free one, until cancelled."""
    async with ScriptedUpstream(recording=False, port=port) as upstream:
        exports = " ".join(f"{name}={text}" for name, text in upstream.environment().items())
        print(f"Serving {upstream.url}; to use it: export {exports}", flush=True)
        await asyncio.Event().wait()


def main() -> int:
    """Run until Ctrl-C; the exit status is 1 when the port cannot be had."""
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
