"""What each Claude model accepts: a table for the scripted API only.

The proxy itself has another table. If both used the same table, no test could find a mistake in it.

These are the sources of the facts, all read in November 2026:

* platform.claude.com/docs: `build-with-claude/thinking-troubleshooting` (which `thinking.type` a model
  refuses), `models/opus-5-5/migration-guide`, `models/sonnet-5-5/whats-new-sonnet-5-5`,
  `models/haiku-5-5/migration-guide`, `models/sonnet-5/migration-guide`.
* github.com/anthropics/skills, `skills/claude-api/shared/model-migration.md` and `models.md` at 9d2f1ae:
  prefill is gone from 4.6 on, sampling from Opus 4.7 on, and how much a model may write.
* github.com/deepnoodle-ai/dive, `providers/anthropic/capabilities.go` at 01345fa, which says that its authors
  asked the API about each model: adaptive thinking, efforts, and disabled thinking.
* What the two CLIs of the tests send for their models (2.1.197: Opus 4.8, Sonnet 5, Haiku 4.5; 2.1.331:
  the three 5.5): thinking, efforts, `max_tokens`, messages of role `system`.
"""

from __future__ import annotations

from typing import Literal

import msgspec


Sampling = Literal["any", "one", "default"]
"""Which of temperature and top_p may differ from its default: both, only one of them, or neither."""

LOW = ("low", "medium", "high")
MAXIMUM = (*LOW, "max")
ALL = (*LOW, "xhigh", "max")


class Model(msgspec.Struct, frozen=True):
    """What a model takes.

    `thinking` are the types that it accepts, `efforts` the levels, none where there is no such parameter.
    `disabled_up_to` are the efforts that go with disabled thinking, where not all do. `output` is the most
    that may be asked for, in tokens, 0 where it was not looked up.
    """

    thinking: tuple[str, ...] = ("enabled", "disabled")
    efforts: tuple[str, ...] = ()
    disabled_up_to: tuple[str, ...] = ()
    sampling: Sampling = "any"
    prefill: bool = True
    forced_tools: bool = True
    system_messages: bool = False
    output: int = 0


_ADAPTIVE = Model(
    thinking=("adaptive", "disabled"), efforts=ALL, sampling="default", prefill=False, output=128_000
)
_OPUS_5 = msgspec.structs.replace(_ADAPTIVE, disabled_up_to=LOW, system_messages=True)
_ALWAYS = msgspec.structs.replace(_ADAPTIVE, thinking=("adaptive",), system_messages=True)
_UNFORCED = msgspec.structs.replace(_ALWAYS, forced_tools=False)
_BETWEEN = msgspec.structs.replace(_UNFORCED, thinking=("adaptive", "between_tools"))
_FOUR_SIX = Model(
    thinking=("adaptive", "enabled", "disabled"),
    efforts=MAXIMUM,
    sampling="one",
    prefill=False,
    output=128_000,
)
_FOUR_FIVE = Model(sampling="one", output=64_000)

MODELS = {
    "claude-3": Model(),
    "claude-opus-4": Model(output=32_000),
    "claude-opus-4-1": Model(sampling="one", output=32_000),
    "claude-opus-4-5": msgspec.structs.replace(_FOUR_FIVE, efforts=LOW),
    "claude-opus-4-6": _FOUR_SIX,
    "claude-opus-4-7": _ADAPTIVE,
    "claude-opus-4-8": msgspec.structs.replace(_ADAPTIVE, system_messages=True),
    "claude-opus-5": _OPUS_5,
    "claude-opus-5-5": _UNFORCED,
    "claude-sonnet-4": Model(output=64_000),
    "claude-sonnet-4-5": _FOUR_FIVE,
    "claude-sonnet-4-6": _FOUR_SIX,
    "claude-sonnet-5": _ADAPTIVE,
    "claude-sonnet-5-5": _BETWEEN,
    "claude-haiku-4-5": _FOUR_FIVE,
    "claude-haiku-5-5": _OPUS_5,
    "claude-fable-5": _ALWAYS,
    "claude-fable-5-1": _UNFORCED,
    "claude-fable-5-2": _UNFORCED,
    "claude-mythos-5": _ALWAYS,
    "claude-mythos-5-1": _UNFORCED,
    "claude-mythos-5-2": _UNFORCED,
}
"""The models, by the beginning of their names; the longest beginning that fits counts."""


def model_of(name: str) -> Model | None:
    """Return what the model with this name accepts, or None for an unknown model."""
    fitting = [prefix for prefix in MODELS if name == prefix or name.startswith(f"{prefix}-")]
    return MODELS[max(fitting, key=len)] if fitting else None
