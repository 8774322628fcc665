"""Attacks a running proxy in every known way, and prints what it withstood.

    python -m tests.attack --minutes 10 --cli 2.1.197
    python -m tests.attack doors "kill -9"

It starts the real program with the real CLI, a scripted provider and one that is hostile, all on loopback.
While each attack runs, an honest client in a separate process sends requests all the time. The proxy has
withstood an attack if that client got the right answers in bounded time, and if the proxy still runs, uses no
more memory than the attack may cost, is idle afterwards, leaves no process, and shows no secret and no word
of a prompt. Needs Linux. Ten minutes are the whole attack; fewer make it smaller, more make it larger.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import sys

from benchmarks.table import table
from tests import installed_cli
from tests.attack.house import House, Result
from tests.attack.registry import CONCERNS, Attack, every


WHOLE = 10.0
_HEAD = ("attack", "CLI", "tried", "honest", "slowest", "memory", "took", "held")


async def attack_all(names: list[str], words: list[str], scale: float, *, quick: bool) -> list[Result]:
    """Run the attacks with each CLI; attacks that do not touch the CLI only run with the first."""
    chosen = [one for one in every(*words) if one.quick or not quick]
    results: list[Result] = []
    for name in names:
        of_this = [one for one in chosen if one.cli or "cli" in one.honest or name == names[0]]
        async with House(name, installed_cli.command(name), scale) as house:
            for number, one in enumerate(of_this, 1):
                _say(f"[{number}/{len(of_this)}] {one.concern}: {one.name} …", end=" ")
                result = await house.run(one)
                results.append(result)
                _say("held" if result.held else "DID NOT HOLD: " + "; ".join(result.problems[:3])[:600])
    return results


def told(results: list[Result]) -> str:
    """Return the results as tables, one for each concern."""
    return "\n\n".join(
        f"{concern}\n"
        + table(_HEAD, [_cells(result) for result in results if result.attack.concern == concern])
        for concern in CONCERNS
        if any(result.attack.concern == concern for result in results)
    )


def _cells(result: Result) -> tuple[str, ...]:
    attack: Attack = result.attack
    reason = "" if result.held else f"NO: {result.problems[0][:70]}"
    return (
        attack.name,
        result.cli,
        f"{result.tried:,}",
        f"{result.asked:,}",
        f"{result.worst:.2f} s",
        f"{result.grown:.0f} MB",
        f"{result.took:.0f} s",
        reason or "yes",
    )


def _say(text: str, end: str = "\n") -> None:
    print(text, end=end, flush=True)  # noqa: T201


def main() -> int:
    """Run the attacks, and return 1 if one did not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description="attack a running proxy")
    parser.add_argument("words", nargs="*", help="only attacks whose name or concern holds one of these")
    parser.add_argument("--minutes", type=float, default=WHOLE, help="about how long; 10 is the whole attack")
    parser.add_argument("--cli", default=installed_cli.PINNED, help="a version, `newest`, a path, or several")
    parser.add_argument("--quick", action="store_true", help="only what `make test` runs, too")
    parser.add_argument("--list", action="store_true", help="say what there is, and attack nobody")
    given = parser.parse_args()
    if not sys.platform.startswith("linux"):
        parser.error("processes are watched by Linux's /proc: on other systems this does not run")
    if given.list:
        for one in every(*given.words):
            _say(f"{one.concern}: {one.name}{' (quick)' if one.quick else ''}\n    {one.shows}")
        return 0
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 16384), most))
    names = [name for name in given.cli.split(",") if name]
    results = asyncio.run(attack_all(names, given.words, given.minutes / WHOLE, quick=given.quick))
    bad = [result for result in results if not result.held]
    _say(f"\n{told(results)}\n\n{len(results) - len(bad)} of {len(results)} held")
    for result in bad:
        _say(f"\n{result.attack.concern}: {result.attack.name}: {result.attack.shows}")
        for problem in dict.fromkeys(result.problems):
            _say(f"    {problem}")
    return int(bool(bad))


if __name__ == "__main__":
    raise SystemExit(main())
