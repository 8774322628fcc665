"""Remembers conversations, by digests, to say why one could not go on where it was. Pure.

A trace has nothing of what was said. It stays for a while after the conversation's process has ended.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence

import msgspec

from claude_max_proxy import Client
from claude_max_proxy.backends.claude_cli.choice import Wanted
from claude_max_proxy.backends.claude_cli.fingerprint import Bound


_MOST_ENDED = 200
_MOST_MESSAGES = 500  # of one conversation; what comes after them is not compared
_MARK = 8  # bytes of a message's digest, which are enough to tell messages apart here

NOT_KNOWN = "history not known here"
REWIND_REFUSED = "refused rewind"
OPEN_CALLS = "open tool calls could not be answered in place"
FAILED = "process ended (it failed)"
# What a reason says first if something that binds a process has changed, by the fields of Bound.
_CHANGED = {
    "model": "model changed",
    "agent": "agent changed",
    "instructions": "instructions changed",
    "schema": "answer schema changed",
    "tools": "tools changed",
}


class Trace(msgspec.Struct):
    """One conversation.

    ``marks`` are digests of its lasting messages, and ``owner`` is the client whose turn was the last one.
    ``busy`` says that its process is answering, ``open_calls`` that it waits for the results of tools, and
    ``worn`` that no other conversation may begin in it. ``ended`` says why its process has ended.
    """

    owner: Client
    bound: Bound
    marks: tuple[bytes, ...]
    busy: bool = False
    open_calls: bool = False
    worn: bool = False
    ended: str = ""


class Traces:
    """The traces of the processes that run, and of those that have ended lately; their number is bounded."""

    def __init__(self) -> None:
        """Begin without any."""
        self._running: OrderedDict[int, Trace] = OrderedDict()
        self._ended: deque[Trace] = deque(maxlen=_MOST_ENDED)

    def keep(self, pid: int, trace: Trace) -> None:
        """Remember what a process holds now, in place of what it held before."""
        trace.marks = shortened(trace.marks)
        self._running[pid] = trace
        self._running.move_to_end(pid)

    def take(self, pid: int, *, goes_on: bool) -> None:
        """Note that a process is asked; what it held is gone unless its conversation ``goes_on``."""
        trace = self._running.get(pid)
        if trace is None:
            return
        if goes_on:
            trace.busy = True
        else:
            self.end(pid, "crowded out")

    def end(self, pid: int, why: str) -> None:
        """Note that what a process held is gone."""
        trace = self._running.pop(pid, None)
        if trace is not None:
            trace.busy, trace.ended = False, why
            self._ended.append(trace)

    def reason(self, wanted: Wanted) -> str:
        """Return why a request does not go on in place; see :func:`reason`."""
        traces = [*reversed(self._running.values()), *reversed(self._ended)]
        return reason(traces, wanted.client, wanted.bound, wanted.marks, len(wanted.messages))


def shortened(marks: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return the beginnings of the first marks."""
    return tuple(mark[:_MARK] for mark, _ in zip(marks, range(_MOST_MESSAGES), strict=False))


def reason(
    traces: Iterable[Trace], client: Client, bound: Bound, marks: Sequence[tuple[int, bytes]], last: int
) -> str:
    """Return why a request does not go on in place, given the ``traces`` of conversations, newest first.

    ``client`` sends the request and ``bound`` is what its process must have been told. ``marks`` are the
    digests of its lasting messages but the last one, each with the index after it; ``last`` is the number of
    all its messages. A request without such messages begins a conversation, and the reason is empty.
    """
    asked = shortened(mark for _, mark in marks)
    if not asked:
        return ""

    best, common = None, 0
    for trace in traces:
        length = _common(trace.marks, asked)
        rank = (length, trace.owner.owner == client.owner, trace.bound == bound)
        if best is None or rank > (common, best.owner.owner == client.owner, best.bound == bound):
            best, common = trace, length
    if best is None or not common:
        return NOT_KNOWN
    index = marks[common][0] if common < len(marks) else last
    return _told(best, client, bound, index, whole=common == min(len(best.marks), _MOST_MESSAGES))


def _told(trace: Trace, client: Client, bound: Bound, index: int, *, whole: bool) -> str:
    if trace.owner.owner != client.owner:
        return "another API key"
    for name, words in _CHANGED.items():
        if getattr(trace.bound, name) != getattr(bound, name):
            return words
    if not whole:
        worn = ", and its process is worn" if trace.worn else ""
        return f"history differs at message {index}{worn}"
    if trace.ended:
        return f"process ended ({trace.ended})"
    if trace.busy:
        return "process was busy"
    return OPEN_CALLS if trace.open_calls else "process could not go on"


def _common(known: Sequence[bytes], asked: Sequence[bytes]) -> int:
    """Return how many marks are equal from the beginning on."""
    count = 0
    for one, other in zip(known, asked, strict=False):
        if one != other:
            break
        count += 1
    return count
