"""The shipped drop-in files, each in a running configuration."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from claude_max_proxy import (
    ConfigError,
    Events,
    Failed,
    Image,
    Message,
    Record,
    Request,
    Text,
    ToolResult,
    Usage,
    UsageLimitReached,
)
from claude_max_proxy.errors import Overloaded
from tests.plugins.conftest import FOLDER, Chat


Configured = Callable[[str], Chat]
FILES = sorted(FOLDER.glob("*.py"))
KEY = "sk-ant-api03-abcdefghijklmnopqrstuvwxyz"
SECRETS = {
    "an API key": KEY,
    "a GitHub token": "ghp_" + "a1" * 18,
    "an AWS key": "AKIA" + "ABCD1234" * 2,
    "a Slack token": "xoxb-1234567890-abc",
    "a JSON web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N",
    "a private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_is_short(file: Path) -> None:
    """A plugin can be read in a minute."""
    assert len(file.read_text("utf-8").splitlines()) < 40


async def test_inert_without_settings(configured: Configured) -> None:
    """A drop-in that is in the folder but not configured changes no request and writes nothing."""
    chat = configured("")
    request = Request("echo", system="S", messages=[Message("user", [Text(f"my key is {KEY} " * 20_000)])])
    reply = await chat.ask(request=request)
    assert reply.text == f"my key is {KEY} " * 20_000
    assert reply.model == "any"
    assert request.system == "S"


async def test_all_are_loaded(configured: Configured) -> None:
    """Every file of the folder is a plugin under its own name."""
    names = {plugin.name for plugin in configured("").runtime.plugins}
    assert {file.stem for file in FILES} <= names


class TestEchoBackend:
    """The backend type "echo"."""

    @pytest.mark.parametrize("text", ["hello", "two words", "  spaces \n lines\t", ""])
    async def test_says_it_again(self, configured: Configured, text: str) -> None:
        """The last message comes back unchanged."""
        reply = await configured("").ask(text=text)
        assert reply.text == text
        assert reply.reason == "stop"

    async def test_starts_and_describes_itself(self, configured: Configured) -> None:
        """The backend fulfils the whole contract of a backend."""
        runtime = configured("").runtime
        backend = runtime.backends["mirror"]
        await backend.start()
        await backend.stop()
        assert backend.health() == {"status": "ok"}
        assert runtime.models()["echo"].name == "any"


class TestInjectSystem:
    """A text for every system prompt."""

    @pytest.mark.parametrize(
        ("settings", "system", "expected"),
        [
            ('text = "Be brief."', "", "Be brief."),
            ('text = "Be brief."', "Be kind.", "Be kind.\n\nBe brief."),
            ('text = "Be brief."\nfirst = true', "Be kind.", "Be brief.\n\nBe kind."),
            ('text = "Be brief."\nmodels = ["echo"]', "", "Be brief."),
            ('text = "Be brief."\nmodels = ["other"]', "", ""),
        ],
    )
    async def test_joins(self, configured: Configured, settings: str, system: str, expected: str) -> None:
        """The text comes after the client's own or before it, for the models that it is meant for."""
        request = Request("echo", system=system, messages=[Message("user", [Text("hi")])])
        await configured(f"[plugins.inject_system]\n{settings}").ask(request=request)
        assert request.system == expected


class TestRouteBySize:
    """Long prompts go elsewhere."""

    @pytest.mark.parametrize(
        ("request_", "model"),
        [
            (Request("echo", messages=[Message("user", [Text("x" * 10)])]), "any"),
            (Request("echo", messages=[Message("user", [Text("x" * 11)])]), "large"),
            (Request("echo", system="x" * 9, messages=[Message("user", [Text("xx")])]), "large"),
            (Request("echo", messages=[Message("user", [ToolResult("c", (Text("x" * 11),))])]), "large"),
            (Request("echo", messages=[Message("user", [Image("image/png", "x" * 99)])]), "any"),
        ],
        ids=["at the bound", "above it", "with the system prompt", "in a tool result", "images do not count"],
    )
    async def test_routes(self, configured: Configured, request_: Request, model: str) -> None:
        """A prompt that is longer than the bound is answered by the other model."""
        chat = configured('[plugins.route_by_size]\nabove = 10\nto = "mirror/large"')
        reply = await chat.ask(request=request_)
        assert reply.model == model


