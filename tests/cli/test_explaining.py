"""``claude-max-proxy config explain``: what a setting means, which values it may have, and its value."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.commands import config
from claude_max_proxy.config import ServerConfig
from claude_max_proxy.config.descriptions import settings_of
from tests.cli.configuring.written import SECRET, SETTINGS, written


TOML = f"""
[server]
port = 4000
[server.api_keys]
plain = "{SECRET}"
limited = {{ key = "{SECRET}", requests_per_minute = 20 }}
[models]
short = "opus"
long = {{ to = "opus", effort = "low" }}
"gpt-4.1" = {{ to = "opus", effort = "high" }}
reader = {{ to = "opus", agent = {{ tools = ["Read"], directory = "/tmp" }} }}
[backends."my.backend"]
type = "anthropic"
api_key = "{SECRET}"
[plugins.say]
words = ["a"]
api_token = "{SECRET}"
"""


def run(*words: str) -> Result:
    """Explain a name; what that raises is raised here."""
    return CliRunner().invoke(config, ["explain", *words], catch_exceptions=False, standalone_mode=False)


@pytest.fixture
def file(tmp_path: Path) -> str:
    """A ``proxy.toml`` with a table of each kind."""
    return str(written(tmp_path, TOML, say=SETTINGS))


def blocks(output: str) -> dict[str, dict[str, str]]:
    """Parse an explanation: a setting's facts by its name, and its description under ``""``."""
    found: dict[str, dict[str, str]] = {}
    for block in re.split(r"\n\n", output):
        name, *lines = block.splitlines()
        if lines and lines[0].startswith("    "):
            facts = [line for line in lines if re.match(r"    (type|default|value)  ", line)]
            found[name] = {fact.split()[0]: fact[13:] for fact in facts}
            found[name][""] = " ".join(line.strip() for line in lines[: lines.index(facts[0])])
    return found


def test_one_setting(file: str) -> None:
    """A setting is shown with its description, type, default and value, and with the value's source."""
    output = run("server.port", "-c", file).output
    assert output.startswith("[server]\n")
    assert blocks(output) == {
        "port": {
            "": "The port to listen on. `0` takes any free port.",
            "type": "integer, 0 to 65535",
            "default": "3456",
            "value": f"4000  ({file})",
        }
    }


def test_a_whole_table(file: str) -> None:
    """A table is explained setting by setting, with the same descriptions as everywhere else."""
    found = blocks(run("backends", "-c", file).output)
    assert {"type", "base_url", "status", "warm"} <= set(found)
    found = blocks(run("server", "-c", file).output)
    for setting in settings_of(ServerConfig):
        assert found[setting.name][""] == setting.description
    assert found["host"]["value"] == '"127.0.0.1"  (default)'


def test_a_key_alone(file: str) -> None:
    """A key without a table is explained for every table that has it."""
    output = run("idle_timeout", "-c", file).output
    assert re.findall(r"^\[(.*)\]$", output, re.MULTILINE) == [
        'backends."my.backend"',
        "backends.NAME",
        "backends.NAME",
        "backends.NAME",
    ]


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("models.short.to", "to", '"opus"  ({file})'),
        ("models.haiku.to", "to", '"claude/haiku"  (built in)'),
        ('models."gpt-4.1".effort', "effort", '"high"  ({file})'),
        ("models.gpt-4.1.effort", "effort", '"high"  ({file})'),
        ("models.long.effort", "effort", '"low"  ({file})'),
        ("[models.long]", "max_tokens", "unset  (default)"),
        ("models.reader.agent", "tools", '["Read"]  ({file})'),
        ("models.reader.agent.allow", "allow", "[]  (default)"),
        ('backends."my.backend".version', "version", '"2023-06-01"  (default)'),
        ("server.api_keys.limited", "requests_per_minute", "20  ({file})"),
        ("plugins.say", "words", '["a"]  ({file})'),
        ("plugins.say.on_error", "on_error", '"skip"  (default)'),
        ("plugins.paths", "paths", '["plugins"]  (default)'),
    ],
)
def test_values(file: str, name: str, key: str, value: str) -> None:
    """Each table shows the values in force, and where each comes from."""
    assert blocks(run(name, "-c", file).output)[key]["value"] == value.format(file=file)


@pytest.mark.parametrize("name", ["models.NAME", "server.api_keys.NAME", "plugins.NAME", "models.NAME.agent"])
def test_what_stands_for_many(file: str, name: str) -> None:
    """A table that stands for many others shows no values."""
    assert all("value" not in facts for facts in blocks(run(name, "-c", file).output).values())


@pytest.mark.parametrize("name", ["server", "server.api_keys.limited", "backends", "plugins"])
def test_secrets_are_masked(file: str, name: str) -> None:
    """No secret is shown."""
    output = run(name, "-c", file).output
    assert "********" in output
    assert SECRET not in output


def test_the_tables(file: str) -> None:
    """Without a name, the tables are listed."""
    listed = [line.split()[0] for line in run("-c", file).output.split("\n\n")[0].splitlines()[1:]]
    assert {"server", "models.NAME", 'backends."my.backend"', "backends.claude", "plugins.say"} <= set(listed)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("server.prt", "there is no setting or table 'server.prt'; did you mean 'server.port'?"),
        ("idle_timout", "there is no setting or table 'idle_timout'; did you mean 'idle_timeout'?"),
        ("xyzzy", "there is no setting or table 'xyzzy'; known here: backends."),
        ("", "there is no setting or table ''"),
    ],
)
def test_what_nobody_knows(file: str, name: str, message: str) -> None:
    """An unknown name is refused, with the nearest known name or a list of the tables."""
    with pytest.raises(ConfigError) as caught:
        run(name, "-c", file)
    assert str(caught.value).startswith(message)


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    """If the file is broken, the explanation is shown all the same, and what is broken as well."""
    result = run("port", "-c", str(written(tmp_path, "[server]\nprot = 1\n")))
    assert "unknown key 'prot'; did you mean 'port'?\nSo the values below are the defaults" in result.stderr
    assert blocks(result.stdout)["port"]["value"] == "3456  (default)"


def test_lines_fit(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Text is wrapped to the terminal; code that is longer than a line stays whole."""
    monkeypatch.setenv("COLUMNS", "60")
    output = run("server", "-c", file).output
    long = [line for line in output.splitlines() if len(line) > 60]
    assert all(re.search(r"`[^`]{40,}`|^    value ", line) for line in long)
