"""`make cluster` in small: three replicas behind HAProxy, while things go wrong."""

from __future__ import annotations

import pytest

from tests import installed_cli
from tests.cluster.counting import MOVED, Asked, Counts, Kill, outcomes
from tests.cluster.run import cluster, missing


_SECONDS, _CLIENTS, _SEED = 30.0, 6, 1
KILL = Kill("proxy-0", 10.0, 10.1)
BUDGET = ("spender", 100, 300)
# So short a run has few turns for each conversation that moves with a replica.
_ONLY_LONG = "CLI turns that continued in place"


@pytest.mark.cli
@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=missing())
async def test_a_short_run() -> None:
    """A replica is killed, one is drained, the database is away, and every request is accounted for."""
    said: list[str] = []
    async with cluster(installed_cli.command(installed_cli.NEWEST), said.append) as running:
        await running.traffic(_SECONDS, _CLIENTS, _SEED)
        found = await running.judged()
    wrong = [one for one in found if not one.fine and one.name != _ONLY_LONG]
    assert not wrong, "\n".join(map(str, [*found, *running.counts.of("lost", "wrong", "mixed")]))
    assert len(running.counts.of("right")) > 50


def asked(word: str, **changes: object) -> Asked:
    """Return a request that ended well, before the kill."""
    values: dict[str, object] = {"began": 1.0, "ended": 2.0, "id": word, "replica": "proxy-1"} | changes
    return Asked(word, "cli", "one", **values)  # type: ignore[arg-type]  # as the test says


def judged(*all_: Asked, rows: dict[str, dict[str, object]] | None = None, **reached: int) -> set[str]:
    """Return the names of what is not as it should be."""
    counts = Counts(list(all_))
    counts.reached.update({one.word: 1 for one in all_} | reached)
    kept = {one.id: row() for one in all_ if one.kind == "right"} if rows is None else rows
    return {one.name for one in outcomes(counts, kept, KILL, BUDGET) if not one.fine}


def row(**changes: object) -> dict[str, object]:
    """Return a row of the ledger."""
    return {"live": True, "replayed": "", "asked": True, "tokens": 10, "key": "one"} | changes


FINE = asked("a", follows=True)


def test_what_is_fine() -> None:
    """Nothing is wrong with answers that all have seen, and with what the kill explains."""
    assert judged(FINE) == set()
    assert judged(FINE, asked("b", kind="lost", began=9.0, ended=10.2, replica="")) == set()
    last = asked("c", began=9.0, ended=9.5, replica="proxy-0")
    assert judged(FINE, last, rows={"a": row()}) == set()


@pytest.mark.parametrize(
    ("strange", "name"),
    [
        (asked("b", kind="lost"), "requests lost otherwise, or answered wrongly"),
        (asked("b", kind="lost", began=9.0, ended=10.2), "requests lost otherwise, or answered wrongly"),
        (asked("b", kind="mixed"), "answers from another's conversation"),
    ],
)
def test_what_no_kill_explains(strange: Asked, name: str) -> None:
    """A request that is lost at another time or replica is told, and so is a mixed answer."""
    assert name in judged(FINE, strange)


def test_what_the_counts_tell() -> None:
    """Questions asked twice, missing rows, spent budgets and moved conversations are told."""
    assert judged(FINE, a=2) == {
        "asked of a provider more often than by the client",
        "rows for them in the ledger",
    }
    assert "answers without a row, the killed replica's last ones apart" in judged(FINE, rows={})
    spent = {"a": row(), "s": row(tokens=301, key="spender")}
    assert "tokens used of a budget of 100" in judged(FINE, asked("s"), rows=spent)
    assert judged(FINE, rows={"a": row(live=False, replayed=MOVED)}) >= {_ONLY_LONG}
