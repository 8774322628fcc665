"""What providers refuse to take: which parameter an error names, and what was learned of each model. Pure.

A provider that takes a request but for one parameter says so, in prose. Where the answer means the same
without it, the request is asked again without it, and so are later ones of that model. A parameter that
cannot be left out stays the client's to change, and the error says how.
"""

from __future__ import annotations

import hashlib
import re
from collections import OrderedDict
from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from claude_max_proxy.errors import UpstreamRefused
from claude_max_proxy.request import Request


_MODELS = 256
_TOOL_MARKS = "tools.cache_control"
# How often one request is asked again, since a provider names one parameter at a time.
TRIES = 4
_OF_TOOLS = (
    "allowed_callers",
    "cache_control",
    "defer_loading",
    "eager_input_streaming",
    "input_examples",
    "strict",
)
# Without these, the answer means what it meant.
DISPENSABLE = frozenset(
    {
        *(f"tools.{name}" for name in _OF_TOOLS),
        "cache_control",
        "context_management",
        "effort",
        "frequency_penalty",
        "metadata",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_retention",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "temperature",
        "thinking",
        "top_k",
        "top_p",
        "user",
        "verbosity",
    }
)
# Without these it would not; what a client can do instead.
ADVICE = {
    "logit_bias": "leave it out, or choose another model",
    "max_tokens": "set another limit, or leave it out",
    "parallel_tool_calls": "leave it out, or choose another model",
    "response_format": "ask for the format in the instructions, or choose another model",
    "tool_choice": 'leave it at "auto" and ask for the call in the instructions, or choose another model',
    "tools": "change the tool, or choose another model",
}
_SAYS_NO = re.compile(
    r"deprecated|unsupported|not? (?:longer )?support|n't support|not (?:permitted|allowed|available|enabled)"
    r"|not (?:be enabled|valid for|compatible)|incompatible|cannot (?:both )?be|only be set|unset when"
    r"|requires a model|(?:unknown|unrecognized|unexpected) (?:field|parameter|name|argument|keyword|request)"
    r"|does not match any of the expected|must not come after|maximum of \d+ blocks|must be explicitly set"
)
# How a provider names each; the first one named is the one that is meant. Words of plain English count where
# they are quoted, or stand where the name of a field does.
_PLAIN = r"(?:(?<=['\"`])|(?:^|(?<=[:\d] ))){}(?=['\"`:. \[]|$)"
_WORDS = {
    "tool_choice": r"(?<![\w.])tool_choice",
    "parallel_tool_calls": r"parallel_tool_calls|disable_parallel_tool_use",
    "response_format": r"response_format|output_format|output_config\.format",
    "max_tokens": r"\bmax_(?:completion_|output_)?tokens\b",
    "effort": r"reasoning[._]effort|output_config(?!\.format)|\beffort parameter",
    "thinking": r"(?:adaptive|extended) thinking|\bthinking\.(?!signature)|" + _PLAIN.format("thinking"),
    "stop": r"stop_sequences|" + _PLAIN.format("stop"),
    "logit_bias": "logit_bias",
    **{
        name: rf"\b{name}\b" if "_" in name or name == "temperature" else _PLAIN.format(name)
        for name in sorted(DISPENSABLE)
        if "." not in name and name not in {"effort", "thinking", "stop"}
    },
}
_NAMED = re.compile("|".join(f"(?P<{name}>{words})" for name, words in _WORDS.items()))
_TOOL_FIELD = re.compile(rf"\btools[.\[]\d+\]?\S*?\b(?P<field>{'|'.join(_OF_TOOLS)})\b")
_TOOL = re.compile(r"\btools[.\[]\d+\b")
# What can be enforced of a schema is less than what can be said in one: this tool cannot be held to its own.
_NOT_ENFORCED = re.compile(r"\btools[.\[]\d+\]?[\w.]*: for '\w+' type\b")
_ENFORCED = "tools.strict"
_PLACE = re.compile(r"(?<!\w)(?:messages|system)[.\[]\d+\]?(?P<rest>[\w.\[\]]*)")


def refused_parameter(text: str, param: str | None = None) -> str | None:
    """Say which parameter an error is about, by a name of :data:`DISPENSABLE` or :data:`ADVICE`.

    ``param`` is the field that the provider itself names. ``None`` where none is named, or where it is not
    the parameter that is refused but its value.
    """
    lower = text.lower()
    if not _SAYS_NO.search(lower):
        return None
    if found := _place(f"{param or ''} {lower}"):
        return found if found != "messages" else None
    if "cannot both" in lower and "top_p" in lower:
        return "top_p"
    if "thinking" in lower and "tool_choice" in lower:
        return "tool_choice"
    named = _NAMED.search(param.lower()) if param else None
    named = named or _NAMED.search(lower)
    return named.lastgroup if named else None


