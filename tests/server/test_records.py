"""Every request leaves one record: answered, refused by whatever, broken, or left by its client."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from claude_max_proxy import Failed, Record
from claude_max_proxy.errors import UpstreamFailed
from tests.drop_ins.scripted import says
from tests.server.conftest import Serve, Served


PLUGIN = """
import claude_max_proxy as proxy

records = []
admitted = []

@proxy.hookimpl
def admit_request(request, target, context):
    admitted.append((request.id, target.backend, len(context.underway())))
    if "refused" in request.model:
        raise proxy.RateLimited("enough", retry_after=7)
    request.answer_headers["x-left"] = "3"
    request.answer_headers["Set-Cookie"] = "no"

@proxy.hookimpl
def log_request(record):
    records.append(record)
"""
CHAT = {"model": "sonnet", "messages": [{"role": "user", "content": "hi"}]}
KEYS = {"api_keys": {"me": {"key": "secret-1", "requests_per_minute": 2}}}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def own(served: Served) -> Any:
    """Return the plugin's module."""
    plugins = served.application.log_request.__self__
    return next(plugin for plugin in plugins if plugin.name == "own").module


def only(served: Served) -> Record:
    """Return the only record."""
    (record,) = own(served).records
    assert isinstance(record, Record)
    return record


async def test_an_answer(serve: Serve) -> None:
    """The id in the answer's headers is that of the request and of its record; times are in order."""
    served = await serve(sources={"own": PLUGIN})
    answer = await served.http.post("/v1/chat/completions", json=CHAT, headers={"traceparent": PARENT})
    record = only(served)
    assert answer.headers["x-request-id"] == record.id == own(served).admitted[0][0]
    assert own(served).admitted[0][1:] == ("claude", 1)
    assert (record.dialect, record.path, record.status) == ("openai-chat", "/v1/chat/completions", 200)
    assert (record.ending, record.finish, record.code, record.traceparent) == (
        "completed",
        "stop",
        "",
        PARENT,
    )
    assert record.began > 1e9
    assert record.first_token is not None
    assert record.last_token is not None
    assert 0 <= record.first_token <= record.last_token <= record.total
    assert record.pieces > 0
    assert answer.headers["x-left"] == "3"
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("path", "body", "status", "dialect", "code"),
    [
        ("/v1/chat/completions", b"{", 400, "openai-chat", "invalid_json"),
        ("/v1/messages", b"{}", 400, "anthropic-messages", ""),
        ("/v1/messages/count_tokens", b"{}", 400, "anthropic-messages-count", ""),
        ("/v1/responses", b"[]", 400, "openai-responses", ""),
        ("/v1/embeddings", b"{}", 400, "openai-embeddings", ""),
        ("/v1/nothing", b"{}", 404, "", "route_not_found"),
        ("/v1/models", b"{}", 405, "", "method_not_allowed"),
    ],
)
async def test_a_refused_request(
    serve: Serve, path: str, body: bytes, status: int, dialect: str, code: str
) -> None:
    """What is refused before the gateway sees it leaves one record, on every route."""
    served = await serve(sources={"own": PLUGIN})
    answer = await served.http.post(path, content=body, headers={"user-agent": "curl/8"})
    record = only(served)
    assert answer.status_code == record.status == status
    assert answer.headers["x-request-id"] == record.id
    assert (record.dialect, record.path, record.ending) == (dialect, path, "refused")
    assert record.client.program == "curl/8"
    assert not code or record.code == code
    assert record.error


async def test_a_refused_key(serve: Serve) -> None:
    """A wrong key, and one that has asked too often, are recorded; the secrets are not."""
    served = await serve(sources={"own": PLUGIN}, server=KEYS)
    wrong = {"authorization": "Bearer wrong-secret"}
    right = {"authorization": "Bearer secret-1"}
    for headers in (wrong, right, right, right):
        await served.http.post("/v1/chat/completions", json=CHAT, headers=headers)
    seen = [(record.status, record.client.key, record.model) for record in own(served).records]
    assert seen == [(401, "", ""), (200, "me", "sonnet"), (200, "me", "sonnet"), (429, "me", "sonnet")]
    assert b"secret" not in msgspec.json.encode(own(served).records)
    assert len({record.id for record in own(served).records}) == 4


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", CHAT | {"model": "refused"}),
        ("/v1/chat/completions", CHAT | {"model": "refused", "stream": True}),
        ("/v1/embeddings", {"model": "refused", "input": "x"}),
        ("/v1/messages/count_tokens", CHAT | {"model": "refused"}),
    ],
)
async def test_a_plugin_refuses(serve: Serve, path: str, body: dict[str, Any]) -> None:
    """A plugin can refuse a request on every route that asks a model; there is one record of it."""
    served = await serve(sources={"own": PLUGIN}, models={"refused": "claude/x"})
    answer = await served.http.post(path, json=body)
    record = only(served)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "7")
    assert (record.status, record.ending, record.model) == (429, "refused", "refused")
    assert record.id == answer.headers["x-request-id"]


async def test_a_stream_that_breaks(serve: Serve) -> None:
    """A failure inside a stream that has begun is told apart from one before it."""
    served = await serve(sources={"own": PLUGIN})
    served.backend.script = [*says("a")[:-1], Failed(UpstreamFailed("gone"))]
    for stream in (True, False):
        await served.http.post("/v1/chat/completions", json=CHAT | {"stream": stream})
    broken, refused = own(served).records
    assert (broken.ending, broken.status, broken.code) == ("broken", 502, "upstream_error")
    assert refused.ending == "refused"


async def test_the_ids_of_a_header_that_is_no_trace(serve: Serve) -> None:
    """Only a well-formed traceparent is passed on."""
    served = await serve(sources={"own": PLUGIN})
    for said in ("", "x", PARENT.replace("0af", "XXX"), f"{PARENT}-more", PARENT.replace("00-", "ff-", 1)):
        await served.http.post("/v1/chat/completions", json=CHAT, headers={"traceparent": said})
    assert {record.traceparent for record in own(served).records} == {""}


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("path", "body"), [("/v1/chat/completions", CHAT), ("/v1/embeddings", {"model": "sonnet", "input": "x"})]
)
async def test_an_answer_that_ends_before_it_begins(
    serve: Serve, path: str, body: dict[str, Any], stream: bool
) -> None:
    """A key that is revoked while its request is read leaves one record, like everything that is refused."""
    served = await serve(sources={"own": PLUGIN}, server={"api_keys": {"me": "secret-1"}})
    served.application.running.keep_only(())
    headers = {"authorization": "Bearer secret-1"}
    answer = await served.http.post(path, json=body | {"stream": stream}, headers=headers)
    record = only(served)
    assert answer.status_code == record.status == 401
    assert (record.ending, record.model, record.client.key) == ("refused", "sonnet", "me")
    assert record.id == answer.headers["x-request-id"]
