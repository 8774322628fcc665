"""``/openapi.json``: it describes all routes, in a form that tools can read."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from tests.server.conftest import Serve, Served


DIALECTS = {
    "described": '''
import msgspec
from claude_max_proxy import hookimpl, Request
from claude_max_proxy.dialect import Dialect, Exchange

class Body(msgspec.Struct):
    model: str

class TextPart(msgspec.Struct):
    """Has the name of another dialect's."""
    words: str

class Described(msgspec.Struct):
    model: str
    parts: list[TextPart] = []

class Own(Dialect):
    name, routes, body = "described", ("/v1/described",), Described
    def open(self, body): return Exchange(Request("sonnet"), None)
    def error(self, error): return b'{"oh": "no"}'

@hookimpl
def register_dialects(register):
    register(Own())
''',
    "bare": """
from claude_max_proxy import hookimpl, Request
from claude_max_proxy.dialect import Dialect, Exchange

class Own(Dialect):
    name, routes = "bare", ("/v1/bare",)
    def open(self, body): return Exchange(Request("sonnet"), None)
    def error(self, error): return b'{"oh": "no"}'

@hookimpl
def register_dialects(register):
    register(Own())
""",
}


async def described(served: Served, **headers: str) -> dict[str, Any]:
    """Fetch the document, and check that it is valid."""
    response = await served.http.get("/openapi.json", headers=headers)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    validate(document)
    return document


async def test_every_route_is_there(served: Served) -> None:
    """Each route that is served is described, with its methods, and no other."""
    document = await described(served)
    found = {(path, method.upper()) for path, node in document["paths"].items() for method in node}
    routes = {
        (route.path_format, method)
        for route in served.application.routes
        for method in route.methods - {"OPTIONS"}
    }
    assert found == routes


async def test_a_body(served: Served) -> None:
    """A request that the document allows is answered, and one that it forbids is not."""
    document = await described(served)
    operation = document["paths"]["/v1/chat/completions"]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    validator = Draft202012Validator({**schema, "components": document["components"]})
    good = {"model": "sonnet", "messages": [{"role": "user", "content": "hi"}]}
    for body, valid in ((good, True), ({**good, "messages": []}, False), ({**good, "n": "x"}, False)):
        assert validator.is_valid(body) == valid
        response = await served.http.post("/v1/chat/completions", json=body)
        assert response.status_code == (200 if valid else 400)


async def test_answers(served: Served) -> None:
    """The answers of the models and health routes match the document."""
    document = await described(served)
    for path in ("/v1/models", "/v1/models/sonnet", "/health"):
        key = "/v1/models/{name}" if "sonnet" in path else path
        content = document["paths"][key]["get"]["responses"]["200"]["content"]
        schema = {**content["application/json"]["schema"], "components": document["components"]}
        Draft202012Validator(schema).validate((await served.http.get(path)).json())


async def test_errors(served: Served) -> None:
    """Every status that a request can end in is described, with the dialect's envelope as an example."""
    responses = (await described(served))["paths"]["/v1/chat/completions"]["post"]["responses"]
    assert {"400", "401", "403", "404", "413", "415", "429", "500", "502", "503", "504"} < set(responses)
    example = responses["429"]["content"]["application/json"]["example"]
    assert set(example["error"]) == {"message", "type", "param", "code"}


async def test_keys(serve: Serve) -> None:
    """If keys are needed, the document says so, and needs one itself; health needs none."""
    served = await serve(server={"api_keys": {"me": "secret"}})
    assert (await served.http.get("/openapi.json")).status_code == 401
    document = await described(served, authorization="Bearer secret")
    assert document["paths"]["/v1/models"]["get"]["security"]
    assert "security" not in document["paths"]["/health"]["get"]


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}])
async def test_guards(served: Served, headers: dict[str, str]) -> None:
    """The document is guarded like any other route."""
    assert (await served.http.get("/openapi.json", headers=headers)).status_code == 403


async def test_a_plugins_dialects(serve: Serve) -> None:
    """A dialect is described by its struct, whatever its names are; one without a struct is listed, too."""
    served = await serve(sources=DIALECTS)
    document = await described(served)
    schemas = document["components"]["schemas"]
    parts = [schema for name, schema in schemas.items() if name.endswith("TextPart")]
    assert {tuple(schema["required"]) for schema in parts} == {("type", "text"), ("words",)}
    bare = document["paths"]["/v1/bare"]["post"]
    assert bare["requestBody"]["content"]["application/json"]["schema"] == {"type": "object"}
    assert bare["responses"]["400"]["content"]["application/json"]["example"] == {"oh": "no"}
    assert msgspec.json.encode(document)
