"""What every library is asked to do; its program has a function for each of these that it can do.

A function is called as its scenario, and with the API before it where that is not chat completions:
`whole`, `responses_whole`, `messages_whole`.
"""

from __future__ import annotations

from typing import Any

from claude_max_proxy.testing import Reply, Text, ToolUse, conversation, words
from tests.clients.client import Api, CheckFunction, Client
from tests.clients.expecting import holds, same
from tests.clients.stage import Stage
from tests.end_to_end.comparing import seen
from tests.end_to_end.working import by_call


HELLO = "/Hello @you"
PIECES = 40
PERSON = {"name": 'Ada "ü"', "age": 36}
AGENT = (
    Reply(
        (Text("Let me see."), ToolUse("weather", {"city": "Zürich"}), ToolUse("weather", {"city": "Oslo"}))
    ),
    Reply((ToolUse("warmest", {"a": 21, "b": 9}),)),
    Reply((Text("Zürich is warmer."),)),
)
ASKED = [
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
    ("assistant", [("call", 2, "warmest", {"a": 21, "b": 9})]),
    ("user", [("result", 2, [("text", "21")])]),
]


class Scenarios:
    """Checks of a library through its program."""

    def __init__(self, client: Client, program: str) -> None:
        """Make checks for `client` from what the functions of `program` return."""
        self._client = client
        self._program = program

    def add(self, *names: str, api: Api = "chat", **requests: int) -> None:
        """Add the checks of these names; `requests` says where a client makes more of them than it need."""
        for name in (*names, *requests):
            count = requests.get(name, REQUESTS[name])
            self._client.check(api, requests=count)(self._named(name, getattr(self, f"_{name}")))

    def _named(self, name: str, function: CheckFunction) -> CheckFunction:
        async def check(stage: Stage) -> None:
            await function(stage)

        check.__name__ = name
        check.__doc__ = function.__doc__
        return check

    async def _ask(self, stage: Stage, name: str, **arguments: Any) -> Any:
        """Call the program's function of this name, for the API of the check."""
        function = name if stage.api == "chat" else f"{stage.api}_{name}"
        return await stage.ask(self._program, function, **arguments)

    async def _whole(self, stage: Stage) -> None:
        """The prompt arrives byte for byte, and the whole answer comes back."""
        answer = await self._ask(stage, "whole", text=HELLO)
        same(answer, f"You said: {HELLO}", "the answer")

    async def _streamed(self, stage: Stage) -> None:
        """A streamed answer comes in the same pieces in which the model said it."""
        pieces = await self._ask(stage, "streamed", text=f"[[deltas {PIECES}]]")
        same("".join(pieces), words(PIECES), "the answer")
        holds(len(pieces) >= PIECES, f"the answer came in {len(pieces)} pieces, not {PIECES}")

    async def _usage(self, stage: Stage) -> None:
        """A streamed answer reports its usage, cached input included."""
        stage.upstream.script(
            Reply((Text("Hello"),), input_tokens=10, cache_read=200, cache_write=30, output_tokens=7)
        )
        used = await self._ask(stage, "usage", text=HELLO)
        same(used, {"input": 240, "cached": 200, "output": 7}, "what was used")

    async def _turns(self, stage: Stage) -> None:
        """A conversation of three turns continues in the process that answered last."""
        texts = [f"[[say It is {word}.]]" for word in ("one", "two", "three")]
        answers = await self._ask(stage, "turns", texts=texts)
        same(answers, ["It is one.", "It is two.", "It is three."], "the answers")
        turns = conversation(stage.upstream.requests[-1].body)
        same(
            [role for role, _ in turns], ["user", "assistant"] * 2 + ["user"], "the roles of the conversation"
        )
        same(await stage.live(3), [False, True, True], "which requests went on in place")

    async def _tools(self, stage: Stage) -> None:
        """An agent with two tools, called in parallel and one after the other, completes its work."""
        stage.upstream.script(*AGENT)
        answer = await self._ask(stage, "tools", text="/where is it warmer?")
        same(answer, "Zürich is warmer.", "the answer")
        same(by_call(seen(stage.upstream)), ASKED, "the conversation")
        same(await stage.live(3), [False, True, True], "which requests went on in place")

    async def _streamed_tools(self, stage: Stage) -> None:
        """The same agent completes its work with streaming."""
        stage.upstream.script(*AGENT)
        answer = await self._ask(stage, "streamed_tools", text="/where is it warmer?")
        same(answer, "Zürich is warmer.", "the answer")
        same(by_call(seen(stage.upstream)), ASKED, "the conversation")

    async def _structured(self, stage: Stage) -> None:
        """An answer follows a schema and comes as an object."""
        stage.upstream.script(Reply((ToolUse("StructuredOutput", PERSON),)))
        person = await self._ask(stage, "structured", text="Who?")
        same(person, PERSON, "the object")

    async def _image(self, stage: Stage) -> None:
        """An image reaches the model."""
        await self._ask(stage, "image", text="What is this?")
        blocks = conversation(stage.upstream.requests[-1].body)[0][1]
        same([block["type"] for block in blocks], ["text", "image"], "what was asked")

    async def _plan_limit(self, stage: Stage) -> None:
        """A used-up plan is a 429 with the provider's own words."""
        status = await self._ask(stage, "plan_limit", text="Hello [[limit]]")
        same(status, 429, "the status")

    async def _models(self, stage: Stage) -> None:
        """It gets the list of models."""
        names = await stage.ask(self._program, "models")
        holds("claude-sonnet-4" in names, f"claude-sonnet-4 is not among {names}")


REQUESTS: dict[str, int | None] = {
    "whole": 1,
    "streamed": 1,
    "usage": 1,
    "turns": 3,
    "tools": 3,
    "streamed_tools": 3,
    "structured": 1,
    "image": 1,
    "plan_limit": 1,
    "models": 0,
}
"""How many requests reach the provider in each."""
