"""Which process a request goes to: the one in which it goes on with the least work. Pure.

Work is counted in milliseconds, as they were measured, roughly: what is appended, what is taken back, and
what whoever was there before has to have appended again when they come back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from claude_max_proxy import Client, Message
from claude_max_proxy.backends.claude_cli.kind import Kind
from claude_max_proxy.backends.claude_cli.transcript import Entry, Plan, ends_of, plan


# What a fresh process costs: where one is ready, which another replaces; where one must be started; where
# another must end first; and where that waits for the results of tools.
READY = 60.0
STARTED = 500.0
CROWDED = 600.0
FULL = 10_000.0
_APPENDED = 4.0
_TAKEN_BACK = 15.0  # with what the branch is worth that goes
_OPEN_CALL = 1000.0
_ANOTHER_SESSION = 550.0  # it comes back, and what the model thought in it would be lost
_FORGOTTEN_AFTER = 60.0  # seconds until what waits is half as likely to be asked for again


class Wanted(msgspec.Struct, frozen=True):
    """What a request needs of a process: its kind, what binds it (``root``), whose it is, and its messages.

    ``movable`` says that a transcript may be taken back for it. By ``ends`` its messages are compared.
    """

    kind: Kind
    root: bytes
    client: Client
    messages: Sequence[Message] = ()
    movable: bool = True
    ends: Sequence[tuple[int, bytes]] = ()

    def __post_init__(self) -> None:
        """Digest the messages once, however often they are compared."""
        msgspec.structs.force_setattr(self, "ends", ends_of(self.root, self.messages))


class Held(msgspec.Struct, frozen=True):
    """What there is: a transcript, the calls that wait in it, whose it is, and how long it has been idle.

    Only a ``movable`` transcript can be taken back. In a ``stale`` one nothing new begins.
    """

    root: bytes
    entries: Sequence[Entry]
    pending: Mapping[str, str]
    owner: Client
    idle: float = 0.0
    movable: bool = True
    stale: bool = False


class Choice(msgspec.Struct, frozen=True):
    """The held transcript by its place, how to go on in it, and what that costs."""

    place: int
    plan: Plan
    cost: float


def choose(wanted: Wanted, held: Iterable[Held], fresh: float) -> Choice | None:
    """Return the best of what is ``held``, or ``None`` where a fresh process, for what it costs, is better.

    What served one API key never serves another.
    """
    best: tuple[float, tuple[bool, float], Choice] | None = None
    for place, one in enumerate(held):
        if one.root != wanted.root or one.owner.key != wanted.client.key:
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
    """Tell whether the plan may be followed."""
    if not found.lines and found.keep > 0:
        return True

    return held.movable and wanted.movable and not held.stale


def _cost(wanted: Wanted, held: Held, found: Plan) -> float:
    appended = _APPENDED * max(len(wanted.messages) - 1 - found.start, 0)
    if not found.lines:
        return appended

    branch = found.keep > 0  # of the same conversation, whose older branch hardly anybody asks for again
    loss = 0.0 if branch else _APPENDED * found.lost + (_OPEN_CALL if held.pending else 0.0)
    if held.owner.session and wanted.client.session not in {"", held.owner.session}:
        loss = max(loss, _ANOTHER_SESSION)
    return appended + _TAKEN_BACK + loss / (1 + held.idle / _FORGOTTEN_AFTER)
