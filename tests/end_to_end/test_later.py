"""What is missing at the start may come later: the proxy finds it, and /health shows the current state."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from claude_max_proxy.testing import ScriptedUpstream
from tests.end_to_end.chatting import ask
from tests.end_to_end.conftest import StartProxy
from tests.end_to_end.running import RunningProxy


class Place:
    """The path where a test puts its CLI: a link in a separate folder."""

    def __init__(self, folder: Path, cli: str) -> None:
        self.cli = cli
        self.folder = folder
        self.path = folder / "bin" / "claude"
        self.asked = self.path.with_name("claude.asked")
        self.path.parent.mkdir()

    def install(self) -> None:
        """Put the real CLI there, at once."""
        new = self.path.with_name("new")
        new.symlink_to(self.cli)
        new.replace(self.path)

    def script(self, text: str) -> None:
        """Put a shell script there."""
        new = self.path.with_name("new")
        new.write_text(f'#!/bin/sh\ncli="{self.cli}"\n{text}\n')
        new.chmod(0o755)
        new.replace(self.path)


class Later(msgspec.Struct):
    """What is wrong at first, how it is put right, and what clients and /health are told meanwhile."""

    spoil: Callable[[Place], object]
    right: Callable[[Place], object]
    words: str
    code: str = "backend_unavailable"


LATER = {
    "missing": Later(lambda place: None, Place.install, "was not found"),
    "no program yet": Later(lambda place: place.path.touch(), Place.install, "was not found"),
    "too old": Later(lambda place: place.script("echo '1.0.0 (Claude Code)'"), Place.install, "is too old"),
    "broken": Later(lambda place: place.script("exit 1"), Place.install, "is not the Claude Code CLI"),
    "link to nowhere": Later(lambda place: place.path.symlink_to("nowhere"), Place.install, "was not found"),
}


@pytest.mark.parametrize("case", LATER.values(), ids=LATER)
@pytest.mark.parametrize("by", ["request", "itself", "reload"])
async def test_the_cli(
    case: Later, by: str, run_proxy: StartProxy, cli: str, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """A CLI that is installed later is found by the next request, and without one in the background."""
    place = Place(tmp_path, cli)
    case.spoil(place)
    proxy = await run_proxy(str(place.path), warm=0, warm_models=[])
    async with proxy.client() as client:
        for _ in range(3):
            refused = await ask(client, "hi")
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, case.code)
            assert case.words in refused.json()["error"]["message"]
        assert case.words in (await proxy.health())["problem"]
        assert (await client.get("/health")).status_code == 503

        case.right(place)

        if by == "reload":
            proxy.process.send_signal(signal.SIGHUP)
        if by == "request":
            await asyncio.sleep(1.1)
            answered = await ask(client, "hi")
            assert answered.status_code == 200, answered.text
        health = await until_well(proxy)
        assert health["version"]
        assert "problem" not in health
        assert (await ask(client, "hi")).status_code == 200


async def until_well(proxy: RunningProxy, within: float = 30.0) -> dict[str, Any]:
    """Wait until nothing is wrong any more, and return what /health says then."""
    deadline = time.monotonic() + within
    while (health := await proxy.health())["status"] != "ok":
        assert time.monotonic() < deadline, health
        await asyncio.sleep(0.1)
    return health


async def test_many_requests_share_a_look(
    run_proxy: StartProxy, cli: str, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """However many requests come, the CLI is examined at most once a second, and one at a time."""
    place = Place(tmp_path, cli)
    place.script('echo "$1" >> "$0.asked"; sleep 0.2; echo "1.0.0"')
    proxy = await run_proxy(str(place.path), warm=0, warm_models=[])
    began = time.monotonic()
    async with proxy.client() as client:
        for _ in range(4):
            refused = await asyncio.gather(*(ask(client, "hi") for _ in range(20)))
            assert {one.status_code for one in refused} == {503}
            await asyncio.sleep(0.3)
    looks = len(place.asked.read_text().splitlines())
    assert looks <= (time.monotonic() - began) / 1.0 + 2


async def test_another_version(
    run_proxy: StartProxy, cli: str, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """A CLI that is replaced while the proxy runs is noticed by the next request, and examined again."""
    place = Place(tmp_path, cli)
    place.script('[ "$1" = --version ] && echo "2.1.150 (Claude Code)" || exec "$cli" "$@"')
    proxy = await run_proxy(str(place.path))
    assert (await until_well(proxy))["version"] == "2.1.150"
    async with proxy.client() as client:
        assert (await ask(client, "hi")).status_code == 200
        await asyncio.sleep(1.1)

        place.script("exit 1")
        await ask(client, "one more")
        assert "not the Claude Code CLI" in (await proxy.health())["problem"]

        await asyncio.sleep(1.1)
        place.install()
        assert (await ask(client, "and another")).status_code == 200
    assert (await until_well(proxy))["version"] not in {"", "2.1.150"}


async def test_the_login(run_proxy: StartProxy, cli: str, upstream: ScriptedUpstream, tmp_path: Path) -> None:
    """A login that comes later is used by the next request, also if processes were started before it."""
    given = upstream.environment()
    environment = {name: given[name] for name in given if "KEY" not in name and "TOKEN" not in name}
    home = tmp_path / "home"
    proxy = await run_proxy(cli, home=home, environment=environment, warm=1)
    async with proxy.client() as client:
        refused = await ask(client, "hi")
        assert (refused.status_code, refused.json()["error"]["code"]) == (401, "not_logged_in")
        assert "Not logged in. Run: " in (await proxy.health())["problem"]
        await asyncio.sleep(2)  # there are warm ones again, without a login

        log_in(home)

        answered = await ask(client, "hi")
        assert answered.status_code == 200, answered.text
    health = await until_well(proxy)
    assert health["login"].startswith("logged in")


def log_in(home: Path) -> None:
    """Write what `claude auth login` writes."""
    folder = home / ".claude"
    folder.mkdir(parents=True, exist_ok=True)
    token = {
        "accessToken": "sk-ant-oat01-later",
        "refreshToken": "sk-ant-ort01-later",
        "expiresAt": int((time.time() + 3600 * 24) * 1000),
        "scopes": ["user:inference", "user:profile"],
        "subscriptionType": "max",
    }
    file = folder / ".credentials.json"
    file.write_text(json.dumps({"claudeAiOauth": token}))
    file.chmod(0o600)


class Trouble(msgspec.Struct):
    """A resource that the system refuses for a while."""

    spoil: Callable[[RunningProxy, Path], object]
    right: Callable[[RunningProxy, Path], object]
    refuses: bool = True


def limit_files(proxy: RunningProxy, most: int | None) -> None:
    """Limit the proxy's descriptors to those that it has now, or lift the limit."""
    soft = proxy.descriptors() + 4 if most is None else most
    _, hard = resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(proxy.pid, resource.RLIMIT_NOFILE, (soft, hard))


