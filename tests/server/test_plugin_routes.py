"""Routes that plugins answer: the same door as for all routes, whatever a handler does."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from typing import Any

import httpx
import pytest

from claude_max_proxy import ConfigError, Tasks
from tests.server.conftest import Serve


PLUGIN = """
import asyncio
import claude_max_proxy as proxy

closed = []

def hello(call):
    name = call.parameters.get("name", "") or call.query.get("name", "nobody")
    return ('{"hello": "%s"}' % name).encode()

async def later(call):
    await asyncio.sleep(0)
    return proxy.Response(b"<p>", 201, "text/html; charset=utf-8", {"x-own": "1"})

async def counting():
    try:
        number = 0
        while True:
            yield b"data: %d\\n\\n" % number
            number += 1
            await asyncio.sleep(0.01)
    finally:
        closed.append(True)

def stream(call):
    return proxy.Response(counting(), media_type="text/event-stream")

async def breaking():
    yield b"data: 0\\n\\n"
    raise SystemExit(4)

def breaks(call):
    return proxy.Response(breaking(), media_type="text/event-stream")

def echo(call):
    return proxy.Response(call.body, headers={"x-seen": ",".join(sorted(call.headers))})

def leave(call):
    raise SystemExit(3)

async def cancel(call):
    raise asyncio.CancelledError

def wrong(call):
    return "text"

def refuse(call):
    raise proxy.InvalidRequest("no", param="x")

@proxy.hookimpl
def register_routes(register, context):
    register(proxy.Route("GET", "/own", hello))
    register(proxy.Route("GET", "/own/{name}/more", hello))
    register(proxy.Route("GET", "/own/later", later))
    register(proxy.Route("GET", "/own/stream", stream, access="admin"))
    register(proxy.Route("POST", "/own/echo", echo))
    register(proxy.Route("GET", "/own/open", hello, access="open"))
    register(proxy.Route("GET", "/own/admin", hello, access="admin"))
    for handler in (leave, cancel, wrong, refuse, breaks):
        register(proxy.Route("GET", "/own/" + handler.__name__, handler))
    register(proxy.Route("GET", "/mine", hello))
"""
KEYS = {"api_keys": {"me": "secret-1", "boss": {"key": "secret-2", "admin": True}}}


def basic(password: str, user: str = "") -> dict[str, str]:
    """Return the header of Basic authentication."""
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def failures(served: Any) -> int:
    """Return how often the plugin has failed, as ``/health`` says."""
    health: dict[str, Any] = served
    return int(health.get("plugin_failures", {}).get("own", 0))


async def test_what_a_handler_returns(serve: Serve) -> None:
    """A body is JSON with status 200; a Response says what it is; parameters and queries arrive."""
    http = (await serve(sources={"own": PLUGIN})).http
    plain = await http.get("/own", params={"name": "a b"})
    assert (plain.status_code, plain.json(), plain.headers["content-type"]) == (
        200,
        {"hello": "a b"},
        "application/json",
    )
    assert len(plain.headers["x-request-id"]) == 16
    assert (await http.get("/own/x/more")).json() == {"hello": "x"}
    assert (await http.get("/mine")).json() == {"hello": "nobody"}
    other = await http.get("/own/later")
    assert (other.status_code, other.text, other.headers["x-own"]) == (201, "<p>", "1")
    assert other.headers["content-type"] == "text/html; charset=utf-8"
    assert (await http.head("/own/later")).text == ""


async def test_the_door_is_the_same(serve: Serve) -> None:
    """Keys, hosts, origins and types are checked, and a handler sees no credentials."""
    http = (await serve(sources={"own": PLUGIN}, server=KEYS)).http
    key = {"authorization": "Bearer secret-1"}
    assert (await http.get("/own")).status_code == 401
    assert "www-authenticate" not in (await http.get("/own")).headers
    assert (await http.get("/own", headers=key)).status_code == 200
    assert (await http.get("/own/open")).status_code == 200
    assert (await http.get("/own", headers=key | {"host": "evil.example"})).status_code == 403
    assert (await http.get("/own", headers=key | {"origin": "http://evil.example"})).status_code == 403
    own = key | {"origin": "http://127.0.0.1:3456"}
    assert (await http.get("/own", headers=own)).status_code == 200
    assert (await http.get("/own", headers=own | {"host": "127.0.0.1:1"})).status_code == 403
    form = await http.post("/own/echo", headers=key, data={"a": "b"})
    assert form.status_code == 415
    echoed = await http.post("/own/echo", headers=key | {"cookie": "a=b", "x-b": "c"}, json={"a": 1})
    assert echoed.json() == {"a": 1}
    seen = echoed.headers["x-seen"].split(",")
    assert "x-b" in seen
    assert not {"authorization", "cookie", "x-api-key"} & set(seen)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"authorization": "Bearer secret-1"}, 401),
        (basic("secret-1"), 401),
        (basic("wrong"), 401),
        ({"authorization": "Basic %%%"}, 401),
        ({"authorization": "Bearer secret-2"}, 200),
        ({"x-api-key": "secret-2"}, 200),
        (basic("secret-2"), 200),
        (basic("secret-2", "anybody"), 200),
    ],
)
async def test_an_admin_route_needs_an_admin_key(serve: Serve, headers: dict[str, str], status: int) -> None:
    """Only a key with ``admin = true`` opens it; a browser is told to ask its user for one."""
    http = (await serve(sources={"own": PLUGIN}, server=KEYS)).http
    answer = await http.get("/own/admin", headers=headers)
    assert answer.status_code == status
    assert answer.headers.get("www-authenticate", "").startswith("Basic") == (status == 401)
    assert "secret" not in answer.text


async def test_without_keys_an_admin_route_is_open(serve: Serve) -> None:
    """A proxy without keys is only reachable from this machine, and serves everything to it."""
    assert (await (await serve(sources={"own": PLUGIN})).http.get("/own/admin")).status_code == 200


@pytest.mark.parametrize("name", ["leave", "cancel", "wrong"])
async def test_a_failing_handler_is_its_plugins_fault(
    serve: Serve, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it raises or returns, the client gets a 500 and the plugin is named and counted."""
    served = await serve(sources={"own": PLUGIN})
    answer = await served.http.get(f"/own/{name}")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal_error"
    assert "plugin 'own' failed in its route" in caplog.text
    assert failures((await served.http.get("/health")).json()) == 1
    assert (await served.http.get("/own")).status_code == 200


