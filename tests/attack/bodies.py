"""Bodies with too many messages, that are too deep, too long, or not what they say they are."""

from __future__ import annotations

import asyncio
import json
import re
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import brotli
from backports import zstd

from tests.attack.connections import MB, chat_body
from tests.attack.registry import attack, attacks
from tests.attack.stage import CHAT, Stage, status_of


DIALECTS = {
    "chat": CHAT,
    "messages": "/v1/messages",
    "responses": "/v1/responses",
    "completions": "/v1/completions",
    "embeddings": "/v1/embeddings",
    "count": "/v1/messages/count_tokens",
}
_USER = {"role": "user", "content": "x"}


def check_refused(stage: Stage, reply: Any, told: str, *, most: int = 20_000) -> None:
    """Check that there is an answer, which is no fault of the proxy, and not as long as the question."""
    status = status_of(reply)
    stage.check(status, f"{told}: no answer came")
    stage.check(status not in (500, 501, 502, 504), f"{told}: it answered {status}: {_text(reply)}")
    if status >= 400:
        stage.check(len(reply.content) <= most, f"{told}: an error of {len(reply.content):,} bytes")


def _text(reply: Any) -> str:
    return "" if reply is None else reply.text[:150]


def _many(count: int) -> list[dict[str, Any]]:
    return [_USER] * count


def _one_id(count: int) -> list[dict[str, Any]]:
    call = {"id": "call_same", "type": "function", "function": {"name": "a", "arguments": "{}"}}
    return [_USER, {"role": "assistant", "tool_calls": [call] * count}, _result(), _USER]


def _results(count: int) -> list[dict[str, Any]]:
    calls = [
        {"id": f"call_{number}", "type": "function", "function": {"name": "a", "arguments": "{}"}}
        for number in range(count)
    ]
    results = [_result(f"call_{number}") for number in range(count)]
    return [_USER, {"role": "assistant", "tool_calls": calls}, *results]


def _orphans(count: int) -> list[dict[str, Any]]:
    return [_USER, *[_result(f"call_{number}") for number in range(count)]]


def _parts(count: int) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "text", "text": "x"}] * count}]


def _turns(count: int) -> list[dict[str, Any]]:
    return [_USER, {"role": "assistant", "content": "y"}] * (count // 2) + [_USER]


def _result(call: str = "call_same") -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call, "content": "z"}


HISTORIES: list[tuple[str, tuple[Callable[[int], list[dict[str, Any]]], int]]] = [
    ("a million messages", (_many, 1_000_000)),
    ("a million parts", (_parts, 1_000_000)),
    ("100,000 turns", (_turns, 100_000)),
    ("16,000 calls with one id", (_one_id, 16_000)),
    ("8,000 calls and their results", (_results, 8_000)),
    ("8,000 results of no call", (_orphans, 8_000)),
]


@attacks(*HISTORIES, memory=1500)
async def _(stage: Stage, case: tuple[Callable[[int], list[dict[str, Any]]], int]) -> None:
    """A history of any length is answered or refused, and delays others for a moment at most."""
    make, whole = case
    body = json.dumps({"model": "http", "messages": make(stage.count(whole, 100))}).encode()
    for _ in range(2):
        check_refused(stage, await stage.post_json(CHAT, body), f"{len(body) // MB} MB")


# --- too deep, too long


DEEP: list[tuple[str, Callable[[int], bytes]]] = [
    ("arrays in arrays", lambda depth: b"[" * depth + b"]" * depth),
    ("objects in objects", lambda depth: b'{"a":' * depth + b"1" + b"}" * depth),
    ("an open end", lambda depth: b'[{"a":' * depth),
]


