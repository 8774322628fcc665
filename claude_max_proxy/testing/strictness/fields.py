"""The fields that the Messages API knows, as data.

They are those in Anthropic's SDK for Python 2.13.0, `anthropic/types/*_param.py`, which is generated from the
API's own description; a test compares the two. `temperature`, `top_p` and `top_k` are older and not in it. A
field with a `beta` is refused unless a header `anthropic-beta` begins with this text. Unknown fields are
refused in the same way: "Extra inputs are not permitted" (github.com/anthropics/claude-code/issues/14135).
"""

from __future__ import annotations

from typing import Literal

import msgspec


Kind = Literal["any", "bool", "integer", "list", "number", "object", "string", "strings", "text"]
"""What a field may contain; `text` means a string or a list of blocks."""


class Field(msgspec.Struct, frozen=True):
    """One field.

    `null` says whether null means the same as no value, `values` lists what a string may be, and `least` and
    `most` are the limits of a number.
    """

    kind: Kind = "any"
    required: bool = False
    null: bool = False
    values: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None
    beta: str = ""


Fields = dict[str, Field]

_ANY = Field()
_TEXT = Field("string", required=True)
_MARK = Field("object", null=True)


def _tag(name: str) -> Field:
    return Field("string", required=True, values=(name,))


REQUEST: Fields = {
    "model": _TEXT,
    "messages": Field("list", required=True),
    "max_tokens": Field("integer", required=True, least=0),
    "cache_control": _MARK,
    "container": _ANY,
    "diagnostics": Field("object", null=True),
    "inference_geo": Field("string", null=True),
    "metadata": Field("object"),
    "output_config": Field("object"),
    "service_tier": Field("string", values=("auto", "standard_only")),
    "speed": Field("string", null=True, values=("standard", "fast")),
    "stop_sequences": Field("strings"),
    "stream": Field("bool"),
    "system": Field("text"),
    "temperature": Field("number", least=0, most=1),
    "thinking": Field("object"),
    "tool_choice": Field("object"),
    "tools": Field("list"),
    "top_k": Field("integer", least=0),
    "top_p": Field("number", least=0, most=1),
    "billing_policy": Field("object", null=True, beta="user-profiles-billing-"),
    "compaction": Field("object", null=True, beta="compact-"),
    "context_management": Field("object", null=True, beta="context-management-"),
    "fallback_credit_token": Field(null=True, beta="fallback-credit-"),
    "fallbacks": Field(null=True, beta="server-side-fallback-"),
    "mcp_servers": Field("list", beta="mcp-client-"),
    "output_format": Field("object", null=True, beta="structured-outputs-"),
    "thread": Field("object", null=True, beta="message-threads-"),
}
METADATA: Fields = {"user_id": Field("string", null=True)}
MESSAGE: Fields = {
    "role": Field("string", required=True, values=("user", "assistant", "system")),
    "content": Field("text", required=True),
    # The newest CLI sends the effort of each turn in this field, with this beta.
    "output_config": Field("object", null=True, beta="per-turn-control-"),
}
CACHE_CONTROL: Fields = {
    "type": _tag("ephemeral"),
    "ttl": Field("string", values=("5m", "1h")),
    # The CLI sends this field, with a beta that is not documented.
    "scope": Field("string", beta="prompt-caching-scope-"),
}
OUTPUT_CONFIG: Fields = {
    "effort": Field("string", null=True, values=("low", "medium", "high", "xhigh", "max")),
    "format": Field("object", null=True),
    "task_budget": Field("object", null=True, beta="task-budgets-"),
}
OUTPUT_FORMAT: Fields = {"type": _tag("json_schema"), "schema": Field("object", required=True)}

