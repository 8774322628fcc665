"""Ways around the access checks: hosts, origins, keys, addresses, paths, methods."""

from __future__ import annotations

import asyncio

from tests.attack.registry import attack, attacks
from tests.attack.stage import CHAT, KEYS, Stage, status_of
from tests.attack.wire import statuses


REFUSED = frozenset({400, 401, 403, 404, 405, 411, 421, 501})

HOSTS = [
    "evil.example",
    "[::1].evil.example",
    "[::1]evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "localhost@evil.example",
    "localhost:3456@evil.example",
    "evil.example@127.0.0.1",
    "evil.example#@localhost",
    "evil.example/localhost",
    "evil.example?localhost",
    "evil.example\\localhost",
    "localhost evil.example",
    "localhost,evil.example",
    "localhost:80:evil.example",
    "localhost:evil",
    "127.0.0.1:99999999",
    "%6c%6f%63%61%6c%68%6f%73%74",
    "loc\xadalhost",
    "127.1.evil",
    "[::1%25evil.example]",
    "[evil.example]",
    "[::1",
    "::1",
    "http://localhost",
    "*",
]


@attack("foreign hosts", quick=True)
async def _(stage: Stage) -> None:
    """A request for another host is refused, even with a valid key."""
    for host in HOSTS:
        reply = await stage.tell(stage.head(method="GET", path="/v1/models", host=host), within=1)
        found = statuses(reply)
        stage.check(found in ([], [400], [403], [421]), f"the host {host!r} got {found}")


HOST_LINES: list[tuple[str, list[bytes]]] = [
    ("two hosts, ours first", [b"GET /v1/models HTTP/1.1", b"Host: 127.0.0.1", b"Host: evil.example"]),
    ("two hosts, ours last", [b"GET /v1/models HTTP/1.1", b"Host: evil.example", b"Host: 127.0.0.1"]),
    ("no host", [b"GET /v1/models HTTP/1.1"]),
    ("an empty host", [b"GET /v1/models HTTP/1.1", b"Host:"]),
    ("a foreign host in the target", [b"GET http://evil.example/v1/models HTTP/1.1", b"Host: 127.0.0.1"]),
    (
        "a foreign host behind a good target",
        [b"GET http://127.0.0.1/v1/models HTTP/1.1", b"Host: evil.example"],
    ),
    ("no host in an old request's page", [b"GET /v1/models HTTP/1.0", b"Origin: http://evil.example"]),
]


@attacks(*HOST_LINES, quick=True)
async def _(stage: Stage, lines: list[bytes]) -> None:
    """A request whose host is in doubt is refused."""
    key = b"Authorization: Bearer " + KEYS["attacker"].encode()
    found = statuses(await stage.tell(b"\r\n".join([*lines, key, b"Connection: close", b"", b""]), within=1))
    stage.check(found in ([], [400], [403], [421]), f"it answered {found}")


@attack("foreign hosts by other names", quick=True)
async def _(stage: Stage) -> None:
    """No header of a proxy in between decides which host is meant."""
    for name in ("X-Forwarded-Host", "X-Host", "Forwarded", "X-Original-Host", "X-HTTP-Host-Override"):
        value = "host=127.0.0.1" if name == "Forwarded" else "127.0.0.1"
        head = stage.head(f"{name}: {value}", method="GET", path="/v1/models", host="evil.example")
        found = statuses(await stage.tell(head, within=1))
        stage.check(found in ([400], [403], [421]), f"with {name} it answered {found}")


ORIGINS = [
    "null",
    "http://evil.example",
    "http://localhost",
    "http://127.0.0.1:3456",
    "https://localhost.evil.example",
    "file://",
    "chrome-extension://abcdefgh",
    "",
    "*",
]


@attack("web pages", quick=True)
async def _(stage: Stage) -> None:
    """A web page gets nothing, not even by a preflight, a plain form or a script tag."""
    for origin in ORIGINS:
        asked = stage.head(f"Origin: {origin}", method="GET", path="/v1/models")
        preflight = stage.head(
            f"Origin: {origin}", "Access-Control-Request-Method: POST", method="OPTIONS", key=""
        )
        for told, head in (("a request", asked), ("a preflight", preflight)):
            reply = await stage.tell(head, within=1)
            stage.check(b"access-control-allow" not in reply.lower(), f"{told} of {origin!r} is allowed")
            found = statuses(reply)
            stage.check(found and set(found) <= REFUSED, f"{told} of {origin!r} got {found}")
    body = b'{"model": "http", "messages": [{"role": "user", "content": "hi"}]}'
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a", ""):
        head = stage.head(f"Content-Type: {kind}", f"Content-Length: {len(body)}")
        found = statuses(await stage.tell(head + body, within=1))
        stage.check(found == [415] or (not kind and found), f"a form's {kind!r} got {found}")


WRONG_KEYS = [
    "",
    " ",
    "null",
    "undefined",
    KEYS["attacker"][:-1],
    KEYS["attacker"] + "x",
    KEYS["attacker"].upper(),
    KEYS["attacker"] + ", " + KEYS["honest"],
    "env:ATTACK_UPSTREAM_KEY",
    "file:other.key",
    "attacker",
    "*",
    "\xe4\xf6\xfc",
    "x" * 20_000,
]
_FORMS = ("Authorization: Bearer {}", "Authorization: Basic {}", "Authorization: {}", "x-api-key: {}")


