"""Tries out a CLI of an unknown version: what it does with tools, and whether a process can be used again.

The proxy relies on behaviour that the CLI does not promise. So a version that the project's tests have not
seen is tried out before it is trusted with a client's tools: it is asked a question with unusual tools, and
then more questions in the same process, and what it sends is compared with what it was given. During the
trial it talks to a port on this machine, with a made-up key, and cannot see the user's login.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import msgspec

from claude_max_proxy import Message, ProxyError, Request, Tasks, Text, Tool
from claude_max_proxy.anthropic_messages import Abilities
from claude_max_proxy.backend import ModelInfo
from claude_max_proxy.backends.claude_cli.command import arguments, environment
from claude_max_proxy.backends.claude_cli.conversation import Conversation
from claude_max_proxy.backends.claude_cli.directory import private_directory, temporary_directory
from claude_max_proxy.backends.claude_cli.process import CliProcess
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.claude_cli.tools import definitions, names_of
from claude_max_proxy.backends.claude_cli.transcript import Plan
from claude_max_proxy.backends.claude_cli.tuning import tune
from claude_max_proxy.backends.claude_cli.turn import Turn
from claude_max_proxy.errors import UpstreamError


logger = logging.getLogger(__name__)

# The versions that the project's tests run with.
SEEN = frozenset({"2.1.197", "2.1.331", "2.1.332"})
_MODEL = "claude-sonnet-4-5"
_TIMEOUT = 30.0
_AGAIN = 10.0
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
    """Knows whether the installed CLI can be trusted; an unknown version is tried out in the background.

    ``problem`` says why the CLI cannot be trusted with tools; it is empty if it can.
    """

    def __init__(self, settings: ClaudeCliSettings) -> None:
        """Prepare; :meth:`begin` says which version is installed."""
        self.problem = ""
        self._settings = settings
        self._rewinds = False
        self._trial: asyncio.Task[None] | None = None

    async def rewinds(self) -> bool:
        """Return whether a used process may take another conversation.

        It may where the project's tests, or the trial of this version, have seen that this works.
        """
        await self._tried()
        return self._rewinds

    def begin(self, version: str, command: list[str], tasks: Tasks) -> None:
        """Note which version is installed now, and begin to try it out if the tests have not seen it."""
        if self._trial is not None:
            self._trial.cancel()
        self.problem, self._rewinds, self._trial = "", version in SEEN, None
        if version and version not in SEEN:
            self._trial = tasks.start(self._try(version, command), f"claude-probe-{version}")

    async def check(self, request: Request) -> None:
        """Raise :class:`UpstreamError` if the request's tools or schema would not arrive unchanged."""
        if request.agent is not None or not (request.tools or request.response_schema is not None):
            return

        await self._tried()
        if self.problem:
            raise UpstreamError(self.problem, code="tools_changed")

    async def _tried(self) -> None:
        """Wait for a trial that is under way; it takes a second or two."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._settings.start_timeout):
                if self._trial is not None:
                    await asyncio.wait({self._trial})

    async def _try(self, version: str, command: list[str]) -> None:
        """Try out the CLI; if the system does not allow a trial now, try again until it does."""
        found = await _tried_out(command, self._settings)
        while found is None:  # no event says when there is room again, so we ask every few seconds
            await asyncio.sleep(_AGAIN)
            found = await _tried_out(command, self._settings)
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
    """What a CLI did in its trial.

    ``tools_arrive`` says whether it passed the tools on unchanged, ``None`` if it never sent a question.
    ``rewinds`` says whether a used process can take another conversation.
    """

    tools_arrive: bool | None = None
    rewinds: bool = False


async def _tried_out(command: list[str], settings: ClaudeCliSettings) -> Findings | None:
    """Return what a trial found, or ``None`` if the system prevented it, as when the disk is full."""
    try:
        return await try_out(command, settings)
    except OSError as error:
        logger.warning("the Claude Code CLI cannot be tried out now: %s", error.strerror or error)
        return None


async def try_out(command: list[str], settings: ClaudeCliSettings) -> Findings:
    """Ask a CLI a question, take it back, ask another, take that back, and ask the first one again.

    Tools arrive if the API gets their definitions unchanged. Processes may be used again if the last request
    arrives exactly as the first one did, and the one in between contains nothing of it. Raises
    :class:`OSError` if the system does not allow the trial.
    """
    first = _asking(_CANARY, _TOOLS)
    requests = [first, _asking("something else", _OTHER_TOOLS), first]
    seen: list[dict[str, Any]] = []
    with temporary_directory() as home:
        async with _listener(seen) as url:
            own = {"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": "none", "CLAUDE_CONFIG_DIR": str(home)}
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
    kind = ProcessKind(_MODEL)
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
        pass  # only what it has sent by now counts
    finally:
        if process is not None:
            await process.end()


async def _ask_once(conversation: Conversation, request: Request) -> None:
    """Empty the transcript, ask, and wait for the end of the turn."""
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
    """Serve what one question needs of the Messages API, and yield the URL.

    The bodies of questions are appended to ``seen``.
    """

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
            pass  # this was no question
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
