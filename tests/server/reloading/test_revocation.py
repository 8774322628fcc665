"""What happens to the data of a key that is renamed, changed or removed."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from claude_max_proxy import Client
from tests.scripted import SILENCE
from tests.server.exchange import Exchange, running
from tests.server.live_proxy import TOML, LiveProxy


KEYS = TOML + "[server]\napi_keys = {{ {} }}\n"
BOTH = KEYS.format('alice = "one", bob = "two"')
EXCHANGED = KEYS.format('bob = "one", alice = "two"')
WITHOUT = {
    "removed": KEYS.format('bob = "two"'),
    "changed": KEYS.format('alice = "three", bob = "two"'),
    "handed over": KEYS.format('alice = "two"'),
}
gone = pytest.mark.parametrize("toml", WITHOUT.values(), ids=WITHOUT)


def key(secret: str) -> dict[str, str]:
    """Return the header of a key."""
    return {"authorization": f"Bearer {secret}"}


async def respond(proxy: LiveProxy, secret: str) -> str:
    """Ask for a response that is stored, and return its id."""
    body = {"model": "echo", "input": "hi"}
    answer = await proxy.http.post("/v1/responses", json=body, headers=key(secret))
    assert answer.status_code == 200
    return str(answer.json()["id"])


async def stored(proxy: LiveProxy, id_: str, secret: str) -> int:
    """Retrieve it, and return the status."""
    again = await proxy.http.get(f"/v1/responses/{id_}", headers=key(secret))
    body = {"model": "echo", "input": "and?", "previous_response_id": id_}
    further = await proxy.http.post("/v1/responses", json=body, headers=key(secret))
    assert (again.status_code == 200) == (further.status_code == 200)
    return again.status_code


async def test_names_exchanged(tmp_path: Path) -> None:
    """Stored data belongs to the secret that stored it: another key with the same name does not see it."""
    async with LiveProxy(tmp_path, BOTH).serving() as proxy:
        id_ = await respond(proxy, "one")
        proxy.write(EXCHANGED)
        await proxy.changed()
        assert (await stored(proxy, id_, "two"), await stored(proxy, id_, "one")) == (404, 200)


@gone
async def test_what_a_revoked_key_stored(tmp_path: Path, toml: str) -> None:
    """What a revoked key stored is gone, also when the key comes back; what others stored stays."""
    async with LiveProxy(tmp_path, BOTH).serving() as proxy:
        alices, bobs = await respond(proxy, "one"), await respond(proxy, "two")
        proxy.write(toml)
        await proxy.changed()
        assert (await stored(proxy, alices, "two"), await stored(proxy, bobs, "two")) == (404, 200)
        proxy.write(BOTH)
        await proxy.changed()
        assert (await stored(proxy, alices, "one"), await stored(proxy, bobs, "two")) == (404, 200)


async def test_what_was_stored_without_keys(tmp_path: Path) -> None:
    """What was stored while no keys were needed belongs to no key later, and is gone."""
    async with LiveProxy(tmp_path, TOML, patience=0.1).serving() as proxy:
        id_ = await respond(proxy, "")
        proxy.write(BOTH)
        await proxy.changed()
        assert await stored(proxy, id_, "one") == 404
        proxy.write(TOML)
        await proxy.changed()
        assert await stored(proxy, id_, "") == 404


async def test_limits_follow_the_secret(tmp_path: Path) -> None:
    """A new name does not give a key a new minute, and another key with an old name has its own minute."""
    limited = '{ key = "%s", requests_per_minute = 1 }'
    one, two = limited % "one", limited % "two"
    async with LiveProxy(tmp_path, KEYS.format(f"alice = {one}, bob = {two}")).serving() as proxy:
        assert (await proxy.ask(**key("one"))).status_code == 200
        proxy.write(KEYS.format(f"bob = {one}, alice = {two}"))
        await proxy.changed()
        assert (await proxy.ask(**key("one"))).status_code == 429
        assert (await proxy.ask(**key("two"))).status_code == 200


async def test_what_a_backend_hears(tmp_path: Path) -> None:
    """A backend learns the owner, the same for one secret and different for each, and it is shown nowhere."""
    async with LiveProxy(tmp_path, BOTH).serving() as proxy:
        await proxy.ask(**key("one"))
        proxy.write(EXCHANGED)
        await proxy.changed()
        for secret in ("one", "two"):
            await proxy.ask(**key(secret))
        before, same, other = [request.client for request, _ in proxy.backend.asked]
    assert (before.key, same.key, other.key) == ("alice", "bob", "alice")
    assert before.owner == same.owner != other.owner
    assert before.identity not in repr(before)
    assert "one" not in before.identity
    assert Client("name").owner == "name"


LOGGING = """
import claude_max_proxy as proxy

seen = []

@proxy.hookimpl
def log_request(record):
    seen.append(record)
