"""Checks marks for the prompt cache: their form, their number, and their order.

Sources: github.com/tghamm/Anthropic.SDK/issues/50 (at most four), cnighswonger/claude-code-cache-fix/
issues/44 (their order), platform.claude.com/docs `build-with-claude/prompt-caching` (a mark of the whole
request also counts).
"""

from __future__ import annotations

from collections.abc import Iterator

from claude_max_proxy.testing.strictness.content import Body, blocks_of
from claude_max_proxy.testing.strictness.fields import CACHE_CONTROL
from claude_max_proxy.testing.strictness.shapes import Betas, check_fields, objects


MOST = 4


def check_caching(body: Body, betas: Betas) -> Iterator[str]:
    """Yield errors for marks that do not have the API's form, are too many, or are in the wrong order."""
    marks = _marks(body)
    short = False
    for path, mark in marks:
        faults = list(check_fields(mark, CACHE_CONTROL, path, betas))
        yield from faults
        long = not faults and mark.get("ttl") == "1h"
        if short and long:
            yield (
                f"{path}.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control "
                "block. Note that blocks are processed in the following order: `tools`, `system`, `messages`."
            )
        short = short or not long
    if len(marks) > MOST:
        yield f"A maximum of {MOST} blocks with cache_control may be provided. Found {len(marks)}."


def _marks(body: Body) -> list[tuple[str, dict[str, str]]]:
    """Return all marks with their paths, in the order in which the API reads them."""
    holders = [(f"tools.{place}", tool) for place, tool in objects(body.get("tools"))]
    holders += [(placed.place, placed.block) for placed in blocks_of(body)]
    holders.append(("", body))
    return [
        (f"{path}.cache_control".lstrip("."), holder["cache_control"])
        for path, holder in holders
        if holder.get("cache_control") is not None
    ]
