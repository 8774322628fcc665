"""What ``README.md`` and ``docs/`` say is compared with the code."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from claude_max_proxy import Agent
from claude_max_proxy.backends.anthropic_api.settings import AnthropicApiSettings
from claude_max_proxy.backends.claude_cli.settings import ClaudeCliSettings
from claude_max_proxy.backends.local_embeddings.settings import LocalEmbeddingsSettings
from claude_max_proxy.backends.openai_api.settings import OpenAIApiSettings
from claude_max_proxy.capabilities.honoured import CAPABILITIES
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
from claude_max_proxy.http_upstream import HttpSettings
from claude_max_proxy.http_upstream.settings import ModelFacts
from claude_max_proxy.observers.budgets.settings import Budget
from claude_max_proxy.observers.budgets.settings import Settings as BudgetSettings
from claude_max_proxy.observers.meter import Settings as MeterSettings
from claude_max_proxy.observers.page import Settings as PageSettings
from claude_max_proxy.observers.traces import Settings as TracesSettings
from claude_max_proxy.runtime.runtime import Runtime
from claude_max_proxy.server.app import build_app
from tests.clients.registry import clients
from tests.docs.generated import filled, hook_functions
from tests.docs.test_writing_plugins import plugins_shown


ROOT = Path(__file__).parents[2]
PAGES = {page.name: page.read_text("utf-8") for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]}
PAGES |= {
    f"clients/{page.name}": page.read_text("utf-8") for page in (ROOT / "docs" / "clients").glob("*.md")
}
_CLIENTS_OWN = re.compile(r"<!-- file \S+(?<!proxy\.toml) -->.*?<!-- end -->", re.DOTALL)
TABLES: dict[str, type[msgspec.Struct]] = {
    "## `[server]`": ServerConfig,
    "## `[models]`": ModelEntry,
    "### `api_keys`": ApiKey,
    "### `agent`": Agent,
    '### `type = "claude-cli"`': ClaudeCliSettings,
    "### Over HTTP": HttpSettings,
    "#### `models`": ModelFacts,
    '### `type = "openai"`': OpenAIApiSettings,
    '### `type = "anthropic"`': AnthropicApiSettings,
    '### `type = "local-embeddings"`': LocalEmbeddingsSettings,
    "## `[plugins]`": PluginsConfig,
    "## `[plugins.NAME]`": PluginPolicy,
    "### `[plugins.meter]`": MeterSettings,
    "### `[plugins.budgets]`": BudgetSettings,
    '#### `keys.NAME`, `models."PATTERN"` and `backends.NAME`': Budget,
    "### `[plugins.page]`": PageSettings,
    "### `[plugins.openai_responses]`": ResponsesSettings,
    "### `[plugins.traces]`": TracesSettings,
}


def rows(text: str) -> Iterator[list[str]]:
    """Return the cells of every table row whose first cell is code."""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `"):
            yield [cell.strip("` ") if position < 2 else cell for position, cell in enumerate(cells)]


def section(page: str, heading: str) -> str:
    """Return a section's text, without the sections below the next heading."""
    _, found, rest = PAGES[page].partition(f"\n{heading}\n")
    assert found, heading
    return re.split(r"^#+ ", rest, flags=re.MULTILINE)[0]


def blocks(language: str) -> list[Any]:
    """Return every code block of this language, as a test's parameter."""
    found = []
    for name, text in PAGES.items():
        ours = _CLIENTS_OWN.sub("", text)
        for number, block in enumerate(re.findall(rf"```{language}\n(.*?)```", ours, re.DOTALL)):
            found.append(pytest.param(block, id=f"{name}-{number}"))
    return found


def written(default: object) -> str:
    """Write a default as the tables write it."""
    if default is msgspec.NODEFAULT:
        return "required"
    if default is None:
        return "unset"

    return msgspec.json.encode(default).decode().replace(",", ", ")


def shared(struct: type[msgspec.Struct]) -> set[str]:
    """Return the keys that a type of backend has from `HttpSettings`, which are listed in its own table."""
    return set() if struct is HttpSettings else set(HttpSettings.__struct_fields__) - {"base_url"}


@pytest.mark.parametrize("heading", TABLES)
def test_configuration(heading: str) -> None:
    """Every key of a table is on the page, with its default, and no other key."""
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
        if "/" not in default or "://" in default or default == written("/")
    }
    assert found == expected


def test_default_models() -> None:
    """The page lists the built-in models."""
    found = {name: to for name, to, *_ in rows(section("configuration.md", "## `[models]`")) if "/" in to}
    assert found == DEFAULT_MODELS


