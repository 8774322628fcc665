"""Keeps OpenClaw's conversations live, though its context message moves to the end of every request.

Marked ephemeral, that message is still heard by the model, but no longer makes each request a new history.
"""

import claude_max_proxy as proxy


BEGIN, END = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>", "<<<END_OPENCLAW_INTERNAL_CONTEXT>>>"


@proxy.hookimpl
def rewrite_request(request: proxy.Request) -> None:
    """Mark the messages that are nothing but such context."""
    for message in request.messages:
        if message.role == "user" and message.parts and all(map(is_context, message.parts)):
            message.ephemeral = True


def is_context(part: proxy.Part) -> bool:
    """Tell whether a part is one block of context, from its first word to its last."""
    text = part.text.strip() if isinstance(part, proxy.Text) else ""
    return text.startswith(BEGIN) and text.endswith(END)