class TestLogJsonl:
    """One line per request."""

    async def test_writes_a_line(self, configured: Configured, tmp_path: Path) -> None:
        """Each request, also a failed one, is a line that says how it ended, without any of its text."""
        path = tmp_path / "requests.jsonl"
        chat = configured(f"[plugins.log_jsonl]\npath = {json.dumps(str(path))}")
        await chat.ask(text="a secret")
        await chat.ask(text="a secret", model="nobody")
        written = path.read_text("utf-8")
        first, second = map(json.loads, written.splitlines())
        assert (first["model"], first["backend"], first["status"]) == ("echo", "mirror", 200)
        assert (second["model"], second["status"]) == ("nobody", 404)
        assert first["total"] >= first["first_token"] >= 0
        assert "secret" not in written

    async def test_makes_its_folder(self, configured: Configured, tmp_path: Path) -> None:
        """The folder of a configured file is made when the configuration takes effect."""
        path = tmp_path / "logs" / "deep" / "requests.jsonl"
        chat = configured(f"[plugins.log_jsonl]\npath = {json.dumps(str(path))}")
        await chat.runtime.configured(None)
        await chat.ask(text="hi")
        assert len(path.read_text("utf-8").splitlines()) == 1

    async def test_survives_a_missing_folder(
        self, configured: Configured, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """If the file cannot be written, that is logged, and the client gets its answer."""
        path = tmp_path / "no such folder" / "requests.jsonl"
        chat = configured(f"[plugins.log_jsonl]\npath = {json.dumps(str(path))}")
        assert (await chat.ask(text="hi")).text == "hi"
        assert "plugin 'log_jsonl' failed in log_request" in caplog.text


class TestRedactSecrets:
    """Keys and tokens stay here."""

    @pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
    async def test_replaces(self, configured: Configured, secret: str) -> None:
        """A secret is replaced in every text, and everything around it stays."""
        result = ToolResult("c", (Text(f"in a file: {secret}"), Image("image/png", "AAAA")))
        messages = [Message("user", [result, Text(f"use {secret}, please")])]
        request = Request("echo", system=f"the key: {secret}", messages=messages)
        reply = await configured('[plugins.redact_secrets]\nreplacement = "[gone]"').ask(request=request)
        assert reply.text == "use [gone], please"
        assert request.system == "the key: [gone]"
        assert request.messages[0].parts[0] == ToolResult(
            "c", (Text("in a file: [gone]"), Image("image/png", "AAAA"))
        )

    async def test_replacement_is_taken_literally(self, configured: Configured) -> None:
        """What looks like a group in a regular expression is plain text."""
        chat = configured("[plugins.redact_secrets]\nreplacement = '\\1'")
        assert (await chat.ask(text=KEY)).text == "\\1"

    async def test_leaves_the_rest(self, configured: Configured) -> None:
        """Ordinary text passes unchanged."""
        text = "sk-short, ghp_no, and the skeleton-of-a-sentence"
        reply = await configured('[plugins.redact_secrets]\nreplacement = "#"').ask(text=text)
        assert reply.text == text


class TestDailyBudget:
    """So many tokens a day."""

    TOKENS = "[plugins.daily_budget]\ntokens = { any = 10 }\n"

    @pytest.fixture
    def day(self, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
        """Return a function that sets the time."""

        def set_to(seconds: float) -> None:
            monkeypatch.setattr(time, "time", lambda: seconds)

        set_to(86_400.0 * 20_000)
        return set_to

    async def spend(self, chat: Chat, tokens: int, model: str = "any") -> None:
        """Record a request that used so many tokens, half of them read from the cache."""
        usage = Usage(input_tokens=0, output_tokens=tokens - tokens // 2, cache_read_tokens=tokens // 2)
        await chat.runtime.plugins.log_request(Record("echo", upstream_model=model, usage=usage))

    async def test_refuses(self, configured: Configured, day: Callable[[float], None]) -> None:
        """A model whose tokens are used up is refused until midnight (UTC), like a plan's limit."""
        chat = configured(self.TOKENS)
        await self.spend(chat, 9)
        assert (await chat.ask(text="hi")).text == "hi"
        await self.spend(chat, 1)
        error = (await chat.ask(text="hi")).error
        assert isinstance(error, UsageLimitReached)
        assert error.retry_after == 86_400
        day(86_400.0 * 20_001 - 1)
        assert (await chat.ask(text="hi")).error is not None
        day(86_400.0 * 20_001)
        assert (await chat.ask(text="hi")).text == "hi"

    async def test_reroutes(self, configured: Configured, day: Callable[[float], None]) -> None:
        """If another model is named, that one answers."""
        chat = configured(self.TOKENS + 'reroute = "mirror/cheap"\n')
        await self.spend(chat, 10)
        assert (await chat.ask(text="hi")).model == "cheap"

    async def test_counts_each_model(self, configured: Configured, day: Callable[[float], None]) -> None:
        """Each model has its own tokens, and one without a budget has no limit."""
        chat = configured(self.TOKENS)
        await self.spend(chat, 10)
        await self.spend(chat, 10_000, "another")
        assert (await chat.ask(text="hi", model="other")).text == "hi"


class TestOpenClawContext:
    """OpenClaw's own context message."""

    CONTEXT = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>\nactive: none\n<<<END_OPENCLAW_INTERNAL_CONTEXT>>>"

    @pytest.mark.parametrize(
        ("role", "texts", "ephemeral"),
        [
            ("user", [CONTEXT], True),
            ("user", [f"\n{CONTEXT}\n"], True),
            ("user", [CONTEXT, CONTEXT], True),
            ("user", [f"{CONTEXT} and more"], False),
            ("user", [CONTEXT, "a question"], False),
            ("user", ["about <<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>"], False),
            ("user", ["a question"], False),
            ("user", [], False),
            ("assistant", [CONTEXT], False),
        ],
    )
    async def test_is_marked(
        self, configured: Configured, role: Literal["user", "assistant"], texts: list[str], ephemeral: bool
    ) -> None:
        """A user's message that contains only context is ephemeral, and the model still sees it."""
        marked = Message(role, [Text(text) for text in texts])
        request = Request("echo", messages=[marked, Message("user", [Text("hi")])])
        await configured("").ask(request=request)
        assert [message.ephemeral for message in request.messages] == [ephemeral, False]
        assert [part.text for part in marked.parts if isinstance(part, Text)] == texts

    async def test_results_are_no_context(self, configured: Configured) -> None:
        """A tool's result is never taken for context, whatever it contains."""
        request = Request("echo", messages=[Message("user", [ToolResult("c", (Text(self.CONTEXT),))])])
        await configured("").ask(request=request)
        assert request.messages[0].ephemeral is False


class TestShadow:
    """A second model, asked the same."""

    @staticmethod
    async def compared(chat: Chat) -> None:
        """Wait for what continues after an answer."""
        shadow = next(plugin.module for plugin in chat.runtime.plugins if plugin.name == "shadow")
        async with asyncio.timeout(5):
            while len(shadow.tasks):  # noqa: ASYNC110  # nobody tells when it is over
                await asyncio.sleep(0)

    async def test_is_asked(self, configured: Configured, caplog: pytest.LogCaptureFixture) -> None:
        """The client gets its own model's answer; the log says only whether the other's is equal."""
        chat = configured('[plugins.shadow]\nto = "mirror/second"\n')
        with caplog.at_level(logging.INFO):
            reply = await chat.ask(text="a secret")
            await self.compared(chat)
        assert (reply.model, reply.text) == ("any", "a secret")
        assert "same: True" in caplog.text
        assert "secret" not in caplog.text

    @pytest.mark.parametrize("raised", [True, False])
    async def test_differs(
        self, configured: Configured, caplog: pytest.LogCaptureFixture, raised: bool
    ) -> None:
        """A different answer, or a failure, is only logged."""
        chat = configured('[plugins.shadow]\nto = "other/second"\n[backends.other]\ntype = "echo"\n')
        asked: list[Request] = []

        async def answer(request: Request, model: str) -> Events:
            asked.append(request)
            if raised:
                raise Overloaded("no")
            yield Failed(Overloaded("no"))

        other: Any = chat.runtime.backends["other"]
        other.answer = answer
        request = Request("echo", messages=[Message("user", [Text("hi")])])
        with caplog.at_level(logging.INFO):
            assert (await chat.ask(request=request)).text == "hi"
            await self.compared(chat)
        assert "same: False" in caplog.text
        assert asked[0].messages == request.messages
        assert asked[0].messages[0] is not request.messages[0]

    async def test_stays_out(self, configured: Configured, caplog: pytest.LogCaptureFixture) -> None:
        """A backend that does not exist is not asked."""
        chat = configured('[plugins.shadow]\nto = "nobody/second"\n')
        with caplog.at_level(logging.INFO):
            assert (await chat.ask(text="hi")).text == "hi"
        assert "same" not in caplog.text


def test_typing_errors_are_found(configured: Configured) -> None:
    """A drop-in's own table is checked as strictly as ours."""
    with pytest.raises(ConfigError, match=r"plugins\.inject_system: unknown key 'txet'; did you mean 'text'"):
        configured('[plugins.inject_system]\ntxet = "x"')
