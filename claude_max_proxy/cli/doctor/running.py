"""Running checks: one after the other, each within its time, and whatever one raises is a finding."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable

import msgspec

from claude_max_proxy import Check, Finding, ProxyError


class Result(msgspec.Struct, frozen=True):
    """A check's finding, and how long it took."""

    name: str
    finding: Finding
    seconds: float


async def run_all(checks: Iterable[Check]) -> AsyncIterator[Result]:
    """Run them in order, and give each result as it is there."""
    for check in checks:
        began = time.monotonic()
        finding = await _run(check)
        yield Result(check.name, finding, time.monotonic() - began)


async def _run(check: Check) -> Finding:
    try:
        async with asyncio.timeout(check.timeout):
            finding = await check.run()
    except TimeoutError:
        return Finding("fail", f"took longer than {check.timeout:g} s", "try again when the machine is idle")
    except ProxyError as error:
        return Finding("fail", error.message)
    except Exception as error:  # a check that breaks is a finding too
        return Finding("fail", f"the check itself failed: {error!r}", "report it to whoever wrote the check")
    if not isinstance(finding, Finding):
        return Finding(
            "fail", f"the check gave {type(finding).__name__}, not a Finding", "report it to its author"
        )
    return finding
