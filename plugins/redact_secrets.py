"""Removes API keys and tokens from requests: `[plugins.redact_secrets]` with `replacement = "[redacted]"`."""

import re
from typing import Annotated

import msgspec

import claude_max_proxy as proxy


SECRETS = re.compile(
    r"\bsk-[A-Za-z0-9_-]{16,}"  # keys of OpenAI, Anthropic and similar providers
    r"|\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|(?:AKIA|ASIA)[A-Z0-9]{16}\b|xox[a-z]-[\w-]{10,})"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"  # JSON web tokens
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+?-----END [A-Z ]*PRIVATE KEY-----"
)


class Settings(proxy.Settings, frozen=True):
    """What becomes of the secrets that are found."""

    replacement: Annotated[str, proxy.Meta(description="What the model sees. Empty hides nothing.")] = ""


@proxy.hookimpl
def rewrite_request(request: proxy.Request, settings: Settings) -> None:
    """Replace secrets in instructions, messages and tool results."""
    if settings.replacement:
        request.system = SECRETS.sub(lambda _: settings.replacement, request.system)
        for message in request.messages:
            message.parts = [redacted(part, settings.replacement) for part in message.parts]


def redacted(part: proxy.Part, by: str) -> proxy.Part:
    """Return a part in which secrets are replaced ``by`` another text."""
    if isinstance(part, proxy.ToolResult):
        return msgspec.structs.replace(part, parts=tuple(redacted(inner, by) for inner in part.parts))

    return proxy.Text(SECRETS.sub(lambda _: by, part.text)) if isinstance(part, proxy.Text) else part
