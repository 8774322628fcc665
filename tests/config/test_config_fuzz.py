"""Any ``proxy.toml`` gives a configuration or an error that a user can read, and nothing else.

``CONFIG_FUZZ_EXAMPLES=100000`` looks for longer.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from claude_max_proxy import Config, ConfigError
from claude_max_proxy.config import (
    ApiKey,
    ModelEntry,
    PluginPolicy,
    PluginsConfig,
    ServerConfig,
    load,
    parse,
    quoted,
)
from claude_max_proxy.config.positions import line_of, lines_of
from claude_max_proxy.config.toml_text import inline
from claude_max_proxy.gateway.model_map import check_models, resolve


EXAMPLES = int(os.environ.get("CONFIG_FUZZ_EXAMPLES", "150"))
fuzzed = settings(max_examples=EXAMPLES, deadline=None, derandomize="CONFIG_FUZZ_EXAMPLES" not in os.environ)
SECTIONS = ["server", "models", "backends", "plugins"]
KEYS = sorted(
    {
        key
        for struct in (ApiKey, ModelEntry, PluginPolicy, PluginsConfig, ServerConfig)
        for key in struct.__struct_fields__
    }
    | {"type", "command", "env", "tools", "directory", *SECTIONS}
)
WORDS = [
    "claude/opus",
    "opus",
    "x",
    "x-*",
    "*",
    "a-*",
    "a-a-*",
    "claude/*",
    "/",
    "env:X",
    "claude-cli",
    "low",
    "",
]
texts = st.one_of(st.sampled_from(WORDS), st.text(max_size=8))
names = st.one_of(st.sampled_from([*KEYS, *WORDS]), st.text(min_size=1, max_size=8))
scalars = st.one_of(
    texts,
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False),
    st.datetimes(),
    st.dates(),
    st.times(),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(names, inner, max_size=3)),
    max_leaves=6,
)
entries = st.one_of(
    values,
    st.fixed_dictionaries(
        {"to": texts}, optional={"fallback": st.lists(texts, max_size=3), "hidden": values, "agent": values}
    ),
)
tables = st.fixed_dictionaries(
    {},
    optional={
        "server": st.dictionaries(names, values, max_size=3),
        "models": st.dictionaries(names, entries, max_size=5),
        "backends": st.dictionaries(
            names, st.one_of(values, st.fixed_dictionaries({"type": texts})), max_size=3
        ),
        "plugins": st.dictionaries(names, values, max_size=3),
        "x": values,
    },
)


def understood(config: Config) -> None:
    """Use a configuration's models as the start of a server does."""
    check_models(config, config.backends)
    for name in ("opus", "x-1", "a-a-a", "claude-9", "", "*"):
        resolve(name, config)


@fuzzed
@given(tables)
def test_any_table(table: dict[str, Any]) -> None:
    """Whatever the tables contain, they can be used, or one line says what is wrong and where."""
    text = tomli_w.dumps(table)
    try:
        understood(parse(tomllib.loads(text), None))
    except ConfigError as error:
        message = str(error)
        assert message
        line = line_of(lines_of(text), message.partition(": ")[0])
        assert line is None or 1 <= line <= len(text.splitlines())


@fuzzed
@given(tables, st.data())
def test_any_file(table: dict[str, Any], data: st.DataObject) -> None:
    """A file that was cut, doubled, or had bytes inserted is read or refused, too."""
    content = tomli_w.dumps(table).encode()
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 20)))
        content = content[:start] + data.draw(st.binary(max_size=4)) + content[end:]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "proxy.toml"
        file.write_bytes(content)
        with contextlib.suppress(ConfigError):
            config = load(file)
            assert config.source == file
            understood(config)


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "server.port = " + "9" * 5000,
        "server.hold = inf",
        "server.hold = nan",
        "[models]\n" + "\n".join(f'"x{n}-*" = "x{n + 1}-*"' for n in range(200)),
        "[models]\n" + "\n".join(f'x{n} = "x{n + 1}"' for n in range(5000)) + '\nx5000 = "x0"',
        "a" + ".a" * 2000 + " = 1",
        '"a\\u0000b" = 1',
    ],
    ids=lambda text: text[:20],
)
def test_what_is_beyond_measure(tmp_path: Path, text: str) -> None:
    """Very deep nesting, very long numbers and very long keys are read, or refused like any other mistake."""
    file = tmp_path / "proxy.toml"
    file.write_text(text)
    with contextlib.suppress(ConfigError):
        understood(load(file))


@fuzzed
@given(st.text(min_size=1, max_size=12), values)
def test_what_is_shown_is_toml(name: str, value: Any) -> None:
    """Any name and any value can be written on one line, and read again as they were."""
    text = f"{quoted(name)} = {inline(value)}"
    assert "\n" not in text
    assert tomllib.loads(text) == tomllib.loads(tomli_w.dumps({name: value}))
