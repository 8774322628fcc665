"""Capabilities, as a client sees them: honoured, named as ignored, or refused by their path."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.server.conftest import Serve, Served


SPEECH = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}
SHOWN = {"type": "image_url", "image_url": {"url": "http://cam.lan/now.png"}}
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "biases": ({"logit_bias": {"50256": -100}}, "logit_bias", "unsupported_parameter"),
    "web search": ({"web_search_options": {}}, "web_search_options", "unsupported_parameter"),
    "speech": (
        {"messages": [{"role": "user", "content": [SPEECH]}]},
        "messages[0].content[0]",
        "unsupported_content",
    ),
    "image by http": (
        {"messages": [{"role": "user", "content": [SHOWN]}]},
        "messages[0].content[0]",
        "unsupported_content",
    ),
}


async def ask(served: Served, **fields: Any) -> httpx.Response:
    """Ask for a whole answer."""
    body = {"model": "sonnet", "messages": [{"role": "user", "content": "hi"}], **fields}
    return await served.http.post("/v1/chat/completions", json=body)


@pytest.mark.parametrize(("fields", "param", "code"), REFUSED.values(), ids=REFUSED)
async def test_what_nobody_honours_is_refused(
    served: Served, fields: dict[str, Any], param: str, code: str
) -> None:
    """A parameter that would change the answer's meaning is a 400 with its path, and no backend is asked."""
    response = await ask(served, **fields)
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, param, code)
    assert served.backend.asked == []


@pytest.mark.parametrize(("fields", "param", "code"), REFUSED.values(), ids=REFUSED)
async def test_what_is_honoured_arrives(
    served: Served, fields: dict[str, Any], param: str, code: str
) -> None:
    """A backend that honours it is asked, with the whole parameter."""
    served.backend.honours = {"http_images", "input_audio", "logit_bias", "web_search_options"}
    assert (await ask(served, **fields)).status_code == 200
    asked, _ = served.backend.asked[0]
    assert asked.extra


async def test_hints(served: Served) -> None:
    """A hint is honoured or named as ignored; a parameter for bookkeeping is neither."""
    given = {"seed": 0, "verbosity": "low", "user": "u", "presence_penalty": 0}
    assert (await ask(served, **given)).headers["x-proxy-ignored"] == "seed, verbosity"
    served.backend.honours = {"seed"}
    assert (await ask(served, **given)).headers["x-proxy-ignored"] == "verbosity"
    assert served.backend.asked[1][0].extra == {"seed": 0, "verbosity": "low", "user": "u"}


OWN = """
import claude_max_proxy as proxy
from claude_max_proxy.backend import Backend
from claude_max_proxy.capabilities import Capability

class Mine(Backend):
    capabilities = {"mirostat": Capability("hint", 0), "grammar": Capability("meaning", None, "it has none")}
    honours = {"mirostat", "grammar"}
    def __init__(self, name, settings): ...
    async def answer(self, request, model):
        yield proxy.Started(model)
        yield proxy.PartStarted(0, "text")
        yield proxy.PartDelta(0, repr(sorted(request.extra.items())))
        yield proxy.PartEnded(0)
        yield proxy.Finished("stop")

@proxy.hookimpl
def register_backends(register):
    register("mine", proxy.Settings, Mine)
"""


async def test_a_plugins_capabilities(serve: Serve) -> None:
    """A plugin's parameter reaches its backend from every API; other backends ignore or refuse it by name."""
    table = {"backends": {"mine": {"type": "mine"}}, "models": {"mine": "mine/x"}}
    served = await serve(**table, sources={"mine": OWN})
    given = {"mirostat": 2, "grammar": "g", "seed": 1}
    answer = await ask(served, model="mine", **given)
    said = answer.json()["choices"][0]["message"]["content"]
    assert said == "[('grammar', 'g'), ('mirostat', 2), ('seed', 1)]"
    assert answer.headers["x-proxy-ignored"] == "seed"
    told = await served.http.post("/v1/responses", json={"model": "mine", "input": "hi", **given})
    assert "('grammar', 'g'), ('mirostat', 2)" in told.json()["output"][0]["content"][0]["text"]

    assert (await ask(served, mirostat=2)).headers["x-proxy-ignored"] == "mirostat"
    refused = (await ask(served, grammar="g")).json()["error"]
    assert (refused["param"], refused["message"]) == ("grammar", "grammar is not supported: it has none")
