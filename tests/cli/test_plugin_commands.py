"""Which commands load plugins, how often, and what the commands of plugins may do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from claude_max_proxy.cli.announcing import announce
from tests.cli.serving_process import serving, write
from tests.cli.test_commands import FakeListener, command
from tests.scripted import scripted_runtime


pytestmark = pytest.mark.slow
NOISY = """
from pathlib import Path
import click
from claude_max_proxy import hookimpl

with Path(__file__).with_name("imports.log").open("a") as log:
    log.write("imported\\n")

@click.command(help="Say hello.")
@click.option("--loud", is_flag=True, help="Louder.")
def hello(loud):
    click.echo("HELLO" if loud else "hello")

@click.command()
def broken():
    raise ValueError("odd\\x1b[31m")

@click.command()
def refuses():
    raise click.UsageError("not like this")

@click.command()
def leaves():
    raise SystemExit(5)

@click.command()
def cancels():
    import asyncio
    raise asyncio.CancelledError

@click.command("serve")
def other():
    click.echo("mine")

@hookimpl
def register_commands(cli):
    for one in (hello, broken, refuses, leaves, cancels, other):
        cli.add_command(one)
"""
WRONG = "from claude_max_proxy import hookimpl\n@hookimpl\ndef register_commands(cli):\n    {}\n"


def imports(folder: Path) -> int:
    """Return how often the plugin's file was run."""
    log = folder / "plugins" / "imports.log"
    return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.mark.parametrize(
    ("words", "times"),
    [
        (["--help"], 0),
        (["--version"], 0),
        ([], 0),
        (["serve", "--help"], 0),
        (["plugins", "add"], 0),
        (["config", "schema"], 0),
        (["models"], 1),
        (["plugins"], 1),
        (["config", "check"], 1),
        (["doctor", "--no-round-trip"], 1),
        (["openclaw"], 1),
        (["hello"], 1),
        (["hello", "--help"], 1),
        (["helo"], 1),
    ],
)
def test_how_often_plugins_are_loaded(tmp_path: Path, words: list[str], times: int) -> None:
    """A command that needs the plugins loads them once, and one that does not runs none of their code."""
    write(tmp_path, noisy=NOISY)
    done = command(*words, folder=tmp_path)
    assert "Traceback" not in done.stderr
    assert imports(tmp_path) == times


async def test_a_server_loads_them_once(tmp_path: Path) -> None:
    """A server loads the plugins once, only those of its own configuration, and logs which and from where."""
    write(tmp_path, noisy=NOISY)
    other = tmp_path / "other"
    other.mkdir()
    write(other, noisy=NOISY)
    async with serving(tmp_path) as proxy:
        await proxy.says(r"address\s+(\S+)")
        plugins = tmp_path / "plugins"
        await proxy.says(rf"  plugins   echo_backend  {re.escape(str(plugins))}/echo_backend\.py\n")
        await proxy.says(rf"\n            noisy         {re.escape(str(plugins))}/noisy\.py\n")
        assert imports(tmp_path) == 1
        assert await proxy.stop() == 0


def test_what_a_server_says_without_any(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Built-in plugins are not listed, and neither is a plugin that is switched off."""
    runtime = scripted_runtime(tmp_path, {"plugins": {"off": {"enabled": False}}}, off=NOISY)
    listener: object = FakeListener("127.0.0.1", 1)
    announce(runtime, listener)  # type: ignore[arg-type]  # as far as it is looked at
    said = capsys.readouterr().out
    assert f"  plugins   scripted  {tmp_path}/plugins/scripted.py\n  models" in said


@pytest.mark.parametrize(
    ("words", "status", "out", "err"),
    [
        (["hello"], 0, "hello\n", ""),
        (["hello", "--loud"], 0, "HELLO\n", ""),
        (
            ["broken"],
            1,
            "",
            r"Error: the command 'broken' of a plugin failed: ValueError.* at .*noisy\.py:16\n",
        ),
        (["refuses"], 2, "", r"(?s).*Error: not like this\n"),
        (["leaves"], 5, "", ""),
        (["cancels"], 1, "", r"Error: the command 'cancels' of a plugin failed: CancelledError.*\n"),
        (["helo"], 2, "", r"(?s).*Error: No such command 'helo'; did you mean 'hello'\?\n"),
        (["sevre"], 2, "", r"(?s).*Error: No such command 'sevre'; did you mean 'serve'\?\n"),
    ],
)
def test_the_commands_of_a_plugin(tmp_path: Path, words: list[str], status: int, out: str, err: str) -> None:
    """A plugin's command runs under its name with its options; what it raises is shown as one paragraph."""
    write(tmp_path, noisy=NOISY)
    done = command(*words, folder=tmp_path)
    assert (done.returncode, done.stdout) == (status, out)
    assert re.fullmatch(err, done.stderr), done.stderr
    assert "\x1b" not in done.stderr


def test_where_they_are_listed(tmp_path: Path) -> None:
    """``plugins`` and ``--help`` list the commands of plugins; a built-in name keeps its meaning."""
    write(tmp_path, noisy=NOISY)
    assert (
        "commands of plugins: broken, cancels, hello, leaves, refuses\n"
        in command("plugins", folder=tmp_path).stdout
    )
    helped = command("--help", folder=tmp_path).stdout
    assert "Plugins may add commands; `claude-max-proxy plugins` lists them." in helped
    assert "hello" not in helped


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("1 / 0", "plugin 'bad' failed in register_commands: ZeroDivisionError"),
        ("raise SystemExit(3)", "plugin 'bad' failed in register_commands: SystemExit"),
        ("cli.add_command('hello')", "plugin 'bad' failed in register_commands: AttributeError"),
        ("cli.commands['hello'] = 3", "a plugin adds the command 'hello', which is a int"),
        ("cli.commands[3] = cli", "a plugin adds the command 3, which is a Group"),
    ],
)
def test_commands_that_cannot_be_added(tmp_path: Path, code: str, message: str) -> None:
    """A plugin that fails to add its commands breaks no built-in one, and is reported in one paragraph."""
    write(tmp_path, bad=WRONG.format(code))
    failed = command("hello", folder=tmp_path)
    assert failed.returncode == 2
    told = "Error: there is no built-in command 'hello', and the plugins cannot be loaded: "
    assert failed.stderr.startswith(told + message)
    assert "Traceback" not in failed.stderr
    assert command("models", folder=tmp_path).returncode == 0


def test_a_broken_configuration(tmp_path: Path) -> None:
    """If a command is not built in and the configuration is broken, the error says what is wrong with it."""
    (tmp_path / "proxy.toml").write_text("[server]\nprot = 1\n")
    done = command("hello", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("Error: there is no built-in command 'hello', and the plugins")
    assert "unknown key 'prot'" in done.stderr
