"""Where the page is, and how its links find it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urljoin

import msgspec
import pytest

from claude_max_proxy import Route
from claude_max_proxy.observers.page import snippets
from claude_max_proxy.observers.page.places import Place
from claude_max_proxy.observers.page.settings import Settings
from tests.server.live_proxy import TOML, LiveProxy


KEYS = '[server.api_keys]\nme = { key = "key-of-me", admin = true }\n'
MOVED = '[plugins.page]\npath = "/ui/"\n'
OFF = "[plugins.page]\nenabled = false\n"
ME = {"authorization": "Bearer key-of-me"}


@pytest.mark.parametrize(
    ("prefix", "path", "root", "outside"),
    [
        ("", "/", "./", ""),
        ("", "/requests", "./", ""),
        ("", "/requests/", "../", ""),
        ("", "/requests/x", "../", ""),
        ("/ui", "/ui/", "./", "../"),
        ("/ui", "/ui/requests/x", "../", "../"),
        ("/a/b", "/a/b/try", "./", "../../"),
        ("", "", "./", ""),
    ],
)
def test_links_are_relative(prefix: str, path: str, root: str, outside: str) -> None:
    """From wherever a view is, its links begin where the page does."""
    place = Place(prefix)
    assert (place.root(path), place.outside) == (root, outside)
    base = f"http://host{path or '/'}"
    assert urljoin(base, f"{root}usage") == f"http://host{prefix}/usage"
    assert urljoin(base, f"{root}{outside}v1/models") == "http://host/v1/models"


@pytest.mark.parametrize(
    ("prefix", "first", "file"), [("", "/", "/static/{name}"), ("/ui", "/ui", "/ui/static/{name}")]
)
def test_where_routes_are(prefix: str, first: str, file: str) -> None:
    """The page's routes are below its path, and its beginning is told apart by its slash."""
    routes = [Route("GET", path, lambda _: b"") for path in ("/", "/static/{name}")]
    assert [Place(prefix).mounted(one).path for one in routes] == [first, file]
    assert Place("/ui").beginning("/ui") == "ui/"
    assert Place("/ui").beginning("/ui/") == Place("").beginning("/") == ""


@pytest.mark.parametrize("path", ["", "ui", "/ui//x", "/..", "/a/../b", "/a b", "/<b>", "/{id}", "/ui?x"])
def test_paths_that_are_none(path: str) -> None:
    """A path that could not be one is refused."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"path": path}, Settings)


@pytest.mark.parametrize(
    ("given", "prefix"),
    [("/claude", "/claude"), ("/a/b/", "/a/b"), ("", ""), ("/", ""), ("/a/<b>", ""), ("//x", "")],
)
def test_a_prefix_that_was_taken_away(given: str, prefix: str) -> None:
    """What a reverse proxy says of it counts only if it is a path."""
    assert snippets.prefix(given) == prefix


async def test_it_moves(tmp_path: Path) -> None:
    """Everything of the page is below its path, and nothing is left where it was; `/` says where it is."""
    async with LiveProxy(tmp_path, TOML + MOVED).serving() as proxy:
        for path in ("", "/requests", "/usage", "/try", "/setup", "/inspector"):
            assert (await proxy.http.get(f"/ui{path}/")).status_code == 200
            assert (await proxy.http.get(path or "/")).status_code == 404
        moved = await proxy.http.get("/ui")
        assert (moved.status_code, moved.headers["location"]) == (307, "ui/")
        told = (await proxy.http.get("/")).json()["error"]
        assert "the page for people is at /ui" in told["message"]
        assert told["code"] == "route_not_found"


async def test_without_a_page(tmp_path: Path) -> None:
    """Where there is no page, `/` says that, and where the APIs are."""
    async with LiveProxy(tmp_path, TOML + OFF).serving() as proxy:
        message = (await proxy.http.get("/")).json()["error"]["message"]
        assert "the APIs begin with /v1" in message
        assert "switched off" in message


async def test_the_chat_finds_the_key(tmp_path: Path) -> None:
    """A request from the page itself is asked for its key as the page is; other clients are not."""
    async with LiveProxy(tmp_path, TOML + KEYS + MOVED).serving() as proxy:
        for headers, challenge in (
            ({"origin": "http://127.0.0.1:3456"}, "Basic"),
            ({}, ""),
            ({"origin": "http://evil.example"}, ""),
        ):
            refused = await proxy.ask(**headers)
            assert refused.status_code == (403 if "evil" in str(headers) else 401)
            assert refused.headers.get("www-authenticate", "").partition(" ")[0] == challenge