async def test_a_failing_stream_is_its_plugins_fault(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    """What a stream raises breaks the connection, so that it does not look complete, and names the plugin."""
    served = await serve(sources={"own": PLUGIN})
    with contextlib.suppress(RuntimeError, httpx.HTTPError):
        await served.http.get("/own/breaks")
    assert "plugin 'own' failed in its route GET /own/breaks" in caplog.text
    assert failures((await served.http.get("/health")).json()) == 1


async def test_a_handler_can_refuse(serve: Serve) -> None:
    """An error that it raises on purpose is sent as it is."""
    served = await serve(sources={"own": PLUGIN})
    answer = await served.http.get("/own/refuse")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "x")
    assert failures((await served.http.get("/health")).json()) == 0


@pytest.mark.parametrize(("method", "path"), [("GET", "/health"), ("POST", "/v1/chat/completions")])
async def test_no_plugin_takes_a_route(serve: Serve, method: str, path: str) -> None:
    """A route that the proxy itself serves cannot be replaced."""
    source = PLUGIN.replace('"GET", "/mine"', f'"{method}", "{path}"')
    with pytest.raises(ConfigError, match=f"plugin 'own': the proxy itself serves the path '{path}'"):
        await serve(sources={"own": source})


async def test_two_plugins_with_one_route(serve: Serve) -> None:
    """Two plugins with the same route are a mistake that names both."""
    with pytest.raises(ConfigError, match="both offer the route GET /own"):
        await serve(sources={"own": PLUGIN, "other": PLUGIN})


async def test_a_stream_ends_without_being_waited_for(serve: Serve) -> None:
    """A stream goes on until its configuration goes out of use; then its generator is closed."""
    served = await serve(sources={"own": PLUGIN})
    sent: list[bytes] = []
    enough = asyncio.Event()

    asked = iter([{"type": "http.request", "body": b""}])

    async def receive() -> dict[str, Any]:
        if (message := next(asked, None)) is None:
            await asyncio.sleep(3600)
        return message or {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message.get("body", b""))
        if len(sent) > 5:
            enough.set()

    scope = served.http.build_request("GET", "/own/stream")
    tasks = Tasks()
    running = tasks.start(served.application(asgi(scope), receive, send), "stream")
    async with asyncio.timeout(10):
        await enough.wait()
        served.application.running.end_streams()
        await running
    assert sent[1:4] == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]
    assert sent[-1] == b""


def asgi(request: httpx.Request) -> dict[str, Any]:
    """Return the scope of a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "path": request.url.path,
        "raw_path": request.url.raw_path,
        "query_string": b"",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 5),
        "server": ("127.0.0.1", 3456),
        "scheme": "http",
        "root_path": "",
        "state": {},
    }


async def test_a_client_that_leaves_ends_its_stream(serve: Serve) -> None:
    """The generator is closed as soon as the client has left."""
    served = await serve(sources={"own": PLUGIN})
    leave = asyncio.Event()

    asked = iter([{"type": "http.request", "body": b""}])

    async def receive() -> dict[str, Any]:
        if (message := next(asked, None)) is None:
            await leave.wait()
        return message or {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        leave.set()

    with contextlib.suppress(RuntimeError):
        async with asyncio.timeout(10):
            await served.application(asgi(served.http.build_request("GET", "/own/stream")), receive, send)
    plugins = served.application.log_request.__self__
    closed = next(plugin for plugin in plugins if plugin.name == "own").module.closed
    assert closed == [True]
    head = await served.http.head("/own/stream")
    assert (head.status_code, head.text) == (200, "")
