"""Keeps OpenClaw's conversations live, although its context message moves to the end of every request.

The message is marked ephemeral: the model still sees it, but it no longer makes each request a new history.
"""

import claude_max_proxy as proxy


BEGIN, END = "<<<BEGIN_OPENCLAW_INTERNAL_CONTEXT>>>", "<<<END_OPENCLAW_INTERNAL_CONTEXT>>>"


@proxy.hookimpl
def rewrite_request(request: proxy.Request) -> None:
    """Mark the messages that consist only of such context."""
    for message in request.messages:
        if message.role == "user" and message.parts and all(map(is_context, message.parts)):
            message.ephemeral = True


def is_context(part: proxy.Part) -> bool:
    """Return whether a part is a block of context and nothing else."""
    text = part.text.strip() if isinstance(part, proxy.Text) else ""
    return text.startswith(BEGIN) and text.endswith(END)
