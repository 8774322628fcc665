"""Continue's command line, run without its terminal: `cn --print`."""

from __future__ import annotations

from tests.clients.client import Client
from tests.clients.coding import LINE, NEW_LINE, Agent, Call
from tests.clients.expecting import fine
from tests.clients.stage import Output, Stage


client = Client("continue-cli", "Continue (its command line)")


def command(stage: Stage) -> list[str]:
    """Return what starts it with the configuration of its page."""
    path = stage.place("config.yaml", ".continue/config.yaml")
    return ["cn", "--print", "--auto", "--config", str(path)]


def said(output: Output) -> str:
    """Return its answer."""
    return fine(output).strip()


def look(path: str) -> list[Call]:
    """Return the calls that look at a project."""
    return [("Read", {"filepath": path}), ("Bash", {"command": "echo *.txt"})]


def change(path: str) -> Call:
    """Return the call that changes a file."""
    return "MultiEdit", {"file_path": path, "edits": [{"old_string": LINE, "new_string": NEW_LINE}]}


agent = Agent(client, command, said, look, change, ("--resume",), {"CONTINUE_TELEMETRY_ENABLED": "0"})
agent.add("a_turn", "edit", "several_turns", "short_fault", "cancel", plan_limit=11)
