"""``claude-max-proxy config``: check, show, schema, init."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from click.testing import CliRunner, Result

from claude_max_proxy import ConfigError
from claude_max_proxy.cli.commands import config
from claude_max_proxy.config import DEFAULT_MODELS
from claude_max_proxy.config.positions import line_of, lines_of
from tests.plugin.test_drop_ins import HOOK
from tests.scripted import plugin_folder


ROOT = Path(__file__).parents[2]
SECRET = "sk-very-secret"
SETTINGS = """
import claude_max_proxy as proxy

class Settings(proxy.Settings, frozen=True):
    words: list[str] = []
    api_token: str = ""
    limit: float | None = None

@proxy.hookimpl
def rewrite_request(request): ...
"""


def run(*words: str) -> Result:
    """Run a subcommand; what it raises is raised here."""
    return CliRunner().invoke(config, words, catch_exceptions=False, standalone_mode=False)


def written(folder: Path, toml: str, **sources: str) -> Path:
    """Return a ``proxy.toml`` whose backend is scripted; the text begins on its second line."""
    plugin_folder(folder, **sources)
    file = folder / "proxy.toml"
    file.write_text(f'backends.claude.type = "scripted"\n{toml}')
    return file


# --- check


@pytest.mark.parametrize("word", ["check", "show"])
def test_a_file_that_others_can_write(tmp_path: Path, word: str) -> None:
    """A file that others could write to is refused in one line, with the command that fixes it."""
    file = written(tmp_path, "")
    file.chmod(0o666)
    with pytest.raises(ConfigError, match=rf"^{file}: {file} is writable by others; run: chmod go-w {file}$"):
        run(word, "-c", str(file))


def test_a_good_file(tmp_path: Path) -> None:
    """A valid file is reported as valid, with the number of things that it defines."""
    result = run("check", "-c", str(written(tmp_path, '[models]\nmine = "opus"\n')))
    assert re.search(rf"ok: {len(DEFAULT_MODELS) + 1} models, 1 backends, \d+ plugins", result.output)


@pytest.mark.parametrize(
    ("toml", "line", "message"),
    [
        ("\n[server]\n\nprot = 1\n", 5, "server: unknown key 'prot'; did you mean 'port'?"),
        ("[server]\nport = 'x'\n", 3, "server.port: expected `int`, got `str`"),
        ("server.port = 'x'\n", 2, "server.port: expected `int`"),
        ("\n[sever]\nport = 1\n", 3, "unknown table [sever]; did you mean 'server'?"),
        ("\nport = 1\n", 3, "port: put it under [server]"),
        ("[plugins.redact_secrets]\n", 2, "plugins.redact_secrets: there is no plugin 'redact_secrets' in"),
        ("[models]\na = 'opus'\nb = 'sonet'\n", 4, "models.b: 'sonet' is neither"),
        ("[models]\n\"a/b\" = 'cloude/x'\n", 3, "models.\"a/b\": there is no backend 'cloude'; did you mean"),
        ("[models]\nx = { to = 'opus', effort = 'lots' }\n", 3, "models.x.effort: invalid enum value"),
        ("[models.x]\nto = 'opus'\neffort = 'lots'\n", 4, "models.x.effort: invalid enum value"),
        ("[models]\nx = 'y'\ny = 'x'\n", 3, "models.x: the names lead in a circle: x → y → x"),
        (
            "[backends.b]\ntype = 'scriptd'\n",
            3,
            "backends.b.type: unknown backend type 'scriptd'; did you mean",
        ),
        ("[backends.b]\ntype = 'scripted'\nstats = 1\n", 4, "backends.b: unknown key 'stats'; did you mean"),
        (
            "[plugins.redact_secrts]\n",
            2,
            (
                "plugins.redact_secrts: there is no plugin 'redact_secrts' in [plugins] paths; did you mean "
                "'redact_secrets'? Add it with `claude-max-proxy plugins add redact_secrets`"
            ),
        ),
        ("[plugins.redactor]\n", 2, "plugins.redactor: there is no plugin 'redactor'"),
        ("[plugins]\norder = ['redactor']\n", 3, "plugins.order: there is no plugin 'redactor'"),
        ("[plugins.say]\nword = 1\n", 3, "plugins.say: unknown key 'word'; did you mean 'words'?"),
        ("[plugins.say]\nwords = [\n  1,\n]\n", 3, "plugins.say.words[0]: expected `str`, got `int`"),
        ("[plugins.say]\non_error = 'stop'\n", 3, "plugins.say.on_error: invalid enum value 'stop'"),
        ("[server]\nhost = '0.0.0.0'\n", 3, "server.host: '0.0.0.0' is reachable from other machines"),
        ("[server.api_keys]\na = 'x'\nb = 'env:NOT_SET_AT_ALL'\n", 4, "server.api_keys.b: the environment"),
        ("[server]\nallowed_origins = ['*']\n", 3, "server.allowed_origins: '*' is not an origin"),
        ("[server]\ntls_certificate = 'none'\n", 3, "server.tls_certificate: there is no file 'none'"),
    ],
)
def test_mistakes_have_lines(tmp_path: Path, toml: str, line: int, message: str) -> None:
    """A mistake is reported with its file and line, its path, and the closest valid name."""
    file = written(tmp_path, toml, say=SETTINGS)
    with pytest.raises(ConfigError) as caught:
        run("check", "-c", str(file))
    assert str(caught.value).startswith(f"{file}:{line}: {message}")


def test_all_mistakes_have_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All mistakes are reported at once, whatever code finds them, each with its line."""
    monkeypatch.delenv("NOT_SET_AT_ALL", raising=False)
    file = written(
        tmp_path,
        """
        prot = 1
        [server]
        host = "0.0.0.0"
        allowed_hosts = ["a b"]
        allowed_origins = ["*"]
        trusted_proxies = ["x"]
        tls_key = "none"
        hodl = 1
        [models]
        a = "opuss"
        b = "nobody/x"
        c = "ollama/x"
        [backends.ollama]
        type = "openai"
        bas_url = "http://x"
        [backends.other]
        type = "openai"
        api_key = "env:NOT_SET_AT_ALL"
        base_url = "http://x"
        [plugins]
        order = ["nobody"]
        [plugins.say]
        word = 1
        [plugins.shadow]
        """,
        say=SETTINGS,
    )
    with pytest.raises(ConfigError) as caught:
        run("check", "-c", str(file))
    found = sorted(int(message.removeprefix(f"{file}:").split(":")[0]) for message in caught.value.messages)
    assert found == [3, 10, 12, 13, 17, 20, 23, 25, 26]


