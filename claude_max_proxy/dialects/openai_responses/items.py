"""The items of ``input``, read into instructions and messages; every refusal names the path of the item.

What the model gave in one turn comes back as several items: thoughts, messages and calls that follow each
other become one assistant message. Tool results that follow each other become one user message.
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
    carry_content,
    wire,
)
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
    """Where what the items say is put: the instructions so far, and the request with its messages."""

    systems: list[str]
    request: Request

    @property
    def messages(self) -> list[Message]:
        """The messages so far."""
        return self.request.messages

    def carry(self, content: Content, path: str) -> list[Part]:
        """Read a user's or a tool's content, and note in the request what only some backends take of it."""
        parts = read_content(content, path)
        carry_content(self.request, parts, path)
        return parts


def as_items(given: str | list[Raw]) -> list[Raw]:
    """Return ``input`` as items; a text is one user message."""
    if isinstance(given, str):
        return [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": given}]}]

    return given


def read_items(items: Sequence[Raw], talk: Talk, *, known: bool = False) -> None:
    """Add what ``items`` say to ``talk``; ``known`` says that they were read before and are sound."""
    for index, raw in enumerate(items):
        path = f"input[{index}]" if not known else "previous_response_id"
        _add(_item(raw, path, [] if known else talk.request.ignored), path, talk)


def resolved(items: Sequence[Raw], find: Find) -> list[Raw]:
    """Put what they refer to in the place of references; raise :class:`InvalidRequest` for one not found."""
    return [_referred(raw, f"input[{index}].id", find) for index, raw in enumerate(items)]


def has_references(items: Sequence[Raw]) -> bool:
    """Tell whether any item stands for one of an earlier response."""
    return any(raw.get("type") == "item_reference" for raw in items)


def _referred(raw: Raw, path: str, find: Find) -> Raw:
    if raw.get("type") != "item_reference":
        return raw

    found = find(raw["id"])
    if found is None:
        raise InvalidRequest(
            f"{path}: there is no item {raw['id']!r}; it was never stored, or is not any more: send it whole",
            param=path,
            code="item_not_found",
        )
    return found


def _item(raw: Raw, path: str, unknown: list[str]) -> Item:
    kind = raw.get("type", "message")
    schema = ITEMS.get(kind) if isinstance(kind, str) else None
    if schema is None:
        raise InvalidRequest(
            f"{path}.type: items of type {kind!r} are not understood here; these are: {', '.join(ITEMS)}",
            param=f"{path}.type",
            code="unsupported_content",
        )
    return wire.convert(raw, schema, path, unknown)


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
            parts = wire.checked_result(talk.carry(item.output, f"{path}.output"), f"{path}.output")
            wire.add_result(ToolResult(item.call_id, parts), talk.messages)
        case ReasoningItem():
            thought = read_thought(item)
            _add_turn([thought] if thought else [], talk)
        case ReferenceItem():
            pass  # resolved before it is read, when it is known whose it is


def _add_turn(parts: Sequence[Part], talk: Talk) -> None:
    """Go on with the assistant's turn, or begin one."""
    last = talk.messages[-1] if talk.messages else None
    if last is not None and last.role == "assistant":
        last.parts.extend(parts)
    elif parts:
        talk.messages.append(Message("assistant", list(parts)))


def read_content(content: Content, path: str) -> list[Part]:
    """Read a user's or a tool's content: text, images, speech, documents."""
    if isinstance(content, str):
        return [Text(content)]

    return [_part(part, f"{path}[{index}]") for index, part in enumerate(content)]


def _texts(content: Content, path: str, role: str) -> list[str]:
    """Read content that may only be text, as instructions and the assistant's own words are."""
    texts = []
    for index, part in enumerate([InputText(content)] if isinstance(content, str) else content):
        match part:
            case InputText(text=text) | OutputText(text=text) | Refusal(refusal=text):
                texts.append(text)
            case _:
                raise InvalidRequest(
                    f"{path}[{index}]: a message of role {role!r} may hold only text",
                    param=f"{path}[{index}].type",
                )
    return texts


def _part(part: ContentPart, path: str) -> Part:
    match part:
        case InputText(text=text) | OutputText(text=text) | Refusal(refusal=text):
            return Text(text)
        case InputImage():
            _need_inline(part, path)
            if part.image_url is None:
                raise InvalidRequest(f"{path}.image_url is missing", param=f"{path}.image_url")
            return wire.read_image(part.image_url, f"{path}.image_url")
        case InputFile():
            return _file(part, path)
        case InputAudio():
            return Audio(part.input_audio.data, part.input_audio.format)


def _file(part: InputFile, path: str) -> Part:
    _need_inline(part, path)
    if part.file_url is not None:
        raise _unsupported(f"{path}.file_url", "files are not fetched; send this one inline as file_data")
    if part.file_data is None:
        raise InvalidRequest(f"{path}.file_data is missing", param=f"{path}.file_data")

    return wire.read_document(part.file_data, part.filename or "", f"{path}.file_data")


def _need_inline(part: InputImage | InputFile, path: str) -> None:
    if part.file_id is not None:
        raise _unsupported(f"{path}.file_id", "stored files live with their provider; send the file inline")


def _unsupported(path: str, reason: str) -> InvalidRequest:
    return InvalidRequest(f"{path}: {reason}", param=path, code="unsupported_content")
