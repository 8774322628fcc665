"""``claude-max-proxy doctor``, with and without problems."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from claude_max_proxy import Check, Finding, NotFound, __version__
from claude_max_proxy.cli.commands import doctor
from claude_max_proxy.cli.doctor import surroundings
from claude_max_proxy.cli.doctor.masking import Masking
from claude_max_proxy.cli.doctor.running import run_all
from tests.cli.serving_process import serving
from tests.scripted import plugin_folder


SCRIPTED = 'backends.claude.type = "scripted"\n'
CHECKS = """
import asyncio
from claude_max_proxy import Check, Finding, hookimpl

@hookimpl
def register_checks(register, config):
    async def fine():
        return Finding("ok", f"{len(config.backends)} backends")
    async def broken():
        raise ValueError("oh")
    async def slow():
        await asyncio.sleep(60)
    register(Check("mine", fine))
    register(Check("broken", broken))
    register(Check("slow", slow, 0.1))
"""
OUT_OF_ORDER = """
from claude_max_proxy import hookimpl
from claude_max_proxy.errors import Overloaded

@hookimpl
def rewrite_request(request):
    raise Overloaded("it is out of order")
"""
RAISES = """
import asyncio
from claude_max_proxy import Check, Finding, hookimpl

class Evil(BaseException):
    def __repr__(self):
        raise self

@hookimpl
def register_checks(register):
    async def raises(error):
        raise error
    async def stops():
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0)
        return Finding("ok", "still here")
    async def returns(value):
        return value
    for error in (SystemExit(3), KeyboardInterrupt(), asyncio.CancelledError(), GeneratorExit(), Evil()):
        register(Check(type(error).__name__, lambda error=error: raises(error)))
    register(Check("stops", stops))
    register(Check("no text", lambda: returns(Finding("ok", 5))))
    register(Check("no status", lambda: returns(Finding("great", "x"))))
    register(Check("no check", 5))
