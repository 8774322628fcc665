"""Ids of tool calls: how they are made, recognised, and written for each API. Pure.

Clients change an id before they send it back, and each API allows other characters. Letters and digits
survive all of this, so two ids with the same letters and digits are the same id here.
"""

from __future__ import annotations

import hashlib
import itertools
import secrets
import string
import time
from collections.abc import Callable, Sequence

import msgspec

from claude_max_proxy.errors import InvalidRequest
from claude_max_proxy.formats.quoting import shown
from claude_max_proxy.request import Message, Part, ToolCall, ToolResult


_PREFIX = "call"
_ORDERED, _RANDOM = 11, 13  # characters
_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase  # in the order of ASCII
# Haystack and smolagents sort the calls of an answer by their ids, so each id is greater than the one before.
_numbers = itertools.count(time.time_ns())
_IN_PLAIN = _ALPHABET.encode()
_NOT_PLAIN = bytes(byte for byte in range(256) if byte not in _IN_PLAIN)
_IN_ANTHROPIC = f"{_ALPHABET}_-".encode()
_FOR_ANTHROPIC = bytes(byte if byte in _IN_ANTHROPIC else ord("_") for byte in range(256))


def new() -> str:
    """Return a new id that all clients keep: some drop everything but 40 letters and digits.

    It sorts after every id that this process made before.
    """
    return _PREFIX + _digits(next_number()) + "".join(secrets.choice(_ALPHABET) for _ in range(_RANDOM))


def next_number() -> int:
    """Return a whole number of at most 64 bits, greater than those before, for ids that have to sort."""
    return next(_numbers)


def _digits(number: int) -> str:
    """Write a number with an id's letters and digits, always as many, so that texts sort as numbers do."""
    digits = ""
    for _ in range(_ORDERED):
        number, rest = divmod(number, len(_ALPHABET))
        digits = _ALPHABET[rest] + digits
    return digits


def plain(id_: str) -> str:
    """Return the letters and digits of an id, by which it is recognised, or a digest if it has none."""
    letters = id_.encode("ascii", "ignore").translate(None, _NOT_PLAIN).decode()
    return letters or hashlib.blake2b(id_.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def for_anthropic(id_: str) -> str:
    """Return an id that the Messages API accepts: characters that it does not allow become ``_``."""
    return id_.encode("ascii", "replace").translate(_FOR_ANTHROPIC).decode()


def for_openai(id_: str) -> str:
    """Return an id in the form of OpenAI's own; only an id that :func:`new` made is changed.

    OpenClaw replaces ids of other forms. The letters and digits stay, so the id is still recognised.
    """
    rest = id_.removeprefix(_PREFIX)
    return f"{_PREFIX}_{rest}" if rest != id_ and rest.isalnum() else id_


def used_twice(id_: str) -> InvalidRequest:
    """Return the error for two calls of a message with the same id, which their results cannot tell apart."""
    return InvalidRequest.at(
        "messages", f"two tool calls of one message have the id {shown(id_)}; each needs one"
    )


def distinct(messages: Sequence[Message], form: Callable[[str], str]) -> list[Message]:
    """Return the messages with every call's id in a ``form``, and different from all ids before it.

    Some servers number the calls of every answer from the start, so the same id may come many times in a
    client's history, which the Messages API refuses. A result belongs to the newest call with its id. The
    same history always gets the same ids, so a provider's cache recognises it. Raises :class:`InvalidRequest`
    if two calls in the same message have the same id.
    """
    renaming = _Renaming(form)
    return [renaming.message(message) for message in messages]


class _Renaming:
    """Renames the ids of one history: it knows the used ids, and the newest one for each original id."""

    def __init__(self, form: Callable[[str], str]) -> None:
        self._form = form
        self._used: set[str] = set()
        self._newest: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def message(self, message: Message) -> Message:
        """Return the next message of the history with its ids renamed."""
        if not any(isinstance(part, ToolCall | ToolResult) for part in message.parts):
            return message

        parts: list[Part] = []
        here: set[str] = set()
        for part in message.parts:
            if isinstance(part, ToolCall):
                parts.append(msgspec.structs.replace(part, id=self._called(part.id, here)))
            elif isinstance(part, ToolResult):
                name = self._form(part.id)
                parts.append(msgspec.structs.replace(part, id=self._newest.get(name, name)))
            else:
                parts.append(part)
        return Message(message.role, parts, message.ephemeral)

    def _called(self, id_: str, here: set[str]) -> str:
        """Return the new id of a call; ``here`` are the ids of the calls before it in the same message."""
        name = self._form(id_)
        if name in here:
            raise used_twice(id_)
        here.add(name)
        self._newest[name] = self._unused(name)
        return self._newest[name]

    def _unused(self, name: str) -> str:
        number, candidate = self._counts.get(name, 1), name
        while candidate in self._used:
            number += 1
            candidate = f"{name}x{number}"
        self._counts[name] = number  # no lower number is free, so the next search begins here
        self._used.add(candidate)
        return candidate
