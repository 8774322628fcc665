"""Home Assistant with one lamp, and its integration "OpenAI Conversation"."""

from __future__ import annotations

import base64
from typing import Any
from weakref import WeakKeyDictionary

import httpx

from claude_max_proxy.testing import Reply, Text, ToolUse
from tests.clients.client import Client
from tests.clients.expecting import holds, same, within
from tests.clients.scenarios import HELLO
from tests.clients.serving import free_port, serve
from tests.clients.stage import Stage
from tests.clients.tools import PIXEL
from tests.end_to_end.comparing import seen
from tests.end_to_end.running import until
from tests.end_to_end.working import by_call


client = Client("home-assistant", "Home Assistant")
MODEL = "claude-sonnet-4"
PROMPT = "Answer briefly."
OPTIONS = {"recommended": False, "llm_hass_api": "assist", "prompt": PROMPT}
AGENT = "conversation.chatgpt"
LAMP = "light.lamp"


class House:
    """A running Home Assistant, and what its owner asks it for: the same requests that its page sends."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        """Take a client with its address."""
        self.http = http
        self.entry = ""

    @classmethod
    async def built(cls, stage: Stage) -> House:
        """Start it, and make an account for its owner."""
        port = free_port()
        folder = stage.home / ".homeassistant"
        folder.mkdir()
        text = (stage.work / "program.yaml").read_text("utf-8")
        own = text.replace("8123", str(port)).replace("[/tmp]", f"[{stage.work}]")
        (folder / "configuration.yaml").write_text(own, "utf-8")
        lines = (stage.work / "home-assistant.env").read_text("utf-8").split()
        base = f"http://127.0.0.1:{port}"
        command = ("hass", "--config", str(folder), "--skip-pip")
        await serve(stage, f"{base}/api/onboarding", *command, **dict(line.split("=", 1) for line in lines))
        http = httpx.AsyncClient(base_url=base, trust_env=False, timeout=60)
        stage.until_end.push_async_callback(http.aclose)
        house = cls(http)
        await house._move_in(f"{base}/")
        return house

    async def _move_in(self, page: str) -> None:
        owner = {"name": "Ada", "username": "ada", "password": "correct horse", "language": "en"}
        code = (await self.post("/api/onboarding/users", **owner, client_id=page))["auth_code"]
        grant = {"grant_type": "authorization_code", "code": code, "client_id": page}
        token = (await self.http.post("/auth/token", data=grant)).json()["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"

    async def add_integration(self) -> None:
        """Add "OpenAI Conversation" in its dialogs, and choose a model there."""
        flows = "/api/config/config_entries/flow"
        flow = (await self.post(flows, handler="openai_conversation"))["flow_id"]
        done = await self.post(f"{flows}/{flow}", api_key="unused")
        same(done["type"], "create_entry", f"how the dialog ends ({done.get('errors')})")
        self.entry = done["result"]["entry_id"]
        flows = "/api/config/config_entries/options/flow"
        flow = (await self.post(flows, handler=self.entry))["flow_id"]
        await self.post(f"{flows}/{flow}", **OPTIONS)  # it then shows what else can be chosen
        done = await self.post(f"{flows}/{flow}", **OPTIONS, chat_model=MODEL, max_tokens=3000)
        same(done["type"], "create_entry", f"how the dialog ends ({done.get('errors')})")

    async def say(self, text: str, conversation: str | None = None) -> dict[str, Any]:
        """Say something to the assistant, and return what comes back."""
        more = {"conversation_id": conversation} if conversation else {}
        return await self.post("/api/conversation/process", text=text, agent_id=AGENT, **more)

    async def state(self, entity: str) -> str:
        """Return an entity's state; empty where there is no such entity."""
        answer = await self.http.get(f"/api/states/{entity}")
        return str(answer.json()["state"]) if answer.is_success else ""

    async def post(self, path: str, **fields: Any) -> dict[str, Any]:
        """Send a request, and return what comes back."""
        answer = await self.http.post(path, json=fields)
        assert answer.is_success, f"{path}: {answer.status_code} {answer.text}"
        found: dict[str, Any] = answer.json()
        return found