"""


async def test_what_an_observer_hears(tmp_path: Path) -> None:
    """A record, which may be stored, names the key and contains nothing of its secret."""
    async with LiveProxy(tmp_path, BOTH, watching=LOGGING).serving() as proxy:
        await proxy.ask(**key("one"))
        plugin = next(one for one in proxy.live.runtime.plugins if one.name == "watching")
        record = plugin.module.seen[0]
    assert (record.client.key, record.client.identity) == ("alice", "")


# --- answers that go on

PROMPT = [{"role": "user", "content": "hi"}]
DIALECTS: dict[str, tuple[str, dict[str, Any], bytes]] = {
    "chat": ("/v1/chat/completions", {"messages": PROMPT}, b"data: [DONE]"),
    "completions": ("/v1/completions", {"prompt": "hi"}, b"data: [DONE]"),
    "messages": ("/v1/messages", {"messages": PROMPT, "max_tokens": 100}, b"event: error"),
    "responses": ("/v1/responses", {"input": "hi"}, b"event: response.failed"),
}
dialects = pytest.mark.parametrize(("path", "fields", "end"), DIALECTS.values(), ids=DIALECTS)
REVOKED = b"this proxy no longer accepts this API key"


def asking(path: str, fields: dict[str, Any], secret: str = "one", *, stream: bool = True) -> Exchange:
    """Return a request for an answer of this route."""
    exchange = Exchange(msgspec.json.encode({"model": "echo", "stream": stream, **fields}), **key(secret))
    exchange._scope |= {"path": path, "raw_path": path.encode()}
    return exchange


@gone
@dialects
async def test_a_running_stream(
    tmp_path: Path, path: str, fields: dict[str, Any], end: bytes, toml: str
) -> None:
    """A revoked key's stream ends with an error in the words of its API; another key's stream goes on."""
    async with LiveProxy(tmp_path, BOTH, watching=LOGGING).serving() as proxy:
        proxy.backend.script[3:3] = [SILENCE]
        alices, bobs = asking(path, fields), asking(path, fields, "two")
        async with running(proxy.live, alices) as task, running(proxy.live, bobs):
            await alices.hears(b"Hello!")
            await bobs.hears(b"Hello!")
            proxy.write(toml)
            await asyncio.wait_for(task, 5)
            assert (alices.status, alices.complete) == (200, True)
            assert alices.body.count(REVOKED) == 1
            # in the Responses API an error within a stream has one of a few codes, and this is none of them
            assert path == "/v1/responses" or b"invalid_api_key" in alices.body
            assert end in alices.body[alices.body.index(b"Hello!") :]
            assert not bobs.complete
            await proxy.until(lambda: proxy.backend.closed)
            assert proxy.backend.closed == 1
            records = next(one for one in proxy.live.runtime.plugins if one.name == "watching").module.seen
            assert [record.status for record in records] == [401]


@gone
@dialects
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_an_answer_that_has_not_begun(
    tmp_path: Path, path: str, fields: dict[str, Any], end: bytes, toml: str, stream: bool
) -> None:
    """Before the first event, and for a whole answer at any time, the error is a status."""
    async with LiveProxy(tmp_path, BOTH).serving() as proxy:
        proxy.backend.script[0 if stream else 3 :] = [SILENCE]
        exchange = asking(path, fields, stream=stream)
        async with running(proxy.live, exchange) as task:
            await proxy.until(lambda: proxy.backend.asked)
            proxy.write(toml)
            await asyncio.wait_for(task, 5)
        assert (exchange.status, exchange.complete) == (401, True)
        assert REVOKED in exchange.body


async def test_a_request_that_is_still_being_read(tmp_path: Path) -> None:
    """A request whose key was revoked while the request arrived is not answered."""
    async with LiveProxy(tmp_path, BOTH).serving() as proxy:
        arrives = asyncio.Event()

        async def body() -> Any:
            yield b'{"model":"echo",'
            await arrives.wait()
            yield b'"messages":[{"role":"user","content":"hi"}]}'

        headers = {**key("one"), "content-type": "application/json"}
        asked = asyncio.get_running_loop().create_task(
            proxy.http.post("/v1/chat/completions", content=body(), headers=headers)
        )
        await asyncio.sleep(0.1)
        proxy.write(WITHOUT["removed"])
        await proxy.changed()
        arrives.set()
        answer: httpx.Response = await asyncio.wait_for(asked, 5)
        assert (answer.status_code, REVOKED in answer.content) == (401, True)


async def test_a_stream_without_a_key_goes_on(tmp_path: Path) -> None:
    """A request that was sent while no keys were needed finishes normally."""
    async with LiveProxy(tmp_path).serving() as proxy:
        proxy.backend.script[3:3] = [1.0]
        exchange = asking("/v1/chat/completions", {"messages": PROMPT})
        async with running(proxy.live, exchange) as task:
            await exchange.hears(b"Hello!")
            proxy.write(BOTH)
            await proxy.changed()
            await asyncio.wait_for(task, 5)
        assert REVOKED not in exchange.body
        assert exchange.text == "Hello!"
