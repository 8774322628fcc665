"""Reads the items of ``input`` into instructions and messages; every refusal names the path of the item.

One turn of the model comes back as several items, so thoughts, messages and calls that follow each other
become one assistant message. Tool results that follow each other become one user message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from claude_max_proxy import (
    Audio,
    InvalidRequest,
    Message,
    Part,
    Request,
    Text,
    ToolCall,
    ToolResult,
    formats,
)
from claude_max_proxy.capabilities import carry_content
from claude_max_proxy.dialects.openai_responses.free_text import wrapped
from claude_max_proxy.dialects.openai_responses.schemas import (
    ITEMS,
    CallOutputItem,
    Content,
    ContentPart,
    CustomCallItem,
    FunctionCallItem,
    InputAudio,
    InputFile,
    InputImage,
    InputText,
    Item,
    MessageItem,
    OutputText,
    Raw,
    ReasoningItem,
    ReferenceItem,
    Refusal,
)
from claude_max_proxy.dialects.openai_responses.thoughts import read_thought
from claude_max_proxy.dialects.openai_responses.tools import flat_name


Find = Callable[[str], Raw | None]


class Talk(msgspec.Struct):
    """What was read so far: the instructions, and the request with its messages."""

    systems: list[str]
    request: Request

    @property
    def messages(self) -> list[Message]:
        """The messages so far."""
        return self.request.messages

    def carry(self, content: Content, path: str) -> list[Part]:
        """Return a user's or a tool's content as parts; note in the request what some backends refuse."""
        parts = read_content(content, path)
        carry_content(self.request, parts, path)
        if not isinstance(content, str) and any(map(_has_spare_id, content)):
            self.request.ignore("input.content.file_id")
        return parts


def as_items(given: str | list[Raw]) -> list[Raw]:
    """Return ``input`` as items; a text becomes one user message."""
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]

    return given


def read_items(items: Sequence[Raw], talk: Talk, *, known: bool = False) -> None:
    """Add what ``items`` say to ``talk``; ``known`` says that they were read before and are valid."""
    for index, raw in enumerate(items):
        path = f"input[{index}]" if not known else "previous_response_id"
        _add(_item(raw, path, [] if known else talk.request.ignored), path, talk)


def resolved(items: Sequence[Raw], find: Find) -> list[Raw]:
    """Return the items with every reference replaced by the item to which it refers.

    ``find`` returns an item by its id. Raises :class:`InvalidRequest` for an item that is not found.
    """
    return [_referred(raw, f"input[{index}].id", find) for index, raw in enumerate(items)]


def references(items: Sequence[Raw]) -> list[str]:
    """Return the ids of the items to which others refer."""
    return [raw["id"] for raw in items if raw.get("type") == "item_reference"]


def has_references(items: Sequence[Raw]) -> bool:
    """Return whether any item refers to one of an earlier response."""
    return any(raw.get("type") == "item_reference" for raw in items)


def _referred(raw: Raw, path: str, find: Find) -> Raw:
    if raw.get("type") != "item_reference":
        return raw

    found = find(raw["id"])
    if found is None:
        raise InvalidRequest.at(
            path,
            f"there is no item {formats.shown(raw['id'])}; it was never stored, or is not any more: "
            "send it whole",
            code="item_not_found",
        )
    return found


def _item(raw: Raw, path: str, unknown: list[str]) -> Item:
    kind = raw.get("type", "message")
    schema = ITEMS.get(kind) if isinstance(kind, str) else None
    if schema is None:
        raise InvalidRequest.at(
            f"{path}.type",
            f"items of type {formats.shown(kind)} are not understood here; these are: {', '.join(ITEMS)}",
            code="unsupported_content",
        )
    return formats.convert(raw, schema, path, unknown)


def _add(item: Item, path: str, talk: Talk) -> None:
    match item:
        case MessageItem(role="user"):
            talk.messages.append(Message("user", talk.carry(item.content, f"{path}.content")))
        case MessageItem(role="assistant"):
            texts = _texts(item.content, f"{path}.content", item.role)
            _add_turn([Text(text) for text in texts if text], talk)
        case MessageItem():
            talk.systems.extend(_texts(item.content, f"{path}.content", item.role))
        case FunctionCallItem():
            name = flat_name(item.name, item.namespace)
            _add_turn([ToolCall(item.call_id, name, item.arguments or "{}")], talk)
        case CustomCallItem():
            name = flat_name(item.name, item.namespace)
            _add_turn([ToolCall(item.call_id, name, wrapped(item.input))], talk)
        case CallOutputItem():
            parts = formats.checked_result(talk.carry(item.output, f"{path}.output"), f"{path}.output")
            formats.add_result(ToolResult(item.call_id, parts), talk.messages)
        case ReasoningItem():
            thought = read_thought(item)
            _add_turn([thought] if thought else [], talk)
        case ReferenceItem():
            pass  # references are resolved before, when the owner is known


def _add_turn(parts: Sequence[Part], talk: Talk) -> None:
    """Add parts to the assistant's turn, or begin a new one."""
    last = talk.messages[-1] if talk.messages else None
    if last is not None and last.role == "assistant":
        last.parts.extend(parts)
    elif parts:
        talk.messages.append(Message("assistant", list(parts)))


def read_content(content: Content, path: str) -> list[Part]:
    """Return a user's or a tool's content as parts: text, images, sound and documents."""
    if isinstance(content, str):
        return [Text(content)]

    return [_part(part, f"{path}[{index}]") for index, part in enumerate(content)]


def _texts(content: Content, path: str, role: str) -> list[str]:
    """Return the texts of content that may only be text: of instructions, or of the assistant's messages."""
    texts = []
    for index, part in enumerate([InputText(content)] if isinstance(content, str) else content):
        match part:
            case InputText(text=text) | OutputText(text=text) | Refusal(refusal=text):
                texts.append(text)
            case _:
                raise formats.not_text(f"{path}[{index}]", role)
    return texts


def _part(part: ContentPart, path: str) -> Part:
    match part:
        case InputText(text=text) | OutputText(text=text) | Refusal(refusal=text):
            return Text(text)
        case InputImage():
            _need_inline(part, part.image_url, path)
            if part.image_url is None:
                raise InvalidRequest.missing(f"{path}.image_url")
            return formats.read_image(part.image_url, f"{path}.image_url")
        case InputFile():
            return _file(part, path)
        case InputAudio():
            return Audio(part.input_audio.data, part.input_audio.format)


def _file(part: InputFile, path: str) -> Part:
    _need_inline(part, part.file_data, path)
    if part.file_url is not None:
        raise _unsupported(f"{path}.file_url", "files are not fetched; send this one inline as file_data")
    if part.file_data is None:
        raise InvalidRequest.missing(f"{path}.file_data")

    return formats.read_document(part.file_data, part.filename or "", f"{path}.file_data")


def _has_spare_id(part: ContentPart) -> bool:
    """Return whether a part names a stored file although it has it inline, as Home Assistant's images do."""
    return isinstance(part, InputImage | InputFile) and part.file_id is not None


def _need_inline(part: InputImage | InputFile, inline: str | None, path: str) -> None:
    if part.file_id is not None and inline is None:
        raise _unsupported(f"{path}.file_id", "stored files live with their provider; send the file inline")


def _unsupported(path: str, reason: str) -> InvalidRequest:
    return InvalidRequest.at(path, reason, code="unsupported_content")
