"""Clients of several replicas: long conversations over the CLI and over HTTP, and one with a budget."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import secrets
from collections.abc import Callable

import httpx

from tests.attack.reciting import CANARY, RECITE, new_canary, said
from tests.attack.soak.dialects import DIALECTS, Answer, Dialect, Turn, code_of, read_stream, read_whole
from tests.cluster.counting import Asked, Counts


LONGEST = 120.0
SPENDER = "spender"
CALLED = '{"where": "here"}'  # as the dialects hand a call back
_MOST_REFUSED = 20  # in a row, after which a budget is used up everywhere
_AGAIN = 20  # tries of one question, while a replica is away
# What a refusal means: a budget is used up, or those under way may use up the rest of it; a replica has died.
_ENDS = {
    "429 budget_spent": "refused",
    "429 rate_limit_exceeded": "refused",
    "502 replica_failed": "lost",
}


class Client:
    """Holds one conversation after the other, each as a session of its own."""

    def __init__(self, http: httpx.AsyncClient, counts: Counts, chance: random.Random, key: str) -> None:
        """Ask over ``http`` with this API key."""
        self._http = http
        self._counts = counts
        self._chance = chance
        self._key = key
        self._replica = ""

    async def keep_talking(self, model: str, is_over: Callable[[], bool]) -> None:
        """Talk to a model until ``is_over`` says so."""
        while not is_over():
            await self._converse(model, is_over)

    async def spend(self, model: str, until: float) -> None:
        """Ask one question after the other, each in a session of its own, until a budget is used up."""
        refused = 0
        while _now() < until and refused < _MOST_REFUSED:
            word, self._replica = new_canary("spend"), ""
            turns = [Turn("user", f"{RECITE} {word}")]
            ended, _ = await self._ask(DIALECTS["chat"], model, secrets.token_hex(4), turns, [word])
            refused = refused + 1 if ended.kind == "refused" else 0

    async def _converse(self, model: str, is_over: Callable[[], bool]) -> None:
        dialect = DIALECTS[self._chance.choice(["chat", "messages"])]
        session, turns, words = secrets.token_hex(8), list[Turn](), list[str]()
        self._replica = ""
        for _ in range(self._chance.randint(15, 40)):
            if is_over():
                return
            word = new_canary("turn")
            calls = self._chance.random() < 0.25
            asked = f"[[tool look {CALLED}]] {word}" if calls else f"{RECITE} {word}"
            turns.append(Turn("user", asked))
            words.append(word)
            answer = await self._answered(dialect, model, session, turns, words, calls=calls)
            if answer is None:
                return
            turns.append(Turn("assistant", answer.text, answer.call))
            if calls:
                word = new_canary("result")
                turns.append(Turn("tool", f"{RECITE} {word}", answer.call))
                words.append(word)
                answer = await self._answered(dialect, model, session, turns, words)
                if answer is None:
                    return
                turns.append(Turn("assistant", answer.text))
            await asyncio.sleep(self._chance.choice([0.05, 0.1, 0.3]))

    async def _answered(
        self,
        dialect: Dialect,
        model: str,
        session: str,
        turns: list[Turn],
        words: list[str],
        *,
        calls: bool = False,
    ) -> Answer | None:
        """Ask until there is the right answer; return ``None`` if there never is one."""
        for _ in range(_AGAIN):
            ended, answer = await self._ask(dialect, model, session, turns, words, calls=calls)
            if ended.kind == "right":
                return answer
            if ended.kind != "lost":
                return None
            await asyncio.sleep(0.3)
        return None

    async def _ask(
        self,
        dialect: Dialect,
        model: str,
        session: str,
        turns: list[Turn],
        words: list[str],
        *,
        calls: bool = False,
    ) -> tuple[Asked, Answer]:
        """Ask once, and count how it ended."""
        tools = calls or any(turn.call for turn in turns)
        stream = self._chance.random() < 0.6
        body = {"model": model, "stream": stream, **dialect.body(turns, tools)}
        headers = {"authorization": f"Bearer {self._key}", "x-session-affinity": session}
        began, id_, answer, kind, told = _now(), "", Answer(), "lost", ""
        replica = self._replica
        try:
            async with self._http.stream("POST", dialect.path, json=body, headers=headers) as reply:
                id_ = reply.headers.get("x-request-id", "")
                replica = self._replica = reply.headers.get("x-proxy-replica", replica)
                content = await reply.aread()
            if reply.status_code == 200:
                read = read_stream(dialect, content.decode()) if stream else read_whole(dialect, content)
                answer, (kind, told) = read, _judged(read, words, calls=calls)
            else:
                told = f"{reply.status_code} {code_of(json.loads(content))}"
                kind = _ENDS.get(told, "wrong")
        except httpx.HTTPError as error:
            told = repr(error)
        follows = model == "cli" and len(turns) > 1
        asked = Asked(words[-1], model, self._key, began, _now(), id_, replica, kind, told, follows)
        self._counts.asked.append(asked)
        return asked, answer


def _judged(answer: Answer, words: list[str], *, calls: bool) -> tuple[str, str]:
    """Return how a whole answer is: right, lost, mixed or wrong; and what is wrong with it."""
    if answer.error or not answer.ended:
        return "lost", f"in the stream: {answer.error or 'no end'}"
    if answer.call if calls else answer.text == said(words):
        return "right", ""
    strange = set(CANARY.findall(answer.text)) - set(words)
    return "mixed" if strange else "wrong", f"{answer.text[:200]!r} in the place of {said(words)[:200]!r}"


def clients(
    http: httpx.AsyncClient, counts: Counts, chance: random.Random, talkers: int, spenders: int
) -> list[Client]:
    """Return so many clients with three keys in turns, and then so many that share a key with a budget."""
    keys = [*itertools.islice(itertools.cycle(["one", "two", "three"]), talkers), *[SPENDER] * spenders]
    return [Client(http, counts, random.Random(chance.random()), key) for key in keys]


def _now() -> float:
    return asyncio.get_running_loop().time()
