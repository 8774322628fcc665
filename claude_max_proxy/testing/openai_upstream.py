"""A scripted OpenAI-compatible server on loopback: what the backend of type "openai" talks to in tests.

It is scripted, asked and recorded like `ScriptedUpstream`, and speaks chat completions and embeddings.
"""

from __future__ import annotations

from typing import Any

from claude_max_proxy.testing import openai_events, openai_strictness
from claude_max_proxy.testing.answers import Answer, Fault, Reply, Text, fault
from claude_max_proxy.testing.delivery import Delivery, Receive, Scope, Send
from claude_max_proxy.testing.seen import RecordedRequest
from claude_max_proxy.testing.upstream import ScriptedUpstream, read_body, record_request


class ScriptedOpenAI(ScriptedUpstream):
    """An OpenAI-compatible server from `async with` to its end.

    `embedded` holds every request for embeddings, `requests` every one for a chat completion.
    """

    def __init__(self, *, recording: bool = True, strict: bool = True, port: int = 0) -> None:
        """Make it ready to serve on this port; 0 takes a free one."""
        super().__init__(recording=recording, strict=strict, port=port)
        self.embedded: list[RecordedRequest] = []

    @property
    def base_url(self) -> str:
        """What a client's `base_url` must be."""
        return f"{self.url}/v1"

    def deliver(self, scope: Scope, receive: Receive, send: Send) -> Delivery:
        """The way of one answer, in OpenAI's form."""
        return Delivery(scope, receive, send, openai_events)

    async def route(self, scope: Scope, receive: Receive, delivery: Delivery) -> None:
        """Answer one request."""
        content = await read_body(receive)
        if content is None:
            return

        request = record_request(scope, content)
        match scope["method"], scope["path"]:
            case "POST", "/v1/chat/completions":
                await self.answer(request, delivery)
            case "POST", "/v1/embeddings":
                self.keep(request, self.embedded)
                if self.scripted:
                    await delivery.give(self.scripted.popleft(), {})
                else:
                    await delivery.give_json(openai_events.embeddings(request.body))
            case _:
                self.keep(request, self.others)
                await delivery.give(fault(404, "Not found"), {})

    def judge(self, request: RecordedRequest) -> Fault | None:
        """The refusal that OpenAI would give; None when it would answer."""
        return openai_strictness.refusal(request.body)

    def choose(self, body: dict[str, Any]) -> Answer:
        """As everywhere, but that results of tools are messages of their own here."""
        messages = body.get("messages") or [{}]
        results = [one.get("content") for one in messages if one.get("role") == "tool"]
        if not self.scripted and messages[-1].get("role") == "tool":
            return Reply((Text(f"Results: {' | '.join(map(str, results))}"),))
        return super().choose(body)
