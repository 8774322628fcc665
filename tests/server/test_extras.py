"""What only some backends honour, seen by a client: honoured, named as ignored, or refused by its path."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.server.conftest import Served


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
    """What would change the answer's meaning is a 400 with its path, and nobody is asked."""
    response = await ask(served, **fields)
    error = response.json()["error"]
    assert (response.status_code, error["param"], error["code"]) == (400, param, code)
    assert served.backend.asked == []


@pytest.mark.parametrize(("fields", "param", "code"), REFUSED.values(), ids=REFUSED)
async def test_what_is_honoured_arrives(
    served: Served, fields: dict[str, Any], param: str, code: str
) -> None:
    """A backend that honours it is asked, with all of it."""
    served.backend.honours = {"http_images", "input_audio", "logit_bias", "web_search_options"}
    assert (await ask(served, **fields)).status_code == 200
    asked, _ = served.backend.asked[0]
    assert asked.extra


async def test_hints(served: Served) -> None:
    """A hint is honoured or named; bookkeeping is neither."""
    given = {"seed": 0, "verbosity": "low", "user": "u", "presence_penalty": 0}
    assert (await ask(served, **given)).headers["x-proxy-ignored"] == "seed, verbosity"
    served.backend.honours = {"seed"}
    assert (await ask(served, **given)).headers["x-proxy-ignored"] == "verbosity"
    assert served.backend.asked[1][0].extra == {"seed": 0, "verbosity": "low", "user": "u"}