def test_all_mistakes_of_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mistakes that show only in a table that was read (reach, keys, certificate) are reported as well."""
    monkeypatch.delenv("NOT_SET_AT_ALL", raising=False)
    file = written(
        tmp_path,
        """
        [server]
        allowed_hosts = ["a b"]
        allowed_origins = ["*"]
        trusted_proxies = ["x"]
        tls_key = "none"
        api_keys = { a = "env:NOT_SET_AT_ALL", b = "file:/none" }
        """,
    )
    with pytest.raises(ConfigError) as caught:
        run("check", "-c", str(file))
    found = [int(message.removeprefix(f"{file}:").split(":")[0]) for message in caught.value.messages]
    assert found == [4, 6, 5, 8, 8, 3]  # the certificate is missing from its table


def test_texts_of_several_lines(tmp_path: Path) -> None:
    """What looks like a key within a multi-line text is not taken for one."""
    toml = """[models.x]
to = 'opus'
system = \"\"\"
effort = 'lots'
[server]
\"\"\"
effort = 'lots'  # \"\"\"
"""
    file = written(tmp_path, toml)
    with pytest.raises(ConfigError, match=rf"^{file}:8: models\.x\.effort: invalid enum value 'lots'"):
        run("check", "-c", str(file))


def test_no_toml_at_all(tmp_path: Path) -> None:
    """A text that is not TOML is reported with the place."""
    with pytest.raises(ConfigError, match=r"/proxy\.toml:3: not valid TOML"):
        run("check", "-c", str(written(tmp_path, "\n[server\n")))


def test_plugins_are_checked(tmp_path: Path) -> None:
    """Every plugin that cannot be used is reported, with its file and line."""
    file = written(tmp_path, "", one="\n1 / 0", two=HOOK.replace("rewrite_request", "rewrite"), three=HOOK)
    with pytest.raises(ConfigError) as caught:
        run("check", "-c", str(file))
    first, second = str(caught.value).splitlines()
    assert first.startswith(f"{tmp_path}/plugins/one.py:2: the plugin cannot be imported: ZeroDivisionError")
    assert second.startswith(f"plugin 'two' ({tmp_path}/plugins/two.py): ")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("server", 1),
        ("server.port", 2),
        ("server.none", 1),
        ('models."a.b"', 5),
        ("models.'x y'", 6),
        ("backends.one.deep.key", 9),
        ("backends.one.env.A", 11),
        ("nothing", None),
    ],
)
def test_lines(path: str, line: int | None) -> None:
    """A path's line is the line of its key, or of the table it would be in; comments are not searched."""
    text = """[server] # server
port = 1
# port = 2
[models]
"a.b" = "x"
'x y' = "y"
[ backends . "one" ]
type = "t"
deep.key = 1
[backends.one.env]
A = "="
"""
    assert line_of(lines_of(text), path) == line


