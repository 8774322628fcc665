"""What every coding agent is asked to do, by its own tools, in a project with one file."""

from __future__ import annotations

import asyncio
import struct
import zlib
from asyncio.subprocess import Process
from contextlib import suppress
from signal import SIGINT
from typing import Any

from claude_max_proxy.testing import ScriptedUpstream
from tests.clients.expecting import holds, same
from tests.clients.stage import Stage
from tests.end_to_end.comparing import seen
from tests.end_to_end.running import until
from tests.end_to_end.working import by_call


FILE = "greeting.txt"
BEFORE, AFTER = 'print("hello")\n', 'print("good morning, ü")\n'
LINE, NEW_LINE = BEFORE.strip(), AFTER.strip()
_GONE = 20.0


def project(stage: Stage) -> str:
    """Put a file into the client's working directory, and return its whole path."""
    path = stage.work / FILE
    path.write_text(BEFORE, "utf-8")
    return str(path)


def edited(stage: Stage) -> None:
    """Expect that the file was changed as the model asked."""
    same((stage.work / FILE).read_text("utf-8"), AFTER, "the file")


def calls(upstream: ScriptedUpstream) -> list[list[tuple[str, Any]]]:
    """Return the names and inputs of the calls in each of the model's turns in what was asked last.

    Expects that each turn with calls is followed by a user's turn that begins with exactly their results.
    """
    turns = by_call(seen(upstream))
    found = []
    for (role, blocks), after in zip(turns, [*turns[1:], ("", [])], strict=True):
        made = [block for block in blocks if block[0] == "call"]
        if not made:
            continue
        same(role, "assistant", "the role of a turn with calls")
        same(after[0], "user", "the role of a turn with results")
        results = [block for block in after[1] if block[0] == "result"]
        same([block[1] for block in results], [block[1] for block in made], "what the results are for")
        same(after[1][: len(results)], results, "the beginning of the turn after calls")
        found.append([(block[2], block[3]) for block in made])
    return found


def results(upstream: ScriptedUpstream) -> list[str]:
    """Return the text of each result in what was asked last."""
    blocks = [block for _, blocks in by_call(seen(upstream)) for block in blocks if block[0] == "result"]
    return ["\n".join(str(part[1]) for part in block[2]) for block in blocks]


async def stopped(stage: Stage, process: Process, number: int = SIGINT) -> None:
    """Stop a client in the middle of an answer, and expect that the request to the provider stops too."""
    assert process.stdin is not None
    process.stdin.close()
    await stage.asked(1, within=60)
    process.send_signal(number)
    left = await until(lambda: stage.upstream.requests[0].disconnected, _GONE)
    await stage.end(process)
    holds(left, f"the provider was still being listened to after {_GONE:.0f} s")


async def hears(stage: Stage, process: Process, part: str, within: float = 60.0) -> bool:
    """Listen to what a client says on its standard error until a text is in it; tell whether it came."""
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.close()
    with suppress(TimeoutError):
        async with asyncio.timeout(within):
            while line := await process.stderr.readline():
                stage.said.append(line.decode(errors="replace").rstrip())
                if part in stage.said[-1]:
                    return True
    return False


def picture() -> bytes:
    """Return a PNG of 8 by 8 pixels."""
    rows = b"".join(b"\0" + bytes((0, y * 30, 90)) * 8 for y in range(8))
    header = struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, data) for name, data in chunks)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
