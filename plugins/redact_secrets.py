"""Keeps API keys and tokens from leaving. `[plugins.redact_secrets]` with `replacement = "[redacted]"`."""

import re

import msgspec

import claude_max_proxy as proxy


SECRETS = re.compile(
    r"\bsk-[A-Za-z0-9_-]{16,}"  # OpenAI, Anthropic and their like
    r"|\b(?:gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|(?:AKIA|ASIA)[A-Z0-9]{16}\b|xox[a-z]-[\w-]{10,})"
    r"|\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}"  # JSON web tokens
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]+?-----END [A-Z ]*PRIVATE KEY-----"
)


class Settings(proxy.Settings, frozen=True):
    """`replacement` stands for each secret; empty leaves them alone."""

    replacement: str = ""


@proxy.hookimpl
def rewrite_request(request: proxy.Request, settings: Settings) -> None:
    """Replace secrets in instructions, messages and tool results."""
    if settings.replacement:
        request.system = SECRETS.sub(lambda _: settings.replacement, request.system)
        for message in request.messages:
            message.parts = [redacted(part, settings.replacement) for part in message.parts]


def redacted(part: proxy.Part, by: str) -> proxy.Part:
    """Return a part with its texts replaced."""
    if isinstance(part, proxy.ToolResult):
        return msgspec.structs.replace(part, parts=tuple(redacted(inner, by) for inner in part.parts))

    return proxy.Text(SECRETS.sub(lambda _: by, part.text)) if isinstance(part, proxy.Text) else part
