"""Draws requests that belong to no API in particular: odd names, texts and schemas of all kinds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st


# Letters that some code might normalize, cut, escape, or take for an end.
ODD = "aZ0 _-.①ＡＢＣ²ﬁé\u0301👨‍👩‍👧全角\u200b\ufeff\u2028\u0000\u001b\"\\/<>&'\n\r\t$%"
TEXT = st.text(ODD, max_size=12) | st.text(max_size=12)
WORDS = TEXT.map(lambda text: f"{text}x{text}")
SOME = st.integers(0, 3)


def one_in(number: int) -> st.SearchStrategy[bool]:
    """Draw true in one of ``number`` cases; Hypothesis draws whole numbers near zero far more often."""
    return st.sampled_from([True] + [False] * (number - 1))


@dataclass
class OfferedTool:
    """An offered tool; the client has left out what is not in ``said``."""

    name: str
    said: dict[str, Any]

    @property
    def parameters(self) -> dict[str, Any] | None:
        """The schema, if there is one."""
        return self.said.get("parameters")


@dataclass
class Step:
    """A past turn: what the user said, what the assistant said, its calls, and their results."""

    user: str
    assistant: str
    calls: list[tuple[str, dict[str, Any], str]]


@dataclass
class Case:
    """One request. ``choice`` is a word, or the index of a tool. ``called`` is what the model will call."""

    system: str
    past: list[Step]
    question: str
    tools: list[OfferedTool]
    choice: str | int = "auto"
    schema: dict[str, Any] | None = None
    knobs: dict[str, Any] = field(default_factory=dict)
    called: tuple[int, dict[str, Any]] | None = None

    def __repr__(self) -> str:
        """Return a form that pytest and hypothesis can print."""
        return f"Case({self.__dict__!r})"[:20_000]


# --- schemas

SCALARS = st.none() | st.booleans() | st.integers(-(2**65), 2**65) | st.floats(-1e300, 1e300) | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
PLAIN_NAMES = st.text("abcXYZ019_.-", min_size=1, max_size=10)
TYPES = st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"])
NUMBERS = st.integers(-(2**60), 2**60) | st.floats(-1e9, 1e9)


def _words(inner: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    """Return all keywords of the drafts, with values that their definitions allow."""
    listed, named = st.lists(inner, min_size=1, max_size=2), st.dictionaries(PLAIN_NAMES, inner, max_size=2)
    names = st.lists(TEXT, unique=True, max_size=2)
    return {
        **dict.fromkeys(["title", "description", "$comment", "contentEncoding", "contentMediaType"], TEXT),
        **dict.fromkeys(["default", "const", "x-note", "example", "discriminator", "nullable"], VALUES),
        **dict.fromkeys(["deprecated", "readOnly", "writeOnly", "uniqueItems"], st.booleans()),
        **dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"], NUMBERS),
        **dict.fromkeys(
            ["minLength", "minItems", "minProperties", "minContains", "maxItems", "maxLength"], SOME
        ),
        **dict.fromkeys(["not", "if", "then", "else", "contains", "items", "additionalProperties"], inner),
        **dict.fromkeys(
            ["propertyNames", "unevaluatedProperties", "unevaluatedItems", "contentSchema"], inner
        ),
        **dict.fromkeys(["anyOf", "oneOf", "allOf", "prefixItems"], listed),
        **dict.fromkeys(["properties", "$defs", "definitions", "dependentSchemas"], named),
        "multipleOf": st.integers(1, 9) | st.floats(0.01, 9),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "^.*$", "\\d"]), inner, max_size=1),
        "pattern": st.sampled_from(["^a$", "[", "(?=x)", "\\p{L}"]),
        "dependentRequired": st.dictionaries(PLAIN_NAMES, names, max_size=1),
        "required": names,
        "enum": st.lists(VALUES, max_size=3),
        "examples": st.lists(VALUES, max_size=2),
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
        "format": st.sampled_from(["date-time", "uuid", "email", "nobody-knows"]),
        "$schema": st.sampled_from(["http://json-schema.org/draft-07/schema#", "https://example.org/mine"]),
        "$id": st.just("https://example.org/a"),
        "$anchor": st.just("here"),
        "$ref": st.sampled_from(["#", "#/$defs/a", "#here"]),
    }


# Mistakes that are drawn once in a while; each is refused somewhere.
WRONG: dict[str, st.SearchStrategy[Any]] = {
    "type": st.sampled_from(["any", "function", []]),
    "items": st.lists(st.just({}), max_size=2),
    "exclusiveMinimum": st.booleans(),
    "required": st.none() | st.booleans(),
    "enum": st.just("a"),
}


def _object(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    words = _words(inner)
    one = st.sampled_from(sorted(words)).flatmap(lambda word: st.tuples(st.just(word), words[word]))
    return st.lists(one, max_size=4).map(dict)


INNER = st.recursive(
    st.booleans() | st.fixed_dictionaries({}, optional={"type": TYPES}), _object, max_leaves=6
)
ROOT_WORDS = {
    name: words
    for name, words in _words(INNER).items()
    if name not in {"type", "properties", "anyOf", "oneOf", "allOf", "$ref", "$id", "$anchor"}
}


@st.composite
def schemas(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a schema whose root is an object; one in sixteen is wrong."""
    drawn: dict[str, Any] = {"type": "object"}
    drawn["properties"] = draw(st.dictionaries(PLAIN_NAMES, INNER, max_size=4))
    for word in draw(st.lists(st.sampled_from(sorted(ROOT_WORDS)), max_size=3, unique=True)):
        drawn[word] = draw(ROOT_WORDS[word])
    if draw(one_in(16)):
        word = draw(st.sampled_from([*WRONG, "anyOf", "$ref", "root", "name"]))
        place = drawn if draw(st.booleans()) else drawn["properties"].setdefault("odd", {})
        if word == "name":
            drawn["properties"][draw(TEXT)] = {}
        elif word == "root":
            drawn["type"] = draw(st.sampled_from(["array", ["object"], None]))
        elif isinstance(place, dict):
            place[word] = draw(WRONG[word]) if word in WRONG else {"anyOf": [{}], "$ref": "#/$defs/a"}[word]
    order = draw(st.permutations(list(drawn)))
    return {name: drawn[name] for name in order}


