"""The proxy.toml of an attacked proxy: an honest and a hostile provider over HTTP, and the real CLI."""

from __future__ import annotations

from tests.attack.stage import KEYS, UPSTREAM_KEY


_TOML = """
[server]
api_keys = {{ honest = "{honest}", attacker = "{attacker}", other = "file:other.key", \
small = {{ key = "{small}", models = ["http"] }} }}
drain_timeout = 3.0

[models]
honest = "http/honest"
http = "http/any"
messages = "messages/claude-any"
evil = "evil/any"
evil-messages = "evil-messages/claude-any"
"boom-*" = "http/boom"
"*x*y*z" = "http/pattern"
"*a*a*a*a*a*a*b" = "http/pattern"

[backends.claude]
type = "claude-cli"
command = "{command}"
max_processes = 4
start_timeout = 15.0
first_event_timeout = 6.0
stall_timeout = 6.0
{claude}
[backends.http]
type = "openai"
base_url = "{openai}"
api_key = "env:ATTACK_UPSTREAM_KEY"
retries = 0

[backends.messages]
type = "anthropic"
base_url = "{messages}"
api_key = "env:ATTACK_UPSTREAM_KEY"
retries = 0

[backends.evil]
type = "openai"
base_url = "{evil}/v1"
api_key = "env:ATTACK_UPSTREAM_KEY"
first_byte_timeout = 4.0
idle_timeout = 4.0
retries = 0

[backends.evil-messages]
type = "anthropic"
base_url = "{evil}"
api_key = "env:ATTACK_UPSTREAM_KEY"
first_byte_timeout = 4.0
idle_timeout = 4.0
retries = 0
"""


def configuration(addresses: dict[str, str], evil: str, command: str, claude: str = "") -> str:
    """Return the file's text; `claude` is added to the table of the CLI's backend."""
    return _TOML.format(**KEYS, **addresses, evil=evil, command=command, claude=claude)


def environment(addresses: dict[str, str]) -> dict[str, str]:
    """Return the variables that a proxy with this configuration needs in addition to its home."""
    return {
        "ATTACK_UPSTREAM_KEY": UPSTREAM_KEY,
        "ANTHROPIC_BASE_URL": addresses["messages"],
        "ANTHROPIC_API_KEY": "sk-ant-dummy",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
    }
