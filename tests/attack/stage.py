"""Where an attack takes place: a proxy, what it may be asked, and what is recorded of its answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.attack.evil import Evil
from tests.attack.reciting import new_canary
from tests.attack.wire import GONE, Wire, connected
from tests.end_to_end.running import RunningProxy


KEYS = {name: f"CANARY-key-{name}-5f2c81d09ab3" for name in ("honest", "attacker", "other", "small")}
UPSTREAM_KEY = "CANARY-key-upstream-77aa01"
CHAT = "/v1/chat/completions"


class Stage:
    """One attack's view: `tried` counts its attempts, `problems` holds what was not right.

    `canary` is a word for its prompts, which must not turn up in the log. `ends` says that the attack
    itself ends the proxy. `scale` is how large a part of the whole attack this is.
    """

    def __init__(self, proxy: RunningProxy, evil: Evil, scale: float, command: str = "") -> None:
        self.proxy = proxy
        self.evil = evil
        self.scale = scale
        self.command = command
        self.tried = 0
        self.ends = False
        self.problems: list[str] = []
        self.canary = new_canary()

    # --- how much

    def count(self, whole: int, least: int = 4) -> int:
        """Return a number of attempts, or a size in bytes, at this scale."""
        return max(least, int(whole * self.scale))

    def seconds(self, whole: float, least: float = 1.0) -> float:
        """Return a duration at this scale."""
        return max(least, whole * self.scale)

    # --- what is right

    def check(self, right: object, problem: str) -> None:
        """Note an attempt, and what was wrong with it, if anything."""
        self.tried += 1
        if not right:
            self.problems.append(problem)

    def check_secrets(self, reply: bytes | str, told: str) -> None:
        """Note if an answer contains a key."""
        text = reply if isinstance(reply, str) else reply.decode("latin-1")
        for name, key in {**KEYS, "upstream": UPSTREAM_KEY}.items():
            if key in text:
                self.problems.append(f"{told}: the answer holds the key of {name}")

    # --- what may be asked

    @property
    def port(self) -> int:
        """The proxy's port."""
        return urlsplit(self.proxy.url).port or 0

    def wire(self, *, buffer: int = 0) -> AbstractAsyncContextManager[Wire]:
        """Connect."""
        return connected(self.port, buffer=buffer)

    async def tell(self, data: bytes | Iterable[bytes], *, within: float = 5.0, told: str = "") -> bytes:
        """Send bytes on a separate connection; return what comes until the end, or until silence."""
        try:
            async with self.wire() as wire:
                await wire.say_all([data] if isinstance(data, bytes) else data)
                reply = await wire.hear(within)
        except GONE:
            return b""
        self.check_secrets(reply, told)
        return reply

    def head(
        self,
        *lines: str,
        path: str = CHAT,
        method: str = "POST",
        host: str = "127.0.0.1",
        key: str = "attacker",
        keep: bool = False,
    ) -> bytes:
        """Return the head of a request, which is the last one of its connection unless `keep` is set."""
        own = [f"Host: {host}"] if host else []
        own += [f"Authorization: Bearer {KEYS[key]}"] if key else []
        own += [] if keep else ["Connection: close"]
        return "\r\n".join([f"{method} {path} HTTP/1.1", *own, *lines, "", ""]).encode("latin-1", "replace")

    def post(self, body: bytes, *lines: str, keep: bool = False) -> bytes:
        """Return a whole request."""
        kind = ("Content-Type: application/json", f"Content-Length: {len(body)}")
        return self.head(*kind, *lines, keep=keep) + body

    def client(self, key: str = "attacker", within: float = 60.0) -> httpx.AsyncClient:
        """Return an HTTP client with this key, which waits at most this many seconds for each piece."""
        headers = {"authorization": f"Bearer {KEYS[key]}"} if key else {}
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        transport = httpx.AsyncHTTPTransport(verify=False, limits=limits)
        return httpx.AsyncClient(
            base_url=self.proxy.url, headers=headers, timeout=within, transport=transport
        )

    async def ask(
        self, content: Any, model: str = "http", *, key: str = "attacker", within: float = 60.0, **fields: Any
    ) -> httpx.Response | None:
        """Ask for a chat, with messages or one text; return None if no answer came in time."""
        messages = [{"role": "user", "content": content}] if isinstance(content, str) else content
        return await self.post_json(
            CHAT, {"model": model, "messages": messages, **fields}, key=key, within=within
        )

    async def post_json(
        self, path: str, body: Any, *, key: str = "attacker", within: float = 60.0
    ) -> httpx.Response | None:
        """Post a body, bytes or what becomes JSON; return None if no answer came in time."""
        content: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        try:
            async with asyncio.timeout(within), self.client(key, within) as http:
                reply = await http.post(path, headers={"content-type": "application/json"}, **content)
        except (httpx.HTTPError, TimeoutError):
            return None
        self.check_secrets(reply.content, path)
        return reply

    async def together(
        self, count: int, work: Callable[[int], Awaitable[object]], *, at_once: int = 200
    ) -> None:
        """Do something many times, at most so many at a time."""
        places = asyncio.Semaphore(at_once)

        async def one(number: int) -> None:
            async with places:
                await work(number)

        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(one(number))


def status_of(reply: httpx.Response | None) -> int:
    """Return an answer's status, or 0 if there was none."""
    return 0 if reply is None else reply.status_code
