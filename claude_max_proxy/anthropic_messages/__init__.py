"""The vocabulary of the Messages API, which everything that uses this API has in common. Pure.

The backends read its streams and write its blocks; the dialect writes its streams and reads its blocks.
"""

from claude_max_proxy.anthropic_messages.abilities import Abilities, abilities_of
from claude_max_proxy.anthropic_messages.blocks import (
    Block,
    call_input,
    thinking_block,
    write_block,
    write_content,
)
from claude_max_proxy.anthropic_messages.reading import MessageReader
from claude_max_proxy.anthropic_messages.stop_reasons import finish_reason, stop_reason
from claude_max_proxy.anthropic_messages.stream import (
    ApiMessage,
    ApiUsage,
    ContentBlock,
    Delta,
    OutputDetails,
    StreamEvent,
)
from claude_max_proxy.anthropic_messages.tool_choice import unforced, write_tool_choice
from claude_max_proxy.anthropic_messages.tool_names import ToolNames
from claude_max_proxy.anthropic_messages.tools import check_response_schema, check_tools, write_tool
from claude_max_proxy.anthropic_messages.usage import add_usage, read_usage, write_usage
from claude_max_proxy.formats.blank import is_blank


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
    "read_usage",
    "stop_reason",
    "thinking_block",
    "unforced",
    "write_block",
    "write_content",
    "write_tool",
    "write_tool_choice",
    "write_usage",
]
