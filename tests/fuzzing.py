"""Looks for a 500, a hang or an unreadable error, for as long as one likes.

    python -m tests.fuzzing --minutes 10

asks a running proxy whatever its own OpenAPI document allows and forbids (schemathesis), then reads whatever
could stand in a ``proxy.toml`` (hypothesis), each for so many minutes. The proxy's models lead to the proxy
itself as an OpenAI server, to an echo, and to a scripted Messages API, so that every part that reads or
writes a wire format is asked. ``make test`` does the same for a few seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import socket
import sys
import tempfile
import time
from collections import Counter
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import msgspec

from claude_max_proxy.testing import ScriptedUpstream
from tests.cli.serving_process import serving


ROOT = Path(__file__).parent.parent
SLOWEST = 20.0
CHECKS = (
    "not_our_failure",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "negative_data_rejection",
    "missing_required_header",
    "unsupported_method",
)
TOML = """
"*e*" = "messages/claude-fuzzed"
"*" = "itself/echo"

[server]
port = {port}
api_keys = {{ fuzz = "fuzz" }}

[backends.itself]
type = "openai"
base_url = "http://127.0.0.1:{port}/v1"
api_key = "fuzz"
retries = 0

[backends.messages]
type = "anthropic"
base_url = "{messages}"
retries = 0
"""
_ACCESS = re.compile(r"^[\d:]+ (?:INFO|WARNING) +\[\w+(?: [\w.-]+)?\] (\d{3})  ", re.MULTILINE)
_CASES = re.compile(r"(\d+) generated")


class Found(msgspec.Struct):
    """What came of it: how many requests or files were tried, and what to look at; nothing if all is well.

    ``statuses`` counts how the requests that a backend was asked ended.
    """

    tried: int
    problem: str = ""
    statuses: dict[str, int] = {}


async def fuzz_api(seconds: float, *, say: bool = False) -> Found:
    """Ask a separate proxy for this many seconds, and check that it is still well."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = await stack.enter_async_context(ScriptedUpstream())
        port = _free_port()
        toml = TOML.format(port=port, messages=upstream.environment()["ANTHROPIC_BASE_URL"])
        proxy = await stack.enter_async_context(serving(folder, toml, port=port))
        url = f"http://127.0.0.1:{port}"
        status, output = await _run(
            "schemathesis.cli",
            *("run", f"{url}/openapi.json", "--header", "Authorization: Bearer fuzz"),
            *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing"),
            *(
                "--exclude-path-regex",
                "^/(models|chat|embeddings|v1/health)",
            ),  # the same under /v1, or without
            *("--max-time", f"{seconds:.0f}", "--request-timeout", str(SLOWEST), "--continue-on-failure"),
            *("--suppress-health-check", "all", "--generation-database", "none", "--warnings", "off"),
            *(() if say else ("--no-color",)),
            folder=folder,
            say=say,
            limit=seconds + 120,
            environment={**os.environ, "SCHEMATHESIS_HOOKS": str(ROOT / "tests" / "fuzzing_checks.py")},
        )
        async with httpx.AsyncClient(trust_env=False) as http:
            well = (await http.get(f"{url}/health", timeout=SLOWEST)).status_code == 200
        tried = sum(map(int, _CASES.findall(output)))
        bugs = [line for line in proxy.said.splitlines() if " ERROR " in line or "Traceback" in line]
        statuses = dict(Counter(_ACCESS.findall(proxy.said)))
        ended = await proxy.stop()
    if status or not well or bugs or ended:
        heard = "see above" if say else output[-8000:]
        return Found(tried, "\n".join([heard, *bugs[:20], f"healthy: {well}, ended with {ended}"]))
    return Found(tried, statuses=statuses)


async def fuzz_config(seconds: float, *, say: bool = False, examples: int = 2000) -> Found:
    """Read files of all kinds for this many seconds."""
    until, rounds = time.monotonic() + seconds, 0
    while time.monotonic() < until:
        environment = {**os.environ, "CONFIG_FUZZ_EXAMPLES": str(examples)}
        words = ("-q", "--timeout", "600", "-p", "no:cacheprovider", "tests/config/test_config_fuzz.py")
        status, output = await _run("pytest", *words, folder=ROOT, limit=700, environment=environment)
        if status:
            return Found(rounds * examples, output[-8000:])
        rounds += 1
        if say:
            left = max(0, until - time.monotonic())
            print(f"{rounds * examples} examples of each kind, {left:.0f} s to go", flush=True)  # noqa: T201
    return Found(rounds * examples)


async def _run(
    module: str,
    *words: str,
    folder: Path,
    limit: float,
    say: bool = False,
    environment: dict[str, str] | None = None,
) -> tuple[int, str]:
    """Run a module of this Python; return its status and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *words),
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    assert process.stdout is not None
    written = bytearray()
    try:
        async with asyncio.timeout(limit):
            while piece := await process.stdout.read(65536):
                written += piece
                if say:
                    sys.stdout.buffer.write(piece)
                    sys.stdout.flush()
            status = await process.wait()
    except TimeoutError:
        return 1, f"{written.decode(errors='replace')}\nit did not end within {limit:.0f} s"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return status, written.decode(errors="replace")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def main() -> int:
    """Fuzz the API and the configuration, and print the findings."""
    parser = argparse.ArgumentParser(description="look for a 500, a hang or an unreadable error")
    parser.add_argument("--minutes", type=float, default=10.0, help="for each of the two")
    parser.add_argument("--only", choices=["api", "config"])
    given = parser.parse_args()
    failed = False
    for name, fuzz in (("api", fuzz_api), ("config", fuzz_config)):
        if given.only in {None, name}:
            print(f"{name}: {given.minutes:g} minutes", flush=True)  # noqa: T201
            found = asyncio.run(fuzz(given.minutes * 60, say=True))
            said = f"{found.tried} tried, {found.problem or 'nothing found'} {found.statuses or ''}"
            print(f"{name}: {said}", flush=True)  # noqa: T201
            failed |= bool(found.problem)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
