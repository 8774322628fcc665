"""Capabilities, which only some backends have: parameters and content in ``Request.extra``, an agent. Pure.

A dialect puts parameters and content there by their documented names, whichever API they come from. A backend
names in ``honours`` the capabilities that it has. As soon as it is known which backend is asked, this module
decides about the others: a hint is noted as ignored, and a parameter that would change the meaning of the
answer is refused. Plugins can add capabilities: see ``capabilities`` of backends and dialects.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from claude_max_proxy.config import near_miss
from claude_max_proxy.errors import ConfigError, InvalidRequest
from claude_max_proxy.request import Agent, Audio, Image, Part, Request


_HEADER_LIMIT = 1000
_NOT_IN_HEADERS = re.compile(r"[^!-+\--~]")  # all but printable ASCII without comma and space


class Capability(msgspec.Struct, frozen=True):
    """What becomes of a request for a capability that the backend does not have; this depends on ``kind``.

    - ``hint``: it has no effect on what the answer means, so it is ignored.
    - ``bookkeeping``: it has no effect on the answer at all, so it is dropped silently.
    - ``meaning``: it cannot be left out, so the request is refused with the ``reason``.
    - ``content``: as ``meaning``; ``Request.extra`` contains the path of the first piece of such content.
    - ``tools``: as ``meaning``; ``Request.extra`` contains tools that a provider defines, by their paths.
    - ``agent``: as ``meaning``; it is the model's entry in ``[models]`` that asks for it, and no request.

    A client that sends the ``default`` asks for nothing.
    """

    kind: Literal["hint", "bookkeeping", "meaning", "content", "tools", "agent"]
    default: Any = None
    reason: str = ""


CAPABILITIES: Mapping[str, Capability] = {
    "agent": Capability(
        "agent", reason='the backend behind this name has no agent; one of type "claude-cli" has'
    ),
    "anthropic_beta": Capability("bookkeeping", []),
    "anthropic_metadata": Capability("bookkeeping", {}),
    "anthropic_service_tier": Capability("bookkeeping", "auto"),
    "anthropic_thinking": Capability("bookkeeping"),
    "anthropic_tools": Capability(
        "tools", {}, 'this tool is Anthropic\'s own; only a backend of type "anthropic" can offer it'
    ),
    "context_management": Capability("hint", {}),
    "frequency_penalty": Capability("hint", 0),
    "http_images": Capability(
        "content", reason="the provider fetches images by https only; send this one as a data URL"
    ),
    "input_audio": Capability(
        "content", reason="the model behind this name takes no audio; send text, images or documents"
    ),
    "logit_bias": Capability("meaning", {}, "the model behind this name takes no token biases"),
    "metadata": Capability("bookkeeping", {}),
    "prediction": Capability("hint"),
    "presence_penalty": Capability("hint", 0),
    "prompt_cache_key": Capability("bookkeeping", ""),
    "prompt_cache_retention": Capability("bookkeeping", ""),
    "safety_identifier": Capability("bookkeeping", ""),
    "seed": Capability("hint"),
    "service_tier": Capability("bookkeeping", "auto"),
    "store": Capability("bookkeeping", False),
    "top_k": Capability("hint"),
    "user": Capability("bookkeeping", ""),
    "verbosity": Capability("hint"),
    "web_search_options": Capability("meaning", reason="the model behind this name does not search the web"),
}


Known = Mapping[str, Capability]
_PARAMETERS = ("hint", "bookkeeping", "meaning")


def all_capabilities(added: Iterable[tuple[str, Known]]) -> Known:
    """Return the built-in capabilities and those that plugins add.

    ``added`` contains pairs: the name of a backend or dialect, for messages, and its capabilities. Raises
    :class:`ConfigError` for a name that has two meanings, and for a value that is not a :class:`Capability`.
    """
    found = dict(CAPABILITIES)
    for whose, own in added:
        for name, capability in own.items():
            if not isinstance(capability, Capability):
                raise ConfigError(f"{whose}: the capability {name!r} is a {type(capability).__name__}")
            if found.setdefault(name, capability) != capability:
                raise ConfigError(f"{whose}: another capability is called {name!r}; rename this one")
    return found


def check_honours(honours: Collection[str], known: Known, whose: str) -> None:
    """Raise :class:`ConfigError` if a backend honours a name that is no capability."""
    for name in sorted(set(honours) - set(known)):
        raise ConfigError(f"{whose}: it honours {name!r}, which is no capability{near_miss(name, known)}")


def carry_parameters(request: Request, given: Mapping[str, Any], known: Known = CAPABILITIES) -> None:
    """Copy to ``request.extra`` the parameters that are capabilities and ask for something.

    A dialect that defines further capabilities passes them in ``known``.
    """
    for name, value in given.items():
        capability = known.get(name)
        if capability is not None and value is not None and value != capability.default:
            request.extra[name] = value


def carry_unknown(request: Request, body: bytes, known: Known) -> None:
    """Copy to ``request.extra`` the fields of ``body`` that the dialect does not know but a plugin does.

    Those are the names of capabilities that plugins add. The dialect has listed them in ``request.ignored``;
    this removes them from there.
    """
    added = {name for name in known.keys() - CAPABILITIES.keys() if known[name].kind in _PARAMETERS}
    names = added.intersection(request.ignored)
    if not names:
        return

    fields = msgspec.json.decode(body)
    carry_parameters(request, {name: fields.get(name) for name in names}, known)
    request.ignored = [name for name in request.ignored if name not in names]


def carry_content(request: Request, parts: Iterable[Part], path: str) -> None:
    """Note in ``request.extra`` where content that only some backends accept comes first.

    ``parts`` are those of the content list at ``path``.
    """
    for index, part in enumerate(parts):
        match part:
            case Audio():
                request.extra.setdefault("input_audio", f"{path}[{index}]")
            case Image(url=url) if url.startswith("http://"):
                request.extra.setdefault("http_images", f"{path}[{index}]")
            case _:
                pass


def refusal(
    request: Request, honours: Collection[str], known: Known = CAPABILITIES, agent: Agent | None = None
) -> InvalidRequest | None:
    """Return why a backend with these ``honours`` cannot answer, as an error, or ``None`` if it can.

    ``agent`` is the agent that the model's entry asks for.
    """
    if agent is not None and "agent" not in honours:
        return InvalidRequest(known["agent"].reason, param="model")
    if agent is not None and request.answers > 1:
        return InvalidRequest.at("n", "an agent works on files, so it gives one answer at a time")
    for name, value in request.extra.items():
        capability = known.get(name)
        if capability is None or name in honours:
            continue
        reason = capability.reason
        if capability.kind == "content":
            return InvalidRequest.at(value, reason, code="unsupported_content")
        if capability.kind == "tools":
            return InvalidRequest.at(next(iter(value)), reason, code="unsupported_parameter")
        if capability.kind == "meaning":
            message = f"{name} is not supported: {reason}"
            return InvalidRequest(message, param=name, code="unsupported_parameter")

    return None


def header_of(ignored: Sequence[str]) -> str:
    """Return the names of what is ignored as the value of a header.

    It has a limited length, since clients can invent names.
    """
    shown: list[str] = []
    length = 0
    for name in ignored:
        text = _NOT_IN_HEADERS.sub("?", name[:_HEADER_LIMIT])
        length += len(text) + 2
        if length > _HEADER_LIMIT:
            return ", ".join([*shown, f"and {len(ignored) - len(shown)} more"])
        shown.append(text)
    return ", ".join(shown)


def name_ignored(request: Request, honours: Collection[str], known: Known = CAPABILITIES) -> None:
    """Note in the request, as ignored, the hints that a backend with these ``honours`` does not honour."""
    for name in request.extra:
        capability = known.get(name)
        if capability is not None and capability.kind == "hint" and name not in honours:
            request.ignore(name)
