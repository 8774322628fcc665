"""A proxy.toml that is emptied, half saved, rewritten all the time, or replaced by something else."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.attack.plugins import reloaded
from tests.attack.registry import attack, attacks
from tests.attack.stage import KEYS, Stage, status_of
from tests.attack.wire import statuses


def toml_of(stage: Stage) -> Path:
    """Return the path of the file."""
    return stage.proxy.work / "proxy.toml"


async def check_door(stage: Stage, told: str) -> None:
    """Check that nobody is served without a key."""
    async with stage.client(key="", within=10) as http:
        found = (await http.get("/v1/models")).status_code
        stage.check(found == 401, f"{told}: without a key it answered {found}")


@attack("half saved", quick=True)
async def _(stage: Stage) -> None:
    """A file that is incomplete for the moment of its saving opens nothing and stops no client."""
    file, text = toml_of(stage), toml_of(stage).read_text()
    steps = stage.count(100, 10)
    for step in range(steps):
        file.write_text(text[: len(text) * step // steps])
        await asyncio.sleep(0.05)
        file.write_text(text)
        await asyncio.sleep(0.1)
        await check_door(stage, f"cut at {step}/{steps}")


@attack("cut for a while", honest=(), limit=90)
async def _(stage: Stage) -> None:
    """A file that stays incomplete for a second gives no client access, wherever it is cut."""
    file, text = toml_of(stage), toml_of(stage).read_text()
    steps = stage.count(30, 6)
    for step in range(steps):
        file.write_text(text[: len(text) * step // steps])
        await asyncio.sleep(1.0)
        await check_door(stage, f"cut at {step}/{steps}")
        file.write_text(text)
        await asyncio.sleep(0.6)
    await asyncio.sleep(2)
    stage.check(status_of(await stage.ask("hi", within=10)) == 200, "the whole file is not in force again")


@attack("emptied")
async def _(stage: Stage) -> None:
    """An empty file in the place of one with keys opens nothing and stops no client."""
    file, text = toml_of(stage), toml_of(stage).read_text()
    for instead in ("", "\n", "# nothing\n", "\x00" * 4096):
        file.write_text(instead)
        await asyncio.sleep(2.0)
        await check_door(stage, repr(instead[:10]))
        file.write_text(text)
        await asyncio.sleep(1.5)


@attack("keys removed for a moment", honest=())
async def _(stage: Stage) -> None:
    """If the keys are missing from the file for a second, nobody is served without a key."""
    file, text = toml_of(stage), toml_of(stage).read_text()
    start, end = text.index("api_keys"), text.index("drain_timeout")
    for instead in ("", "api_keys = {}\n"):
        file.write_text(text[:start] + instead + text[end:])
        for _ in range(4):
            await asyncio.sleep(0.25)
            await check_door(stage, "without its keys")
        file.write_text(text)
        await asyncio.sleep(2.5)
    stage.check(status_of(await stage.ask("hi", within=10)) == 200, "the keys do not work any more")


@attack("rewritten all the time", quick=True)
async def _(stage: Stage) -> None:
    """A file that changes every 200 ms, half saved, stops no client, and its last version takes effect."""
    file, text = toml_of(stage), toml_of(stage).read_text()
    for number in range(stage.count(75, 15)):
        new = text.replace("[models]\n", f'[models]\nm{number} = "http/m"\n')
        if number % 3:
            file.write_text(new)
        else:
            with file.open("w") as opened:
                opened.write(new[: len(new) // 2])
                opened.flush()
                await asyncio.sleep(0.1)
                opened.write(new[len(new) // 2 :])
        await asyncio.sleep(0.2)
        stage.tried += 1
    file.write_text(text.replace("[models]\n", '[models]\nlast = "http/last"\n'))
    await asyncio.sleep(4)
    stage.check(status_of(await stage.ask("hi", "last", within=10)) == 200, "the last change is not in force")
    file.write_text(text)
    await reloaded(stage)


def _fifo(file: Path) -> None:
    os.mkfifo(file, 0o600)


INSTEAD: list[tuple[str, Callable[[Path], Any]]] = [
    ("nothing", lambda _: None),
    ("a folder", lambda file: file.mkdir()),
    ("a FIFO", _fifo),
    ("a link to itself", lambda file: file.symlink_to(file.name)),
    ("a link to a device", lambda file: file.symlink_to("/dev/zero")),
    ("bytes", lambda file: file.write_bytes(os.urandom(100_000))),
    ("100 MB", lambda file: file.write_bytes(b"#" * 100_000_000)),
    ("deep lists", lambda file: file.write_text("a = " + "[" * 100_000)),
    (
        "many tables",
        lambda file: file.write_text("".join(f"[models.m{n}]\nto='http/x'\n" for n in range(20_000))),
    ),
    (
        "a file that others may write",
        lambda file: (file.write_text('[server]\napi_keys = { x = "y" }\n'), file.chmod(0o666)),
    ),
    ("a file that nobody may read", lambda file: (file.write_text(""), file.chmod(0o000))),
]


@attacks(*((f"{name} in its place", make) for name, make in INSTEAD), alone=True, memory=500)
async def _(stage: Stage, make: Callable[[Path], Any]) -> None:
    """A file that is no configuration changes nothing; when it is corrected, changes take effect again."""
    file, text = toml_of(stage), toml_of(stage).read_text()
    file.unlink()
    make(file)
    await asyncio.sleep(3)
    await check_door(stage, "meanwhile")
    stage.check(status_of(await stage.ask("hi", within=10)) == 200, "it does not answer")
    if file.is_dir():
        shutil.rmtree(file)
    file.unlink(missing_ok=True)
    file.write_text(text.replace("[models]\n", '[models]\nlater = "http/later"\n'))
    file.chmod(0o600)
    await asyncio.sleep(3)
    stage.check(status_of(await stage.ask("hi", "later", within=10)) == 200, "a change is not live any more")


@attack("a key's file changes", alone=True)
async def _(stage: Stage) -> None:
    """When a key's file changes, the new key is soon accepted, and the old one no longer is."""
    stage.check(status_of(await stage.ask("hi", key="other")) == 200, "the key in its file does not work")
    (stage.proxy.work / "other.key").write_text("CANARY-new-key-8842")
    await asyncio.sleep(3)
    stage.check(status_of(await stage.ask("hi", key="other")) == 401, "the old key still works")
    async with stage.client(key="") as http:
        found = await http.get("/v1/models", headers={"x-api-key": "CANARY-new-key-8842"})
        stage.check(found.status_code == 200, f"the new key got {found.status_code}")


@attack("a key's file is gone", alone=True)
async def _(stage: Stage) -> None:
    """A key whose file is gone or empty is not accepted, and the other keys still are."""
    for make in (
        (stage.proxy.work / "other.key").unlink,
        lambda: (stage.proxy.work / "other.key").write_text(""),
    ):
        make()
        toml_of(stage).write_text(toml_of(stage).read_text() + "\n")
        await asyncio.sleep(3)
        await check_door(stage, "without the file")
        for line in ("x-api-key:", "x-api-key:  ", "Authorization: Bearer", "Authorization: Bearer "):
            head = stage.head(line, method="GET", path="/v1/models", key="")
            found = statuses(await stage.tell(head, within=2))
            stage.check(found == [401], f"an empty key got {found}")
    stage.check(KEYS["other"] not in "\n".join(stage.proxy.log), "the log holds the key")
