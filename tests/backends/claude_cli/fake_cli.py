"""A program that speaks the CLI's stream-json, for quick tests. As a fake, it proves nothing about the CLI.

    python -I -S fake_cli.py -p --model sonnet …

It needs only the standard library, so it starts in a few milliseconds. Like the real CLI, it keeps a
transcript, can remove messages from it, lists and calls tools, and asks hooks; the end-to-end tests check
that the real one still does so. The newest message determines the answer, in directives like those of
``claude_max_proxy.testing``:

    [[tell]]                                      all that this process knows, as JSON
    [[tool NAME {json}]] [[think TEXT]]           blocks of the answer, in this order
    [[blank]] [[max_tokens]]                      an answer of white space alone, one that ends at its limit
    [[pace S]] [[hang]]                           seconds between two words, silence after the first
    [[status N TEXT]] [[limit]] [[logged_out]]    failures of the provider
    [[plan {json}]]                               how the plan stands, before the answer
    [[die]] [[garbage N]] [[long N]] [[odd]]      what a broken CLI does

Without a directive it echoes. ``FAKE_CLI`` in its environment contains JSON: see ``FAULTS``.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import re
import signal
import sys
import threading
import time
from typing import Any


Json = dict[str, Any]

FAULTS: Json = {
    "version": "2.1.332",  # what `--version` prints
    "logged_in": True,
    "rewinds": True,  # can remove messages from its conversation
    "steps": False,  # removes only one line at a time, like older CLIs
    "deaf": [],  # requests that it never answers
    "refuses": [],  # requests that it answers with an error
    "without": [],  # tools that it leaves out
    "stubborn": False,  # ends neither at the end of its input nor at SIGTERM
}
OPTIONS: Json = {**FAULTS, **json.loads(os.environ.get("FAKE_CLI", "{}"))}
MODELS = {"opus": "claude-opus-4-5", "sonnet": "claude-sonnet-4-5", "haiku": "claude-haiku-4-5"}
_DIRECTIVE = re.compile(r"\[\[(\w+)(?: (.*?))?\]\]", re.DOTALL)
_FENCE = "CLAUDE_CODE_BLOCKING_LIMIT_OVERRIDE"
_numbers = itertools.count(1)


class Interrupted(Exception):
    """The turn that is under way was interrupted and removed."""


def write(kind: str, **fields: Any) -> None:
    """Write one line."""
    sys.stdout.write(json.dumps({"type": kind, **fields}) + "\n")
    sys.stdout.flush()


def event(kind: str, **fields: Any) -> None:
    """Write one event of the provider's stream."""
    write("stream_event", event={"type": kind, **fields})


