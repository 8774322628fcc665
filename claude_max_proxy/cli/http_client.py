"""As much of an HTTP client as the demo needs: one request per connection, to a server of our own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from claude_max_proxy.sse import Decoder


async def get_json(url: str) -> Any:
    """Get a JSON document, whatever its status."""
    _, chunks = await _request("GET", url, b"")
    return msgspec.json.decode(b"".join([chunk async for chunk in chunks]))


async def post_stream(url: str, body: dict[str, Any]) -> AsyncIterator[str]:
    """Post JSON and give the data of each server-sent event.

    Raises :class:`click.ClickException` with the server's words when it answers with an error.
    """
    status, chunks = await _request("POST", url, msgspec.json.encode(body))
    async with aclosing(chunks):
        if status != 200:
            whole = b"".join([chunk async for chunk in chunks])
            raise click.ClickException(f"the proxy answered {status}: {whole.decode(errors='replace')}")
        decoder = Decoder()
        async for chunk in chunks:
            for event in decoder.feed(chunk):
                yield event.data


async def _request(method: str, url: str, body: bytes) -> tuple[int, Any]:
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = (
        f"{method} {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\nconnection: close\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    writer.write(head.encode() + body)
    status = int((await reader.readline()).split()[1])
    headers = {}
    while line := (await reader.readline()).strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    chunked = headers.get("transfer-encoding") == "chunked"
    return status, _body(reader, writer, chunked=chunked)


async def _body(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, chunked: bool
) -> AsyncIterator[bytes]:
    try:
        if not chunked:
            yield await reader.read(-1)
            return
        while size := int(await reader.readline(), 16):
            yield (await reader.readexactly(size + 2))[:-2]
    finally:
        writer.close()
