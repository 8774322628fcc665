"""Appends one JSON line per request to a file. `[plugins.log_jsonl]` with `path = "~/requests.jsonl"`."""

import asyncio
import time
from pathlib import Path

import msgspec

import claude_max_proxy as proxy


class Settings(proxy.Settings, frozen=True):
    """`path` is the file; its folder is made."""

    path: str = ""


@proxy.hookimpl
def configured(settings: Settings) -> None:
    """Make the folder."""
    if settings.path:
        Path(settings.path).expanduser().parent.mkdir(parents=True, exist_ok=True)


@proxy.hookimpl
async def log_request(record: proxy.Record, settings: Settings) -> None:
    """Write who asked what of whom, how it ended, tokens and times; never a word of what was said."""
    if settings.path:
        line = msgspec.json.encode({"time": time.time(), **msgspec.to_builtins(record)}) + b"\n"
        await asyncio.to_thread(append, settings.path, line)


def append(path: str, line: bytes) -> None:
    """Write in one go, so that lines of requests that end together do not mix."""
    with Path(path).expanduser().open("ab") as file:
        file.write(line)