class FakeCli:
    """One process: what it was told, and what was said."""

    def __init__(self, model: str) -> None:
        """Begin with an empty transcript."""
        self.model = MODELS.get(model, model)
        self.environment: dict[str, str] = {}
        self.effort: str | None = None
        self.initialized: Json = {}
        self.tools: list[str] = []
        self.transcript: list[Json] = []
        self.running = False
        self.turns = 0
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._later: list[Json] = []
        self._answers: dict[str, Json] = {}

    def run(self) -> None:
        """Serve until standard input ends."""
        threading.Thread(target=self._read, daemon=True).start()
        while True:
            self._take(self._later.pop(0) if self._later else self._next(None))

    # --- lines in

    def _read(self) -> None:
        for line in sys.stdin:
            self._lines.put(line)
        self._lines.put(None)

    def _next(self, timeout: float | None) -> Json:
        line = self._lines.get(timeout=timeout)
        while line is None:
            if not OPTIONS["stubborn"]:
                sys.exit(0)
            threading.Event().wait()
        said: Json = json.loads(line)
        return said

    def _take(self, line: Json) -> None:
        if line["type"] == "control_request":
            self._control(line["request_id"], line["request"])
        elif line["type"] == "assistant":
            self.transcript.append({**line["message"], "uuid": line["uuid"]})
        elif line["type"] == "user":
            self._append(line)
            if line.get("shouldQuery", True):
                self._turn()
            else:
                self._result(turns=0)

    def _append(self, line: Json) -> None:
        content = [block for block in line["message"]["content"] if block != {"type": "text", "text": ""}]
        self.transcript.append({"role": "user", "content": content, "uuid": line.get("uuid", "")})

    def _listen(self, seconds: float) -> None:
        """Handle requests for this many seconds; messages that come meanwhile wait until the turn is over."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            try:
                self._hear(self._next(left))
            except queue.Empty:
                return

    def _hear(self, line: Json) -> None:
        if line["type"] == "control_response":
            self._answers[line["response"]["request_id"]] = line["response"]
        elif line["type"] == "control_request":
            self._control(line["request_id"], line["request"])
        else:
            self._later.append(line)

    # --- requests of the proxy's

    def _control(self, request_id: str, request: Json) -> None:
        subtype = request["subtype"]
        if subtype in OPTIONS["deaf"]:
            return
        if subtype in OPTIONS["refuses"]:
            self._respond(request_id, error=f"no {subtype} today")
            return
        match subtype:
            case "initialize":
                self.initialized = request
                self._respond(request_id, self._introduction())
                self._list(request.get("sdkMcpServers", []))
            case "apply_flag_settings":
                self.environment.update(request["settings"].get("env", {}))
                self.effort = request["settings"].get("effortLevel", self.effort)
                self._respond(request_id, {})
            case "mcp_set_servers":
                self._respond(request_id, {})
                self._list(list(request["servers"]))
            case "get_context_usage":
                self._respond(request_id, {"model": self.model, "rawMaxTokens": 200_000})
            case "rewind_conversation":
                self._rewind(request_id, request)
            case _:
                self._respond(request_id, error=f"unknown request {subtype}")

    def _respond(self, request_id: str, response: Json | None = None, *, error: str = "") -> None:
        body: Json = {"subtype": "error", "error": error} if error else {"subtype": "success"}
        write("control_response", response={**body, "request_id": request_id, "response": response or {}})

    def _introduction(self) -> Json:
        models = [
            {
                "value": alias,
                "resolvedModel": name,
                "displayName": alias.title(),
                "supportsEffort": True,
                "supportedEffortLevels": ["low", "medium", "high"],
                "supportsAdaptiveThinking": True,
            }
            for alias, name in MODELS.items()
        ]
        source = "ANTHROPIC_API_KEY" if OPTIONS["logged_in"] else "none"
        return {"account": {"apiKeySource": source}, "models": models}

    def _rewind(self, request_id: str, request: Json) -> None:
        lines = [line["uuid"] for line in self.transcript if line["role"] == "user"]
        target = request["target_message_uuid"]
        stale = OPTIONS["steps"] and lines[-1:] != [target]
        if not OPTIONS["rewinds"] or stale or target not in lines:
            self._respond(request_id, {"rewound": False, "reason": "stale target"})
            return
        was_running, self.running = self.running, False
        if was_running:
            self._result(error="interrupted", subtype="error_during_execution")
        cut = next(index for index, line in enumerate(self.transcript) if line["uuid"] == target)
        del self.transcript[cut:]
        self._respond(request_id, {"rewound": True})
        if was_running:
            raise Interrupted

    # --- requests of its own

    def _ask(self, **request: Any) -> str:
        request_id = f"cli-{next(_numbers)}"
        write("control_request", request_id=request_id, request=request)
        return request_id

    def _answer(self, request_id: str) -> Json:
        while request_id not in self._answers:
            self._hear(self._next(None))
        answer: Json = self._answers.pop(request_id)
        return answer

    def _rpc(self, server: str, method: str, **params: Any) -> str:
        message = {"jsonrpc": "2.0", "id": next(_numbers), "method": method, "params": params}
        return self._ask(subtype="mcp_message", server_name=server, message=message)

    def _list(self, servers: list[str]) -> None:
        for server in servers:
            self._answer(self._rpc(server, "initialize", protocolVersion="2025-06-18"))
            self._answer(self._rpc(server, "notifications/initialized"))
            listed = self._answer(self._rpc(server, "tools/list"))["response"]["mcp_response"]["result"]
            names = [tool["name"] for tool in listed["tools"]]
            self.tools = [name for name in names if name not in OPTIONS["without"]]

    def _hook(self, name: str) -> Json:
        registered = self.initialized.get("hooks", {}).get(name)
        if not registered:
            return {}
        asked = self._ask(subtype="hook_callback", callback_id=registered[0]["hookCallbackIds"][0])
        answer: Json = self._answer(asked)["response"]
        return answer

    # --- one turn

    def _turn(self) -> None:
        self.running = True
        self.turns += 1
        schema = ["StructuredOutput"] if "jsonSchema" in self.initialized else []
        write("system", subtype="init", tools=[*self.tools, *schema])
        try:
            self._work()
        except Interrupted:
            return
        self.running = False

    def _work(self) -> None:
        """Answer the newest message; after calls, whose results the proxy sends, go on."""
        found = [(match[1], match[2] or "") for match in _DIRECTIVE.finditer(self._newest())]
        if self._broken(found):
            return
        calls = self._message(found)
        if not calls:
            limited = ("max_tokens", "") in found
            if limited and self.environment.get(_FENCE) != "1":
                self._message([])  # the real one would ask, and bill, again
            self._result(error="Prompt is too long" if limited else "")
        elif "jsonSchema" in self.initialized:
            self._result(structured_output=calls[0]["input"])
        else:
            self._go_on(calls)

    def _go_on(self, calls: list[Json]) -> None:
        known = [call for call in calls if call["name"] in self.tools]
        asked = [
            self._rpc(
                "c",
                "tools/call",
                name=call["name"],
                arguments=call["input"],
                _meta={"claudecode/toolUseId": call["id"]},
            )
            for call in known
        ]
        results = [self._answer(one)["response"]["mcp_response"]["result"] for one in asked]
        blocks = [
            {"type": "tool_result", "tool_use_id": call["id"], "content": result["content"]}
            for call, result in zip(known, results, strict=True)
        ]
        self.transcript.append({"role": "user", "content": blocks, "uuid": ""})
        if self._hook("PostToolBatch").get("continue", True):
            self._message([])
        self._result()

    def _newest(self) -> str:
        blocks = self.transcript[-1]["content"]
        if any(block["type"] == "tool_result" for block in blocks):
            return "the results " + json.dumps([block.get("content") for block in blocks])
        return "\n".join(block["text"] for block in blocks if block["type"] == "text")

    def _broken(self, found: list[tuple[str, str]]) -> bool:
        """Behave like a broken CLI, or one with a broken provider; return whether that ends the turn."""
        for name, argument in found:
            match name:
                case "die":
                    sys.stderr.write("out of luck\n")
                    sys.exit(3)
                case "garbage":
                    for number in range(int(argument)):
                        sys.stdout.write(f"not protocol {number}\n")
                case "long":
                    sys.stdout.write("x" * int(argument) + "\n")
                case "odd":
                    self._answer(self._ask(subtype="can_use_tool"))
                    write("news", what="a kind of line that nobody knows")
                case "status":
                    status, _, text = argument.partition(" ")
                    self._result(error=text or "API Error", api_error_status=int(status))
                    return True
                case "logged_out":
                    self._result(error="Not logged in · Please run /login")
                    return True
                case "plan":
                    write("rate_limit_event", rate_limit_info=json.loads(argument))
                case "limit":
                    info = {"status": "rejected", "resetsAt": time.time() + 60, "rateLimitType": "five_hour"}
                    write("rate_limit_event", rate_limit_info=info)
                    self._result(error="You've hit your 5-hour limit", api_error_status=429)
                    return True
        return False

    def _message(self, found: list[tuple[str, str]]) -> list[Json]:
        """Stream one message; return the calls in it."""
        said = dict(found)
        head = {"model": self.model, "usage": {"input_tokens": 10, "output_tokens": 1}}
        event("message_start", message=head)
        blocks: list[Json] = []
        for name, argument in found:
            if name == "think":
                blocks.append(self._block("thinking", {"thinking": argument}, "thinking_delta"))
            elif name == "tool":
                blocks.append(self._call(argument))
        calls = [block for block in blocks if block["type"] == "tool_use"]
        if not calls:
            blocks.append(self._text(said))
        reason = "max_tokens" if "max_tokens" in said else "tool_use" if calls else "end_turn"
        event("message_delta", delta={"stop_reason": reason}, usage={"output_tokens": 5})
        event("message_stop")
        self.transcript.append({"role": "assistant", "content": blocks, "uuid": ""})
        return calls

    def _text(self, said: dict[str, str]) -> Json:
        words = self._words(said)
        event("content_block_start", index=0, content_block={"type": "text", "text": ""})
        for number, word in enumerate(words):
            if number:
                self._listen(3600 if "hang" in said else float(said.get("pace", 0)))
            event("content_block_delta", index=0, delta={"type": "text_delta", "text": word})
        event("content_block_stop", index=0)
        self._hook("MessageDisplay")
        return {"type": "text", "text": "".join(words)}

    def _words(self, said: dict[str, str]) -> list[str]:
        if "tell" in said:
            known = {**vars(self), "pid": os.getpid(), "arguments": sys.argv[1:]}
            return [json.dumps({name: value for name, value in known.items() if name[0] != "_"})]
        if "blank" in said:
            return [" ", "\n"]
        return re.findall(r"\s*\S+", f"You said: {self._newest()}")

    def _call(self, argument: str) -> Json:
        name, _, written = argument.partition(" ")
        call = {"type": "tool_use", "id": f"toolu_{os.getpid()}_{next(_numbers)}", "name": name}
        return self._block("tool_use", {**call, "input": json.loads(written or "{}")}, "input_json_delta")

    def _block(self, kind: str, block: Json, delta: str) -> Json:
        whole = {"type": kind, **block}
        field = {"thinking_delta": "thinking", "input_json_delta": "partial_json"}[delta]
        value = block["thinking"] if kind == "thinking" else json.dumps(block["input"])
        event("content_block_start", index=0, content_block={**whole, "input": {}, "thinking": ""})
        event("content_block_delta", index=0, delta={"type": delta, field: value})
        event("content_block_stop", index=0)
        return whole

    def _result(self, *, error: str = "", subtype: str = "success", turns: int = 1, **fields: Any) -> None:
        usage = {self.model: {"contextWindow": 200_000, "maxOutputTokens": 32_000}}
        said = {"subtype": subtype, "is_error": bool(error), "result": error, "num_turns": turns}
        write("result", **{**said, "modelUsage": usage, **fields})


def main() -> None:
    """Run the program with its arguments."""
    arguments = sys.argv[1:]
    if OPTIONS["stubborn"]:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "--version" in arguments:
        print(f"{OPTIONS['version']} (Claude Code)")  # noqa: T201
    elif arguments[:2] == ["auth", "status"]:
        print(json.dumps({"loggedIn": OPTIONS["logged_in"], "authMethod": "api_key"}))  # noqa: T201
    else:
        FakeCli(arguments[arguments.index("--model") + 1]).run()


if __name__ == "__main__":
    main()
