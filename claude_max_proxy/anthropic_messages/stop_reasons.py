"""Why a message ended, in the API's words and in ours."""

from __future__ import annotations

from claude_max_proxy.events import FinishReason


_FINISHES: dict[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}


def finish_reason(stop: str, *, called: bool) -> FinishReason:
    """Return our reason for the API's; an unknown one counts as an ordinary stop.

    ``called`` says whether the model has called one of the client's tools.
    """
    reason = _FINISHES.get(stop, "stop")
    if reason in {"stop", "tool_calls"}:
        return "tool_calls" if called else "stop"

    return reason


def stop_reason(finish: FinishReason, stop_sequence: str = "") -> str:
    """Return the API's reason for ours."""
    return "stop_sequence" if stop_sequence and finish == "stop" else _STOPS[finish]
