"""Chooses the process for a request: the one in which it can go on with the least work. Pure.

Work is counted in milliseconds, roughly as measured: for what has to be appended, for what has to be taken
back, and for what has to be appended again when the conversation that was there before comes back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from claude_max_proxy import Client, Message
from claude_max_proxy.backends.claude_cli.fingerprint import Bound
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from claude_max_proxy.backends.claude_cli.transcript import Entry, Plan, ends_of, marks_of, plan


# What a fresh process costs. READY: a warm one is there (and another must be warmed in its place). STARTED:
# one must be started. CROWDED: another process must be ended first. FULL: all that could be ended wait for
# the results of tools.
READY = 60.0
STARTED = 500.0
CROWDED = 600.0
FULL = 10_000.0
_APPENDED = 4.0
_TAKEN_BACK = 15.0  # including what the branch that is lost is worth
_OPEN_CALL = 1000.0
_ANOTHER_SESSION = 550.0  # that session will come back, and what the model thought in it would be lost
_FORGOTTEN_AFTER = 60.0  # seconds after which a waiting conversation is half as likely to be continued


class Wanted(msgspec.Struct, frozen=True):
    """What a request needs from a process.

    ``kind`` is what the process was started as, and ``root`` the digest of what it was told at the beginning.
    ``client`` sends the request. ``movable`` says that messages may be removed from a transcript for it.
    ``bound`` is what ``root`` is made of, if that is known. ``marks`` and ``ends`` are the digests by which
    ``messages`` are compared with a transcript.
    """

    kind: ProcessKind
    root: bytes
    client: Client
    messages: Sequence[Message] = ()
    movable: bool = True
    bound: Bound = Bound()
    marks: Sequence[tuple[int, bytes]] = ()
    ends: Sequence[tuple[int, bytes]] = ()

    def __post_init__(self) -> None:
        """Compute the digests of the messages once, since they are compared often."""
        msgspec.structs.force_setattr(self, "marks", marks_of(self.messages))
        msgspec.structs.force_setattr(self, "ends", ends_of(self.root, self.marks))


class Held(msgspec.Struct, frozen=True):
    """One conversation that is kept in a process.

    ``pending`` are the tool calls that wait for results, ``owner`` is whose turn was the last one, and
    ``idle`` is for how many seconds nobody has asked anything. Only a ``movable`` transcript can be taken
    back. In a ``stale`` one, its conversation may go on, but no other may begin.
    """

    root: bytes
    entries: Sequence[Entry]
    pending: Mapping[str, str]
    owner: Client
    idle: float = 0.0
    movable: bool = True
    stale: bool = False


class Choice(msgspec.Struct, frozen=True):
    """The chosen transcript, by its ``place`` among those held, how to go on in it, and what that costs."""

    place: int
    plan: Plan
    cost: float


def choose(wanted: Wanted, held: Iterable[Held], fresh: float) -> Choice | None:
    """Return the best of the ``held`` conversations, or ``None`` if a fresh process is better.

    ``fresh`` is what a fresh process costs. A process that has served one API key never serves another.
    """
    best: tuple[float, tuple[bool, float], Choice] | None = None
    for place, one in enumerate(held):
        if one.root != wanted.root or one.owner.owner != wanted.client.owner:
            continue
        found = plan(one.entries, wanted.ends, wanted.messages, one.pending)
        if found is None or not _allowed(wanted, one, found):
            continue
        cost = _cost(wanted, one, found)
        rank = (cost, (one.owner.session != wanted.client.session, one.idle))
        if best is None or rank < best[:2]:
            best = (*rank, Choice(place, found, cost))
    limit = fresh + _APPENDED * (len(wanted.messages) - 1)
    return best[2] if best and best[0] <= limit else None


def _allowed(wanted: Wanted, held: Held, found: Plan) -> bool:
    """Return whether the plan may be followed."""
    if not found.lines and found.keep > 0:
        return True

    return held.movable and wanted.movable and not held.stale


def _cost(wanted: Wanted, held: Held, found: Plan) -> float:
    appended = _APPENDED * max(len(wanted.messages) - 1 - found.start, 0)
    if not found.lines:
        return appended

    # A client that branches off its own conversation hardly ever comes back to the older branch.
    branch = found.keep > 0
    loss = 0.0 if branch else _APPENDED * found.lost + (_OPEN_CALL if held.pending else 0.0)
    if held.owner.session and wanted.client.session not in {"", held.owner.session}:
        loss = max(loss, _ANOTHER_SESSION)
    return appended + _TAKEN_BACK + loss / (1 + held.idle / _FORGOTTEN_AFTER)
