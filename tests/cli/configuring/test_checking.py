"""The command `config check`: every mistake, with its line."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from claude_max_proxy import ConfigError
from claude_max_proxy.config import DEFAULT_MODELS
from claude_max_proxy.config.positions import line_of, lines_of
from tests.cli.configuring.written import SETTINGS, run, written
from tests.plugin.test_drop_ins import HOOK


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
