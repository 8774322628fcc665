"""What a CLI of an unknown version does with tools and used processes, tried on a listener of our own.

What the proxy builds on, the CLI promises nobody. So a version that the tests have not seen is asked one
question with unusual tools before it is trusted with a client's, and others in the same process. What it
sends is compared with what it was given. It talks to a port of this machine then, with a key that is none,
and cannot see the user's login.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec

from claude_max_proxy import Message, ModelInfo, ProxyError, Request, Text, Tool, UpstreamError
from claude_max_proxy.backends.claude_cli.command import arguments, environment, private_directory
from claude_max_proxy.backends.claude_cli.conversation import Conversation
from claude_max_proxy.backends.claude_cli.kind import Kind
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.tools import definitions, names_of
from claude_max_proxy.backends.claude_cli.transcript import Plan
from claude_max_proxy.backends.claude_cli.tuning import tune
from claude_max_proxy.backends.claude_cli.turn import Turn
from claude_max_proxy.messages_api import Abilities
from claude_max_proxy.tasks import Tasks


logger = logging.getLogger(__name__)

# The versions that the tests run with.
SEEN = frozenset({"2.1.197", "2.1.331", "2.1.332"})
_MODEL = "claude-sonnet-4-5"
_TIMEOUT = 30.0
_LARGEST = 1_000_000
_CREDENTIALS = ("ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS")
_PROXIES = frozenset({"ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY"})
_TOOLS = [
    Tool(
        "zeta",
        "①" + "d" * 9000,
        {"type": "object", "properties": {"b": True, "a": {"enum": ["Ａ"]}}},
        strict=False,
    ),
    Tool("alpha", None, {"type": "object", "properties": {"x": {"x-note": [1], "format": "unheard-of"}}}),
]
_OTHER_TOOLS = [Tool("gamma", "other", {"type": "object"})]
_CANARY = "what is said first"
_EVENTS: tuple[dict[str, Any], ...] = (
    {
        "type": "message_start",
        "message": {
            "id": "msg_probe",
            "type": "message",
            "role": "assistant",
            "model": _MODEL,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        },
    },
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ok"}},
    {"type": "content_block_stop", "index": 0},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "end_turn", "stop_sequence": None},
        "usage": {"output_tokens": 1},
    },
    {"type": "message_stop"},
)


class Trust:
    """Whether the installed CLI may be told of clients' tools; tried in the background where nobody knows."""

    def __init__(self, settings: ClaudeCliSettings) -> None:
        """Know nothing yet."""
        self.problem = ""
        self._settings = settings
        self._rewinds = False
        self._begun = asyncio.Event()
        self._trial: asyncio.Task[None] | None = None

    async def rewinds(self) -> bool:
        """Tell whether a used process may take another conversation: where the tests, or a trial, saw it."""
        await self._tried()
        return self._rewinds

    def begin(self, version: str, command: list[str], tasks: Tasks) -> None:
        """Take the installed version, and try it if it is not one of those seen; empty if there is none."""
        self._rewinds = self._rewinds or version in SEEN
        if version and version not in SEEN and self._trial is None:
            self._trial = tasks.start(self._try(version, command), f"claude-probe-{version}")
        self._begun.set()

    async def check(self, request: Request) -> None:
        """Raise :class:`UpstreamError` for a request whose tools, or schema, would not reach the model."""
        if request.agent is not None or not (request.tools or request.response_schema is not None):
            return

        await self._tried()
        if self.problem:
            raise UpstreamError(self.problem, code="tools_changed")

    async def _tried(self) -> None:
        """Wait for what is being found out, which takes a second or two after the start."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.start_timeout):
                await self._begun.wait()
                if self._trial is not None:
                    await asyncio.shield(self._trial)

    async def _try(self, version: str, command: list[str]) -> None:
        found = await try_out(command, self._settings)
        self._rewinds = found.rewinds
        if found.tools_arrive is False:
            seen = ", ".join(sorted(SEEN))
            self.problem = (
                f"the Claude Code CLI {version} changes tools on their way to the model, so none can be "
                f"offered; these versions do not: {seen}"
            )
            logger.warning("%s", self.problem)
        if found.tools_arrive is not None and not found.rewinds:
            logger.info("each process of the Claude Code CLI %s serves one conversation only", version)


class Findings(msgspec.Struct, frozen=True):
    """What a CLI did in its trial: ``None`` where it did not even ask."""

    tools_arrive: bool | None = None
    rewinds: bool = False


async def try_out(command: list[str], settings: ClaudeCliSettings) -> Findings:
    """Ask a CLI, take that back, ask something else, take that back, and ask the first again.

    Tools arrive if the API is told of them as they are. Processes may be used again if the last question
    arrives just as the first, and nothing of it in between.
    """
    first = _asking(_CANARY, _TOOLS)
    requests = [first, _asking("something else", _OTHER_TOOLS), first]
    seen: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="claude-max-probe-", ignore_cleanup_errors=True) as home:
        async with _listener(seen) as url:
            own = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "none", "CLAUDE_CONFIG_DIR": home}
            given = {**environment(os.environ, settings.env), **own}
            await _ask(command, settings, requests, _without_secrets(given))
    if not seen:
        return Findings()
    wanted = definitions(first, names_of(first))
    arrive = msgspec.json.encode(seen[0].get("tools")) == msgspec.json.encode(wanted)
    written = [msgspec.json.encode(body) for body in seen]
    again = len(seen) == len(requests) and written[0] == written[2] and _CANARY.encode() not in written[1]
    return Findings(arrive, again)


def _asking(text: str, tools: list[Tool]) -> Request:
    return Request(_MODEL, tools=list(tools), messages=[Message("user", [Text(text)])])


async def _ask(
    command: list[str],
    settings: ClaudeCliSettings,
    requests: list[Request],
    environment: Mapping[str, str],
) -> None:
    kind = Kind(_MODEL)
    process = None
    try:
        async with asyncio.timeout(_TIMEOUT):
            process = await CliProcess.spawn(
                arguments(command, kind), environment, private_directory(), kind, lambda _: None
            )
            conversation = Conversation(process, settings, lambda _: None, movable=True)
            await conversation.bind(requests[0])
            for request in requests:
                await _ask_once(conversation, request)
    except (ProxyError, TimeoutError):
        pass  # what it sent before is what counts
    finally:
        if process is not None:
            await process.end()


async def _ask_once(conversation: Conversation, request: Request) -> None:
    """Ask in an empty transcript, and wait for the end of the turn."""
    lines = tuple(entry.line for entry in reversed(conversation.entries) if entry.line)
    asked = await conversation.follow(Plan(0, lines), request, _MODEL)
    turn = Turn(request, live=False, queued=0.0)
    tuning = tune(request, ModelInfo(_MODEL), Abilities())
    async with aclosing(conversation.ask(asked, turn, tuning)) as events:
        async for _ in events:
            pass
    await conversation.settle()


def _without_secrets(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name not in _CREDENTIALS and name.upper() not in _PROXIES
    }


@asynccontextmanager
async def _listener(seen: list[dict[str, Any]]) -> AsyncIterator[str]:
    """Serve as much of the Messages API as one question needs; keep the bodies of questions in ``seen``."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(min(_length(head), _LARGEST))
            if head.startswith(b"POST /v1/messages?"):
                seen.append(msgspec.json.decode(body, type=dict[str, Any]))
            writer.write(_ANSWER)
            await writer.drain()
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError):
            pass  # whoever it was did not ask a question
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


def _answer() -> bytes:
    events = [
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), msgspec.json.encode(event)) for event in _EVENTS
    ]
    return b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n" + b"".join(
        events
    )


_ANSWER = _answer()
