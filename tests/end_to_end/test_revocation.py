"""A key that is renamed or removed while the proxy runs, with the real CLI: which key a process serves."""

from __future__ import annotations

import re
from typing import Any

from tests.end_to_end.chatting import ROUTE, answer, ask, body
from tests.end_to_end.running import RunningProxy, until


KEYS = {"alice": "secret-one", "bob": "secret-two"}
ONE = {"authorization": "Bearer secret-one"}
TWO = {"authorization": "Bearer secret-two"}
FIRST = [{"role": "user", "content": "[[say one]] first"}]
NEXT = [*FIRST, {"role": "assistant", "content": "one"}, {"role": "user", "content": "[[say two]] next"}]


async def rewrite(proxy: RunningProxy, keys: dict[str, str]) -> None:
    """Save other keys, and wait until they are in force."""
    path = proxy.work / "proxy.toml"
    written = ", ".join(f'{name} = "{secret}"' for name, secret in keys.items())
    reloads = len(reloaded(proxy))
    text = re.sub(r"\[server\]\n.*\n", f"[server]\napi_keys = {{ {written} }}\n", path.read_text())
    path.write_text(text)
    assert await until(lambda: len(reloaded(proxy)) > reloads), proxy.transcript()


def reloaded(proxy: RunningProxy) -> list[str]:
    """Return the log lines about reloads."""
    return [line for line in proxy.log if "the configuration is reloaded" in line]


async def test_a_conversation_follows_the_secret(start_proxy: Any) -> None:
    """A conversation continues under its key's new name, and not with another key that has the old name."""
    proxy: RunningProxy = await start_proxy(warm=0, warm_models=[])
    await rewrite(proxy, KEYS)
    async with proxy.client(headers=ONE) as one, proxy.client(headers=TWO) as two:
        assert await answer(one, FIRST) == "one"
        await rewrite(proxy, {"bob": "secret-one", "alice": "secret-two"})
        assert await answer(one, NEXT) == "two"
        assert await answer(two, NEXT) == "two"
        assert await until(lambda: len(proxy.access()) == 3)
        lives = ["live" in rest.split() for _, rest in proxy.access()]
        assert lives == [False, True, False], proxy.transcript()
        assert await until(lambda: len(proxy.descendants()) == 2)
        await rewrite(proxy, {"alice": "secret-two"})
        assert await until(lambda: len(proxy.descendants()) == 1)
        assert (await ask(one, FIRST)).status_code == 401


async def test_a_running_answer_of_a_revoked_key(start_proxy: Any) -> None:
    """When its key is removed, a streamed answer ends with an error, and its process ends, too."""
    proxy: RunningProxy = await start_proxy(warm=0, warm_models=[])
    await rewrite(proxy, KEYS)
    async with proxy.client(headers=ONE) as one:
        question = body("[[hang 5]] one two three four five six seven", stream=True)
        async with one.stream("POST", ROUTE, json=question) as response:
            assert response.status_code == 200
            await rewrite(proxy, {"bob": "secret-two"})
            text = "".join([part async for part in response.aiter_text()])
    assert "this proxy no longer accepts this API key" in text
    assert text.endswith("data: [DONE]\n\n")
    assert await until(lambda: not proxy.descendants(), 15)
    assert await until(lambda: any(status == 401 for status, _ in proxy.access())), proxy.transcript()