@attacks(*((f"10,000 {name}", make) for name, make in DEEP), quick=True)
async def _(stage: Stage, make: Callable[[int], bytes]) -> None:
    """JSON that is too deep is refused, wherever in a body it is."""
    deep = make(10_000)
    places = [
        deep,
        b'{"model": "http", "messages": ' + deep + b"}",
        b'{"model": "http", "messages": [{"role": "user", "content": "x"}], "metadata": ' + deep + b"}",
        b'{"model": "http", "messages": [{"role": "user", "content": "x"}], "tools": [{"type": "function", '
        b'"function": {"name": "a", "parameters": ' + deep + b"}}]}",
    ]
    for path in DIALECTS.values():
        for body in places:
            reply = await stage.post_json(path, body)
            check_refused(stage, reply, f"{path} {body[:30]!r}")


@attack("a model's name of 50 MB", memory=600)
async def _(stage: Stage) -> None:
    """A name like this is not found; neither the error nor the log contains all of it."""
    name = "m" * stage.count(50 * MB, MB)
    for path in DIALECTS.values():
        body = json.dumps({"model": name, "messages": [_USER], "input": "x", "prompt": "x", "max_tokens": 9})
        reply = await stage.post_json(path, body.encode())
        check_refused(stage, reply, path)
        stage.check(400 <= status_of(reply) < 500, f"{path}: it answered {status_of(reply)}")
    async with stage.client() as http:
        found = (await http.get("/v1/models/" + "m" * 50_000)).status_code
        stage.check(found in (404, 414, 431), f"GET /v1/models/… got {found}")


@attack("names that fit patterns in many ways", quick=True)
async def _(stage: Stage) -> None:
    """A name that matches a pattern of `[models]` in very many ways is found, or not, at once."""
    names = ["xy" * 50_000, "xyz" * 50_000, "a" * 100_000, "a" * 50_000 + "b", "*x*y*z", "*" * 10_000]
    for name in names:
        reply = await stage.post_json(CHAT, chat_body(model=name), within=5)
        check_refused(stage, reply, f"{name[:10]!r}…")


# --- compressed


