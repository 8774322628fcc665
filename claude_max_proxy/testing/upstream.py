"""A scripted Messages API on loopback, which the real CLI uses in tests, in the demo and in benchmarks.

It records every request, and refuses what the real API refuses. Its answers come from a queue of scripted
answers; if that is empty, from a function of the request; otherwise from directives in the newest user text
(`[[tool NAME {json}]]`, `[[deltas 5000]]`, `[[status 529]]` …); and else they are an echo. It needs no
account, and no network beyond loopback.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import msgspec

from claude_max_proxy.testing import strictness
from claude_max_proxy.testing.answers import Answer, Fault, Reply, fault
from claude_max_proxy.testing.delivery import Delivery, Receive, Scope, Send
from claude_max_proxy.testing.directives import answer_for
from claude_max_proxy.testing.listener import HOST, Listener
from claude_max_proxy.testing.seen import RecordedRequest


MESSAGES = "/v1/messages"
BYTES_PER_TOKEN = 4
LARGEST_REQUEST = 32 * 1024 * 1024
"""The limit in bytes, from platform.claude.com/docs, `api/errors`."""

AnswerFunction = Callable[[dict[str, Any]], Answer | None]
"""Returns an answer to the body of a request, or None to leave that to the directives."""


class ScriptedUpstream:
    """A Messages API on 127.0.0.1 that runs inside of `async with`.

    - `requests`: all `POST /v1/messages`, in the order in which they came.
    - `counts`: all requests to count tokens.
    - `probes`: all `HEAD /` and `GET /`.
    - `others`: all requests that no CLI should send.
    - `arrivals`: all of these together; `clear` does not empty it.
    - `count`: the number of questions to the model.
    - `bytes_received`: the size of the bodies of these questions.
    - `scripted`: the answers that are still in the queue.
    """

    def __init__(self, *, recording: bool = True, strict: bool = True, port: int = 0) -> None:
        """Prepare to serve on this port; 0 means a free port.

        If `recording` is false, only `count` and `bytes_received` are kept, for benchmarks. If `strict` is
        false, requests that the real API refuses are answered too.
        """
        self.requests: list[RecordedRequest] = []
        self.counts: list[RecordedRequest] = []
        self.probes: list[RecordedRequest] = []
        self.others: list[RecordedRequest] = []
        self.arrivals: list[RecordedRequest] = []
        self.count = 0
        self.bytes_received = 0
        self._recording = recording
        self._strict = strict
        self.scripted: deque[Answer] = deque()
        self._function: AnswerFunction | None = None
        self._listener = Listener(self._serve, port)
        self._port = port
        self._active = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def __aenter__(self) -> Self:
        """Begin to serve. Raises OSError if the port is already used."""
        self._port = await self._listener.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop at once, even in the middle of an answer."""
        await self._listener.stop()

    @property
    def url(self) -> str:
        """The base URL, without a slash at the end."""
        return f"http://{HOST}:{self._port}"

    def environment(self) -> dict[str, str]:
        """Return the environment variables that make the CLI talk to this API and to nothing else."""
        return {
            "ANTHROPIC_BASE_URL": self.url,
            "ANTHROPIC_API_KEY": "sk-ant-dummy",
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "DISABLE_AUTOUPDATER": "1",
        }

    def script(self, *answers: Answer) -> None:
        """Put answers into the queue for the next requests; they take precedence over everything else."""
        self.scripted.extend(answers)

    def answer_with(self, function: AnswerFunction | None) -> None:
        """Let a function answer what is not scripted; with None, only directives do."""
        self._function = function

    def clear(self) -> None:
        """Forget what was recorded, except `arrivals`, and what was scripted."""
        for kept in (self.requests, self.counts, self.probes, self.others):
            kept.clear()
        self.scripted.clear()
        self._function = None

    async def idle(self, within: float = 5.0) -> None:
        """Wait until no answer is under way, so that the records are final.

        Raises TimeoutError after `within` seconds.
        """
        async with asyncio.timeout(within):
            await self._idle.wait()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._active += 1
        self._idle.clear()
        try:
            await self.route(scope, receive, self.deliver(scope, receive, send))
        finally:
            self._active -= 1
            if not self._active:
                self._idle.set()

    def deliver(self, scope: Scope, receive: Receive, send: Send) -> Delivery:
        """Return what sends an answer."""
        return Delivery(scope, receive, send)

    async def route(self, scope: Scope, receive: Receive, delivery: Delivery) -> None:
        """Answer one request."""
        content = await read_body(receive)
        if content is None:
            return
        request = record_request(scope, content)
        match scope["method"], scope["path"]:
            case "HEAD" | "GET", "/":
                self.keep(request, self.probes)
                request.answered = await delivery.give_json({})
            case "POST", "/v1/messages":
                await self.answer(request, delivery)
            case "POST", "/v1/messages/count_tokens":
                await self._count_tokens(request, delivery)
            case _:
                self.keep(request, self.others)
                request.answered = await delivery.give(fault(404, "Not found"), {})

    def keep(self, request: RecordedRequest, kind: list[RecordedRequest]) -> None:
        """Record a request in the list of its kind."""
        if self._recording:
            kind.append(request)
            self.arrivals.append(request)

    async def answer(self, request: RecordedRequest, delivery: Delivery) -> None:
        """Record one question to the model, and answer it."""
        self.count += 1
        self.bytes_received += request.size
        self.keep(request, self.requests)
        answer = self._refused(request) or self.choose(request.body)
        request.answered = await delivery.give(answer, request.body)
        request.replied = request.answered and isinstance(answer, Reply)
        request.disconnected = delivery.left

    async def _count_tokens(self, request: RecordedRequest, delivery: Delivery) -> None:
        self.keep(request, self.counts)
        refused = self._refused(request)
        tokens = {"input_tokens": max(1, request.size // BYTES_PER_TOKEN)}
        request.answered = await (delivery.give(refused, {}) if refused else delivery.give_json(tokens))

    def _refused(self, request: RecordedRequest) -> Fault | None:
        refused = self.judge(request) if self._strict else None
        request.refusal = refused.message if refused else ""
        return refused

    def judge(self, request: RecordedRequest) -> Fault | None:
        """Return the error with which the real API would refuse a request, or None if it would answer."""
        if request.size > LARGEST_REQUEST:
            return fault(413, "Request exceeds the maximum size")
        # Only a request to count tokens needs no limit.
        limit = {} if request.path == MESSAGES else {"max_tokens": 1}
        return strictness.refusal(limit | request.body, request.headers)

    def choose(self, body: dict[str, Any]) -> Answer:
        """Return the next scripted answer, else the function's, else the one that the directives ask for."""
        if self.scripted:
            return self.scripted.popleft()
        if not isinstance(body.get("messages"), list):
            return fault(400, "messages: Field required")
        answer = self._function(body) if self._function else None
        return answer if answer is not None else answer_for(body)


async def read_body(receive: Receive) -> bytes | None:
    """Return the whole body of a request, or None if the client left before it had arrived."""
    parts = []
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def record_request(scope: Scope, content: bytes) -> RecordedRequest:
    """Return the record of a request."""
    headers = {name.decode("latin-1"): text.decode("latin-1") for name, text in scope["headers"]}
    return RecordedRequest(
        method=scope["method"],
        path=scope["path"],
        query=scope["query_string"].decode("latin-1"),
        headers=headers,
        body=_json_object(content),
        size=len(content),
        received_at=time.monotonic(),
    )


def _json_object(content: bytes) -> dict[str, Any]:
    try:
        value = msgspec.json.decode(content)
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}
