"""Judges whether an upstream has read what a client said, by value and order, or the client was told."""

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
# Names of the CLI's own tools, and of members that every JavaScript object has.
_TAKEN = {
    "cli": {"ToolSearch", "StructuredOutput", "ExitPlanMode", "toString"},
    "messages": set(),
    "chat": set(),
}
_MOST_REFUSALS = 3
_NOTHING = {"type": "object", "properties": {}}
_BARE = {"type": "object"}
_FIELDS = {"max_tokens": ("max_tokens", "max_output_tokens"), "stop": ("stop", "stop_sequences")}


class Judge:
    """Judges one case that went to ``target``: "cli", "messages" or "chat"."""

    def __init__(
        self,
        case: Case,
        dialect: str,
        target: str,
        response: httpx.Response,
        bodies: list[Body],
        refused: int,
    ) -> None:
        """Take the answer, what the upstream was sent, and how often it refused that."""
        self.case, self.dialect, self.target = case, dialect, target
        self.response, self.bodies, self.refused = response, bodies, refused
        ignored = response.headers.get("x-proxy-ignored", "")
        self.ignored = [name.strip() for name in ignored.split(",") if name.strip()]

    def judge(self) -> str:
        """Raise AssertionError for what is wrong; return in one word how the case ended."""
        status = self.response.status_code
        if status == 400:
            return self._refused()
        if status == 502 and self.case.schema is not None:
            self._breaks_the_schema()
        else:
            assert status == 200, self.response.text
        # The CLI lets the model try again if its answer breaks the part of the schema that the CLI knows.
        again = self.target == "cli" and status == 502
        assert len(self.bodies) == 1 or (again and self.bodies), [seen_in(body)[-1] for body in self.bodies]
        # If a provider cannot enforce a schema, it is asked again without; newer CLIs ask three times.
        assert self.refused <= (_MOST_REFUSALS if "tools.strict" in self.ignored else 0)
        body = self.bodies[0]
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
        assert (self.bodies, self.refused) == ([], 0), f"what is refused is not asked: {error}"
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
        # The order of a definition's own fields does not matter; that of everything in them is the client's.
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
                continue  # the default, whether it is written out or not
            if name == "stop" and self.dialect == "responses":
                continue  # this API has no such parameter
            sent = next((body[field] for field in _FIELDS.get(name, (name,)) if field in body), None)
            wanted = list(dict.fromkeys(value)) if isinstance(value, list) else value  # twice says no more
            assert sent == wanted or name in self.ignored, (name, wanted, sent)

    def _call(self) -> None:
        assert self.case.called is not None
        index, arguments = self.case.called
        ((name, given),) = called(self.response.json(), self.dialect)
        assert name == self.case.tools[index].name
        assert given == arguments


def _same(sent: Any, expected: Any, changed: set[str]) -> bool:
    """Compare by value and order, except for the changes that the client was told about."""
    if "precision" in changed:
        sent, expected = _doubles(sent), _doubles(expected)
    ordered = "member_order" not in changed
    return bool(_listed(sent, ordered=ordered) == _listed(expected, ordered=ordered))


def _listed(value: Any, *, ordered: bool) -> Any:
    """Return a value whose objects are lists of members, in their order or sorted by name."""
    if isinstance(value, dict):
        names = list(value) if ordered else sorted(value)
        return [[name, _listed(value[name], ordered=ordered)] for name in names]
    if isinstance(value, list):
        return [_listed(inner, ordered=ordered) for inner in value]
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
    """Return tools with the client's names."""
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
