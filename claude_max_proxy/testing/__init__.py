"""A scripted provider: a fake of the Messages API, for tests, the demo and the benchmark.

    async with ScriptedUpstream() as upstream:
        upstream.script(Reply((Text("hello"),)), fault(529))
        ...  # start the real CLI with upstream.environment()
        assert conversation(upstream.requests[0].body) == [("user", [...])]

The possible answers are in `answers`, and what a user message may ask for is in `directives`.
"""

from claude_max_proxy.testing.answers import (
    Answer,
    Block,
    Drop,
    ErrorEvent,
    Fault,
    Hang,
    RedactedThinking,
    Reply,
    Text,
    Thinking,
    ToolUse,
    fault,
    words,
)
from claude_max_proxy.testing.directives import answer_for
from claude_max_proxy.testing.events import message, stream
from claude_max_proxy.testing.limits import api_limit_headers, limit_headers, openai_limit_headers, plan_limit
from claude_max_proxy.testing.openai_upstream import ScriptedOpenAI
from claude_max_proxy.testing.seen import RecordedRequest, conversation, system_text
from claude_max_proxy.testing.upstream import ScriptedUpstream


__all__ = [
    "Answer",
    "Block",
    "Drop",
    "ErrorEvent",
    "Fault",
    "Hang",
    "RecordedRequest",
    "RedactedThinking",
    "Reply",
    "ScriptedOpenAI",
    "ScriptedUpstream",
    "Text",
    "Thinking",
    "ToolUse",
    "answer_for",
    "api_limit_headers",
    "conversation",
    "fault",
    "limit_headers",
    "message",
    "openai_limit_headers",
    "plan_limit",
    "stream",
    "system_text",
    "words",
]
