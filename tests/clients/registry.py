"""All clients, in the order in which they run and are listed."""

from __future__ import annotations

import importlib

from tests.clients.client import Client


NAMES = (
    "openclaw",
    "openai-python",
    "openai-node",
    "anthropic-python",
    "anthropic-node",
    "claude-code",
    "codex",
    "opencode",
    "qwen-code",
    "cline",
    "continue-cli",
    "pi",
    "gptme",
    "open-interpreter",
    "letta-code",
    "openai-agents",
    "langchain",
    "pydantic-ai",
    "llama-index",
    "vercel-ai-sdk",
    "litellm",
    "llm",
    "aider",
    "open-webui",
    "home-assistant",
    "marimo",
    "librechat-agents",
    "n8n",
    "flowise",
    "jdk",
    "instructor",
    "dspy",
    "smolagents",
    "haystack",
    "autogen",
    "semantic-kernel",
    "crewai",
    "mem0",
    "promptfoo",
    "browser-use",
)
APART = (
    Client(
        "cursor",
        "Cursor",
        apart="it is a desktop program and asks through its makers' servers, which cannot reach this machine",
    ),
    Client(
        "crush",
        "Crush",
        apart="its npm package downloads the program from GitHub, but the matrix asks only npm and PyPI",
    ),
    Client("cline-extension", "Cline in VS Code", apart="VS Code needs a desktop"),
    Client("continue-extension", "Continue in VS Code", apart="VS Code needs a desktop"),
    Client(
        "letta-server",
        "Letta's server",
        apart="its package on PyPI (0.16.8) needs PostgreSQL and lacks the migrations that create its tables",
    ),
    Client("gptel", "gptel in Emacs", apart="none of npm, PyPI and Debian 12 has it"),
)


def load(name: str) -> Client:
    """Return one of `NAMES` with its checks."""
    client: Client = importlib.import_module(f"tests.clients.{name.replace('-', '_')}").client
    return client


def clients() -> list[Client]:
    """Return them all, with their checks."""
    return [load(name) for name in NAMES]
