"""What only some backends honour: parameters and content that a Request carries in ``extra``. Pure.

A dialect carries them over by their documented names, whichever API they stand in. A backend says in
``honours`` which of them it makes use of. What becomes of the others is decided here, once it is known who is
asked: a hint is named as ignored, and what would change the answer's meaning is refused.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.request import Audio, Image, Part, Request


_HEADER_LIMIT = 1000
_NOT_IN_HEADERS = re.compile(r"[^!-+\--~]")  # printable ASCII but for the comma and the space


class Extra(msgspec.Struct, frozen=True):
    """What a parameter is to a backend that does not honour it.

    A ``hint`` has no effect on what the answer means, ``bookkeeping`` none on the answer at all; ``meaning``
    and ``content`` cannot be left out, for the ``reason`` given. A client that sends ``default`` asks for
    nothing. Of ``content``, ``Request.extra`` holds the path of the first piece, of ``tools`` those that a
    provider defines, by their paths.
    """

    kind: Literal["hint", "bookkeeping", "meaning", "content", "tools"]
    default: Any = None
    reason: str = ""


EXTRAS: Mapping[str, Extra] = {
    "anthropic_beta": Extra("bookkeeping", []),
    "anthropic_metadata": Extra("bookkeeping", {}),
    "anthropic_service_tier": Extra("bookkeeping", "auto"),
    "anthropic_thinking": Extra("bookkeeping"),
    "anthropic_tools": Extra(
        "tools", {}, 'this tool is Anthropic\'s own; only a backend of type "anthropic" can offer it'
    ),
    "context_management": Extra("hint", {}),
    "frequency_penalty": Extra("hint", 0),
    "http_images": Extra(
        "content", reason="the provider fetches images by https only; send this one as a data URL"
    ),
    "input_audio": Extra(
        "content", reason="the model behind this name takes no audio; send text, images or documents"
    ),
    "logit_bias": Extra("meaning", {}, "the model behind this name takes no token biases"),
    "metadata": Extra("bookkeeping", {}),
    "prediction": Extra("hint"),
    "presence_penalty": Extra("hint", 0),
    "prompt_cache_key": Extra("bookkeeping", ""),
    "prompt_cache_retention": Extra("bookkeeping", ""),
    "safety_identifier": Extra("bookkeeping", ""),
    "seed": Extra("hint"),
    "service_tier": Extra("bookkeeping", "auto"),
    "store": Extra("bookkeeping", False),
    "top_k": Extra("hint"),
    "user": Extra("bookkeeping", ""),
    "verbosity": Extra("hint"),
    "web_search_options": Extra("meaning", reason="the model behind this name does not search the web"),
}


def carry_parameters(request: Request, given: Mapping[str, Any]) -> None:
    """Carry those of ``given`` over that are in :data:`EXTRAS` and ask for something."""
    for name, value in given.items():
        extra = EXTRAS.get(name)
        if extra is not None and value is not None and value != extra.default:
            request.extra[name] = value


def carry_content(request: Request, parts: Iterable[Part], path: str) -> None:
    """Note what only some backends take of the ``parts`` of a content list at ``path``, the first of each."""
    for index, part in enumerate(parts):
        match part:
            case Audio():
                request.extra.setdefault("input_audio", f"{path}[{index}]")
            case Image(url=url) if url.startswith("http://"):
                request.extra.setdefault("http_images", f"{path}[{index}]")
            case _:
                pass


def honoured_by(backend: object) -> Collection[str]:
    """Name what a backend honours; one that does not say so honours nothing of it."""
    names: Collection[str] = getattr(backend, "honours", frozenset())
    return names


def refusal(request: Request, honours: Collection[str]) -> InvalidRequest | None:
    """Say why a backend with these ``honours`` cannot be asked; ``None`` when it can."""
    for name, value in request.extra.items():
        extra = EXTRAS.get(name)
        if extra is None or name in honours:
            continue
        if extra.kind == "content":
            return InvalidRequest(f"{value}: {extra.reason}", param=value, code="unsupported_content")
        if extra.kind == "tools":
            path = next(iter(value))
            return InvalidRequest(f"{path}: {extra.reason}", param=path, code="unsupported_parameter")
        if extra.kind == "meaning":
            message = f"{name} is not supported: {extra.reason}"
            return InvalidRequest(message, param=name, code="unsupported_parameter")

    return None


def header_of(ignored: Sequence[str]) -> str:
    """Write the names of what is ignored for a header, within a bound; clients make some of them up."""
    shown: list[str] = []
    length = 0
    for name in ignored:
        text = _NOT_IN_HEADERS.sub("?", name)
        length += len(text) + 2
        if length > _HEADER_LIMIT:
            return ", ".join([*shown, f"and {len(ignored) - len(shown)} more"])
        shown.append(text)
    return ", ".join(shown)


def name_ignored(request: Request, honours: Collection[str]) -> None:
    """Name the hints that will have no effect, as nobody honours them."""
    for name in request.extra:
        extra = EXTRAS.get(name)
        if extra is not None and extra.kind == "hint" and name not in honours:
            request.ignore(name)
