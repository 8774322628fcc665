"""The parts of ``docs/clients/`` that are written by the client matrix: its files, its checks, its table."""

from __future__ import annotations

from tests.clients.client import FOLDER
from tests.clients.installing import VERSIONS
from tests.clients.registry import APART, clients, load


_LANGUAGES = {".py": "python", ".mjs": "js", ".yml": "yaml", ".env": "sh"}
_ROUTES = {"chat": "chat completions", "responses": "Responses", "messages": "Messages"}


def file(path: str) -> str:
    """Return a file that the matrix runs, unchanged."""
    source = FOLDER / path
    suffix = source.suffix or source.name
    return f"```{_LANGUAGES.get(suffix, suffix.removeprefix('.'))}\n{source.read_text('utf-8').strip()}\n```"


def checks(name: str) -> str:
    """Return what is checked with a client, for each API that it uses."""
    found = load(name).checks
    parts = []
    for api in dict.fromkeys(check.api for check in found):
        rows = [f"- {check.promise}" for check in found if check.api == api]
        parts.append("\n".join([f"By {_ROUTES[api]}:", "", *rows]))
    return "\n\n".join(parts)


def table() -> str:
    """Return a table of all clients."""
    rows = ["| client | tested | API | checks |", "|---|---|---|---|"]
    for client in clients():
        apis = ", ".join(_ROUTES[api] for api in dict.fromkeys(check.api for check in client.checks))
        rows.append(
            f"| [{client.title}]({client.name}.md) | {_tested(client.name)} | {apis} | {len(client.checks)} |"
        )
    return "\n".join(rows)


def apart() -> str:
    """Return which clients are not run, and why."""
    return "\n".join(f"- {client.title}: {client.apart}." for client in APART)


def _tested(name: str) -> str:
    wanted = VERSIONS.get(name, {})
    packages = wanted.get("npm") or wanted.get("pip") or {"": "both versions of the CLI"}
    return str(next(iter(packages.values()))) if wanted else "–"
