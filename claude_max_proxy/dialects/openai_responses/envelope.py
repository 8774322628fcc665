"""Writes the response object around the output: it repeats the parameters, and has the answer's state."""

from __future__ import annotations

import re
import time
from typing import Any, Literal

import msgspec

from claude_max_proxy import ProxyError, Usage, formats
from claude_max_proxy.dialects.openai_responses.output import Item, new_id
from claude_max_proxy.dialects.openai_responses.schemas import (
    JsonObject,
    JsonSchema,
    PlainText,
    ResponseRequest,
)
from claude_max_proxy.errors import ContextLengthExceeded


Status = Literal["in_progress", "completed", "incomplete", "failed"]
_encode = msgspec.json.encode
_MESSAGES = re.compile(r"^messages(\[\d+\])?(?=: )")
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
# The codes that the error of a response can have; the message has the details.
_CODES = {
    "rate_limit_error": "rate_limit_exceeded",
    "usage_limit_reached": "rate_limit_exceeded",
    "invalid_request_error": "invalid_prompt",
}


class Envelope:
    """Writes the object of one response, which has one id, in any state of the answer."""

    def __init__(self, model: str, asked: ResponseRequest, *, stored: bool) -> None:
        """Prepare to repeat what was ``asked``; ``stored`` says whether the response is stored."""
        self.id = new_id("resp")
        echo = {
            "id": self.id,
            "object": "response",
            "created_at": int(time.time()),
            "model": model,
            **_echo(asked),
            "store": stored,
        }
        self._head = _encode(echo)[:-1]

    def begun(self) -> bytes:
        """Return the object before there is any output."""
        return self._body("in_progress", [])

    def finished(self, reason: str, output: list[Item], usage: Usage | None) -> tuple[Status, bytes]:
        """Return how the answer has ended, and the object with all its output."""
        if why := _INCOMPLETE.get(reason):
            details = {"incomplete_details": {"reason": why}}
            return "incomplete", self._body("incomplete", output, usage, details)

        return "completed", self._body("completed", output, usage, {"completed_at": int(time.time())})

    def failed(self, error: ProxyError, output: list[Item], usage: Usage | None) -> bytes:
        """Return the object with the output that came before the failure."""
        return self._body("failed", output, usage, {"error": _error(error)})

    def _body(
        self,
        status: Status,
        output: list[Item],
        usage: Usage | None = None,
        more: dict[str, Any] | None = None,
    ) -> bytes:
        rest: dict[str, Any] = {"status": status, "error": None, "incomplete_details": None}
        rest |= {"output": output, **(more or {})}
        if usage is not None:
            rest["usage"] = _usage(usage)
        return self._head + b"," + _encode(rest)[1:]


def _error(error: ProxyError) -> dict[str, Any]:
    """Return why a response failed; clients act on the code for an input that is too long."""
    code = _CODES.get(error.type, "server_error")
    if isinstance(error, ContextLengthExceeded):
        code = str(error.code)
    return {"code": code, "message": _MESSAGES.sub("input", error.message)}


def error_envelope(error: ProxyError) -> dict[str, Any]:
    """Return an error in OpenAI's envelope; this API calls the messages ``input``."""
    written = formats.envelope(error)
    told = written["error"]
    if str(error.param).startswith("messages"):
        told["param"] = "input"
    told["message"] = _MESSAGES.sub("input", error.message)
    return written


def _usage(tokens: Usage) -> dict[str, Any]:
    return {
        "input_tokens": tokens.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": tokens.cache_read_tokens,
            "cache_write_tokens": tokens.cache_write_tokens,
        },
        "output_tokens": tokens.output_tokens,
        "output_tokens_details": {"reasoning_tokens": tokens.reasoning_tokens or 0},
        "total_tokens": tokens.prompt_tokens + tokens.output_tokens,
    }


def _echo(asked: ResponseRequest) -> dict[str, Any]:
    """Return the request's parameters, with the API's defaults for those that were not set."""
    reasoning, text = asked.reasoning, asked.text
    echo = {
        "background": False,
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "max_tool_calls": asked.max_tool_calls,
        "metadata": asked.metadata or {},
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "previous_response_id": asked.previous_response_id,
        "prompt_cache_key": asked.prompt_cache_key,
        "reasoning": {
            "effort": reasoning.effort if reasoning else None,
            "summary": shown_thoughts(asked),
        },
        "safety_identifier": asked.safety_identifier,
        "temperature": 1.0 if asked.temperature is None else asked.temperature,
        "text": {"format": _format(text.format if text else None)},
        "tool_choice": msgspec.to_builtins(_choice(asked)),
        "tools": [_tool(tool) for tool in asked.tools or []],
        "top_logprobs": 0,
        "top_p": 1.0 if asked.top_p is None else asked.top_p,
        "truncation": asked.truncation or "disabled",
    }
    if text and text.verbosity:
        echo["text"]["verbosity"] = text.verbosity
    if asked.user:
        echo["user"] = asked.user
    return echo


def shown_thoughts(asked: ResponseRequest) -> str | None:
    """Return the kind of summary in which thoughts are shown, or ``None`` if they are not."""
    options = asked.reasoning
    kind = (options.summary or options.generate_summary) if options else None
    return None if kind == "none" else kind


def _choice(asked: ResponseRequest) -> Any:
    choice = asked.tool_choice or "auto"
    if isinstance(choice, str):
        return choice

    return {key: value for key, value in msgspec.structs.asdict(choice).items() if value is not None}


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": None, "strict": False, **tool} if tool.get("type") == "function" else tool


def _format(form: PlainText | JsonObject | JsonSchema | None) -> dict[str, Any]:
    written: dict[str, Any] = msgspec.to_builtins(form or PlainText())
    if written.get("description", "") is None:
        del written["description"]
    return written
