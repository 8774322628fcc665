"""Stores of responses: one suite over the one in memory and the one that replicas share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import msgspec
import pytest

from claude_max_proxy.config import SharedConfig
from claude_max_proxy.dialects.openai_responses.memory import MemoryStore
from claude_max_proxy.dialects.openai_responses.stored import ResponseStore, Stored
from claude_max_proxy.dialects.openai_responses.vaulted import VaultedStore
from claude_max_proxy.errors import ConfigError, Unreachable
from claude_max_proxy.shared import Shared, shared_of
from tests.postgresql import PostgreSQL
from tests.shared.conftest import Join
from tests.shared.keys import KEY, OTHER_KEY
from tests.shared.test_foundation import until


NewStore = Callable[..., Awaitable[ResponseStore]]


def stored(number: int, *items: Any, key: str = "me", output: tuple[Any, ...] = ()) -> Stored:
    """Return a response with these items."""
    context, given = (tuple(map(msgspec.json.encode, each)) for each in (items, output))
    return Stored(f"resp_{number}", key, b'{"number": %d}' % number, context, given)


def vaulted(shared: Shared) -> VaultedStore:
    """Return a replica's store."""
    vault = shared.vault("openai-responses")
    assert vault is not None
    return VaultedStore(vault)


@pytest.fixture(params=["memory", pytest.param("shared", marks=pytest.mark.postgres)])
async def new_store(request: pytest.FixtureRequest) -> AsyncIterator[NewStore]:
    """Make stores that keep so many responses of a key: in memory, or in a database."""

    async def in_memory(most: int = 100) -> ResponseStore:
        return MemoryStore(most, 1_000_000)

    if request.param == "memory":
        yield in_memory
        return
    url = request.getfixturevalue("server").new_database()
    opened: list[Shared] = []

    async def in_database(most: int = 100) -> ResponseStore:
        shared = shared_of(SharedConfig(url=url, encryption_key=KEY, responses_per_key=most), "1", "one")
        assert shared is not None
        await shared.open()
        opened.append(shared)
        return vaulted(shared)

    yield in_database
    for shared in opened:
        await shared.close()


# --- both


async def test_put_get_delete(new_store: NewStore) -> None:
    """A response is there as it was until it is deleted, once."""
    store = await new_store()
    given = stored(1, {"role": "user", "content": "é\ud7ff"}, output=({"id": "msg_1", "type": "message"},))
    await store.put(given)
    assert await store.get("resp_1", "me") == given
    assert await store.delete("resp_1", "me")
    assert await store.get("resp_1", "me") is None
    assert not await store.delete("resp_1", "me")


async def test_each_key_has_its_own(new_store: NewStore) -> None:
    """Nothing of one key can be read, found by an item, or deleted with another."""
    store = await new_store()
    await store.put(stored(1, {"id": "mine"}))
    for other in ("you", "", "m", "me "):
        assert await store.get("resp_1", other) is None
        assert await store.items(["mine"], other) == {}
        assert not await store.delete("resp_1", other)
    assert await store.get("resp_1", "me") is not None


async def test_items_by_their_ids(new_store: NewStore) -> None:
    """Items are found by their ids in whichever response has them; what has no id is in nobody's way."""
    store = await new_store()
    await store.put(stored(1, {"id": "a", "n": 1}, {"id": 5}, {}, output=({"id": "b"},)))
    await store.put(stored(2, {"id": "a", "n": 1}, output=({"id": "c"},)))
    found = await store.items(["a", "b", "c", "d"], "me")
    assert found == {"a": {"id": "a", "n": 1}, "b": {"id": "b"}, "c": {"id": "c"}}
    await store.delete("resp_1", "me")
    assert await store.items(["a", "b"], "me") == {"a": {"id": "a", "n": 1}}
    assert await store.items([], "me") == {}


async def test_the_oldest_goes(new_store: NewStore) -> None:
    """The number of responses is bounded, and the oldest are deleted first."""
    store = await new_store(most=3)
    for number in range(5):
        await store.put(stored(number))
    there = [number for number in range(5) if await store.get(f"resp_{number}", "me")]
    assert there == [2, 3, 4]


async def test_a_revoked_key_stores_nothing(new_store: NewStore) -> None:
    """After a key is gone, nothing of it is stored any more."""
    store = await new_store()
    store.keep_only({"you"})
    await store.put(stored(1))
    await store.put(stored(2, key="you"))
    assert await store.get("resp_1", "me") is None
    assert await store.get("resp_2", "you") is not None


# --- only the shared one


@pytest.mark.postgres
async def test_any_replica(join: Join) -> None:
    """What one replica stores, another finds, also after the first has ended; the other can delete it."""
    first, second = [await join(encryption_key=KEY) for _ in range(2)]
    await vaulted(first).put(stored(1, {"id": "a"}))
    await first.close()
    assert await vaulted(second).get("resp_1", "me") == stored(1, {"id": "a"})
    assert await vaulted(second).items(["a"], "me") == {"a": {"id": "a"}}
    assert await vaulted(second).delete("resp_1", "me")