@attack("wrong keys", quick=True)
async def _(stage: Stage) -> None:
    """Without a known key nothing is served, and no answer tells how near a guessed key was."""
    forms = [form.format(key) for key in WRONG_KEYS for form in _FORMS]
    forms += [f"Authorization: Digest {KEYS['attacker']}", f"Cookie: key={KEYS['attacker']}"]
    answers = set()
    for form in forms:
        reply = await stage.tell(stage.head(form, method="GET", path="/v1/models", key=""), within=1)
        stage.check(statuses(reply) in ([401], []), f"{form[:60]!r} got {statuses(reply)}")
        answers.add(reply.partition(b"\r\n\r\n")[2])
    stage.check(len(answers) <= 4, f"wrong keys get {len(answers)} kinds of answers")


@attack("keys in the address", quick=True)
async def _(stage: Stage) -> None:
    """A key in the query does not count, since it would get into logs."""
    for name in ("key", "api_key", "access_token", "token"):
        path = f"/v1/models?{name}={KEYS['attacker']}"
        found = statuses(await stage.tell(stage.head(method="GET", path=path, key=""), within=1))
        stage.check(found == [401], f"?{name}= got {found}")


@attack("guessing keys", quick=True)
async def _(stage: Stage) -> None:
    """Thousands of guesses are refused, and keep nobody else waiting."""

    async def guess(number: int) -> None:
        head = stage.head(f"x-api-key: {number:032x}", method="GET", path="/v1/models", key="")
        found = statuses(await stage.tell(head, within=0.5))
        stage.check(found in ([401], [429]), f"a guess got {found}")

    await stage.together(stage.count(3000, 60), guess, at_once=50)


@attack("addresses that are said", quick=True)
async def _(stage: Stage) -> None:
    """No header makes a client appear local, or lets it in without a key."""
    names = ("X-Forwarded-For", "X-Real-IP", "X-Client-IP", "True-Client-IP", "CF-Connecting-IP", "Via")
    for line in [*(f"{name}: 127.0.0.1" for name in names), "Forwarded: for=127.0.0.1;proto=https"]:
        found = statuses(
            await stage.tell(stage.head(line, method="GET", path="/v1/models", key=""), within=1)
        )
        stage.check(found == [401], f"with {line!r} it answered {found}")


PATHS = [
    "/v1/../v1/models",
    "/health/../v1/models",
    "/health/%2e%2e/v1/models",
    "/health%2f..%2fv1/models",
    "/health;/../v1/models",
    "//v1/models",
    "/v1//models",
    "/v1/models/",
    "/v1/models/../../etc/passwd",
    "/v1/models/..%2f..%2f..%2fetc%2fpasswd",
    "/v1/models/%00",
    "/v1/models%00/health",
    "/v1/models?/health",
    "/v1/models#/health",
    "/V1/MODELS",
    "/%76%31/models",
    "/health/v1/models",
    "/../../../../etc/passwd",
    "/proxy.toml",
    "/plugins/",
    "/.git/config",
    "/debug",
    "/metrics",
    "/v1/responses/../../health",
    "/" + "a/" * 2000,
    "/%" + "25" * 2000 + "41",
    "/v1/models/%ff%fe",
    "/v1/models/\x7f",
]


@attack("odd paths", quick=True)
async def _(stage: Stage) -> None:
    """No spelling of a path leads around the key, and none is a fault of the proxy."""
    for path in PATHS:
        for key in ("", "attacker"):
            reply = await stage.tell(stage.head(method="GET", path=path, key=key), within=1)
            found = statuses(reply)
            stage.check(not found or max(found) < 500, f"{path[:60]!r} got {found}")
            stage.check(b"root:" not in reply, f"{path[:60]!r} shows a file")
            if not key:
                stage.check(b'"object":"list"' not in reply, f"{path[:60]!r} shows the models without a key")


METHODS = (
    "TRACE",
    "CONNECT",
    "PUT",
    "PATCH",
    "DELETE",
    "HEAD",
    "OPTIONS",
    "PROPFIND",
    "PURGE",
    "get",
    "G\x00T",
    "",
)


@attack("odd methods", quick=True)
async def _(stage: Stage) -> None:
    """Every method on every kind of route gets its own error, and TRACE repeats nothing."""
    for method in METHODS:
        for path in (CHAT, "/v1/models", "/health", "/nothing"):
            line = f"X-Said: {stage.canary}"
            reply = await stage.tell(stage.head(line, method=method, path=path, key=""), within=0.5)
            found = statuses(reply)
            stage.check(not found or max(found) < 500 or max(found) == 501, f"{method} {path} got {found}")
            stage.check(stage.canary.encode() not in reply, f"{method} {path} says again what was sent")


@attack("what health tells", quick=True)
async def _(stage: Stage) -> None:
    """Without a key, /health shows no key and no prompt, even if it is asked a lot."""
    await stage.ask(stage.canary, "http")
    await stage.ask(stage.canary, "evil")
    async with stage.client(key="") as http:
        replies = await asyncio.gather(*(http.get("/health") for _ in range(stage.count(500, 20))))
    for reply in replies:
        stage.check(status_of(reply) in (200, 503), f"/health got {reply.status_code}")
        stage.check(stage.canary not in reply.text, "/health holds a prompt")
        stage.check_secrets(reply.text, "/health")