def test_readme_models() -> None:
    """The README lists the built-in models, too, and no others."""
    names = [name for name, *_ in rows(section("README.md", "## Models"))]
    plain = [name for name in DEFAULT_MODELS if "/" not in name]
    assert sorted(re.findall(r"[\w*-]+", " ".join(names))) == sorted(plain)


def test_readme_numbers() -> None:
    """Every number in the README's reasons for the proxy was measured."""
    numbers = re.findall(r"\*\*([\d.,/]+(?: \w+)?)\*\*", section("README.md", "## Four reasons"))
    assert len(numbers) >= 4
    for number in numbers:
        assert f"| {number} |" in PAGES["performance.md"], number


def test_glossary() -> None:
    """The glossary explains each word once, and only words that the documentation or the code use."""
    words = re.findall(
        r"\*\*([^*]+)\*\*", "\n".join(re.findall(r"^\|[^|]+", PAGES["glossary.md"], re.MULTILINE))
    )
    assert len(words) == len(set(words)) > 50
    elsewhere = [text for name, text in PAGES.items() if name != "glossary.md"]
    elsewhere += [path.read_text("utf-8") for path in (ROOT / "claude_max_proxy").rglob("*.py")]
    used = "\n".join(elsewhere).lower()
    for word in words:
        assert all(one in used for one in word.lower().split(", ")), word


def parameters(heading: str) -> dict[str, set[str]]:
    """Return a section's parameters, grouped by what becomes of them."""
    found: dict[str, set[str]] = {}
    for name, what, *_ in rows(section("http-api.md", heading)):
        found.setdefault(what, set()).add(name)
    for name in found.keys() & {"hint", "meaning", "bookkeeping"}:
        assert all(CAPABILITIES[one].kind == name for one in found[name] & CAPABILITIES.keys())
    assert found.keys() <= {"honoured", "refused", "hint", "meaning", "bookkeeping"}
    return found


def test_parameters() -> None:
    """Every parameter of a chat completion is on the page, with what the code does with it."""
    found = parameters("## Chat completions")
    assert set().union(*found.values()) == set(ChatCompletionRequest.__struct_fields__)
    assert found["refused"] == {*REFUSED, "modalities"}
    assert found["hint"] | found["meaning"] | found["bookkeeping"] <= CAPABILITIES.keys()


def test_parameters_of_responses() -> None:
    """Every parameter of a response is on the page, with what the code does with it."""
    found = parameters("## Responses")
    assert set().union(*found.values()) == set(ResponseRequest.__struct_fields__)
    assert found["refused"] == set(responses_parameters.REFUSED)
    assert found["hint"] == {*responses_parameters.IGNORED, "truncation"}


def test_parameters_of_messages() -> None:
    """Every parameter of the Messages API is on the page, with what the code does with it."""
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
            assert AnthropicMessages().open(msgspec.json.encode(body)).request.ignored == [name]
            continue
        extra = CAPABILITIES.get(name) if what == "hint" else CAPABILITIES.get(f"anthropic_{name}")
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
            served |= {f"{method} {path}" for method in route.methods - {"OPTIONS"}}
    assert found == served


@pytest.mark.parametrize("name", PAGES)
def test_generated_parts(name: str) -> None:
    """What is generated from the code is up to date on the page; ``make docs`` updates it."""
    assert filled(PAGES[name]) == PAGES[name]


def test_every_hook_is_on_the_page() -> None:
    """The page of hooks lists all hooks."""
    assert set(re.findall(r"^### `(\w+)`$", PAGES["hooks.md"], re.MULTILINE)) == set(hook_functions())


@pytest.mark.parametrize("block", blocks("toml"))
def test_toml_blocks(block: str, tmp_path: Path) -> None:
    """Every configuration shown can be loaded, with the shipped drop-ins and the one on the page."""
    (tmp_path / "polite.py").write_text(plugins_shown()[0], "utf-8")
    table = tomllib.loads(block)
    table.setdefault("plugins", {})["paths"] = [str(ROOT / "plugins"), str(tmp_path)]
    Runtime(parse(table, None))


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
    """Every link into the project has a target."""
    page = ROOT / "README.md" if name == "README.md" else ROOT / "docs" / name
    for link, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]*))?\)", PAGES[name]):
        target = (page.parent / link).resolve() if link else page
        assert link.startswith("https://") or target.exists(), link
        if anchor and target.suffix == ".md":
            assert anchor in anchors(target.read_text("utf-8")), f"{link}#{anchor}"


def anchors(text: str) -> set[str]:
    """Return a page's headings in the form that GitHub uses in links."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
