"""``claude-max-proxy doctor``: every check, a line each."""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import textwrap
import tomllib
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
from claude_max_proxy.config import parse
from claude_max_proxy.runtime import Runtime, find_config


_COLOURS = {"ok": "green", "warn": "yellow", "fail": "red"}


def run(config_file: str | None, *, costly: bool, as_json: bool) -> int:
    """Run the checks and print them; give 1 if one failed, else 0."""
    path = find_config(config_file)
    runtime, problem = _build(path)
    checks = _checks(runtime, path, problem)
    masking = Masking(_tables(path), os.environ, Path.home())
    trips = RoundTrips(runtime.config)
    results = asyncio.run(_run(checks, trips, masking, costly=costly, shown=not as_json))
    failed = [result for result in results if result.finding.status == "fail"]
    if as_json:
        click.echo(_report(results, ok=not failed))
    elif failed:
        click.echo(f"\n{len(failed)} of {len(results)} checks failed")
    else:
        click.echo("\nall is well")
    return 1 if failed else 0


def _build(path: Path | None) -> tuple[Runtime, str]:
    """Build the configuration, or the defaults where it is broken, and say how."""
    try:
        return build(path), ""
    except ConfigError as error:
        return Runtime(parse({"plugins": {"paths": []}}, None)), str(error)


def _checks(runtime: Runtime, path: Path | None, problem: str) -> list[Check]:
    checks = surroundings(runtime, path, problem)

    def register(check: Check) -> None:
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
    others: list[Check], trips: RoundTrips, masking: Masking, *, costly: bool, shown: bool
) -> list[Result]:
    checks = [check for check in (*others, *trips.checks()) if costly or not check.costs]
    width = max(len(check.name) for check in checks)
    if shown and costly:
        click.echo("The round trips use a little of your plan; --no-round-trip leaves them out.\n")
    results = []
    async with trips:
        async for result in run_all(checks):
            results.append(_masked(result, masking))
            if shown:
                _show(results[-1], width)
    return results


def _masked(result: Result, masking: Masking) -> Result:
    finding = result.finding
    shown = msgspec.structs.replace(finding, text=masking(finding.text), remedy=masking(finding.remedy))
    return msgspec.structs.replace(result, finding=shown)


def _show(result: Result, width: int) -> None:
    finding = result.finding
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
        ],
    }
    return msgspec.json.format(msgspec.json.encode(report), indent=2).decode()


def _tables(path: Path | None) -> dict[str, Any]:
    """Return what the file says, as far as it can be read, to know its secrets."""
    try:
        return tomllib.loads(path.read_text("utf-8")) if path else {}
    except (OSError, ValueError, RecursionError):
        return {}