TROUBLES = {
    "too many open files": Trouble(
        lambda proxy, _: limit_files(proxy, None), lambda proxy, _: limit_files(proxy, 1024)
    ),
    "temporary directory gone": Trouble(
        lambda _, temporary: shutil.rmtree(temporary),
        lambda _, temporary: temporary.mkdir(exist_ok=True),
        refuses=False,
    ),
    "temporary directory a file": Trouble(
        lambda _, temporary: (shutil.rmtree(temporary), temporary.touch()),
        lambda _, temporary: (temporary.unlink(), temporary.mkdir()),
        refuses=False,
    ),
    "shell of the watchdog killed": Trouble(
        lambda proxy, _: [os.kill(pid, signal.SIGKILL) for pid in shells(proxy)],
        lambda *_: None,
        refuses=False,
    ),
}


def shells(proxy: RunningProxy) -> list[int]:
    """Return the proxy's own shell."""
    children = Path(f"/proc/{proxy.pid}/task/{proxy.pid}/children").read_text().split()
    return [
        int(pid) for pid in children if b"read -r sign group" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]


@pytest.mark.parametrize("case", TROUBLES.values(), ids=TROUBLES)
async def test_the_system(
    case: Trouble, run_proxy: StartProxy, cli: str, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """What the system refuses for a while is an error that says so, or does no harm; later all is well."""
    temporary = tmp_path / "tmp"
    proxy = await run_proxy(cli, temporary=temporary, warm=0, warm_models=[], retries=0)
    await until_well(proxy)
    async with proxy.client() as client:
        assert (await ask(client, "hi")).status_code == 200
        await asyncio.sleep(0.5)
        case.spoil(proxy, temporary)
        for number in range(3):
            system = {"role": "system", "content": f"Be {number}."}  # so that each needs a new process
            response = await ask(client, [system, {"role": "user", "content": "hi"}])
            if case.refuses:
                assert response.status_code == 503, response.text
                assert response.json()["error"]["code"] == "backend_unavailable"
                health = (await client.get("/health")).json()["backends"]["claude"]
                assert "could not be started" in health["problem"]
            else:
                assert response.status_code == 200, response.text

        case.right(proxy, temporary)

        system = {"role": "system", "content": "Be well."}
        assert (await ask(client, [system, {"role": "user", "content": "hi"}])).status_code == 200
    await until_well(proxy)


async def test_a_slow_version(
    run_proxy: StartProxy, cli: str, upstream: ScriptedUpstream, tmp_path: Path
) -> None:
    """A CLI whose ``--version`` hangs once is asked again; the process that hung is ended."""
    place = Place(tmp_path, cli)
    place.script(
        'if [ "$1" = --version ] && mkdir "$0.first" 2>/dev/null; then sleep 600; fi\nexec "$cli" "$@"'
    )
    proxy = await run_proxy(str(place.path), warm=0, warm_models=[], start_timeout=5)
    async with proxy.client() as client:
        refused = await ask(client, "hi")
        assert refused.status_code == 503
        assert "does not answer" in refused.json()["error"]["message"]
        await asyncio.sleep(1.1)
        assert (await ask(client, "hi")).status_code == 200
    await until_well(proxy)
    assert not [pid for pid in proxy.descendants() if b"600" in command_line(pid)]


def command_line(pid: int) -> bytes:
    """Return the arguments that a process was started with."""
    return Path(f"/proc/{pid}/cmdline").read_bytes()
