"""The vocabulary of the Messages API: what everything that speaks it, on either side, has in common. Pure.

The backends read its streams and write its blocks, the dialect does both the other way round.
"""

from claude_max_proxy.blank import is_blank
from claude_max_proxy.messages_api.abilities import Abilities, abilities_of
from claude_max_proxy.messages_api.blocks import (
    Block,
    call_input,
    plain_id,
    thinking_block,
    write_block,
    write_content,
)
from claude_max_proxy.messages_api.reading import MessageReader
from claude_max_proxy.messages_api.stop_reasons import finish_reason, stop_reason
from claude_max_proxy.messages_api.stream import (
    ApiMessage,
    ApiUsage,
    ContentBlock,
    Delta,
    OutputDetails,
    StreamEvent,
)
from claude_max_proxy.messages_api.tool_names import ToolNames
from claude_max_proxy.messages_api.tools import check_response_schema, check_tools, write_tool
from claude_max_proxy.messages_api.usage import add_usage, read_usage, write_usage


__all__ = [
    "Abilities",
    "ApiMessage",
    "ApiUsage",
    "Block",
    "ContentBlock",
    "Delta",
    "MessageReader",
    "OutputDetails",
    "StreamEvent",
    "ToolNames",
    "abilities_of",
    "add_usage",
    "call_input",
    "check_response_schema",
    "check_tools",
    "finish_reason",
    "is_blank",
    "plain_id",
    "read_usage",
    "stop_reason",
    "thinking_block",
    "write_block",
    "write_content",
    "write_tool",
    "write_usage",
]
