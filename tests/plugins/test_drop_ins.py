"""The shipped drop-in files, each in a running configuration."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from claude_max_proxy import ConfigError, Image, Message, Request, Text, ToolResult
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
    """An example is read in a minute."""
    assert len(file.read_text("utf-8").splitlines()) < 40


async def test_inert_without_settings(configured: Configured) -> None:
    """In the folder, and not configured, no drop-in changes a request or writes anything."""
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
        """What was said last comes back as it was."""
        reply = await configured("").ask(text=text)
        assert reply.text == text
        assert reply.reason == "stop"

    async def test_starts_and_describes_itself(self, configured: Configured) -> None:
        """It keeps the whole contract of a backend."""
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
        """The text stands after the client's own, or before it, for the models it is meant for."""
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
        """What is longer than the bound is answered by the other model."""
        chat = configured('[plugins.route_by_size]\nabove = 10\nto = "mirror/large"')
        reply = await chat.ask(request=request_)
        assert reply.model == model


class TestLogJsonl:
    """One line per request."""

    async def test_writes_a_line(self, configured: Configured, tmp_path: Path) -> None:
        """Each request, also one that fails, is a line that says how it ended and nothing that was said."""
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

    async def test_survives_a_missing_folder(
        self, configured: Configured, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        """A file that cannot be written is the log's trouble, not the client's."""
        path = tmp_path / "no such folder" / "requests.jsonl"
        chat = configured(f"[plugins.log_jsonl]\npath = {json.dumps(str(path))}")
        assert (await chat.ask(text="hi")).text == "hi"
        assert "plugin 'log_jsonl' failed in log_request" in caplog.text


class TestRedactSecrets:
    """Keys and tokens stay here."""

    @pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS.keys())
    async def test_replaces(self, configured: Configured, secret: str) -> None:
        """A secret is replaced wherever text stands, and everything around it stays."""
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
        """What looks like a group in a regular expression is just text."""
        chat = configured("[plugins.redact_secrets]\nreplacement = '\\1'")
        assert (await chat.ask(text=KEY)).text == "\\1"

    async def test_leaves_the_rest(self, configured: Configured) -> None:
        """Ordinary text passes as it is."""
        text = "sk-short, ghp_no, and the skeleton-of-a-sentence"
        reply = await configured('[plugins.redact_secrets]\nreplacement = "#"').ask(text=text)
        assert reply.text == text


def test_typing_errors_are_found(configured: Configured) -> None:
    """A drop-in's own table is checked as strictly as ours."""
    with pytest.raises(ConfigError, match=r"plugins\.inject_system: unknown key 'txet'; did you mean 'text'"):
        configured('[plugins.inject_system]\ntxet = "x"')
