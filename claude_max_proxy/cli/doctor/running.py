"""Runs checks, one after the other and each within its time limit; whatever a check raises is a finding."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterable

import msgspec

from claude_max_proxy import Check, Finding, ProxyError
from claude_max_proxy.concurrency.bounded import attempt
from claude_max_proxy.concurrency.endings import described


class Result(msgspec.Struct, frozen=True):
    """The finding of a check, ``None`` if it was left out, and how many seconds the check took."""

    name: str
    finding: Finding | None
    seconds: float = 0.0


async def run_all(checks: Iterable[Check]) -> AsyncIterator[Result]:
    """Run the checks in order, and yield each result when it is there.

    A check is left out when one that it needs did not succeed. So is one that finds just what failed before:
    each problem is reported once.
    """
    without: set[str] = set()
    failures: list[Finding] = []
    for check in checks:
        began = time.monotonic()
        finding = None if without & {*check.needs} else await _run(check)
        if finding is None or finding in failures:
            without.add(check.name)
            yield Result(check.name, None)
            continue

        if finding.status == "fail":
            without.add(check.name)
            failures.append(finding)
        yield Result(check.name, finding, time.monotonic() - began)


async def _run(check: Check) -> Finding:
    """Run one check on a separate task, so that nothing it raises can end this one or the event loop."""
    finding, error = await attempt(_begun(check), check.timeout, f"check-{check.name}")
    if isinstance(error, TimeoutError):
        return Finding("fail", f"took longer than {check.timeout:g} s", "try again when the machine is idle")
    if isinstance(error, ProxyError):
        return Finding("fail", error.message)
    if error is not None:
        what = f"the check itself failed: {described(error)}"
        return Finding("fail", what, "report it to the author of the check")
    if not isinstance(finding, Finding):
        what = f"the check returned {type(finding).__name__}, not a Finding"
        return Finding("fail", what, "report it to its author")
    return finding


async def _begun(check: Check) -> Finding:
    """Run the check, and convert its finding again, since a struct does not validate its own fields."""
    finding = await check.run()
    return msgspec.convert(msgspec.to_builtins(finding), Finding) if isinstance(finding, Finding) else finding