_houses: WeakKeyDictionary[Stage, House] = WeakKeyDictionary()


async def house(stage: Stage) -> House:
    """Return the house with its assistant."""
    if stage not in _houses:
        _houses[stage] = await House.built(stage)
        await _houses[stage].add_integration()
    return _houses[stage]


def spoken(answer: dict[str, Any]) -> str:
    """Return what the assistant says."""
    return str(answer["response"]["speech"]["plain"]["speech"])


@client.check("responses", requests=0)
async def integration(stage: Stage) -> None:
    """The dialogs that add the integration accept the proxy, which they ask for its models."""
    await house(stage)
    same(await (await house(stage)).state(LAMP), "off", "the lamp")


@client.check("responses", requests=2)
async def chat(stage: Stage) -> None:
    """A conversation of two turns: the words arrive byte for byte."""
    home = await house(stage)
    answer = await home.say(HELLO)
    same(spoken(answer), f"You said: {HELLO}", "the answer")
    answer = await home.say("And [[say more of it]]", answer["conversation_id"])
    same(spoken(answer), "more of it", "the answer")
    wanted = [
        ("user", [("text", HELLO)]),
        ("assistant", [("text", f"You said: {HELLO}")]),
        ("user", [("text", "And [[say more of it]]")]),
    ]
    same(seen(stage.upstream), wanted, "the conversation")


@client.check("responses", requests=3)
async def lamp(stage: Stage) -> None:
    """The model turns on a lamp by a tool, and answers in the process that made the call; a further turn."""
    home = await house(stage)
    call = {"name": "Lamp", "domain": ["light"]}
    stage.upstream.script(
        Reply((Text("At once."), ToolUse("HassTurnOn", call))), Reply((Text("The lamp is on."),))
    )
    answer = await home.say("/Turn on the lamp")
    same(spoken(answer), "The lamp is on.", "the answer")
    same(await home.state(LAMP), "on", "the lamp")
    await home.say("Thanks.", answer["conversation_id"])
    turns = by_call(seen(stage.upstream))
    same(turns[1], ("assistant", [("text", "At once."), ("call", 0, "HassTurnOn", call)]), "the call")
    within('"id": "light.lamp"', str(turns[2]), "its result")
    same(
        turns[3:], [("assistant", [("text", "The lamp is on.")]), ("user", [("text", "Thanks.")])], "the rest"
    )
    same((await stage.live(3))[:2], [False, True], "which requests went on in place")


@client.check("responses", requests=1)
async def image(stage: Stage) -> None:
    """The action `openai_conversation.generate_content` of automations sends a picture to the model."""
    home = await house(stage)
    stage.upstream.script(Reply((Text("A pixel."),)))
    path = stage.work / "pixel.png"
    path.write_bytes(base64.b64decode(PIXEL.partition(",")[2]))
    action = "/api/services/openai_conversation/generate_content?return_response"
    told = await home.post(action, config_entry=home.entry, prompt="What is this?", filenames=[str(path)])
    same(told["service_response"], {"text": "A pixel."}, "the answer")
    blocks = stage.upstream.requests[0].body["messages"][0]["content"]
    found = [block["source"]["data"] for block in blocks if block["type"] == "image"]
    same(found, [PIXEL.partition(",")[2]], "the images")


@client.check("responses", requests=1)
async def plan_limit(stage: Stage) -> None:
    """At a used-up plan it says that it is rate limited, once; its log has the provider's own words."""
    answer = await (await house(stage)).say("Hello [[limit]]")
    same(answer["response"]["response_type"], "error", "the kind of the answer")
    within("Rate limited", spoken(answer), "what it says")
    logged = await until(lambda: any("usage limit reached" in line for line in stage.said))
    holds(logged, "its log does not say that the plan is used up")
    same(await stage.statuses(), [429], "the statuses")