def _bomb(start: Callable[[], Any], size: int) -> bytes:
    stream, piece = start(), b"\x00" * MB
    made = b"".join(stream(piece) for _ in range(size // MB))
    return made + stream(None)


def _zlib(bits: int) -> Callable[[bytes | None], bytes]:
    stream = zlib.compressobj(9, zlib.DEFLATED, bits)
    return lambda piece: stream.flush() if piece is None else stream.compress(piece)


def _brotli() -> Callable[[bytes | None], bytes]:
    stream = brotli.Compressor(quality=5)
    return lambda piece: stream.finish() if piece is None else stream.process(piece)


def _zstd() -> Callable[[bytes | None], bytes]:
    stream = zstd.ZstdCompressor()
    return lambda piece: stream.flush() if piece is None else stream.compress(piece)


CODINGS: list[tuple[str, Callable[[], Any]]] = [
    ("gzip", partial(_zlib, 31)),
    ("deflate", partial(_zlib, 15)),
    ("br", _brotli),
    ("zstd", _zstd),
]


@attacks(*((f"a bomb in {name}", (name, start)) for name, start in CODINGS), memory=600)
async def _(stage: Stage, case: tuple[str, Callable[[], Any]]) -> None:
    """A small body that becomes a gigabyte is refused with 413: alone, packed twice, and cut short."""
    name, start = case
    bomb = await asyncio.to_thread(_bomb, start, stage.count(1024 * MB, 200 * MB))
    packed = _packed(start, bomb)
    for coding, body, right in (
        (name, bomb, (413,)),
        (f"{name}, {name}", packed, (413,)),
        (name, bomb[: len(bomb) // 2], (413, 400)),
        (name, bomb[:-4] + b"\xff" * 64, (413, 400)),
        (", ".join([name] * 40), bomb, (400, 413, 415)),
    ):
        async with stage.client() as http:
            headers = {"content-type": "application/json", "content-encoding": coding}
            found = (await http.post(CHAT, content=body, headers=headers)).status_code
            stage.check(found in right, f"{coding[:30]}, {len(body):,} bytes: it answered {found}")


def _packed(start: Callable[[], Any], data: bytes) -> bytes:
    stream = start()
    return bytes(stream(data) + stream(None))


# --- odd JSON


def _odd() -> Iterator[tuple[str, bytes]]:
    chat = b'{"model": "http", "messages": [{"role": "user", "content": "hi"}], %b}'
    for name, field in {
        "a huge number": b'"max_tokens": ' + b"9" * 5000,
        "a number beyond 64 bits": b'"seed": 99999999999999999999999',
        "a negative zero": b'"max_tokens": -0',
        "NaN": b'"temperature": NaN',
        "infinity": b'"temperature": Infinity',
        "a number beyond all floats": b'"temperature": 1e999',
        "a lone surrogate": b'"user": "\\ud800"',
        "a surrogate the wrong way round": b'"user": "\\udc00\\ud800"',
        "a NUL": b'"user": "\\u0000"',
        "a key twice": b'"model": "messages", "model": "http"',
        "a key that is a surrogate": b'"\\ud800": 1',
        "a prototype": b'"__proto__": {"stream": true}, "constructor": {"prototype": {}}',
        "a bool for a number": b'"max_tokens": true',
        "a float for a number": b'"max_tokens": 1.5',
        "a string of a number": b'"n": "1"',
        "a null": b'"stream": null, "tools": null, "stop": null',
        "bytes that are no UTF-8": b'"user": "\xff\xfe"',
        "an overlong slash": b'"user": "\xc0\xaf"',
        "many stops": b'"stop": [' + b'"a",' * 5000 + b'"b"]',
        "a large bias": b'"logit_bias": {' + b",".join(b'"%d": 1' % n for n in range(50_000)) + b"}",
    }.items():
        yield name, chat % field
    whole = chat % b'"n": 1'
    for name, body in {
        "nothing": b"",
        "a null alone": b"null",
        "a list alone": b"[]",
        "a text alone": b'"x"',
        "a number alone": b"5",
        "text behind the end": whole + b"x",
        "two bodies": whole + whole,
        "a byte order mark": b"\xef\xbb\xbf" + whole,
        "UTF-16": whole.decode().encode("utf-16"),
        "comments": b"/* a */" + whole,
        "single quotes": whole.replace(b'"', b"'"),
        "an open end": whole[:-1],
        "half a character": whole.replace(b"hi", b"\xe2\x82"),
        "lone surrogates in the words": whole.replace(b"hi", b"\\ud83d \\ude00 \\udfff"),
    }.items():
        yield name, body


@attack("odd JSON", quick=True)
async def _(stage: Stage) -> None:
    """Odd JSON is understood or refused in every dialect, and is never a fault of the proxy."""
    for name, body in _odd():
        for path in DIALECTS.values():
            reply = await stage.post_json(path, body, within=20)
            check_refused(stage, reply, f"{path}: {name}")


# --- hostile schemas and names


def _nested(depth: int, key: str = "properties") -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(depth):
        inner = {"a": schema} if key == "properties" else [schema] if key == "anyOf" else schema
        schema = {"type": "object", key: inner}
    return schema


SCHEMAS: dict[str, Any] = {
    "depth 450": _nested(450),
    "depth 450 of lists": _nested(450, "items"),
    "depth 450 of choices": _nested(450, "anyOf"),
    "required is a number": {"type": "object", "required": 5},
    "type is an object": {"type": {}},
    "type is unknown": {"type": "nothing"},
    "properties are a list": {"type": "object", "properties": []},
    "an enum of nothing": {"type": "object", "properties": {"a": {"enum": []}}},
    "a pattern that is none": {"type": "object", "properties": {"a": {"type": "string", "pattern": "("}}},
    "a pattern of many ways": {
        "type": "object",
        "properties": {"a": {"type": "string", "pattern": "^(a+)+$"}},
    },
    "a reference to itself": {"$ref": "#"},
    "references in a ring": {
        "$ref": "#/$defs/a",
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
    },
    "a reference to nowhere": {"$ref": "#/$defs/none"},
    "a reference to a file": {"$ref": "file:///etc/passwd"},
    "true": True,
    "null": None,
    "a text": "object",
    "a prototype": {"type": "object", "properties": {"__proto__": {"type": "string"}, "constructor": {}}},
    "a huge bound": {"type": "object", "minProperties": 10**30},
    "10,000 properties": {
        "type": "object",
        "properties": {f"p{n}": {"type": "string"} for n in range(10_000)},
    },
}


def _with_tool(schema: Any, name: str = "look") -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": {"name": name, "parameters": schema}}]}


def _with_format(schema: Any) -> dict[str, Any]:
    form = {"name": "form", "schema": schema, "strict": True}
    return {"response_format": {"type": "json_schema", "json_schema": form}}


@attack("hostile schemas", honest=("http", "cli"), bound=20, limit=120)
async def _(stage: Stage) -> None:
    """Any schema, of a tool or of the answer, is used or refused; what it refers to is not fetched."""
    schemas = {**SCHEMAS, "a reference to a server": {"$ref": f"{stage.evil.url}/schema.json"}}
    for name, schema in schemas.items():
        for model in ("http", "messages", "sonnet"):
            for fields in (_with_tool(schema), _with_format(schema)):
                reply = await stage.ask("hi", model, within=20, **fields)
                told = f"{model}, {next(iter(fields))}: {name}"
                stage.check(status_of(reply), f"{told}: no answer came")
                # a 504 is the CLI's own slowness with a large schema: it is in time, and nobody else's
                stage.check(status_of(reply) != 500, f"{told}: {status_of(reply)}: {_text(reply)}")
    stage.check(stage.evil.heard == 0, "a schema made it fetch something")


NAMES = (
    "__proto__",
    "constructor",
    "toString",
    "hasOwnProperty",
    "../../etc/passwd",
    "mcp__proxy__look",
    "Bash",
    "StructuredOutput",
    "a\nb",
    "\x1b[2J",
    "a\x00b",
    " ",
    "",
    "a" * 10_000,
    "\u202eknil",
    "caf\u00e9",
    "-rf",
    "$(touch x)",
)


@attack("hostile names of tools", honest=("http", "cli"), bound=20)
async def _(stage: Stage) -> None:
    """A tool of any name is offered by this name or refused, and nobody runs it."""
    for name in NAMES:
        for model in ("http", "messages", "sonnet"):
            reply = await stage.ask("hi", model, within=20, **_with_tool({"type": "object"}, name))
            told = f"{model}: {name[:20]!r}"
            stage.check(status_of(reply), f"{told}: no answer came")
            stage.check(status_of(reply) not in (500, 504), f"{told}: {status_of(reply)}: {_text(reply)}")
    stage.check(not (stage.proxy.work / "x").exists(), "a tool's name was run")


@attack("words that would write the log", quick=True)
async def _(stage: Stage) -> None:
    """A name with line breaks or control characters makes no further lines and moves no terminal's cursor."""
    forged = "10:00:00 INFO    200  forged"
    for word in (f"x\n{forged}", f"x\r{forged}", "\x1b[2J\x1b]0;owned\x07", "\x9b31m", "a\u2028b", "\x00"):
        for field in ({"model": word}, {"user": word}, {"metadata": {word: word}}, {word: 1}):
            await stage.post_json(CHAT, json.loads(chat_body()) | field)
        head = stage.head(f"User-Agent: {word}", method="GET", path="/v1/models/x", host="127.0.0.1")
        await stage.tell(head.replace(b"\n1", b"\r\n 1"), within=0.5)
        stage.tried += 1
    for line in stage.proxy.log:
        if re.match(r"10:00:00 INFO", line):
            stage.problems.append("a name wrote a line of the log")