"""


@pytest.fixture(name="home")
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing is set up, and a PATH on which there is no CLI."""
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    for name in [name for name in os.environ if name.startswith(("ANTHROPIC_", "CLAUDE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    monkeypatch.setenv("PATH", str(home / "bin"))
    monkeypatch.setattr("claude_max_proxy.backends.claude_cli.command._bundled", lambda: None)
    monkeypatch.chdir(home)
    return home


@pytest.fixture(name="port")
def _port() -> Iterator[int]:
    """A port on which a program of another kind listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def free_port() -> int:
    """Return a port on which no program listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def settings(home: Path, text: str = "", port: int | None = None, **sources: str) -> None:
    """Write a proxy.toml and drop-in files, which are given by name."""
    folder = plugin_folder(home, **sources)
    server = f"server.port = {port or free_port()}\n"
    (home / "proxy.toml").write_text(f'{server}plugins.paths = ["{folder}"]\n{text}')


def run(*words: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(doctor, words, catch_exceptions=False)


def found(*words: str) -> dict[str, Any]:
    """Return the findings by the names of their checks, from the JSON output."""
    report = json.loads(run("--json", *words).stdout)
    return {check["name"]: check for check in report["checks"]}


def cli(home: Path, script: str) -> None:
    """Put a program named claude on the PATH."""
    path = home / "bin" / "claude"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_all_is_well(home: Path) -> None:
    """Each check is a line; if nothing is wrong the status is 0, and the cost is announced first."""
    settings(home, SCRIPTED)
    result = run()
    assert result.exit_code == 0, result.output
    assert result.output.startswith("The round trips use a little of your plan")
    lines = result.output.splitlines()[2:-2]
    names = ["Python", "configuration", "port", "plugins", "ledger"]
    trips = [f"claude-{name}-4: round trip" for name in ("opus", "sonnet", "haiku")]
    assert [line[6:].split("  ")[0] for line in lines] == names + trips
    assert {line[:4] for line in lines} == {"ok  "}
    assert result.output.endswith("all is well\n")


def test_no_round_trips(home: Path) -> None:
    """Checks that use the plan can be left out, and then they are not mentioned."""
    settings(home, SCRIPTED)
    result = run("--no-round-trip")
    assert "round trip" not in result.output.lower()
    assert result.exit_code == 0


def test_no_cli(home: Path) -> None:
    """Without a CLI one row fails and says how to install it; the checks that need it are left out."""
    settings(home)
    checks = found()
    assert checks["claude: CLI"]["status"] == "fail"
    assert "npm install -g @anthropic-ai/claude-code" in checks["claude: CLI"]["remedy"]
    assert [check["status"] for check in checks.values()].count("fail") == 1
    result = run()
    assert result.exit_code == 1
    trips = ", ".join(f"claude-{name}-4: round trip" for name in ("opus", "sonnet", "haiku"))
    assert result.output.endswith(
        f"1 of 11 checks failed; left out for the same reason: claude: CLI version, claude: login, {trips}\n"
    )


def test_round_trips_that_fail_alike(home: Path) -> None:
    """A failure that every round trip reports is printed once."""
    settings(home, SCRIPTED + '[plugins.order]\non_error = "fail"\n', order=OUT_OF_ORDER)
    checks = found()
    failed = [name for name, check in checks.items() if check["status"] == "fail"]
    assert failed == ["claude-opus-4: round trip"]
    assert "it is out of order" in checks[failed[0]]["text"]


@pytest.mark.parametrize(
    ("script", "status", "text"),
    [
        ("echo '2.0.5 (Claude Code)'", "fail", "2.0.5 is too old"),
        ("echo 'Claude 9'", "fail", "is not the Claude Code CLI"),
        ("echo '2.1.150 (Claude Code)'", "ok", "2.1.150"),
    ],
)
def test_cli_versions(home: Path, script: str, status: str, text: str) -> None:
    """A CLI that is too old, or another program, fails, with how to update it."""
    settings(home)
    cli(home, script)
    check = found("--no-round-trip")["claude: CLI version"]
    assert check["status"] == status
    assert text in check["text"]
    assert ("claude update" in check["remedy"]) is (status == "fail")


@pytest.mark.parametrize(
    ("said", "status", "text"),
    [
        ('{"loggedIn": false}', "fail", "Not logged in"),
        ('{"loggedIn": true, "authMethod": "a", "email": "me@x"}', "ok", "logged in by a"),
        ('{"loggedIn": true, "subscriptionType": "max", "authMethod": "a"}', "ok", "logged in by a (max)"),
        ("error: unknown command", "warn", "not known"),
    ],
)
def test_logins(home: Path, said: str, status: str, text: str) -> None:
    """The CLI is asked for its login; who is logged in is not shown."""
    settings(home)
    cli(home, f"[ $1 = --version ] && echo '2.1.150 (Claude Code)' || echo '{said}'")
    check = found("--no-round-trip")["claude: login"]
    assert check["status"] == status
    assert text in check["text"]
    assert "me@x" not in check["text"]
    assert check["remedy"].startswith("Run: ~/bin/claude auth login, or") is (status == "fail")


def test_a_port_that_is_taken(home: Path, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """If another program listens on the port, that is a failure."""
    monkeypatch.setattr(surroundings, "_HTTP_TIMEOUT", 0.5)
    settings(home, SCRIPTED, port)
    with_listener = found("--no-round-trip")["port"]
    assert with_listener["status"] == "fail"
    assert "another program" in with_listener["text"]


async def test_a_port_that_is_ours(home: Path, tmp_path: Path) -> None:
    """A proxy that runs there is recognised, with its version."""
    async with serving(tmp_path) as running:
        port = await running.says(r"address\s+\S+:(\d+)/v1")
        settings(home, SCRIPTED, int(port))
        check = (await asyncio.to_thread(found, "--no-round-trip"))["port"]
    assert check["status"] == "ok"
    assert f"this proxy runs there, {__version__}" in check["text"]


async def test_a_port_that_tells_its_status_alone(home: Path) -> None:
    """A proxy that listens beyond loopback shows less without a key, and is recognised by that."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"status":"ok"}')
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        settings(home, SCRIPTED, server.sockets[0].getsockname()[1])
        check = (await asyncio.to_thread(found, "--no-round-trip"))["port"]
    assert (check["status"], "tells its version only with a key" in check["text"]) == ("ok", True)


@pytest.mark.parametrize("text", ["[server", "[serer]\n", "[server]\nprot = 1\n"])
def test_a_broken_configuration(home: Path, text: str) -> None:
    """A broken configuration is a failure that says where; what can be checked without it is checked."""
    (home / "proxy.toml").write_text(text)
    checks = found("--no-round-trip")
    assert checks["configuration"]["status"] == "fail"
    assert "proxy.toml" in checks["configuration"]["text"]
    assert "claude: CLI" in checks
    assert not {"port", "plugins"} & checks.keys()  # which would be those of the defaults


def test_a_file_that_others_can_write(home: Path) -> None:
    """A configuration that others could write to is not used, and the command that fixes it is shown."""
    settings(home, SCRIPTED)
    (home / "proxy.toml").chmod(0o666)
    check = found("--no-round-trip")["configuration"]
    assert check["status"] == "fail"
    assert "is writable by others; run: chmod go-w " in check["text"]


def test_a_broken_plugin(home: Path) -> None:
    """A plugin that cannot be loaded is a failure with its reason."""
    settings(home, SCRIPTED, worse="import nothing_of_the_kind\n")
    check = found("--no-round-trip")["plugins"]
    assert check["status"] == "fail"
    assert "nothing_of_the_kind" in check["text"]


def test_checks_of_plugins(home: Path) -> None:
    """A plugin's checks run with the others; one that raises or takes too long is reported as a finding."""
    settings(home, SCRIPTED, mine=CHECKS)
    checks = found("--no-round-trip")
    assert (checks["mine"]["status"], checks["mine"]["text"]) == ("ok", "1 backends")
    assert "oh" in checks["broken"]["text"]
    assert checks["slow"]["text"] == "took longer than 0.1 s"


def test_whatever_a_plugin_raises(home: Path) -> None:
    """What would end a task, the event loop or the program becomes a row, and has no other effect."""
    settings(home, SCRIPTED, mine=RAISES, other=CHECKS)
    result = run("--no-round-trip")
    assert "Traceback" not in result.output
    checks = found("--no-round-trip")
    names = ["SystemExit", "KeyboardInterrupt", "CancelledError", "GeneratorExit", "Evil"]
    for name in (*names, "no text", "no status", "no check"):
        assert checks[name]["status"] == "fail", name
        assert checks[name]["text"].startswith("the check itself failed: "), name
    assert checks["stops"]["text"] == "still here"
    assert checks["mine"]["status"] == "ok"


def test_what_is_no_check(home: Path) -> None:
    """A plugin that registers something that is no check gets a row, and the other plugins' checks run."""
    imports = "from claude_max_proxy import hookimpl\n\n"
    source = f"{imports}@hookimpl\ndef register_checks(register):\n    register(1)\n"
    settings(home, SCRIPTED, aaa=source, mine=CHECKS, zzz=source)
    checks = found("--no-round-trip")
    assert "registers 1, which is not a Check" in checks["checks of plugins"]["text"]
    assert checks["mine"]["status"] == "ok"


def test_a_plugin_that_fails_to_register(home: Path) -> None:
    """A hook that raises is reported as a finding that names the plugin."""
    source = "from claude_max_proxy import hookimpl\n\n@hookimpl\ndef register_checks():\n    1 / 0\n"
    settings(home, SCRIPTED, mine=source)
    check = found("--no-round-trip")["checks of plugins"]
    assert check["status"] == "fail"
    assert "'mine'" in check["text"]


async def test_whatever_a_check_does() -> None:
    """Our own errors are shown with their messages, and a result that is no Finding is reported as one."""

    async def gone() -> Finding:
        raise NotFound("it is gone")

    async def nothing() -> Any:
        return None

    results = [result async for result in run_all([Check("a", gone), Check("b", nothing)])]
    assert [result.finding and result.finding.text for result in results] == [
        "it is gone",
        "the check returned NoneType, not a Finding",
    ]


def test_no_secrets(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report shows no key, and the home directory as ``~``."""
    monkeypatch.setenv("MY_TOKEN", "hush-hush-environment")
    settings(
        home,
        'server.api_keys = { me = "hush-hush-written" }\n' + SCRIPTED + '[backends.o]\ntype = "openai"\n'
        f'base_url = "http://127.0.0.1:{free_port()}/v1"\napi_key = "env:MY_TOKEN"\n'
        'headers = { authorization = "hush-hush-header" }\n',
    )
    result = run("--json")
    assert "hush" not in result.output
    assert str(home) not in result.output
    assert "~/proxy.toml" in result.output


def test_masking() -> None:
    """Secrets and what looks like a key are removed; references and short words stay."""
    tables = {
        "b": {"api_key": "abcdefgh", "env": {"X": "ijklmnop"}, "base_url": "http://x"},
        "k": {"key": "env:K"},
    }
    masking = Masking(tables, {"A_PASSWORD": "qrstuvwx", "B_KEY": "on", "PATH": "/bin"}, Path("/home/me"))
    text = "abcdefgh ijklmnop qrstuvwx sk-ant-1234567 http://u:p@h/ /home/me/x /home/mean on /bin http://x"
    mask = "********"
    assert masking(text) == (f"{mask} {mask} {mask} {mask} http://{mask}@h/ ~/x /home/mean on /bin http://x")