_DISPLAY = Field("string", null=True, values=("summarized", "omitted", "updates"))
THINKING: dict[str, Fields] = {
    "adaptive": {"type": _TEXT, "display": _DISPLAY},
    "between_tools": {"type": _TEXT},
    "disabled": {"type": _TEXT},
    "enabled": {
        "type": _TEXT,
        "budget_tokens": Field("integer", required=True, least=1024),
        "display": _DISPLAY,
    },
}
_PARALLEL = Field("bool")
TOOL_CHOICE: dict[str, Fields] = {
    "any": {"type": _TEXT, "disable_parallel_tool_use": _PARALLEL},
    "auto": {"type": _TEXT, "disable_parallel_tool_use": _PARALLEL},
    "none": {"type": _TEXT},
    "tool": {"type": _TEXT, "name": _TEXT, "disable_parallel_tool_use": _PARALLEL},
}
TOOL: Fields = {
    "name": _TEXT,
    "input_schema": Field("object", required=True),
    "type": Field("string", null=True, values=("custom",)),
    "allowed_callers": Field("strings"),
    "cache_control": _MARK,
    "defer_loading": Field("bool"),
    "description": Field("string"),
    "eager_input_streaming": Field("bool", null=True),
    "input_examples": Field("list"),
    "strict": Field("bool"),
}
BLOCKS: dict[str, Fields] = {
    "text": {
        "type": _TEXT,
        "text": _TEXT,
        "cache_control": _MARK,
        "citations": Field("list", null=True),
    },
    "image": {
        "type": _TEXT,
        "source": Field("object", required=True),
        "cache_control": _MARK,
        "transformations": Field("object", null=True),
    },
    "document": {
        "type": _TEXT,
        "source": Field("object", required=True),
        "cache_control": _MARK,
        "citations": Field("object", null=True),
        "context": Field("string", null=True),
        "title": Field("string", null=True),
    },
    "search_result": {
        "type": _TEXT,
        "content": Field("list", required=True),
        "source": _TEXT,
        "title": _TEXT,
        "cache_control": _MARK,
        "citations": Field("object"),
    },
    "thinking": {"type": _TEXT, "signature": _TEXT, "thinking": _TEXT},
    "redacted_thinking": {"type": _TEXT, "data": _TEXT},
    "tool_use": {
        "type": _TEXT,
        "id": _TEXT,
        "input": Field("object", required=True),
        "name": _TEXT,
        "cache_control": _MARK,
        "caller": Field("object"),
        "toolset_name": Field("string", null=True),
    },
    "tool_result": {
        "type": _TEXT,
        "tool_use_id": _TEXT,
        "cache_control": _MARK,
        "content": Field("text"),
        "is_error": Field("bool"),
        "toolset_name": Field("string", null=True),
    },
}
OPAQUE_BLOCKS = (
    *("server_tool_use", "web_search_tool_result", "web_fetch_tool_result", "container_upload"),
    *("code_execution_tool_result", "bash_code_execution_tool_result", "tool_search_tool_result"),
    "text_editor_code_execution_tool_result",
)
"""Blocks of tools that the provider runs: they are known, but their fields are not checked."""
IN_RESULTS = ("text", "image", "document", "search_result", "tool_reference", "browser_state")
"""What the content of a tool result may contain."""
SOURCES: dict[str, dict[str, Fields]] = {
    "image": {
        "base64": {
            "type": _TEXT,
            "data": _TEXT,
            "media_type": Field(
                "string", required=True, values=("image/jpeg", "image/png", "image/gif", "image/webp")
            ),
        },
        "file": {"type": _TEXT, "file_id": _TEXT},
        "url": {"type": _TEXT, "url": _TEXT},
    },
    "document": {
        "base64": {
            "type": _TEXT,
            "data": _TEXT,
            "media_type": Field("string", required=True, values=("application/pdf",)),
        },
        "content": {"type": _TEXT, "content": Field("text", required=True)},
        "file": {"type": _TEXT, "file_id": _TEXT},
        "text": {
            "type": _TEXT,
            "data": _TEXT,
            "media_type": Field("string", required=True, values=("text/plain",)),
        },
        "url": {"type": _TEXT, "url": _TEXT},
    },
}
