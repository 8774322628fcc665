"""The measurements: one side at a time, and the sides take turns."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

import msgspec

from benchmarks.cli.chat import Answer, Message, ask
from benchmarks.cli.sides import Side
from benchmarks.cli.upstream import Upstream
from benchmarks.machine import own_cpu, resident, tree_cpu, tree_share
from benchmarks.table import Say
from claude_max_proxy.testing import words


DELTAS = 5000
LENGTHS = (10, 100, 500)
_PACED = "[[pace 0.02 100]]"
_AFTERWARDS = 0.3  # time for what a proxy does after the answer; a request now would spoil the measurement


class Samples(msgspec.Struct):
    """All that was measured of one side; times in seconds, sizes in bytes."""

    fresh: list[float] = []
    next_turn: list[float] = []
    unseen: list[float] = []
    again: list[float] = []
    edited: list[float] = []
    rate: list[float] = []
    shot_cpu: list[float] = []
    resting: list[float] = []
    rest_cpu: list[float] = []
    large: list[float] = []
    hi_bytes: list[float] = []
    request_cpu: list[float] = []
    delivered: list[float] = []
    delta_cpu: list[float] = []
    stream_wall: list[float] = []
    resident: list[float] = []
    at_rest: list[float] = []
    answering: list[float] = []
    replay_10: list[float] = []
    replay_100: list[float] = []
    replay_500: list[float] = []
    step: list[float] = []
    plain: list[float] = []
    open_call: list[float] = []
    live: list[float] = []


Results = dict[str, Samples]


def measure(sides: list[Side], upstream: Upstream, rounds: int, say: Say) -> Results:
    """Measure every side ``rounds`` times, in turns."""
    results = {side.name: Samples() for side in sides}
    for number, side in _turns(sides, rounds):
        _chat(side, upstream, results[side.name])
        say(line(number, rounds, side, "chat", results[side.name].fresh, results[side.name].next_turn))
    for number, side in _turns(sides, rounds):
        _unseen(side, number, results[side.name])
        _change(side, number, results[side.name])
        newest = [results[side.name].unseen, results[side.name].again, results[side.name].edited]
        say(line(number, rounds, side, "changes", *newest))
    for number, side in _turns(sides, rounds):
        _stream(side, results[side.name])
        say(line(number, rounds, side, f"{DELTAS} deltas", results[side.name].stream_wall))
    for number, side in _turns(sides, (rounds + 1) // 2):
        for length in LENGTHS:
            _replay(side, length, number, getattr(results[side.name], f"replay_{length}"))
        newest = [getattr(results[side.name], f"replay_{length}") for length in LENGTHS]
        say(line(number, (rounds + 1) // 2, side, "replays", *newest))
    for _, side in _turns(sides, 1):
        _memory(side, results[side.name])
    return results


def _turns(sides: list[Side], rounds: int) -> Iterator[tuple[int, Side]]:
    for number in range(1, rounds + 1):
        for side in sides:
            for other in sides:
                other.rest()
            yield number, side


def _chat(side: Side, upstream: Upstream, samples: Samples) -> None:
    """Measure a conversation of two turns, with a pause between them as people make it."""
    bytes_before, cpu_before = upstream.received(), tree_cpu(side.pid)
    messages: list[Message] = [{"role": "user", "content": "hi"}]
    answer = ask(side.client, messages)
    check(answer, "You said: hi", exact=True)
    samples.fresh.append(answer.first)
    side.rest()
    samples.hi_bytes.append(upstream.received() - bytes_before)
    samples.request_cpu.append(tree_cpu(side.pid) - cpu_before)
    messages += [answer.message, {"role": "user", "content": "and now?"}]
    answer = ask(side.client, messages)
    check(answer, "You said:", exact=False)
    samples.next_turn.append(answer.first)


def _unseen(side: Side, number: int, samples: Samples) -> None:
    """Measure a new conversation with instructions that were never used before."""
    system = {"role": "system", "content": f"These are instructions number {number}."}
    answer = ask(side.client, [system, {"role": "user", "content": "hi"}])
    check(answer, "You said:", exact=False)  # the other proxy puts the instructions into the message too
    samples.unseen.append(answer.first)
    side.rest()


def _change(side: Side, number: int, samples: Samples) -> None:
    """Measure asking for the newest answer again, and then changing the newest question."""
    messages: list[Message] = []
    for text in (f"one {number}", f"two {number}", f"three {number}"):
        messages.append({"role": "user", "content": text})
        messages.append(ask(side.client, messages).message)
    side.rest()
    answer = ask(side.client, messages[:-1])
    check(answer, "You said:", exact=False)
    samples.again.append(answer.first)
    side.rest()
    answer = ask(side.client, [*messages[:-2], {"role": "user", "content": "something else"}])
    check(answer, "You said:", exact=False)
    samples.edited.append(answer.first)


def _replay(side: Side, length: int, number: int, samples: list[float]) -> None:
    """Measure the next question of a conversation that has ``length`` messages and began elsewhere."""
    side.rest()
    roles = ("user", "assistant")
    messages: list[Message] = [
        {"role": roles[index % 2], "content": f"{number}.{index} {words(12)}"} for index in range(length)
    ]
    answer = ask(side.client, [*messages, {"role": "user", "content": "and now?"}])
    check(answer, "You said:", exact=False)
    samples.append(answer.first)


def _stream(side: Side, samples: Samples) -> None:
    before = own_cpu(side.pid)
    answer = ask(side.client, [{"role": "user", "content": f"[[deltas {DELTAS}]]"}])
    time.sleep(_AFTERWARDS)  # noqa: TID251
    samples.delta_cpu.append((own_cpu(side.pid) - before) / DELTAS)
    check(answer, words(DELTAS), exact=True)
    samples.stream_wall.append(answer.total)
    samples.delivered.append(len(answer.pieces))


def _memory(side: Side, samples: Samples) -> None:
    samples.resident.append(resident(side.pid))
    samples.at_rest.append(tree_share(side.pid))

    def weigh() -> None:
        samples.answering.append(tree_share(side.pid))

    ask(side.client, [{"role": "user", "content": _PACED}], weigh)


def check(answer: Answer, expected: str, *, exact: bool) -> None:
    """Raise an error if this is not the answer. The other proxy sends the whole history as one text."""
    if not (answer.text == expected if exact else answer.text.startswith(expected)):
        raise RuntimeError(f"expected {expected[:60]!r}, got {answer.text[:200]!r}")


def line(number: int, rounds: int, side: Side, what: str, *times: list[float]) -> str:
    """Return a line about the progress: the newest times and the medians."""
    newest = ", ".join(f"{values[-1] * 1000:.0f}" for values in times)
    medians = ", ".join(f"{median(values) * 1000:.0f}" for values in times)
    return f"  {number:>2}/{rounds}  {side.name:<22}{what:<13}{newest:>12} ms   median so far {medians} ms"