@pytest.mark.postgres
async def test_keys_rotate(join: Join) -> None:
    """A new key opens what an older one has sealed as long as that is listed; without it, nothing opens."""
    old = await join(encryption_key=OTHER_KEY)
    await vaulted(old).put(stored(1, {"id": "a"}))
    both = vaulted(await join(encryption_key=[KEY, OTHER_KEY]))
    assert await both.get("resp_1", "me") is not None
    assert await both.items(["a"], "me") == {"a": {"id": "a"}}
    await both.put(stored(2))
    new = vaulted(await join(encryption_key=[KEY]))
    assert await new.get("resp_1", "me") is None
    assert await new.get("resp_2", "me") is not None
    assert await both.delete("resp_1", "me")


@pytest.mark.postgres
async def test_nothing_can_be_read_in_the_database(join: Join) -> None:
    """Neither what was said, nor the owner, nor an item's id is in the database; rows cannot be exchanged."""
    shared = await join(encryption_key=KEY)
    store = vaulted(shared)
    for number, key in enumerate(("someone", "else")):
        await store.put(stored(number, {"id": "item-name", "text": "what was said"}, key=key))

    async def rows(connection: Any) -> Any:
        return await (await connection.execute("SELECT * FROM shared_vault ORDER BY id")).fetchall()

    text = str(await shared.database.run(rows, 5))
    for word in ("said", "someone", "item-name"):
        assert word not in text

    async def exchange(connection: Any) -> None:
        await connection.execute(
            "UPDATE shared_vault SET sealed = (SELECT sealed FROM shared_vault WHERE id = 'resp_1') "
            "WHERE id = 'resp_0'"
        )

    await shared.database.run(exchange, 5)
    assert await store.get("resp_0", "someone") is None
    assert await store.get("resp_1", "else") is not None


@pytest.mark.postgres
async def test_bounds_in_bytes(join: Join) -> None:
    """A response that is too large is not stored, and neither are more bytes of a key than it may have."""
    noise = "".join(chr(33 + number * 7919 % 90) for number in range(2000))
    store = vaulted(await join(encryption_key=KEY, response_bytes=5000, response_bytes_per_key=3000))
    await store.put(stored(0, noise * 3))
    assert await store.get("resp_0", "me") is None
    for number in range(1, 40):
        await store.put(stored(number, {"text": noise[number:] + str(number)}))
        await store.put(stored(number, key="you"))
    there = [number for number in range(40) if await store.get(f"resp_{number}", "me")]
    assert there == list(range(there[0], 40))
    assert 1 <= len(there) < 39


@pytest.mark.postgres
async def test_old_ones_are_pruned(join: Join) -> None:
    """What is older than it may be is deleted."""
    shared = await join(encryption_key=KEY)
    await vaulted(shared).put(stored(1))
    pruning = await join(encryption_key=KEY, keep_responses=0.001)

    async def count(connection: Any) -> int:
        return int((await (await connection.execute("SELECT count(*) FROM shared_vault")).fetchone())[0])

    async with asyncio.timeout(30):
        while await pruning.database.run(count, 5):  # noqa: ASYNC110  # the database has no event for it
            await asyncio.sleep(0.05)


@pytest.mark.postgres
async def test_away_and_back(join: Join, server: PostgreSQL) -> None:
    """While the database is away, a replica keeps what it stores, and hands it over when it is back."""
    first, second = [await join(encryption_key=KEY) for _ in range(2)]
    store = vaulted(first)
    await store.put(stored(1))
    await asyncio.to_thread(server.stop)
    try:
        await store.put(stored(2, {"id": "a"}))
        assert await store.get("resp_2", "me") is not None
        assert await store.items(["a"], "me") == {"a": {"id": "a"}}
        with pytest.raises(Unreachable):
            await store.get("resp_1", "me")
        await until(lambda: {first.health()["status"], second.health()["status"]} == {"degraded"})
    finally:
        await asyncio.to_thread(server.start)
    await until(lambda: {first.health()["status"], second.health()["status"]} == {"ok"})
    async with asyncio.timeout(30):
        while await vaulted(second).get("resp_2", "me") is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await store.get("resp_1", "me") is not None


@pytest.mark.parametrize("key", ["short", "é", KEY[:-4], [KEY, "no"]])
def test_refuses_other_keys(key: str | list[str]) -> None:
    """A key that is not 32 bytes in Base64 is an error that names the setting and not the key."""
    with pytest.raises(ConfigError, match=r"^shared\.encryption_key: ") as caught:
        shared_of(SharedConfig(url="postgresql://x/y", encryption_key=key), "1", "one")
    assert "short" not in str(caught.value)
