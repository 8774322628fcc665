"""Appends a line of JSON to a file per request: `[plugins.log_jsonl]` with `path = "~/requests.jsonl"`."""

import asyncio
import time
from pathlib import Path
from typing import Annotated

import msgspec

import claude_max_proxy as proxy


class Settings(proxy.Settings, frozen=True):
    """Where the lines go."""

    path: Annotated[str, proxy.Meta(description="The file; its folder is made. Empty writes nothing.")] = ""


@proxy.hookimpl
def configured(settings: Settings) -> None:
    """Make the folder for the file."""
    if settings.path:
        Path(settings.path).expanduser().parent.mkdir(parents=True, exist_ok=True)


@proxy.hookimpl
async def log_request(record: proxy.Record, settings: Settings) -> None:
    """Write who asked which model, how it ended, tokens and times, but nothing of what was said."""
    if settings.path:
        line = msgspec.json.encode({"time": time.time(), **msgspec.to_builtins(record)}) + b"\n"
        await asyncio.to_thread(append, settings.path, line)


def append(path: str, line: bytes) -> None:
    """Append a line in a single write, so that the lines of requests that end together do not mix."""
    with Path(path).expanduser().open("ab") as file:
        file.write(line)
