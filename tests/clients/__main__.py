"""Run the client matrix; see `python -m tests.clients --help`."""

from __future__ import annotations

import argparse
import asyncio
import difflib
import os
import sys
from pathlib import Path

from tests import installed_cli
from tests.clients.client import Check, Client
from tests.clients.installing import Installed, install
from tests.clients.matrix import LOGS, Outcome, Wanted, run_client
from tests.clients.registry import APART, NAMES, load
from tests.clients.table import Line, failed, table
from tests.clients.together import NAMES as INTERLEAVED
from tests.clients.together import run_together
from tests.installed_cli import ROOT


_ABOUT = """\
Runs real programs against the real proxy and the real Claude Code CLI, with a scripted provider on
loopback: no account and, once everything is installed, no network. Clients are installed into
.cache/clients, in the versions of tests/clients/versions.toml, or the newest with LATEST=1."""


def main() -> int:
    """Run it; the status is 1 when a check failed or something could not be installed."""
    arguments = _arguments()
    if arguments.list:
        print("\n".join(NAMES))  # noqa: T201
        return 0
    if unknown := [name for name in arguments.clients if name not in NAMES]:
        print(_unknown(unknown[0]), file=sys.stderr)  # noqa: T201
        return 2
    chosen = [load(name) for name in arguments.clients or NAMES]
    try:
        clis = [installed_cli.command(name) for name in arguments.cli or installed_cli.names()]
    except RuntimeError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 1
    if arguments.together:
        return _together(clis)
    lines = _lines(chosen, clis, lambda check: _wanted(check, arguments))
    everything = not arguments.clients
    lines += [Line(client.title, "", "", reason=client.apart) for client in APART if everything]
    print(f"\n{table(lines)}")  # noqa: T201
    return max(_verdict(lines), _together(clis) if everything else 0)


def _together(clis: list[str]) -> int:
    """Let three of them talk at once, with each CLI; return the status."""
    failures = 0
    for cli in clis:
        _say(f"{', '.join(INTERLEAVED)} at once with Claude Code {installed_cli.version(cli)}")
        try:
            asyncio.run(run_together(cli, _say))
        except (AssertionError, RuntimeError) as error:
            failures += 1
            _say(f"  FAILED: {' '.join(str(error).split())}")
        else:
            _say("  ok: each sees what it sees alone")
    return 1 if failures else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.clients", description=_ABOUT)
    parser.add_argument("clients", nargs="*", metavar="CLIENT", help="clients to run (default: all)")
    parser.add_argument("--cli", action="append", help="2.1.197, newest or a path (default: both versions)")
    parser.add_argument("--only", default="", metavar="TEXT", help="only checks with this in their names")
    parser.add_argument("--api", choices=("chat", "responses", "messages"), help="only checks by this API")
    parser.add_argument("--together", action="store_true", help="let three clients talk at once, and compare")
    parser.add_argument("--list", action="store_true", help="list the clients")
    return parser.parse_args()


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, NAMES, 1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"there is no client {name!r}{hint} The clients are: {', '.join(NAMES)}."


def _wanted(check: Check, arguments: argparse.Namespace) -> bool:
    return arguments.only in check.name and arguments.api in (None, check.api)


def _lines(chosen: list[Client], clis: list[str], wanted: Wanted) -> list[Line]:
    """Install and run each client with each CLI, and say how it goes."""
    lines = []
    for client in chosen:
        try:
            installed = install(client, _say, latest=bool(os.environ.get("LATEST")))
        except RuntimeError as error:
            lines.append(Line(client.name, "", "", reason=str(error)))
            _say(f"{client.name} is not run: {error}")
            continue
        lines += [_line(client, installed, cli, wanted) for cli in clis]
    return lines


def _line(client: Client, installed: Installed, cli: str, wanted: Wanted) -> Line:
    version = installed_cli.version(cli)
    log = LOGS / f"{client.name}-{version}.log"
    log.unlink(missing_ok=True)
    _say(f"{' '.join(filter(None, [client.name, installed.version]))} with Claude Code {version}")
    line = Line(client.name, installed.version, version, reason="it has no such check")
    try:
        line.outcomes.extend(asyncio.run(run_client(client, installed, cli, log, _tell, wanted)))
    except Exception as error:
        return Line(client.name, installed.version, version, reason=" ".join(str(error).split())[:400])
    return line


def _tell(outcome: Outcome) -> None:
    check = outcome.check
    result = f"FAILED: {outcome.failure}" if outcome.failure else "ok"
    requests = f"{outcome.requests} request{'' if outcome.requests == 1 else 's'}"
    _say(f"  {check.api:<9}  {check.name:<28}  {requests:>11}  {outcome.seconds:5.1f} s  {result}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201


def _verdict(lines: list[Line]) -> int:
    count = failed(lines)
    if count:
        logs = Path(LOGS).relative_to(ROOT)
        ran = sum(len(line.outcomes) for line in lines)
        _say(f"\n{count} of {ran} checks failed; what was said is in {logs}.")
    broken = [line for line in lines if not line.outcomes and line.client in NAMES]
    return 1 if count or broken else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("stopped")
