"""Learns which parameters each model refuses, from the errors of its provider. Pure.

If a provider refuses a request because of one parameter, its error says so in prose. If the answer means the
same without the parameter, the request is sent again without it, and so are later requests to that model. If
the parameter cannot be left out, the client must change it, and the error says how.
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
# How often a request is sent again, since a provider names only one parameter at a time.
TRIES = 4
_OF_TOOLS = (
    "allowed_callers",
    "cache_control",
    "defer_loading",
    "eager_input_streaming",
    "input_examples",
    "strict",
)
# Without these parameters, the answer means the same.
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
# Without these, it would not mean the same; the values say what a client can do instead.
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
# How providers name each parameter; the first one that an error names is the one that it means. A name that
# is also a word of plain English only counts if it is quoted, or where the name of a field would be.
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
# Not every schema can be enforced ("strict"); this is how an error says that a tool's schema cannot be.
_NOT_ENFORCED = re.compile(r"\btools[.\[]\d+\]?[\w.]*: for '\w+' type\b")
_ENFORCED = "tools.strict"
_PLACE = re.compile(r"(?<!\w)(?:messages|system)[.\[]\d+\]?(?P<rest>[\w.\[\]]*)")


def refused_parameter(text: str, param: str | None = None) -> str | None:
    """Return which parameter an error is about, by a name of :data:`DISPENSABLE` or :data:`ADVICE`.

    ``text`` is the error's message, and ``param`` the field that the provider names itself. Returns ``None``
    if no parameter is named, or if the error is not about the parameter but about its value.
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
    """Return which parameter a path into the tools, the messages or the instructions stands for."""
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
    """Return a refusal that also says what the client can do about it, if we know that."""
    name = refused_parameter(error.message, error.param)
    if name is None or name not in ADVICE:
        return error

    message = f"{error.message}; {name}: {ADVICE[name]}"
    return UpstreamRefused(message, param=error.param or name, logged=f"{error.logged}; {name}: refused")


# --- bodies


def holds(body: dict[str, Any], name: str) -> bool:
    """Return whether ``body`` contains the parameter."""
    return any(True for _ in _holders(body, name))


def strip(body: dict[str, Any], names: Collection[str]) -> list[str]:
    """Remove the parameters from ``body``, in place; return the names of those that it contained."""
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
    """Yield every place where ``body`` contains the parameter: the object, and the key in it."""
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
    """Find marks for the cache in blocks at any depth, but not in the arguments of calls."""
    for value in values:
        if isinstance(value, list):
            yield from _marks(value)
        elif isinstance(value, dict):
            yield from _keys(value, "cache_control")
            if "content" in value:
                yield from _marks([value["content"]])


# --- what was learned


class Refusals:
    """Remembers which parameters the models of one backend have refused, for the models asked last."""

    def __init__(self) -> None:
        """Begin without any knowledge."""
        self._names: OrderedDict[Any, frozenset[str]] = OrderedDict()

    def of(self, model: str, tools: Any = None) -> frozenset[str]:
        """Return what the model refuses in all requests, and in those with exactly these ``tools``."""
        refused = self._names.get(model, frozenset())
        return refused | self._names.get(_key(model, tools), frozenset()) if tools else refused

    def learn(self, model: str, error: UpstreamRefused, body: dict[str, Any], tools: Any = None) -> bool:
        """Learn from a refusal of ``body``; return whether it is worth sending it again without a parameter.

        An error about a schema that cannot be enforced only counts for requests with the same ``tools``.
        """
        name = refused_parameter(error.message, error.param)
        if name == "cache_control" and not holds(body, name):
            name = _TOOL_MARKS  # the provider counts all marks, but only those on tools are ours
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
    """Note in the request, as ignored, what was left out, by the names that the client knows."""
    own = request.extra.get("anthropic_thinking") or {}
    for name in names:
        if name == "effort" or (name == "thinking" and not own):
            request.ignore("reasoning_effort")
        else:
            request.ignore(name)
