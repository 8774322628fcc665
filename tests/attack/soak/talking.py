"""A client of a soak: it holds conversations in every API, leaves some, and checks each answer."""

from __future__ import annotations

import asyncio
import json
import random
import time
from dataclasses import dataclass

import httpx

from tests.attack.reciting import CANARY, RECITE, new_canary, said
from tests.attack.soak.counting import Counts
from tests.attack.soak.dialects import DIALECTS, Answer, Dialect, Turn, code_of, read_stream, read_whole


LEAVING = 1 / 3
LONGEST = 90.0
"""Seconds after which a request has ended, whatever went wrong behind it."""
_FAULTY = frozenset({429, 502, 503, 504, 529})
_CODES = frozenset(
    {
        "upstream_error",
        "upstream_timeout",
        "overloaded",
        "rate_limit_exceeded",
        "proxy_busy",
        "backend_unavailable",
        "server_error",  # the Responses API has this one for all of them
    }
)


@dataclass(frozen=True)
class Said:
    """How a request ended."""

    kind: str
    told: str = ""
    answer: Answer | None = None


class Talker:
    """One client; `models` are the names that it may ask for, `keys` those that it may use."""

    def __init__(
        self,
        http: httpx.AsyncClient,
        counts: Counts,
        chance: random.Random,
        keys: list[str],
        models: list[str],
    ) -> None:
        self._http = http
        self._counts = counts
        self._chance = chance
        self._keys = keys
        self._models = models

    async def keep_talking(self, until: float) -> None:
        """Hold one conversation after the other until a time of `time.monotonic`."""
        while time.monotonic() < until:
            await self._talk(until)

    async def _talk(self, until: float) -> None:
        name = self._chance.choice([*DIALECTS, "chat", "messages"])
        dialect, model = DIALECTS[name], self._chance.choice(self._models)
        key, way = self._chance.choice(self._keys), f"{name}, {model}"
        turns: list[Turn] = []
        words: list[str] = []
        for _ in range(self._chance.randint(1, 6) if dialect.turns else 1):
            word = new_canary("soak")
            works = dialect.tools and self._chance.random() < 0.25
            asked = f"[[tool look {{}}]] {word}" if works else f"{RECITE} {word}"
            question = Turn("user", asked)
            ended = await self._ask(way, dialect, model, key, [*turns, question], [*words, word], calls=works)
            if ended.kind != "right" or ended.answer is None or time.monotonic() > until:
                if ended.kind in ("refused", "broken off"):
                    await asyncio.sleep(0.2)
                continue  # the next question replaces this one
            words.append(word)
            turns += [question, Turn("assistant", ended.answer.text, ended.answer.call)]
            if works and not await self._hand_back(way, dialect, model, key, turns, words):
                return
            await asyncio.sleep(self._chance.choice([0, 0, 0.1, 1]))

    async def _hand_back(
        self, way: str, dialect: Dialect, model: str, key: str, turns: list[Turn], words: list[str]
    ) -> bool:
        """Answer the call that was made; return whether the conversation can go on."""
        word = new_canary("result")
        turns.append(Turn("tool", f"{RECITE} {word}", turns[-1].call))
        words.append(word)
        for _ in range(4):
            ended = await self._ask(way, dialect, model, key, turns, words)
            if ended.kind == "right" and ended.answer is not None:
                turns.append(Turn("assistant", ended.answer.text))
                return True
        return False

    async def _ask(
        self,
        way: str,
        dialect: Dialect,
        model: str,
        key: str,
        turns: list[Turn],
        words: list[str],
        *,
        calls: bool = False,
    ) -> Said:
        """Ask one question, and count how it ends."""
        stream = self._chance.random() < 0.6
        leaves = self._chance.random() < LEAVING
        tools = any(turn.call for turn in turns) or calls
        body = {"model": model, "stream": stream, **dialect.body(turns, tools)}
        self._counts.asked += 1
        began = time.monotonic()
        patience = self._chance.choice([0.02, 0.2, 2.0]) * self._chance.random() if leaves else LONGEST
        try:
            async with asyncio.timeout(patience):
                ended = _judged(await self._heard(dialect, key, body, stream=stream), words, calls=calls)
        except TimeoutError:
            ended = Said("left") if leaves else Said("unaccounted", f"no end in {LONGEST:.0f} s")
        except Exception as error:
            ended = Said("unaccounted", repr(error)[:300])
        self._counts.note(way, ended.kind, ended.told, time.monotonic() - began)
        return ended

    async def _heard(self, dialect: Dialect, key: str, body: dict[str, object], *, stream: bool) -> Said:
        reply = await self._http.post(dialect.path, json=body, headers={"authorization": f"Bearer {key}"})
        if reply.status_code != 200:
            code = code_of(json.loads(reply.content))
            right = reply.status_code in _FAULTY and code
            return Said(
                "refused" if right else "wrong",
                f"{reply.status_code} {code}{'' if right else reply.text[:300]}",
            )
        answer = read_stream(dialect, reply.text) if stream else read_whole(dialect, reply.content)
        if answer.error:
            return Said("broken off" if answer.error in _CODES else "wrong", f"in the stream: {answer.error}")
        if not answer.ended:
            return Said("unaccounted", f"a stream without an end: {reply.text[-200:]!r}")
        return Said("right", answer=answer)


def _judged(ended: Said, words: list[str], *, calls: bool) -> Said:
    """Check a whole answer against the conversation."""
    answer = ended.answer
    if answer is None:
        return ended
    if calls:
        return ended if answer.call else Said("wrong", f"no call, but {answer.text[:200]!r}")
    if answer.text == said(words):
        return ended
    strange = set(CANARY.findall(answer.text)) - set(words)
    return Said(
        "mixed" if strange else "wrong", f"{answer.text[:300]!r} in the place of {said(words)[:300]!r}"
    )
