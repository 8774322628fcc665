"""The transcript of a process, message by message, and how a request can go on in it. Pure.

A process can be taken back to before any user line that we have given a name. So a request goes on at the
point where its own history and the transcript begin to differ: what comes after that in the transcript is
taken back, and what is missing is appended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from claude_max_proxy import Message, ToolResult
from claude_max_proxy.backends.claude_cli.continuation import results_for
from claude_max_proxy.backends.claude_cli.fingerprint import follow, lasts, mark


class Entry(msgspec.Struct, frozen=True):
    """One message of a transcript.

    ``digest`` covers all lasting messages up to this one, ``mark`` this one alone. ``line`` is the name of
    the user line that it came with, empty for a message that cannot have one. A message that ``answers`` tool
    calls cannot be the first one to be taken back, since the CLI does not separate a call from its result. A
    message that is not ``lasting``, because it is ephemeral or says nothing that a client sends back, is
    skipped when histories are compared.
    """

    digest: bytes
    line: str = ""
    answers: bool = False
    lasting: bool = True
    mark: bytes = b""


class Plan(msgspec.Struct, frozen=True):
    """How a request goes on in a transcript.

    The first ``keep`` entries stay and the rest, ``lost`` entries, is taken back, by the names of their user
    ``lines``, newest first. The request's messages from the index ``start`` on are new. If they answer the
    tool calls that wait, ``results`` are the results by the upstream's ids.
    """

    keep: int
    lines: tuple[str, ...] = ()
    start: int = 0
    results: dict[str, ToolResult] | None = None
    lost: int = 0


def entry(before: bytes, message: Message, line: str = "") -> Entry:
    """Return the entry for a message; ``before`` is the digest of what precedes it."""
    answers = any(isinstance(part, ToolResult) for part in message.parts)
    if not lasts(message):
        return Entry(before, line, answers, lasting=False)
    own = mark(message)
    return Entry(follow(before, own), line, answers, mark=own)


def marks_of(messages: Sequence[Message]) -> list[tuple[int, bytes]]:
    """Return the index after each lasting message, and the digest of that message alone.

    The last message is left out, since it is the one to be asked.
    """
    return [(index + 1, mark(message)) for index, message in enumerate(messages[:-1]) if lasts(message)]


def ends_of(root: bytes, marks: Sequence[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    """Return the index after each lasting message, and the digest up to there.

    ``marks`` are what :func:`marks_of` returns for the messages. ``root`` is the digest of what precedes the
    first message.
    """
    digest, ends = root, []
    for index, own in marks:
        digest = follow(digest, own)
        ends.append((index, digest))
    return ends


def plan(
    entries: Sequence[Entry],
    ends: Sequence[tuple[int, bytes]],
    messages: Sequence[Message],
    pending: Mapping[str, str],
) -> Plan | None:
    """Return how a request with these ``messages`` goes on in a transcript with these ``entries``.

    ``ends`` are what :func:`ends_of` returns for the messages. ``pending`` maps the ids of the calls that
    wait for results, as the client knows them, to the upstream's. Returns ``None`` if the request cannot go
    on there, because something would have to be taken back that cannot be.
    """
    matched, position, parting = _common(entries, ends)
    if position == len(entries):
        start = ends[matched - 1][0] if matched else 0
        results = results_for(dict(pending), list(messages[start:])) if pending else None
        if not pending or results is not None:
            return Plan(len(entries), (), start, results)

    keep = _cut(entries, position, parting)
    if keep is None:
        return None
    kept = sum(entry.lasting for entry in entries[:keep])
    lines = tuple(entry.line for entry in reversed(entries[keep:]) if entry.line)
    return Plan(keep, lines, ends[kept - 1][0] if kept else 0, None, len(entries) - keep)


def _common(entries: Sequence[Entry], ends: Sequence[tuple[int, bytes]]) -> tuple[int, int, int]:
    """Return how many lasting messages are equal, the index after them, and that of the first other one."""
    matched = position = 0
    for index, known in enumerate(entries):
        if not known.lasting:
            continue
        if matched == len(ends) or ends[matched][1] != known.digest:
            return matched, position, index
        matched, position = matched + 1, index + 1
    return matched, position, len(entries)


def _cut(entries: Sequence[Entry], position: int, parting: int) -> int | None:
    """Return the index to cut the transcript at, or ``None`` if it cannot be cut.

    This is after everything that is equal if possible, otherwise as late as possible before that.
    """
    after = range(position, min(parting + 1, len(entries)))
    places = [*after, *range(position - 1, -1, -1)]
    return next((place for place in places if entries[place].line and not entries[place].answers), None)
