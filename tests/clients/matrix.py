"""Running a client's checks on its stage, one after the other."""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.clients.client import Check, Client
from tests.clients.installing import CACHE, Installed
from tests.clients.stage import Stage


LOGS = CACHE / "logs"


@dataclass(frozen=True)
class Outcome:
    """How a check went with one version of the CLI.

    `requests` is how many requests reached the provider, `failure` is empty where all was well, `seconds` is
    what it took.
    """

    check: Check
    requests: int
    failure: str
    seconds: float


Tell = Callable[[Outcome], None]
Wanted = Callable[[Check], bool]


def all_of_them(check: Check) -> bool:
    """Want every check."""
    return bool(check)


async def run_client(
    client: Client, installed: Installed, cli: str, log: Path, tell: Tell, wanted: Wanted = all_of_them
) -> list[Outcome]:
    """Run the checks that are wanted; what was said in those that failed is added to `log`."""
    outcomes = []
    with tempfile.TemporaryDirectory(prefix="claude-max-clients-", ignore_cleanup_errors=True) as name:
        async with Stage(client, installed, cli, Path(name)) as stage:
            for check in client.checks:
                if not wanted(check):
                    continue
                outcome = await _run(check, stage)
                if outcome.failure:
                    _write(log, outcome, stage)
                outcomes.append(outcome)
                tell(outcome)
    return outcomes


async def _run(check: Check, stage: Stage) -> Outcome:
    await stage.begin(check.api)
    began = time.monotonic()
    failure = await _failure(check, stage)
    return Outcome(check, len(stage.upstream.requests), failure, time.monotonic() - began)


async def _failure(check: Check, stage: Stage) -> str:
    """Return what is wrong, as one line; nothing where all is well."""
    try:
        async with asyncio.timeout(check.within):
            await check.function(stage)
            await stage.upstream.idle()
    except TimeoutError:
        return f"it took longer than {check.within:g} s"
    except Exception as error:
        return " ".join(str(error).split()) or repr(error)
    came = len(stage.upstream.requests)
    if check.requests is not None and came != check.requests:
        return f"{came} requests reached the provider, not {check.requests}"
    return ""


def _write(log: Path, outcome: Outcome, stage: Stage) -> None:
    log.parent.mkdir(parents=True, exist_ok=True)
    bodies = [json.dumps(request.body, indent=1, ensure_ascii=False) for request in stage.upstream.requests]
    with log.open("a", encoding="utf-8") as file:
        print(f"=== {outcome.check.api} {outcome.check.name}: {outcome.failure}", file=file)
        print("--- the client", *stage.said, sep="\n", file=file)
        print(stage.proxy.transcript(), file=file)
        print("--- what the provider was asked", *bodies, sep="\n", file=file)
