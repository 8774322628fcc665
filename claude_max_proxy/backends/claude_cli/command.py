"""How the CLI is found, and the arguments and the environment it is run with.

Neither contains anything that a client wrote, except a model's name, which is checked.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from claude_max_proxy import Agent, NotFound, formats
from claude_max_proxy.backends.claude_cli.advice import how_to_install
from claude_max_proxy.backends.claude_cli.directory import private_directory
from claude_max_proxy.backends.claude_cli.fence import NO_FENCE
from claude_max_proxy.backends.claude_cli.process_kind import ProcessKind
from claude_max_proxy.errors import BackendUnavailable


# The CLI only asks for the tools of a server that is new to it, so these two names take turns.
MCP_SERVERS = ("c", "d")

_OURS = tuple(f"mcp__{server}" for server in MCP_SERVERS)

# Besides setting the format, these flags keep what belongs to the machine or to the CLI out of the
# conversation.
ARGUMENTS = (
    "-p",
    *("--input-format", "stream-json"),
    *("--output-format", "stream-json"),
    "--verbose",
    "--include-partial-messages",
    "--no-session-persistence",
    "--strict-mcp-config",
    "--disable-slash-commands",
)

# Newer CLIs would let the user's other sessions send messages to ours.
_APART = '{"crossSessionInbound":"refuse"}'
# If a tool is named Bash, even a client's, newer CLIs would tell the model how to sign commits.
_OWN_SETTINGS = (
    '{"attribution":{"commit":"","pr":""},"includeCoAuthoredBy":false,"crossSessionInbound":"refuse"}'
)

# Set in every child; these override what is inherited.
SEALED = {
    "BUN_GC_TIMER_DISABLE": "1",  # an idle process makes no garbage, so it needs no timer to collect it
    # If a tool is named Agent, even a client's, the CLI would tell the model about its own agents.
    "CLAUDE_AGENT_SDK_DISABLE_BUILTIN_AGENTS": "1",
    "CLAUDE_AGENT_SDK_MCP_NO_PREFIX": "1",
    "CLAUDE_CODE_DISABLE_ATTACHMENTS": "1",
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "CLAUDE_CODE_DISABLE_CLAUDE_MDS": "1",
    "CLAUDE_CODE_DISABLE_FILE_MENTIONS": "1",
    "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "1",
    "CLAUDE_CODE_MAX_RETRIES": "0",  # together with the line above: nothing is ever streamed twice
    # A refusal is the model's answer: the CLI must not ask again, nor ask another model.
    "CLAUDE_CODE_DISABLE_REFUSAL_FALLBACK": "1",
    "CLAUDE_CODE_DISABLE_REFUSAL_RETRY": "1",
    "CLAUDE_CODE_NO_MODEL_FALLBACK": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    **NO_FENCE,
    "DISABLE_AUTO_COMPACT": "1",
    "ENABLE_TOOL_SEARCH": "false",
    # Above this limit, the CLI lets the provider count the tokens of a result with images, and cuts it off.
    "MAX_MCP_OUTPUT_TOKENS": "1000000000",
}

# Variables of SEALED that are not set for an agent, and those not set for an agent that may read settings.
_AGENTS_NEED = frozenset({"CLAUDE_AGENT_SDK_DISABLE_BUILTIN_AGENTS"})
_SETTINGS_NEED = frozenset({"CLAUDE_CODE_DISABLE_CLAUDE_MDS"})
_SEALED_AGENT = Agent((), "")

_INHERITED = frozenset(
    {
        "ALL_PROXY",
        "APPDATA",
        "CLAUDE_CODE_CLIENT_CERT",
        "CLAUDE_CODE_CLIENT_KEY",
        "CLAUDE_CODE_CLIENT_KEY_PASSPHRASE",
        "CLAUDE_CODE_OAUTH_TOKEN",
        "CLAUDE_CONFIG_DIR",
        "COMSPEC",
        "HOME",
        "HOMEDRIVE",
        "HOMEPATH",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "LANG",
        "LOCALAPPDATA",
        "LOGNAME",
        "NODE_EXTRA_CA_CERTS",
        "NO_PROXY",
        "PATH",
        "PATHEXT",
        "REQUESTS_CA_BUNDLE",
        "SSL_CERT_DIR",
        "SSL_CERT_FILE",
        "SYSTEMDRIVE",
        "SYSTEMROOT",
        "TEMP",
        "TMP",
        "TMPDIR",
        "TZ",
        "USER",
        "USERNAME",
        "USERPROFILE",
        "WINDIR",
        "XDG_CONFIG_HOME",
        "XDG_RUNTIME_DIR",
    }
)
_INHERITED_PREFIXES = ("ANTHROPIC_", "LC_")
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@/\[\]-]{0,127}")


def find_command(command: str | list[str]) -> list[str]:
    """Return the command with the program's full path.

    The program is looked for as configured, on ``PATH`` and, for the default ``claude``, in the
    ``claude-agent-sdk`` package. Raises :class:`BackendUnavailable`, which says how to install it, if it is
    in none of these places.
    """
    words = [command] if isinstance(command, str) else command
    if not words:
        raise BackendUnavailable("[backends.claude] command is empty")

    program = shutil.which(str(Path(words[0]).expanduser()))
    if program is None and words == ["claude"]:
        program = _bundled()
    if program is None:
        raise BackendUnavailable(f"the Claude Code CLI {words[0]!r} was not found; {how_to_install()}")

    return [program, *words[1:]]


def arguments(command: list[str], kind: ProcessKind) -> list[str]:
    """Return the whole argument list for a process of this kind.

    Raises :class:`NotFound` for text that cannot be a model's name.
    """
    if not _MODEL.fullmatch(kind.model):
        raise NotFound(
            f"{formats.shown(kind.model)} cannot be a model's name", param="model", code="model_not_found"
        )

    agent = kind.agent or _SEALED_AGENT
    return [
        *command,
        *ARGUMENTS,
        *("--tools", ",".join(agent.tools)),
        *("--setting-sources", ",".join(agent.settings)),
        *("--settings", _APART if kind.agent else _OWN_SETTINGS),
        *("--permission-mode", agent.permission_mode),
        *("--allowedTools", ",".join((*_OURS, *(agent.allow or agent.tools)))),
        *("--model", kind.model),
    ]


def environment(
    inherited: Mapping[str, str], own: Mapping[str, str], agent: Agent | None = None
) -> dict[str, str]:
    """Return the child's environment.

    It consists of the ``inherited`` variables that are on our allow-list, of those in ``SEALED``, and of
    ``own``; later ones override earlier ones.
    """
    allowed = {
        name: value
        for name, value in inherited.items()
        if name.upper() in _INHERITED or name.upper().startswith(_INHERITED_PREFIXES)
    }
    needed = (_AGENTS_NEED | (_SETTINGS_NEED if agent.settings else frozenset())) if agent else frozenset()
    sealed = {name: value for name, value in SEALED.items() if name not in needed}
    return {**allowed, **sealed, **own}


def working_directory(kind: ProcessKind) -> Path:
    """Return the directory that a process of this kind works in.

    Raises :class:`BackendUnavailable` for an agent's directory that does not exist, or if none can be made.
    """
    if kind.agent is None:
        return private_directory()

    directory = Path(kind.agent.directory).expanduser()
    if not directory.is_dir():
        raise BackendUnavailable(f"the agent's directory {str(directory)!r} does not exist")
    return directory


def with_temporary(environment: Mapping[str, str]) -> dict[str, str]:
    """Return ``environment`` with a ``TMPDIR`` that exists, if its own does not: the CLI needs one."""
    own = environment.get("TMPDIR", "")
    usable = os.access(own, os.W_OK | os.X_OK) and Path(own).is_dir() if own else True
    return {**environment} if usable else {**environment, "TMPDIR": str(private_directory().parent)}


def _bundled() -> str | None:
    """Return the path of the native binary inside the ``claude-agent-sdk`` package, if it is installed."""
    spec = importlib.util.find_spec("claude_agent_sdk")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        name = "claude.exe" if os.name == "nt" else "claude"
        path = Path(folder) / "_bundled" / name
        if path.is_file():
            return str(path)

    return None