def _place(text: str) -> str | None:
    """Find a path into the tools, the messages or the instructions."""
    if _NOT_ENFORCED.search(text):
        return _ENFORCED
    if field := _TOOL_FIELD.search(text):
        return f"tools.{field['field']}"
    if _TOOL.search(text):
        return "tools"
    if place := _PLACE.search(text):
        return "cache_control" if "cache_control" in place["rest"] else "messages"
    return None


def explained(error: UpstreamRefused) -> UpstreamRefused:
    """Add to a refusal what the client can do about it, where that is known."""
    name = refused_parameter(error.message, error.param)
    if name is None or name not in ADVICE:
        return error

    return UpstreamRefused(f"{error.message}; {name}: {ADVICE[name]}", param=error.param or name)


# --- bodies


def holds(body: dict[str, Any], name: str) -> bool:
    """Tell whether ``body`` says anything of the parameter."""
    return any(True for _ in _holders(body, name))


def strip(body: dict[str, Any], names: Collection[str]) -> list[str]:
    """Take the parameters out of ``body``, in place; return those that were there."""
    found = []
    for name in sorted(names):
        holders = list(_holders(body, name))
        for holder, key in holders:
            del holder[key]
        if holders:
            found.append(name)
    if body.get("output_config") == {}:
        del body["output_config"]
    return found


def _holders(body: dict[str, Any], name: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Return every place where the parameter stands: the object, and the key in it."""
    match name:
        case "cache_control":
            yield from _marks([body.get("system"), body.get("messages"), body])
        case "effort":
            yield from _keys(body.get("output_config"), "effort")
            yield from _keys(body, "reasoning_effort")
        case "stop":
            yield from _keys(body, "stop_sequences")
            yield from _keys(body, "stop")
        case _ if name.startswith("tools."):
            key = name.removeprefix("tools.")
            for tool in body.get("tools", ()):
                yield from _keys(tool, key)
                yield from _keys(tool.get("function"), key)
        case _:
            yield from _keys(body, name)


def _keys(holder: Any, key: str) -> Iterator[tuple[dict[str, Any], str]]:
    if isinstance(holder, dict) and key in holder:
        yield holder, key


def _marks(values: list[Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Find marks for the cache in blocks, however deep; arguments of calls are the client's own."""
    for value in values:
        if isinstance(value, list):
            yield from _marks(value)
        elif isinstance(value, dict):
            yield from _keys(value, "cache_control")
            if "content" in value:
                yield from _marks([value["content"]])


# --- what was learned


class Refusals:
    """Remembers what each model of one backend was seen to refuse, of the models asked last."""

    def __init__(self) -> None:
        """Begin with nothing learned."""
        self._names: OrderedDict[Any, frozenset[str]] = OrderedDict()

    def of(self, model: str, tools: Any = None) -> frozenset[str]:
        """Return what the model refuses, of anybody's requests and of those with just these ``tools``."""
        refused = self._names.get(model, frozenset())
        return refused | self._names.get(_key(model, tools), frozenset()) if tools else refused

    def learn(self, model: str, error: UpstreamRefused, body: dict[str, Any], tools: Any = None) -> bool:
        """Learn from a refusal of ``body``; say whether it is worth asking again without something.

        That a schema cannot be enforced says nothing of other ``tools`` than the request's.
        """
        name = refused_parameter(error.message, error.param)
        if name == "cache_control" and not holds(body, name):
            name = _TOOL_MARKS  # where the provider counts all marks, and only those on tools are ours
        if name is None or name not in DISPENSABLE or not holds(body, name):
            return False

        by_tools = tools and _NOT_ENFORCED.search(error.message.lower())
        key = _key(model, tools) if by_tools else model
        self._names[key] = self._names.get(key, frozenset()) | {name}
        self._names.move_to_end(key)
        while len(self._names) > _MODELS:
            self._names.popitem(last=False)
        return True


def _key(model: str, tools: Any) -> tuple[str, bytes]:
    return model, hashlib.blake2b(msgspec.json.encode(tools), digest_size=16).digest()


def tell(request: Request, names: Collection[str]) -> None:
    """Name what is left out as ignored, as the client knows it."""
    own = request.extra.get("anthropic_thinking") or {}
    for name in names:
        if name == "effort" or (name == "thinking" and not own):
            request.ignore("reasoning_effort")
        else:
            request.ignore(name)