# --- show


def shown(file: Path) -> tuple[str, dict[str, Any]]:
    """Return what is shown, as text and parsed as TOML."""
    output = run("show", "-c", str(file)).output
    return output, tomllib.loads(output)


def test_the_defaults_are_shown(tmp_path: Path) -> None:
    """For an empty file every setting is shown with its default, marked as such."""
    output, table = shown(written(tmp_path, ""))
    assert table["server"]["port"] == 3456
    assert table["models"] == DEFAULT_MODELS
    assert "port = 3456  # default" in output
    assert 'opus = "claude/opus"  # built in' in output


def test_where_values_come_from(tmp_path: Path) -> None:
    """Each value says whether it comes from the file; the whole is TOML that means the same."""
    file = written(
        tmp_path,
        """
        [server]
        port = 4000
        [models]
        opus = "sonnet"
        "we.ird \\"name\\"\\n" = { to = "opus", fallback = ["haiku"], hidden = true, system = "two\\nlines" }
        [backends."my.backend"]
        type = "scripted"
        status = "degraded"
        [plugins.say]
        words = ["a", "b"]
        timeout = 1
        """,
        say=SETTINGS,
    )
    output, table = shown(file)
    for line in (f"port = 4000  # {file}", f'opus = "sonnet"  # {file}', 'host = "127.0.0.1"  # default'):
        assert line in output.splitlines()
    assert table["models"]['we.ird "name"\n'] == {
        "to": "opus",
        "fallback": ["haiku"],
        "hidden": True,
        "system": "two\nlines",
    }
    assert table["backends"]["my.backend"] == {"type": "scripted", "status": "degraded"}
    assert table["plugins"]["say"]["words"] == ["a", "b"]
    assert table["plugins"]["say"]["timeout"] == 1.0
    assert f'status = "degraded"  # {file}' in output


