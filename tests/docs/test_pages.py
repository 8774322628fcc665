"""What ``README.md`` and ``docs/`` say, held against the code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from claude_max_proxy import Agent, HttpSettings
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.openai_api.settings import OpenAIApiSettings
from claude_max_proxy.config import (
    DEFAULT_MODELS,
    ApiKey,
    ModelEntry,
    PluginPolicy,
    PluginsConfig,
    ServerConfig,
    parse,
)
from claude_max_proxy.dialects.anthropic_messages import AnthropicMessages
from claude_max_proxy.dialects.anthropic_messages.parameters import REFUSED as REFUSED_OF_MESSAGES
from claude_max_proxy.dialects.anthropic_messages.schemas import MessagesRequest
from claude_max_proxy.dialects.openai_chat.parameters import REFUSED
from claude_max_proxy.dialects.openai_chat.schemas import ChatCompletionRequest
from claude_max_proxy.dialects.openai_responses import Settings as ResponsesSettings
from claude_max_proxy.dialects.openai_responses import parameters as responses_parameters
from claude_max_proxy.dialects.openai_responses.schemas import ResponseRequest
from claude_max_proxy.extras import EXTRAS
from claude_max_proxy.runtime import Runtime
from claude_max_proxy.server.app import build_app
from tests.clients.registry import clients
from tests.docs.generated import filled, hook_functions


ROOT = Path(__file__).parents[2]
PAGES = {page.name: page.read_text("utf-8") for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]}
PAGES |= {
    f"clients/{page.name}": page.read_text("utf-8") for page in (ROOT / "docs" / "clients").glob("*.md")
}
_CLIENTS_OWN = re.compile(r"<!-- file \S+(?<!proxy\.toml) -->.*?<!-- end -->", re.DOTALL)
TABLES = {
    "## `[server]`": ServerConfig,
    "## `[models]`": ModelEntry,
    "### `api_keys`": ApiKey,
    "### `agent`": Agent,
    '### `type = "claude-cli"`': ClaudeCliSettings,
    "### Over HTTP": HttpSettings,
    '### `type = "openai"`': OpenAIApiSettings,
    '### `type = "anthropic"`': AnthropicApiSettings,
    "## `[plugins]`": PluginsConfig,
    "## `[plugins.NAME]`": PluginPolicy,
    "### `[plugins.openai_responses]`": ResponsesSettings,
}


def rows(text: str) -> Iterator[list[str]]:
    """Return the cells of every table row whose first cell is code."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `"):
            yield [cell.strip("` ") if position < 2 else cell for position, cell in enumerate(cells)]


def section(page: str, heading: str) -> str:
    """Return a section's text, without what stands under the next heading."""
    _, found, rest = PAGES[page].partition(f"\n{heading}\n")
    assert found, heading
    return re.split(r"^#+ ", rest, flags=re.MULTILINE)[0]


def blocks(language: str) -> list[Any]:
    """Return every block of this language, as a test's parameter."""
    found = []
    for name, text in PAGES.items():
        ours = _CLIENTS_OWN.sub("", text)
        for number, block in enumerate(re.findall(rf"```{language}\n(.*?)```", ours, re.DOTALL)):
            found.append(pytest.param(block, id=f"{name}-{number}"))
    return found


def written(default: object) -> str:
    """Write a default as the tables do."""
    if default is msgspec.NODEFAULT:
        return "required"
    if default is None:
        return "unset"

    return msgspec.json.encode(default).decode().replace(",", ", ")


def shared(struct: type[msgspec.Struct]) -> set[str]:
    """Name the keys that a type of backend has from `HttpSettings`, whose own table says them once."""
    return set() if struct is HttpSettings else set(HttpSettings.__struct_fields__) - {"base_url"}


@pytest.mark.parametrize("heading", TABLES)
def test_configuration(heading: str) -> None:
    """Every key of a table is on the page, with its default, and none that is not there."""
    expected = {
        field.name: written(
            field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()
        )
        for field in msgspec.structs.fields(TABLES[heading])
        if field.name != "tables"  # holds [plugins.NAME], not a key
        and not (issubclass(TABLES[heading], HttpSettings) and field.name in shared(TABLES[heading]))
    }
    found = {
        key: default
        for key, default, *_ in rows(section("configuration.md", heading))
        if "/" not in default or "://" in default
    }
    assert found == expected


def test_default_models() -> None:
    """The page lists the built-in models."""
    found = {name: to for name, to, *_ in rows(section("configuration.md", "## `[models]`")) if "/" in to}
    assert found == DEFAULT_MODELS


def test_readme_models() -> None:
    """The README lists the built-in models too, and no others."""
    names = [name for name, *_ in rows(section("README.md", "## Models"))]
    plain = [name for name in DEFAULT_MODELS if "/" not in name]
    assert sorted(re.findall(r"[\w*-]+", " ".join(names))) == sorted(plain)


