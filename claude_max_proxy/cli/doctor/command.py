"""``claude-max-proxy doctor``: runs all checks, and prints a line for each."""

from __future__ import annotations

import logging
import os
import platform
import sys
import textwrap
from pathlib import Path
from typing import Any

import click
import msgspec

from claude_max_proxy import Check, ConfigError, __version__
from claude_max_proxy.cli.configuring import build
from claude_max_proxy.cli.doctor.masking import Masking
from claude_max_proxy.cli.doctor.round_trips import RoundTrips
from claude_max_proxy.cli.doctor.running import Result, run_all
from claude_max_proxy.cli.doctor.surroundings import surroundings
from claude_max_proxy.cli.event_loop import run_to_its_end
from claude_max_proxy.config import parse, read_table
from claude_max_proxy.formats.quoting import plain_lines
from claude_max_proxy.formats.quoting import shown as quoted
from claude_max_proxy.runtime.runtime import Runtime, find_config


_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def run(config_file: str | None, *, costly: bool, as_json: bool) -> int:
    """Run the checks and print them; return 1 if one failed, else 0."""
    logging.basicConfig(handlers=[logging.NullHandler()])  # rows report what is wrong, not tracebacks
    path = find_config(config_file)
    runtime, problem = _build(path)
    checks = _checks(runtime, path, problem)
    masking = Masking(_tables(path), os.environ, Path.home())
    trips = RoundTrips(runtime)
    results: list[Result] = []
    run_to_its_end(
        _run(checks, trips, masking, results, costly=costly, shown=not as_json), None, lambda: None
    )
    failed = [one for one in results if one.finding is not None and one.finding.status == "fail"]
    if as_json:
        click.echo(_report(results, ok=not failed))
    elif failed:
        click.echo(f"\n{len(failed)} of {len(results)} checks failed{_left_out(results)}")
    else:
        click.echo("\nall is well")
    return 1 if failed else 0


def _left_out(results: list[Result]) -> str:
    names = [result.name for result in results if result.finding is None]
    return f"; left out for the same reason: {', '.join(names)}" if names else ""


def _build(path: Path | None) -> tuple[Runtime, str]:
    """Return the runtime of the configuration, and what is wrong with that.

    If it cannot be used, this is the runtime of the defaults.
    """
    try:
        return build(path), ""
    except ConfigError as error:
        return Runtime(parse({"plugins": {"paths": []}}, None)), str(error)


def _checks(runtime: Runtime, path: Path | None, problem: str) -> list[Check]:
    checks = surroundings(runtime, path, problem)

    def register(check: Check) -> None:
        if not isinstance(check, Check) or not isinstance(check.name, str) or not check.timeout > 0:
            raise ConfigError(f"a plugin registers {quoted(check)}, which is not a Check")
        checks.append(check)

    try:
        runtime.plugins.register_checks(register, runtime.config, runtime.backends)
    except ConfigError as error:
        checks.append(_broken(str(error)))
    return checks


def _broken(problem: str) -> Check:
    async def raise_() -> Any:
        raise ConfigError(problem)

    return Check("checks of plugins", raise_)


async def _run(
    others: list[Check],
    trips: RoundTrips,
    masking: Masking,
    results: list[Result],
    *,
    costly: bool,
    shown: bool,
) -> None:
    """Add to ``results``; show each at once if they are ``shown``."""
    checks = [check for check in (*others, *trips.checks(others)) if costly or not check.costs]
    width = max(len(check.name) for check in checks)
    if shown and costly:
        click.echo("The round trips use a little of your plan; --no-round-trip leaves them out.\n")
    async with trips:
        async for result in run_all(checks):
            results.append(_masked(result, masking))
            if shown:
                _show(results[-1], width)


def _masked(result: Result, masking: Masking) -> Result:
    finding = result.finding
    if finding is None:
        return result

    text, remedy = (plain_lines(masking(words)) for words in (finding.text, finding.remedy))
    shown = msgspec.structs.replace(finding, text=text, remedy=remedy)
    return msgspec.structs.replace(result, finding=shown)


def _show(result: Result, width: int) -> None:
    finding = result.finding
    if finding is None:
        return

    margin = " " * (8 + width)
    text = textwrap.indent(finding.text, margin).strip()
    status = click.style(f"{finding.status:<4}", fg=_COLOURS[finding.status])
    click.echo(f"{status}  {result.name:<{width}}  {text}")
    if finding.remedy and finding.status != "ok":
        click.echo(f"{margin}→ {finding.remedy}")
    sys.stdout.flush()


def _report(results: list[Result], *, ok: bool) -> str:
    report = {
        "ok": ok,
        "version": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "checks": [
            {
                "name": result.name,
                **msgspec.to_builtins(result.finding),
                "seconds": round(result.seconds, 2),
            }
            for result in results
            if result.finding is not None
        ],
        "left_out": [result.name for result in results if result.finding is None],
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def _tables(path: Path | None) -> dict[str, Any]:
    """Return the tables in the file, as far as it can be read; they are needed to know its secrets."""
    try:
        return read_table(path)
    except (OSError, ValueError, RecursionError):
        return {}
