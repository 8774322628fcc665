"""What other programs need to use this proxy, ready to be copied. Pure."""

from __future__ import annotations

import json
import re

import msgspec


_HOST = re.compile(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?")

_PREFIX = re.compile(r"(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*){1,10}")


class Snippet(msgspec.Struct, frozen=True):
    """One text to copy; ``place`` says where it belongs, if that is not obvious."""

    name: str
    text: str
    place: str = ""


def base_url(host: str, scheme: str, fallback: str) -> str:
    """Return the address at which the reader's browser reaches the proxy, without a slash at the end.

    ``host`` is the ``Host`` header. If it is not a plain host, which no browser sends, ``fallback`` is.
    """
    safe = host if _HOST.fullmatch(host) else fallback
    return f"{scheme}://{safe}"


def prefix(given: str) -> str:
    """Return the beginning of a path that a reverse proxy says it takes away; empty if it is none."""
    path = given.rstrip("/")
    return path if _PREFIX.fullmatch(path) else ""


def snippets(base: str, model: str, key: str) -> list[Snippet]:
    """Return the snippets for a base URL (without ``/v1``), a model's name and an API key's placeholder."""
    url, root, named, secret = (json.dumps(text) for text in (f"{base}/v1", base, model, key))
    return [
        Snippet("curl", curl(base, model, key)),
        Snippet("OpenAI for Python", _openai_python(url, named, secret), "pip install openai"),
        Snippet("OpenAI for Node", _openai_node(url, named, secret), "npm install openai"),
        Snippet("Anthropic for Python", _anthropic_python(root, named, secret), "pip install anthropic"),
        Snippet("Anthropic for Node", _anthropic_node(root, named, secret), "npm install @anthropic-ai/sdk"),
        Snippet("Codex", _codex(url, named).strip(), "In ~/.codex/config.toml"),
        Snippet("OpenClaw", "claude-max-proxy openclaw --write", "On the machine where OpenClaw runs"),
        Snippet(
            "Claude Code", f"ANTHROPIC_BASE_URL={quoted(base)} ANTHROPIC_AUTH_TOKEN={quoted(key)} claude"
        ),
        Snippet(
            "Anything that reads the environment",
            f"export OPENAI_BASE_URL={quoted(f'{base}/v1')}\nexport OPENAI_API_KEY={quoted(key)}",
        ),
    ]


def curl(base: str, model: str, key: str = "") -> str:
    """Return a first request; without ``key`` it sends none."""
    body = json.dumps(
        {"model": model, "messages": [{"role": "user", "content": "Hello!"}]}, ensure_ascii=False
    )
    header = f"  -H {quoted(f'authorization: Bearer {key}')} \\\n" if key else ""
    return (
        f"curl {quoted(f'{base}/v1/chat/completions')} \\\n  -H 'content-type: application/json' \\\n"
        f"{header}  -d {quoted(body)}"
    )


def quoted(text: str) -> str:
    """Return a text as one word of a shell."""
    return "'" + text.replace("'", "'\\''") + "'"


def _openai_python(url: str, model: str, key: str) -> str:
    return f"""from openai import OpenAI

client = OpenAI(base_url={url}, api_key={key})
reply = client.chat.completions.create(
    model={model}, messages=[{{"role": "user", "content": "Hello!"}}]
)
print(reply.choices[0].message.content)"""


def _openai_node(url: str, model: str, key: str) -> str:
    return f"""import OpenAI from "openai";

const client = new OpenAI({{ baseURL: {url}, apiKey: {key} }});
const reply = await client.chat.completions.create({{
  model: {model},
  messages: [{{ role: "user", content: "Hello!" }}],
}});
console.log(reply.choices[0].message.content);"""


def _anthropic_python(root: str, model: str, key: str) -> str:
    return f"""from anthropic import Anthropic

client = Anthropic(base_url={root}, api_key={key})  # no /v1 here
reply = client.messages.create(
    model={model}, max_tokens=16000, messages=[{{"role": "user", "content": "Hello!"}}]
)
print(reply.content[-1].text)"""


def _anthropic_node(root: str, model: str, key: str) -> str:
    return f"""import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({{ baseURL: {root}, apiKey: {key} }}); // no /v1 here
const stream = client.messages.stream({{
  model: {model},
  max_tokens: 16000,
  messages: [{{ role: "user", content: "Hello!" }}],
}});
console.log(await stream.finalText());"""


def _codex(url: str, model: str) -> str:
    return f"""model = {model}
model_provider = "claude"
model_context_window = 200000
web_search = "disabled"          # it would run at OpenAI

[model_providers.claude]
name = "Claude"
base_url = {url}
wire_api = "responses"
"""