def parameters(heading: str) -> dict[str, set[str]]:
    """Name a section's parameters by what becomes of them."""
    found: dict[str, set[str]] = {}
    for name, what, *_ in rows(section("http-api.md", heading)):
        found.setdefault(what, set()).add(name)
    for name in found.keys() & {"hint", "meaning", "bookkeeping"}:
        assert all(EXTRAS[one].kind == name for one in found[name] & EXTRAS.keys())
    assert found.keys() <= {"honoured", "refused", "hint", "meaning", "bookkeeping"}
    return found


def test_parameters() -> None:
    """Every parameter of a chat completion is on the page, as what the code makes of it."""
    found = parameters("## Chat completions")
    assert set().union(*found.values()) == set(ChatCompletionRequest.__struct_fields__)
    assert found["refused"] == {*REFUSED, "n", "modalities"}
    assert found["hint"] | found["meaning"] | found["bookkeeping"] <= EXTRAS.keys()


def test_parameters_of_responses() -> None:
    """Every parameter of a response is on the page, as what the code makes of it."""
    found = parameters("## Responses")
    assert set().union(*found.values()) == set(ResponseRequest.__struct_fields__)
    assert found["refused"] == set(responses_parameters.REFUSED)
    assert found["hint"] == {*responses_parameters.IGNORED, "truncation"}


def test_parameters_of_messages() -> None:
    """Every parameter of the Messages API is on the page, as what the code makes of it."""
    found = {name: what for name, what, *_ in rows(section("http-api.md", "## Messages"))}
    assert set(found) == set(MessagesRequest.__struct_fields__)
    assert {name for name, what in found.items() if what == "refused"} == set(REFUSED_OF_MESSAGES)
    for name, what in found.items():
        if what == "ignored":
            body = {
                "model": "m",
                "max_tokens": 1,
                "messages": [{"role": "user", "content": "hi"}],
                name: {"type": "x"},
            }
            assert AnthropicMessages().read(msgspec.json.encode(body)).ignored == [name]
            continue
        extra = EXTRAS.get(name) if what == "hint" else EXTRAS.get(f"anthropic_{name}")
        assert what in {"honoured", "refused"} or (extra is not None and extra.kind == what)


def test_routes() -> None:
    """The page names every route, in its form with ``/v1`` where it has one."""
    found = {row[0] for row in rows(PAGES["http-api.md"]) if "/" in row[0]}
    served = set()
    routes = build_app(Runtime(parse({}, None))).routes
    every = {route.path_format for route in routes}
    for route in routes:
        path = re.sub(r"\{.*?\}", "{id}", route.path_format)
        if path == "/health" or (path != "/v1/health" and f"/v1{route.path_format}" not in every):
            served |= {f"{method} {path}" for method in route.methods - {"OPTIONS"}}  # type: ignore[attr-defined]
    assert found == served


@pytest.mark.parametrize("name", PAGES)
def test_generated_parts(name: str) -> None:
    """What the code writes into a page is there; ``make docs`` brings it up to date."""
    assert filled(PAGES[name]) == PAGES[name]


def test_every_hook_is_on_the_page() -> None:
    """The page of hooks has them all."""
    assert set(re.findall(r"^### `(\w+)`$", PAGES["hooks.md"], re.MULTILINE)) == set(hook_functions())


@pytest.mark.parametrize("block", blocks("toml"))
def test_toml_blocks(block: str, tmp_path: Path) -> None:
    """Every configuration shown loads, with the drop-ins that are shipped and the one that is shown."""
    (tmp_path / "polite.py").write_text(python_blocks()[0], "utf-8")
    table = tomllib.loads(block)
    table.setdefault("plugins", {})["paths"] = [str(ROOT / "plugins"), str(tmp_path)]
    Runtime(parse(table, None))


def python_blocks() -> list[str]:
    """Return the plugins shown."""
    return re.findall(r"```python\n(import claude_max_proxy.*?)```", PAGES["writing-plugins.md"], re.DOTALL)


@pytest.mark.parametrize("number", range(len(python_blocks())))
def test_python_blocks(number: int, tmp_path: Path) -> None:
    """Every plugin shown loads as the drop-in that it says it is."""
    (tmp_path / "shown.py").write_text(python_blocks()[number], "utf-8")
    runtime = Runtime(parse({"plugins": {"paths": [str(tmp_path)]}}, None))
    assert "shown" in {plugin.name for plugin in runtime.plugins}


def test_every_client_has_a_page() -> None:
    """Each client of the matrix has a page, with every file that its user writes, and what is checked."""
    for client in clients():
        page = PAGES[f"clients/{client.name}.md"]
        folder = client.folder.name
        shown = {name for name in re.findall(r"<!-- file (\S+) -->", page) if name.startswith(f"{folder}/")}
        assert {f"{folder}/{path.name}" for path in client.shown} == shown, client.name
        assert f"<!-- checks {client.name} -->" in page


@pytest.mark.parametrize("name", PAGES)
def test_links(name: str) -> None:
    """Every link into the project leads somewhere."""
    base = ROOT if name == "README.md" else (ROOT / "docs" / name).parent
    for link in re.findall(r"\]\(([^)#]+)[^)]*\)", PAGES[name]):
        assert link.startswith("https://") or (base / link).exists(), link
