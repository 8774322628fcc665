"""Whatever a client sends, in any API: the upstream reads exactly that, or the client is told."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from claude_max_proxy.testing import Answer, Reply, ScriptedOpenAI, ScriptedUpstream, Text, ToolUse
from tests.end_to_end.conftest import StartProxy
from tests.end_to_end.differential.drawing import Case, cases
from tests.end_to_end.differential.judging import Judge
from tests.end_to_end.differential.writing import ROUTES, write


MODELS = {"cli": "to-cli", "messages": "to-messages", "chat": "to-chat"}
BACKENDS = """
[models]
"to-cli" = "claude/sonnet"
"to-messages" = "messages/claude-sonnet-4-5"
"to-chat" = "chat/some-model"

[backends.messages]
type = "anthropic"
base_url = "{messages}"
api_key = "x"

[backends.chat]
type = "openai"
base_url = "{chat}"
"""
# DIFFERENTIAL_EXAMPLES=500 tries 500 examples of each kind, other ones each time.
EXAMPLES = int(os.environ.get("DIFFERENTIAL_EXAMPLES", "20"))
# Each example takes a real process, so a failing one is not made smaller.
few = settings(
    derandomize="DIFFERENTIAL_EXAMPLES" not in os.environ,
    database=None,
    deadline=None,
    max_examples=EXAMPLES,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
became: Counter[tuple[str, str]] = Counter()


class Stage:
    """A proxy with a backend of each kind, and what the scripted ones were sent."""

    def __init__(self, client: httpx.AsyncClient, messages: ScriptedUpstream, chat: ScriptedOpenAI) -> None:
        """Ask by ``client``."""
        self._client = client
        self._upstreams = {"cli": messages, "messages": messages, "chat": chat}

    async def play(self, case: Case, dialect: str, target: str) -> str:
        """Ask, and judge the result."""
        upstream = self._upstreams[target]
        upstream.clear()
        upstream.answer_with(lambda body: _answer(case, body))
        body = write(case, dialect, MODELS[target])
        response = await self._client.post(ROUTES[dialect], json=body)
        bodies = [request.body for request in upstream.requests if not request.refusal]
        refused = len(upstream.requests) - len(bodies)
        return Judge(case, dialect, target, response, bodies, refused).judge()


def _answer(case: Case, body: dict[str, Any]) -> Answer:
    """Return the answer that the schema wants, the call that the case wants, or a text."""
    tools = [tool.get("function", tool) for tool in body.get("tools") or []]
    if case.schema is not None:
        return Reply((ToolUse(tools[-1]["name"], {}),)) if tools else Reply((Text("{}"),))
    if case.called is not None:
        index, arguments = case.called
        return Reply((ToolUse(tools[index]["name"], arguments),))
    return Reply((Text("Said."),))


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def chat_upstream() -> AsyncIterator[ScriptedOpenAI]:
    """Serve the scripted OpenAI-compatible server."""
    async with ScriptedOpenAI() as upstream:
        yield upstream


@pytest_asyncio.fixture(loop_scope="module")
async def stage(
    start_proxy: StartProxy, shared_upstream: ScriptedUpstream, chat_upstream: ScriptedOpenAI
) -> AsyncIterator[Stage]:
    """Return a stage with one of the CLIs."""
    more = BACKENDS.format(messages=shared_upstream.url, chat=chat_upstream.base_url)
    proxy = await start_proxy(more=more)
    async with proxy.client() as client:
        yield Stage(client, shared_upstream, chat_upstream)


@few
@given(case=cases(), dialect=st.sampled_from(sorted(ROUTES)))
async def test_the_cli(case: Case, dialect: str, stage: Stage) -> None:
    """What is sent through the CLI arrives unchanged."""
    became["cli", await stage.play(case, dialect, "cli")] += 1


@pytest.mark.parametrize("target", ["messages", "chat"])
@settings(few, max_examples=EXAMPLES * 3)
@given(case=cases(), dialect=st.sampled_from(sorted(ROUTES)))
async def test_http_backends(case: Case, dialect: str, target: str, stage: Stage) -> None:
    """What is sent over HTTP arrives unchanged."""
    became[target, await stage.play(case, dialect, target)] += 1


async def test_all_ends_are_seen() -> None:
    """The cases are meaningful: some arrive unchanged, some are reported to the client, some are refused."""
    for target in MODELS:
        seen = {what.split()[0] for of, what in became if of == target}
        assert {"equal", "refused"} <= seen, became
