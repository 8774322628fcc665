"""What clients, providers and the ledger have seen, and whether these agree."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from claude_max_proxy.testing import Answer
from claude_max_proxy.testing.directives import answer_for
from tests.attack.reciting import heard, recited


LEAST_CONTINUED = 0.95
MOVED = "history not known here"  # why a turn is replayed at a replica that has not seen the conversation
STAYED = "  of those at a replica that knows the conversation"
# The ledger writes a few times a second. What a replica has answered this shortly before it was killed may
# be missing there, in seconds.
_UNWRITTEN = 2.0


@dataclass(frozen=True)
class Asked:
    """One request, as its client saw it: times are those of the loop's clock."""

    word: str
    model: str
    key: str
    began: float
    ended: float
    id: str = ""
    replica: str = ""
    kind: str = "right"
    told: str = ""
    follows: bool = False


@dataclass
class Counts:
    """All requests, and how often each word reached a provider as the newest of its conversation."""

    asked: list[Asked] = field(default_factory=list)
    reached: Counter[str] = field(default_factory=Counter)

    def answer(self, body: dict[str, Any]) -> Answer:
        """Answer as a provider, and count what was asked."""
        if words := heard(body):
            self.reached[words[-1]] += 1
        return recited(body) or answer_for(body)

    def of(self, *kinds: str) -> list[Asked]:
        """Return the requests that ended in one of these ways."""
        return [one for one in self.asked if one.kind in kinds]


@dataclass(frozen=True)
class Kill:
    """Which replica was killed, when that began, and when it was gone, on the loop's clock."""

    replica: str
    began: float
    gone: float


@dataclass(frozen=True)
class Outcome:
    """One line of the result: what was counted, what it should be, and whether it is."""

    name: str
    value: str
    target: str = ""
    fine: bool = True


def outcomes(
    counts: Counts, rows: dict[str, dict[str, Any]], kill: Kill, budget: tuple[str, int, int]
) -> list[Outcome]:
    """Judge a run.

    ``rows`` are the ledger's by their ids, ``kill`` is what was killed, and ``budget`` is a key with its
    tokens and the most that it may have used.
    """
    lost, strange = counts.of("lost"), strange_ones(counts, kill)
    key, limit, most = budget
    used = sum(row["tokens"] for row in rows.values() if row["key"] == key)
    return [
        Outcome("turns answered", f"{len(counts.of('right')):,}"),
        *_continued(counts, rows),
        Outcome("requests lost on the killed replica", f"{len(lost)}"),
        Outcome("requests lost otherwise, or answered wrongly", f"{len(strange)}", "0", not strange),
        _zero("answers from another's conversation", len(counts.of("mixed"))),
        _zero("asked of a provider more often than by the client", _repeated(counts)),
        Outcome(f"tokens used of a budget of {limit:,}", f"{used:,}", f"≤ {most:,}", used <= most),
        *_ledger(counts, rows, kill),
    ]


def strange_ones(counts: Counts, kill: Kill) -> list[Asked]:
    """Return the requests that were lost for no reason, or answered wrongly."""
    found = counts.of("lost", "wrong", "mixed")
    return [one for one in found if one.kind != "lost" or not _was_killed(one, kill)]


def _zero(name: str, count: int) -> Outcome:
    return Outcome(name, f"{count}", "0", not count)


def _was_killed(one: Asked, kill: Kill) -> bool:
    """Return whether a request was under way when its replica was killed; it may not have heard its name."""
    return one.began <= kill.gone and kill.began <= one.ended and one.replica in {"", kill.replica}


def _continued(counts: Counts, rows: dict[str, dict[str, Any]]) -> list[Outcome]:
    """Return the share of next turns that continued in place, of all and where nothing had moved."""
    follow = [rows[one.id] for one in counts.of("right") if one.follows and one.id in rows]
    live = sum(row["live"] for row in follow)
    stayed = [row for row in follow if row["live"] or row["replayed"] != MOVED]
    share, least = live / max(len(follow), 1), f"≥ {LEAST_CONTINUED:.0%}"
    of_stayed = live / max(len(stayed), 1)
    return [
        Outcome("CLI turns that continued in place", f"{share:.1%}", least, share >= LEAST_CONTINUED),
        Outcome(STAYED, f"{of_stayed:.1%}", least, of_stayed >= LEAST_CONTINUED),
        Outcome("  conversations that moved with a replica", f"{len(follow) - len(stayed)}"),
    ]


def _repeated(counts: Counts) -> int:
    sent = Counter(one.word for one in counts.asked)
    return sum(max(0, number - sent[word]) for word, number in counts.reached.items())


def _ledger(counts: Counts, rows: dict[str, dict[str, Any]], kill: Kill) -> list[Outcome]:
    """Compare the ledger with what clients and providers have seen."""
    missing = [one for one in counts.of("right") if one.id not in rows]
    excused = [
        one for one in missing if one.replica == kill.replica and -_UNWRITTEN <= one.ended - kill.gone <= 0
    ]
    seen, kept = counts.reached.total(), sum(row["asked"] for row in rows.values())
    most = len(excused) + len(counts.of("lost"))
    fine = 0 <= seen - kept <= most
    return [
        Outcome("requests that the providers saw", f"{seen:,}"),
        Outcome("rows for them in the ledger", f"{kept:,}", f"{seen - most:,} to {seen:,}", fine),
        _zero("answers without a row, the killed replica's last ones apart", len(missing) - len(excused)),
    ]
