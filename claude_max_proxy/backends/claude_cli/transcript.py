"""What a process's conversation holds, message by message, and how a request may go on in it. Pure.

A process can be taken back to before any line of a user's that we named. So a request goes on where its own
history and the transcript part: what comes after is taken back, and what is missing is appended.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from claude_max_proxy import Message, ToolResult
from claude_max_proxy.backends.claude_cli.continuation import results_for
from claude_max_proxy.backends.claude_cli.fingerprint import extend, lasts


class Entry(msgspec.Struct, frozen=True):
    """One message of a transcript; ``digest`` is of all that lasts up to it.

    ``line`` names the user's line that brought it, empty for what cannot be named. A line that ``answers``
    calls cannot be the first to go: the CLI does not part a call from its result. What does not last, since
    it is ephemeral or says nothing that a client hands back, is passed over when histories are compared.
    """

    digest: bytes
    line: str = ""
    answers: bool = False
    lasting: bool = True


class Plan(msgspec.Struct, frozen=True):
    """How a request goes on: ``keep`` entries stay, ``lines`` are taken back, the newest first.

    Then its messages from ``start`` on are what is new, ``results`` if they answer the calls that wait.
    ``lost`` counts the entries that go.
    """

    keep: int
    lines: tuple[str, ...] = ()
    start: int = 0
    results: dict[str, ToolResult] | None = None
    lost: int = 0


def entry(before: bytes, message: Message, line: str = "") -> Entry:
    """Return the entry of a message that comes after what ``before`` digests."""
    answers = any(isinstance(part, ToolResult) for part in message.parts)
    return Entry(extend(before, [message]), line, answers, lasts(message))


def ends_of(root: bytes, messages: Sequence[Message]) -> list[tuple[int, bytes]]:
    """Return each lasting message's end and its digest, but for the last message, which is to be asked.

    ``root`` digests what is before the first message.
    """
    digest, ends = root, []
    for index, message in enumerate(messages[:-1]):
        if lasts(message):
            digest = extend(digest, [message])
            ends.append((index + 1, digest))
    return ends


def plan(
    entries: Sequence[Entry],
    ends: Sequence[tuple[int, bytes]],
    messages: Sequence[Message],
    pending: Mapping[str, str],
) -> Plan | None:
    """Say how a request with these ``messages`` goes on in a transcript with these ``entries``.

    ``ends`` are those of :func:`ends_of`, and ``pending`` maps the calls that wait for results. ``None``
    means that it cannot: what would have to go cannot be taken back.
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
    """Return how many lasting messages are the same, where they end, and where the first other one is."""
    matched = position = 0
    for index, known in enumerate(entries):
        if not known.lasting:
            continue
        if matched == len(ends) or ends[matched][1] != known.digest:
            return matched, position, index
        matched, position = matched + 1, index + 1
    return matched, position, len(entries)


def _cut(entries: Sequence[Entry], position: int, parting: int) -> int | None:
    """Return the place to cut at: behind all that is the same if possible, else as late before as can be."""
    after = range(position, min(parting + 1, len(entries)))
    places = [*after, *range(position - 1, -1, -1)]
    return next((place for place in places if entries[place].line and not entries[place].answers), None)