# --- tools

NAMES = st.one_of(
    *[st.text("abcXYZ019_-", min_size=1, max_size=20)] * 6,
    st.sampled_from(
        ["ToolSearch", "StructuredOutput", "Bash", "Agent", "Task", "mcp__c__x", "answer", "toString"]
    ),
    st.text("abc", min_size=64, max_size=128),
    st.text(min_size=1, max_size=20),
)
DESCRIPTIONS = st.one_of(
    *[TEXT] * 4, WORDS.map(lambda text: text * (30_000 // len(text))), st.just(""), st.just(" ")
)


@st.composite
def offered(draw: st.DrawFn) -> OfferedTool:
    """Draw a tool."""
    said: dict[str, Any] = {}
    if not draw(one_in(6)):
        said["description"] = draw(DESCRIPTIONS)
    if not draw(one_in(6)):
        said["parameters"] = draw(st.just({}) | schemas() if draw(one_in(4)) else schemas())
    if draw(one_in(4)):
        said["strict"] = draw(st.booleans())
    return OfferedTool(draw(NAMES), said)


ARGUMENTS = st.dictionaries(TEXT, VALUES, max_size=3)
EXACT_ARGUMENTS = st.dictionaries(PLAIN_NAMES.map(lambda name: f"a{name}"), TEXT | st.booleans(), max_size=3)


@st.composite
def steps(draw: st.DrawFn, names: list[str]) -> Step:
    """Draw a past turn, with calls of tools that are or were offered."""
    calls = draw(st.lists(st.tuples(st.sampled_from([*names, "gone"]), EXACT_ARGUMENTS, WORDS), max_size=2))
    return Step(draw(WORDS), draw(WORDS), calls)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a request: most have few tools, some have none, and some two hundred."""
    tools = draw(st.lists(offered(), max_size=4, unique_by=lambda tool: tool.name))
    if draw(one_in(20)):
        tools += [OfferedTool(f"many_{number}", {"parameters": {"type": "object"}}) for number in range(200)]
    if tools and bool(draw(one_in(20))):
        tools.append(tools[0])
    case = Case(
        draw(st.just("") | WORDS),
        draw(st.lists(steps([tool.name for tool in tools]), max_size=2)),
        draw(WORDS),
        tools,
    )
    if tools and bool(draw(st.booleans())):
        case.choice = draw(st.sampled_from(["none", "required", *range(len(tools[:4]))]))
    if not tools and draw(st.booleans()):
        case.schema = draw(schemas())
    knobs = {
        "max_tokens": st.integers(1, 9000),
        "temperature": st.sampled_from([0, 0.2, 1]),
        "top_p": st.sampled_from([0.5, 1]),
        "stop": st.lists(WORDS, min_size=1, max_size=2),
    }
    for name in draw(st.lists(st.sampled_from(sorted(knobs)), unique=True, max_size=2)):
        case.knobs[name] = draw(knobs[name])
    if tools and case.choice != "none":
        index = case.choice if isinstance(case.choice, int) else draw(st.integers(0, len(tools) - 1))
        case.called = (index, draw(ARGUMENTS))
    return case
