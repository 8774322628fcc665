"""The two drawings of one request: where its time went, and what its tokens were. Pure.

Places and widths are those of a drawing that is 1000 wide.
"""

from __future__ import annotations

import msgspec


_FULL = 1000.0
_LEAST = 2.0  # what would be thinner than this could not be seen


class Step(msgspec.Struct, frozen=True):
    """One step of a request, from ``x`` on; ``kind`` is its class in the stylesheet."""

    name: str
    kind: str
    seconds: float
    x: float
    width: float


class Portion(msgspec.Struct, frozen=True):
    """The tokens of one kind."""

    name: str
    kind: str
    tokens: int
    x: float
    width: float


def waterfall(queued: float, first_token: float | None, last_token: float | None, total: float) -> list[Step]:
    """Return the steps of a request, given the times at which they ended, in seconds from its arrival.

    Without a first token, everything after the queue is one step. Times that contradict each other, as clocks
    of two processes do, are put into order.
    """
    if total <= 0:
        return []
    queued = min(max(0.0, queued), total)
    ends = [("Waiting for a place", "wait", queued)]
    if first_token is None:
        ends.append(("Until it failed", "think", total))
    else:
        first = min(max(queued, first_token), total)
        last = min(max(first, last_token if last_token is not None else total), total)
        ends += [("Until the first token", "think", first), ("Until the last token", "write", last)]
        ends.append(("Until the end", "close", total))
    steps, began = [], 0.0
    for name, kind, end in ends:
        if end > began:
            steps.append(_step(name, kind, began, end, total))
        began = end
    return steps


def _step(name: str, kind: str, began: float, end: float, total: float) -> Step:
    width = max(_LEAST, _FULL * (end - began) / total)
    x = min(_FULL * began / total, _FULL - width)
    return Step(name, kind, end - began, round(x, 1), round(width, 1))


def portions(read: int, written: int, fresh: int, output: int) -> list[Portion]:
    """Return the kinds of tokens that there are: of the prompt, by its cache, and of the answer."""
    kinds = (
        ("read from the cache", "read", read),
        ("written to the cache", "written", written),
        ("other input", "fresh", fresh),
        ("output", "output", output),
    )
    total = sum(tokens for _, _, tokens in kinds)
    found, x = [], 0.0
    for name, kind, tokens in kinds:
        if tokens > 0:
            width = _FULL * tokens / total
            found.append(Portion(name, kind, tokens, round(x, 1), round(width, 1)))
            x += width
    return found
