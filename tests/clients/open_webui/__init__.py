"""Open WebUI: its server, and its page in a browser."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from claude_max_proxy.testing import Answer, RecordedRequest, Reply, Text, Thinking, ToolUse, plan_limit
from tests.backends.local_embeddings.bert import Shape, random_weights, tokenizer, write_folder
from tests.clients.client import Client
from tests.clients.expecting import holds, same, within
from tests.clients.open_webui.window import MODEL, Window
from tests.clients.scenarios import HELLO
from tests.clients.stage import Stage
from tests.clients.tools import PIXEL
from tests.end_to_end.comparing import seen_in
from tests.end_to_end.running import until
from tests.end_to_end.working import by_call


client = Client("open-webui", "Open WebUI")
# What it asks its task model for: a word of the question, and the answer.
TASKS: dict[str, dict[str, Any]] = {
    '"queries"': {"queries": ["the cat sat on a mat"]},
    '"follow_ups"': {"follow_ups": ["And tomorrow?"]},
    '"tags"': {"tags": ["Weather", "Norway"]},
    '"title"': {"title": "Weather in Oslo"},
}
TOOL = '''\
class Tools:
    def weather(self, city: str) -> str:
        """
        Tell the weather of a city.

        :param city: The city.
        """
        return f"{21 if city == 'Zürich' else 9} in {city}"
'''
SENTENCE = "the cat sat on a mat while it rained and nobody knew why"
_windows: WeakKeyDictionary[Stage, Window] = WeakKeyDictionary()


async def window(stage: Stage, *answers: Answer) -> Window:
    """Return the window, with a new chat that gets these answers; tasks in the background get theirs."""
    stage.upstream.answer_with(_answering(*answers))
    if stage not in _windows:
        _windows[stage] = await Window.opened(stage)
    await _windows[stage].choose_model()
    return _windows[stage]


def _answering(*answers: Answer) -> Callable[[dict[str, Any]], Answer | None]:
    left = list(answers)

    def answer(body: dict[str, Any]) -> Answer | None:
        if "haiku" not in body["model"]:
            return left.pop(0) if left else None
        asked = json.dumps(body["messages"]).replace('\\"', '"')
        return Reply((Text(json.dumps(next(TASKS[word] for word in TASKS if word in asked))),))

    return answer


def text(said: str) -> Reply:
    """Make an answer of this text."""
    return Reply((Text(said),))


def chats(stage: Stage) -> list[RecordedRequest]:
    """Return the requests of the chat, without those of tasks in the background."""
    return [request for request in stage.upstream.requests if "haiku" not in request.body["model"]]


@client.check(requests=0)
async def models(stage: Stage) -> None:
    """After signing up, one chooses among the proxy's models."""
    offered = await (await window(stage)).choose_model()
    holds({"claude-opus-4", MODEL, "claude-haiku-4"} <= set(offered), f"the list offers only {offered}")


@client.check(requests=6)
async def chat(stage: Stage) -> None:
    """A chat of two turns: words arrive byte for byte, usage is shown, the second turn continues in place."""
    page = await window(stage)
    await page.say(HELLO)
    await page.is_answered(f"You said: {HELLO}")
    await page.has_button("Info")  # what shows the usage, where there is one
    await stage.asked(4)
    await page.say("And [[say more of it]]")
    await page.is_answered("more of it")
    await stage.asked(6)
    wanted = [("user", [("text", HELLO)]), ("assistant", [("text", f"You said: {HELLO}")])]
    same(seen_in(chats(stage)[-1].body)[:2], wanted, "the conversation")
    same(await stage.live(2, MODEL), [False, True], "which requests went on in place")


@client.check(requests=4)
async def tasks(stage: Stage) -> None:
    """It shows the title, tags and follow-up questions that its task model makes, without thinking."""
    page = await window(stage, text("It is warm."))
    await page.say("What is the weather?")
    await page.is_answered("It is warm.")
    await page.sees("Weather in Oslo")
    await page.sees("And tomorrow?")
    await page.is_tagged("Weather", "Norway")
    bodies = [one.body for one in stage.upstream.requests if "haiku" in one.body["model"]]
    same([body["thinking"]["type"] for body in bodies], ["disabled"] * 3, "how the task model thinks")


@client.check(requests=8)
async def regenerate(stage: Stage) -> None:
    """Another answer to the same question: the model is asked again, without its first answer."""
    page = await window(stage, text("One."), text("Two."))
    await page.say("Say a number.")
    await page.is_answered("One.")
    await stage.asked(4)
    await page.press_at_last("Regenerate")
    await page.choose("Try Again")
    await page.is_answered("Two.")
    await stage.asked(8)
    first, second = (seen_in(request.body) for request in chats(stage))
    same(second, first, "the second question")