def test_secrets_are_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret is shown, wherever it is, but the place where a secret is kept is shown."""
    monkeypatch.setenv("A_KEY", SECRET)
    file = written(
        tmp_path,
        f"""
        [server]
        tls_key = "key.pem"
        api_keys = {{ a = "{SECRET}", b = {{ key = "{SECRET}", models = ["opus"] }}, c = "env:A_KEY" }}
        [models]
        secret-model = "opus"
        [backends.cli]
        type = "claude-cli"
        env = {{ HTTPS_PROXY = "http://me:{SECRET}@proxy", ANTHROPIC_AUTH_TOKEN = "{SECRET}" }}
        [plugins.say]
        api_token = "{SECRET}"
        """,
        say=SETTINGS,
    )
    output, table = shown(file)
    assert SECRET not in output
    assert table["server"]["api_keys"]["b"]["models"] == ["opus"]
    assert table["server"]["api_keys"]["c"] == "env:A_KEY"
    assert table["server"]["tls_key"] == "key.pem"
    assert table["models"]["secret-model"] == "opus"
    assert set(table["backends"]["cli"]["env"]) == {"HTTPS_PROXY", "ANTHROPIC_AUTH_TOKEN"}


# --- schema


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    """A validator for the schema that is printed."""
    schema = json.loads(run("schema").output)
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def test_what_is_described() -> None:
    """Every key of every table has a description, also in the tables of the built-in plugins."""
    schema = json.loads(run("schema").output)
    plugins = schema["properties"]["plugins"]
    open_ = plugins["additionalProperties"]
    for table in (*schema["$defs"].values(), plugins, plugins["properties"]["openai_responses"], open_):
        for name, key in table["properties"].items():
            assert key["description"] or name == "openai_responses"
    assert plugins["properties"]["paths"]["default"] == ["plugins"]
    assert schema["$defs"]["ServerConfig"]["properties"]["port"]["description"].startswith("The port")


@pytest.mark.parametrize("commented", [True, False])
def test_the_shipped_file_fits(validator: jsonschema.Draft202012Validator, commented: bool) -> None:
    """The annotated ``proxy.toml`` is valid by the schema, with its keys commented out and without."""
    text = (ROOT / "proxy.toml").read_text("utf-8")
    validator.validate(tomllib.loads(text if commented else re.sub(r"^#(?! )", "", text, flags=re.MULTILINE)))


@pytest.mark.parametrize(
    ("table", "fits"),
    [
        ({}, True),
        ({"server": {"api_keys": {"a": "x", "b": {"key": "y", "models": ["gpt-*"]}}}}, True),
        ({"server": {"prot": 1}}, False),
        ({"server": {"port": 70_000}}, False),
        ({"sever": {}}, False),
        ({"models": {"x": "claude/opus", "y": {"to": "x", "fallback": ["opus"], "hidden": True}}}, True),
        ({"models": {"x": {"too": "claude/opus"}}}, False),
        ({"models": {"x": {"to": "opus", "effort": "lots"}}}, False),
        ({"backends": {"claude": {"warm": 2}}}, True),
        ({"backends": {"claude": {"wram": 2}}}, False),
        ({"backends": {"mine": {"type": "echo", "anything": 1}}}, True),
        ({"backends": {"mine": {"type": "claude-cli", "anything": 1}}}, False),
        ({"plugins": {"paths": ["x"], "order": [], "mine": {"timeout": 1, "anything": 1}}}, True),
        ({"plugins": {"mine": {"on_error": "stop"}}}, False),
        ({"plugins": {"openai_responses": {"store": False, "timeout": 1}}}, True),
        ({"plugins": {"openai_responses": {"stored": False}}}, False),
    ],
)
def test_what_fits(validator: jsonschema.Draft202012Validator, table: dict[str, Any], fits: bool) -> None:
    """The schema accepts what the proxy accepts, also unknown backends and plugins, and finds mistakes."""
    assert validator.is_valid(table) is fits


# --- init


def test_a_new_file(tmp_path: Path) -> None:
    """``init`` writes the annotated file, and that file can be used."""
    file = tmp_path / "proxy.toml"
    assert str(file) in run("init", str(file)).output
    assert file.read_text("utf-8") == (ROOT / "proxy.toml").read_text("utf-8")
    assert "ok: " in run("check", "-c", str(file)).output


def test_a_file_that_is_there(tmp_path: Path) -> None:
    """``init`` overwrites nothing."""
    file = tmp_path / "proxy.toml"
    file.write_text("precious")
    with pytest.raises(ConfigError, match="already exists"):
        run("init", str(file))
    assert file.read_text() == "precious"


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    """If the file cannot be written, the error is one sentence."""
    with pytest.raises(ConfigError, match="cannot be written: No such file"):
        run("init", str(tmp_path / "none" / "proxy.toml"))
