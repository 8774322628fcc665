"""Cline's command line, run without its terminal."""

from __future__ import annotations

import json

from tests.clients.client import Client
from tests.clients.coding import LINE, NEW_LINE, Agent, Call
from tests.clients.expecting import fine, holds
from tests.clients.stage import Output, Stage


client = Client("cline", "Cline (its command line)")


def command(stage: Stage) -> list[str]:
    """Return what starts it with the configuration of its page."""
    stage.place("providers.json", ".cline/data/settings/providers.json")
    return ["cline", "--json", "--provider", "openai-compatible", "--model", "claude-sonnet-4"]


def said(output: Output) -> str:
    """Return its answer."""
    fine(output)
    events = [json.loads(line) for line in output.printed.splitlines() if line.startswith("{")]
    results = [event["text"] for event in events if event["type"] == "run_result"]
    holds(results, f"it reported no result: {output.printed}")
    return str(results[-1])


def look(path: str) -> list[Call]:
    """Return the calls that look at a project."""
    return [("read_files", {"files": [{"path": path}]}), ("run_commands", {"commands": ["echo *.txt"]})]


def change(path: str) -> Call:
    """Return the call that changes a file."""
    return "editor", {"path": path, "old_text": LINE, "new_text": NEW_LINE}


agent = Agent(client, command, said, look, change)
agent.add("a_turn", "edit", "short_fault", "cancel", plan_limit=6)