@client.check(requests=2)
async def stop(stage: Stage) -> None:
    """The answer is shown while it comes; when the user stops it, the request to the provider stops too."""
    page = await window(stage)
    await page.say("Hello [[hang 3]]")
    await page.sees("w0 w1 w2")
    await page.press_at_last("Stop")
    left = await until(lambda: chats(stage)[0].disconnected, 20)
    holds(left, "the provider was still being listened to after 20 s")
    await page.is_answered("w0 w1 w2")


@client.check(requests=4)
async def image(stage: Stage) -> None:
    """An image that is uploaded reaches the model unchanged."""
    page = await window(stage, text("A pixel."))
    path = stage.work / "pixel.png"
    path.write_bytes(base64.b64decode(PIXEL.partition(",")[2]))
    await page.attach(path)
    await page.say("What is this?")
    await page.is_answered("A pixel.")
    blocks = chats(stage)[0].body["messages"][0]["content"]
    found = [block["source"]["data"] for block in blocks if block["type"] == "image"]
    same(found, [PIXEL.partition(",")[2]], "the images")


@client.check(requests=7)
async def tools(stage: Stage) -> None:
    """Two calls of a workspace tool at once, their results, and a further turn: all continues in place."""
    calls = Text("Let me see."), ToolUse("weather", {"city": "Zürich"}), ToolUse("weather", {"city": "Oslo"})
    page = await window(stage, Reply(calls), text("Zürich is warmer."), text("You are welcome."))
    await page.add_tool("Weather", TOOL)
    await page.choose_model()
    await page.switch_on("Weather")
    await page.say("/where is it warmer?")
    await page.is_answered("Zürich is warmer.")
    await stage.asked(5)
    await page.say("Thanks.")
    await page.is_answered("You are welcome.")
    await stage.asked(7)
    wanted = [
        ("user", [("text", "/where is it warmer?")]),
        (
            "assistant",
            [
                ("text", "Let me see."),
                ("call", 0, "weather", {"city": "Zürich"}),
                ("call", 1, "weather", {"city": "Oslo"}),
            ],
        ),
        ("user", [("result", 0, [("text", "21 in Zürich")]), ("result", 1, [("text", "9 in Oslo")])]),
        ("assistant", [("text", "Zürich is warmer.")]),
        ("user", [("text", "Thanks.")]),
    ]
    same(by_call(seen_in(chats(stage)[-1].body)), wanted, "the conversation")
    same(await stage.live(3, MODEL), [False, True, True], "which requests went on in place")


@client.check(requests=4)
async def thoughts(stage: Stage) -> None:
    """It shows what the model thought, apart from the answer."""
    page = await window(stage, Reply((Thinking("I wonder about it."), Text("Done."))))
    await page.say("Think.")
    await page.is_answered("Done.")
    await page.sees("Thought for")


@client.check(requests=5)
async def document(stage: Stage) -> None:
    """Of a document, the passages that belong to the question reach the model, found by local embeddings."""
    folder = stage.proxy.home / "models" / "all-MiniLM-L6-v2"
    write_folder(folder, tokenizer(), random_weights(Shape()), Shape())
    page = await window(stage, text("On a mat [1]."))
    path = stage.work / "notes.txt"
    fillers = [f"Passage {number}: {'lorem ipsum dolor ' * 50}" for number in range(10)]
    path.write_text("\n\n".join([*fillers[:5], SENTENCE, *fillers[5:]]))
    await page.attach(path)
    await page.say("Where did the cat sit?")
    await page.is_answered("On a mat")
    await page.sees("1 Source")
    asked = json.dumps(chats(stage)[0].body["messages"])
    within(SENTENCE, asked, "what the model was asked")
    holds(asked.count("Passage") < len(fillers) / 2, "most of the document was sent")


@client.check(requests=2)
async def plan_limit_reached(stage: Stage) -> None:
    """It shows a used-up plan in the provider's own words, and does not try again."""
    page = await window(stage, plan_limit())
    await page.say("Hello")
    await page.sees("usage limit reached")
    same(sorted(await stage.statuses(2)), [200, 429], "the statuses")


@client.check(requests=4)
async def continue_response(stage: Stage) -> None:
    """It says why the button that lets the model continue its own answer does not work."""
    page = await window(stage, text("One two"))
    await page.say("Count.")
    await page.is_answered("One two")
    await stage.asked(4)
    await page.press_at_last("Continue Response")
    await page.sees("the last message is the assistant's")
