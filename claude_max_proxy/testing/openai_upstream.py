"""A scripted OpenAI-compatible server on loopback, which the backend of type "openai" uses in tests.

It is scripted and records requests in the same way as `ScriptedUpstream`, and has chat completions and
embeddings.
"""

from __future__ import annotations

from typing import Any

from claude_max_proxy.testing import openai_events, openai_strictness
from claude_max_proxy.testing.answers import Answer, Fault, Reply, Text, fault
from claude_max_proxy.testing.delivery import Delivery, Receive, Scope, Send
from claude_max_proxy.testing.seen import RecordedRequest
from claude_max_proxy.testing.upstream import ScriptedUpstream, read_body, record_request


class ScriptedOpenAI(ScriptedUpstream):
    """An OpenAI-compatible server that runs inside of `async with`.

    `embedded` contains all requests for embeddings, `requests` those for chat completions.
    """

    def __init__(self, *, recording: bool = True, strict: bool = True, port: int = 0) -> None:
        """Prepare to serve on this port; 0 means a free port."""
        super().__init__(recording=recording, strict=strict, port=port)
        self.embedded: list[RecordedRequest] = []

    @property
    def base_url(self) -> str:
        """The `base_url` for clients."""
        return f"{self.url}/v1"

    def deliver(self, scope: Scope, receive: Receive, send: Send) -> Delivery:
        """Return what sends an answer in OpenAI's form."""
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
        """Return the error with which OpenAI would refuse a request, or None if it would answer."""
        return openai_strictness.refusal(request.body)

    def choose(self, body: dict[str, Any]) -> Answer:
        """Choose the answer; in this API, the results of tools are separate messages."""
        messages = body.get("messages") or [{}]
        results = [one.get("content") for one in messages if one.get("role") == "tool"]
        if not self.scripted and messages[-1].get("role") == "tool":
            return Reply((Text(f"Results: {' | '.join(map(str, results))}"),))
        return super().choose(body)
