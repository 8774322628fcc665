"""How the CLI is found, and the arguments and environment it is run with.

Nothing that a client wrote stands in either, but for a model's name, which is checked.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from claude_max_proxy import Agent, BackendUnavailable, NotFound
from claude_max_proxy.backends.claude_cli.fence import NO_FENCE
from claude_max_proxy.backends.claude_cli.kind import Kind


# The CLI asks for the tools of a server that it does not know, so they take turns.
MCP_SERVERS = ("c", "d")

_OURS = tuple(f"mcp__{server}" for server in MCP_SERVERS)

# Each flag keeps something of the machine, or of the CLI's own, out of the conversation.
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

# Newer CLIs would let other sessions of the user's speak to ours.
_APART = '{"crossSessionInbound":"refuse"}'
# With a tool named Bash, even the client's own, newer CLIs would tell the model how to sign commits.
_OWN_SETTINGS = (
    '{"attribution":{"commit":"","pr":""},"includeCoAuthoredBy":false,"crossSessionInbound":"refuse"}'
)

# Set in every child, above anything inherited.
SEALED = {
    "BUN_GC_TIMER_DISABLE": "1",  # an idle process need not collect what it does not make
    # With a tool named Agent, even the client's own, the CLI would tell the model of its own agents.
    "CLAUDE_AGENT_SDK_DISABLE_BUILTIN_AGENTS": "1",
    "CLAUDE_AGENT_SDK_MCP_NO_PREFIX": "1",
    "CLAUDE_CODE_DISABLE_ATTACHMENTS": "1",
    "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
    "CLAUDE_CODE_DISABLE_CLAUDE_MDS": "1",
    "CLAUDE_CODE_DISABLE_FILE_MENTIONS": "1",
    "CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK": "1",
    "CLAUDE_CODE_MAX_RETRIES": "0",  # with the line above: what was streamed is never said twice
    # A refusal is the model's answer: not asked again, and never of another model.
    "CLAUDE_CODE_DISABLE_REFUSAL_FALLBACK": "1",
    "CLAUDE_CODE_DISABLE_REFUSAL_RETRY": "1",
    "CLAUDE_CODE_NO_MODEL_FALLBACK": "1",
    "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    "DISABLE_AUTOUPDATER": "1",
    **NO_FENCE,
    "DISABLE_AUTO_COMPACT": "1",
    "ENABLE_TOOL_SEARCH": "false",
    # Beyond it, the CLI lets the provider count a result that holds images, and cuts it off.
    "MAX_MCP_OUTPUT_TOKENS": "1000000000",
}

# What an agent is not sealed from, and what only one that may read its own settings is not.
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
_INSTALL = (
    "install it with `npm install -g @anthropic-ai/claude-code` or "
    "`pip install 'claude-max-proxy[cli]'`, or name it in [backends.claude] command"
)


def find_command(command: str | list[str]) -> list[str]:
    """Find the CLI: as configured, on ``PATH``, or in the ``claude-agent-sdk`` package.

    Raises :class:`BackendUnavailable` that says how to install it.
    """
    words = [command] if isinstance(command, str) else command
    if not words:
        raise BackendUnavailable("[backends.claude] command is empty")

    program = shutil.which(str(Path(words[0]).expanduser()))
    if program is None and words == ["claude"]:
        program = _bundled()
    if program is None:
        raise BackendUnavailable(f"the Claude Code CLI {words[0]!r} was not found; {_INSTALL}")

    return [program, *words[1:]]


def arguments(command: list[str], kind: Kind) -> list[str]:
    """Return the whole argument list for a process of this kind."""
    if not _MODEL.fullmatch(kind.model):
        raise NotFound(f"{kind.model!r} cannot be a model's name", param="model", code="model_not_found")

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
    """Return the child's environment: an allow-list of ours, what seals it, and ``own`` last."""
    allowed = {
        name: value
        for name, value in inherited.items()
        if name.upper() in _INHERITED or name.upper().startswith(_INHERITED_PREFIXES)
    }
    needed = (_AGENTS_NEED | (_SETTINGS_NEED if agent.settings else frozenset())) if agent else frozenset()
    sealed = {name: value for name, value in SEALED.items() if name not in needed}
    return {**allowed, **sealed, **own}


def working_directory(kind: Kind) -> Path:
    """Return the directory that a process of this kind works in.

    Raises :class:`BackendUnavailable` for an agent's directory that does not exist.
    """
    if kind.agent is None:
        return private_directory()

    directory = Path(kind.agent.directory).expanduser()
    if not directory.is_dir():
        raise BackendUnavailable(f"the agent's directory {str(directory)!r} does not exist")
    return directory


def private_directory() -> Path:
    """Make an empty directory that only we can use, for the CLI to run in, if it is not there already.

    Its path is the same for every start, since the CLI may tell it to the model, and a prompt that changes
    misses the provider's cache. If somebody else holds that path, a random one is made instead.
    """
    owner = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "")
    path = Path(tempfile.gettempdir()) / f"claude-max-proxy-{owner}"
    try:
        path.mkdir(mode=0o700, exist_ok=True)
        status = path.lstat()
        ours = path.is_dir() and not path.is_symlink() and not any(path.iterdir())
        if ours and (os.name != "posix" or (status.st_uid == owner and not status.st_mode & 0o077)):
            return path
    except OSError:  # not ours to use
        pass
    return Path(tempfile.mkdtemp(prefix="claude-max-proxy-"))


def _bundled() -> str | None:
    """Find the native binary that the ``claude-agent-sdk`` package carries."""
    spec = importlib.util.find_spec("claude_agent_sdk")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        name = "claude.exe" if os.name == "nt" else "claude"
        path = Path(folder) / "_bundled" / name
        if path.is_file():
            return str(path)

    return None
