"""``[backends.<name>]`` with ``type = "claude-cli"``: every key, its default and what it means."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from claude_max_proxy import Settings, find_secrets
from claude_max_proxy.backends.claude_cli.memory import SIZE


Seconds = Annotated[float, Meta(gt=0, extra={"unit": "seconds"})]
Count = Annotated[int, Meta(ge=0)]


class ClaudeCliSettings(Settings, frozen=True):
    """The Claude Code CLI, with its own login."""

    command: Annotated[
        str | list[str],
        Meta(
            description="The CLI: a name, a path, or a list that begins with one of these and goes on with "
            "arguments, which come before the proxy's own. Plain `claude` is looked for on `PATH`, and then "
            "in the `claude-agent-sdk` package."
        ),
    ] = "claude"
    warm: Annotated[
        Count,
        Meta(
            description="How many processes are kept ready for each model of `warm_models` and each model "
            "that was used lately, so that a new conversation need not wait for the CLI to start. `0` keeps "
            "none."
        ),
    ] = 1
    warm_models: Annotated[
        list[str],
        Meta(
            description="The models, by the CLI's names, for which processes are always kept ready. If it is "
            "empty, the proxy starts with one for the model that was used last, provided that this was "
            "within the last three days."
        ),
    ] = msgspec.field(default_factory=list)
    warm_timeout: Annotated[
        Seconds,
        Meta(
            description="The age, in seconds, at which a process that is kept ready is replaced by a new one."
        ),
    ] = 1800.0
    rest_timeout: Annotated[
        Seconds,
        Meta(
            description="After how many seconds without a request only one process is kept ready, in "
            "addition to those of `warm_models`: one for the model that was used last."
        ),
    ] = 300.0
    max_processes: Annotated[
        int,
        Meta(
            ge=1,
            description="The largest number of processes: busy ones, those kept ready, and those that wait "
            "for a conversation's next turn. Each takes 100 to 200 MB of memory.",
        ),
    ] = 8
    max_memory: Annotated[
        str,
        Meta(
            pattern=f"^{SIZE}$",
            description='How much memory all processes may take together, as in `"2GB"`. Beyond it, idle '
            "processes are ended and new ones have to wait. Empty means no limit. It works where the system "
            "tells how much memory a process takes, which is on Linux.",
        ),
    ] = ""
    idle_timeout: Annotated[
        Seconds,
        Meta(
            description="How many seconds a conversation's process waits for the next turn before it is "
            "ended. A later turn still works; it starts a new process."
        ),
    ] = 1800.0
    queue_size: Annotated[
        Count,
        Meta(
            description="How many requests may wait for a process. When there is one more, the newest "
            "request of the client that has the most of them gets a 429, so that a client with none of them "
            "still gets a place."
        ),
    ] = 64
    queue_timeout: Annotated[
        Seconds,
        Meta(description="How many seconds a request may wait for a process before it gets a 429."),
    ] = 60.0
    start_timeout: Annotated[
        Seconds,
        Meta(
            description="How many seconds the CLI may take to start and to introduce itself. To print its "
            "version it has 20 seconds at most."
        ),
    ] = 30.0
    first_event_timeout: Annotated[
        Seconds,
        Meta(description="How many seconds the provider may take until its answer begins."),
    ] = 300.0
    stall_timeout: Annotated[
        Seconds,
        Meta(description="How many seconds the provider may be silent after its answer has begun."),
    ] = 300.0
    retries: Annotated[
        Count,
        Meta(
            description="How many times a request is tried again after a short fault of the provider or a "
            "crash of the CLI. That is done only while nothing was sent to the client: for a stream before "
            "its first word, for a whole answer at any time."
        ),
    ] = 2
    ask_plan: Annotated[
        bool,
        Meta(
            description="Whether the CLI may ask the provider how far the plan is used, when somebody looks "
            "at that and no answer has told it for five minutes. Such a question costs nothing."
        ),
    ] = True
    env: Annotated[
        dict[str, str],
        Meta(
            description="Variables that are added to the CLI's environment. A value may be `env:NAME` or "
            "`file:PATH`: what is found there is used."
        ),
    ] = msgspec.field(default_factory=dict)

    def found(self, name: str) -> ClaudeCliSettings:
        """Return the settings of ``[backends.<name>]`` with what ``env`` refers to in its place.

        Raises :class:`ConfigError` for a file or a variable that is not there.
        """
        return msgspec.structs.replace(self, env=find_secrets(self.env, "backends", name, "env"))
