"""Whether an upstream read what a client said: by value and order, or else the client was told."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import httpx
import jsonschema

from claude_max_proxy.testing import system_text
from tests.end_to_end.comparing import Turn, asked, seen_in
from tests.end_to_end.differential.drawing import Case, OfferedTool
from tests.end_to_end.differential.writing import Body, called, chat_messages


_NAMES = {"cli": r"[a-zA-Z0-9_-]{1,128}", "messages": r"[a-zA-Z0-9_-]{1,128}", "chat": r"[a-zA-Z0-9_-]{1,64}"}
# The CLI has tools of its own by these names.
_TAKEN = {"cli": {"ToolSearch", "StructuredOutput"}, "messages": set(), "chat": set()}
_NOTHING = {"type": "object", "properties": {}}
_BARE = {"type": "object"}
_FIELDS = {"max_tokens": ("max_tokens", "max_output_tokens"), "stop": ("stop", "stop_sequences")}


class Judge:
    """Looks at one case that went to ``target``: "cli", "messages" or "chat"."""

    def __init__(
        self, case: Case, dialect: str, target: str, response: httpx.Response, bodies: list[Body]
    ) -> None:
        """Take what was answered and what the upstream was sent."""
        self.case, self.dialect, self.target = case, dialect, target
        self.response, self.bodies = response, bodies
        ignored = response.headers.get("x-proxy-ignored", "")
        self.ignored = [name.strip() for name in ignored.split(",") if name.strip()]

    def judge(self) -> str:
        """Raise AssertionError for what is wrong; return in a word what became of the case."""
        status = self.response.status_code
        if status == 400:
            return self._refused()
        if status == 502 and self.case.schema is not None:
            self._breaks_the_schema()
        else:
            assert status == 200, self.response.text
        # A provider that cannot enforce a schema is asked again without.
        assert len(self.bodies) in ({1, 2} if "tools.strict" in self.ignored else {1}), "one question each"
        body = self.bodies[-1]
        names = self._tools(body)
        self._schema(body)
        self._conversation(body, names)
        self._knobs(body)
        if status == 200 and self.case.called and self.case.schema is None:
            self._call()
        return "told" if self.ignored else "equal"

    def _refused(self) -> str:
        error = self.response.json()["error"]
        if self.target == "chat" and error["code"] == "upstream_refused":
            return "refused there"  # whose rules are the server's own
        assert self.bodies == [], f"what is refused is not asked: {error}"
        param = str(error["param"])
        places = (
            r"tools\[\d+\]|response_format|text\.format|output_config\.format|tool_choice|input|messages|max_"
        )
        assert re.match(places, param), error
        assert param.split(".", maxsplit=1)[0].split("[", maxsplit=1)[0] in error["message"], error
        return f"refused {re.sub('[0-9]+', 'N', param)}"

    def _breaks_the_schema(self) -> None:
        assert self.response.json()["error"]["code"] == "invalid_output", self.response.text
        assert self.case.schema is not None
        validator = jsonschema.Draft202012Validator(self.case.schema)
        assert not validator.is_valid({}), "the model's answer was right"

    # --- tools

    def _tools(self, body: Body) -> dict[str, str]:
        """Compare the tools; return the client's names by the upstream's."""
        sent = body.get("tools") or []
        if self.target == "chat":
            sent = [tool["function"] for tool in sent]
        if self.case.schema is not None and sent and self.target != "chat":
            sent = sent[:-1]
        assert len(sent) == len(self.case.tools)
        names = {tool["name"]: own.name for tool, own in zip(sent, self.case.tools, strict=True)}
        assert len(names) == len(sent)
        for index, (tool, own) in enumerate(zip(sent, self.case.tools, strict=True)):
            self._name(tool["name"], own.name)
            self._tool({key: value for key, value in tool.items() if key != "cache_control"}, own, index)
        return names

    def _name(self, sent: str, own: str) -> None:
        pattern = _NAMES[self.target]
        assert re.fullmatch(pattern, sent)
        if re.fullmatch(pattern, own) and own not in _TAKEN[self.target]:
            assert sent == own

    def _tool(self, sent: Body, own: OfferedTool, index: int) -> None:
        expected = dict(own.said)
        if self.target != "chat":
            given = expected.pop("parameters", None)
            expected["input_schema"] = given or (_BARE if self.dialect == "messages" else _NOTHING)
        elif self.dialect == "messages":
            expected["parameters"] = expected.get("parameters") or _BARE
        got = {key: value for key, value in sent.items() if key != "name"}
        if "tools.strict" in self.ignored:
            expected.pop("strict", None)
        changed = {name.partition(".")[2] for name in self.ignored if name.startswith(f"tools[{index}].")}
        # The order of a definition's own fields is nobody's, that of everything inside them the client's.
        assert sorted(got) == sorted(expected)
        assert all(_same(got[key], expected[key], changed) for key in got), (got, expected)

    def _schema(self, body: Body) -> None:
        if self.case.schema is None:
            return

        changed = {name.partition(".")[2] for name in self.ignored if name.startswith("response_format.")}
        if self.target == "chat":
            sent = body["response_format"]["json_schema"]["schema"]
        else:
            sent = body["tools"][-1]["input_schema"]
        assert _same(sent, self.case.schema, changed), (sent, self.case.schema)

    # --- the rest

    def _conversation(self, body: Body, names: dict[str, str]) -> None:
        expected = asked(chat_messages(self.case))
        if self.target == "chat":
            sent, system = asked(body["messages"]), _chat_system(body)
        else:
            sent, system = seen_in(body), system_text(body)
        assert _renamed(sent, names) == expected
        assert system == self.case.system

    def _knobs(self, body: Body) -> None:
        for name, value in self.case.knobs.items():
            if name in {"temperature", "top_p"} and value == 1:
                continue  # the default, said or not
            if name == "stop" and self.dialect == "responses":
                continue  # which has none
            sent = next((body[field] for field in _FIELDS.get(name, (name,)) if field in body), None)
            assert sent == value or name in self.ignored, (name, value, sent)

    def _call(self) -> None:
        assert self.case.called is not None
        index, arguments = self.case.called
        ((name, given),) = called(self.response.json(), self.dialect)
        assert name == self.case.tools[index].name
        assert given == arguments


def _same(sent: Any, expected: Any, changed: set[str]) -> bool:
    """Compare by value and order, but for what the client was told of: ``precision``, ``member_order``."""
    if "precision" in changed:
        sent, expected = _doubles(sent), _doubles(expected)
    if "member_order" in changed:
        return bool(sent == expected)
    return _ordered(sent) == _ordered(expected)


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return [[name, _ordered(inner)] for name, inner in value.items()]
    if isinstance(value, list):
        return [_ordered(inner) for inner in value]
    if isinstance(value, bool) or not isinstance(value, int | float):
        return (type(value).__name__, value)
    return Decimal(repr(value))  # as it is written: JavaScript writes a large float as a whole number


def _doubles(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _doubles(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_doubles(inner) for inner in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _renamed(turns: list[Turn], names: dict[str, str]) -> list[Turn]:
    """Return tools the client's names again."""
    return [
        (
            role,
            [
                (*block[:2], names.get(block[2], block[2]), *block[3:]) if block[0] == "call" else block
                for block in blocks
            ],
        )
        for role, blocks in turns
    ]


def _chat_system(body: Body) -> str:
    return "".join(message["content"] for message in body["messages"] if message["role"] == "system")
