"""Stored responses: theirs whose key it is, shared where they are alike, and bounded."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from claude_max_proxy import Call, Client, InvalidRequest, NotFound, Request, Text, ToolCall, ToolResult, fold
from claude_max_proxy.dialects.openai_responses import OpenAIResponses, Settings
from claude_max_proxy.dialects.openai_responses.store import Store, Stored
from tests.dialects.answers import ANSWERS, answer, called, said
from tests.openai_schema import check


ANSWER = answer(said(0, "yes"))


def stored(number: int, *items: bytes, key: str = "", output: tuple[bytes, ...] = ()) -> Stored:
    """A response with these items."""
    return Stored(f"resp_{number}", key, b"%d" % number, items, output)


def put(store: Store, *given: Stored, most: int = 100, most_bytes: int = 10_000) -> None:
    """Store these."""
    for one in given:
        store.put(one, most=most, most_bytes=most_bytes)


# --- the store


def test_bounded_in_number() -> None:
    """The oldest goes first, and one that was asked for counts as new."""
    store = Store()
    put(store, *(stored(number) for number in range(3)), most=3)
    assert store.get("resp_0", "") is not None
    put(store, stored(3), stored(4), most=3)
    assert [store.get(f"resp_{number}", "") is not None for number in range(5)] == [
        True,
        False,
        False,
        True,
        True,
    ]


def test_bounded_in_bytes() -> None:
    """What is stored is never larger than it may be, and what alone is larger is not stored."""
    store = Store()
    put(store, *(stored(number, b'"%038d"' % number) for number in range(10)), most_bytes=100)
    assert store.size <= 100
    assert len(store) == 2
    put(store, stored(10, b'"%099d"' % 10), most_bytes=100)
    assert len(store) == 2


def test_items_are_kept_once() -> None:
    """A history that grows by an item a turn takes the room of its items, not of their sum."""
    store = Store()
    history: tuple[bytes, ...] = ()
    for number in range(50):
        history = (*history, b'"%0298d"' % number)
        put(store, stored(number, *history), most_bytes=100_000)
    assert len(store) == 50
    assert store.size < 50 * 300 + 200
    for number in range(50):
        assert store.delete(f"resp_{number}", "")
    assert (store.size, len(store)) == (0, 0)


def test_of_other_keys() -> None:
    """Nothing of one key can be had, found or deleted with another."""
    store = Store()
    put(store, stored(1, b'{"id":"msg_1"}', key="me"))
    assert store.get("resp_1", "you") is None
    assert store.item("msg_1", "you") is None
    assert not store.delete("resp_1", "you")
    assert store.item("msg_1", "me") == {"id": "msg_1"}


def test_after_any_history() -> None:
    """However much was stored and deleted, sizes are right, and what is gone is gone."""
    store, dice = Store(), random.Random(4)
    for number in range(500):
        items = [b'{"id":"i%d"}' % dice.randrange(20) for _ in range(dice.randrange(6))]
        put(store, stored(number, *items, output=(b'{"id":5}',)), most=dice.randrange(1, 9), most_bytes=400)
        store.delete(f"resp_{dice.randrange(number + 1)}", "")
        kept = [one for one in range(number + 1) if store.get(f"resp_{one}", "")]
        entries = [entry for one in kept if (entry := store.get(f"resp_{one}", ""))]
        unique = {item for entry in entries for item in entry.items}
        assert store.size == sum(map(len, unique)) + sum(len(entry.body) for entry in entries)
    for one in kept:
        store.delete(f"resp_{one}", "")
    assert store.size == 0
    assert store.item("i1", "") is None


# --- the dialect


class Talking:
    """A client of one dialect, with a key."""

    def __init__(self, dialect: OpenAIResponses | None = None, key: str = "") -> None:
        """Begin with nothing stored."""
        self.dialect = dialect or OpenAIResponses()
        self.client = Client(key)

    def read(self, given: Any, **fields: Any) -> Request:
        """What the backend gets."""
        request = self.dialect.read(msgspec.json.encode({"model": "m", "input": given, **fields}))
        request.client = self.client
        self.dialect.resume(request)
        return request

    def ask(self, given: Any, events: Any = None, **fields: Any) -> dict[str, Any]:
        """Ask, and have this answered."""
        writer = self.dialect.writer(self.read(given, **fields))
        body: dict[str, Any] = msgspec.json.decode(writer.whole(fold(events or ANSWER)))
        return body

    def call(self, place: int, id_: str, **query: str) -> Any:
        """Ask one of the further routes."""
        route = self.dialect.further_routes[place]
        return msgspec.json.decode(route.answer(Call({"id": id_}, query, self.client)))


def said_by(request: Request) -> list[tuple[str, str]]:
    """Who said what, in short."""
    return [
        (message.role, part.text)
        for message in request.messages
        for part in message.parts
        if isinstance(part, Text)
    ]


def test_going_on() -> None:
    """A response's id stands for the whole conversation up to it, without its instructions."""
    me = Talking()
    first = me.ask("one", instructions="Once.")
    second = me.ask(
        [{"role": "developer", "content": "Always."}, {"role": "user", "content": "two"}],
        previous_response_id=first["id"],
    )
    third = me.read("three", previous_response_id=second["id"])
    assert said_by(third) == [
        ("user", "one"),
        ("assistant", "yes"),
        ("user", "two"),
        ("assistant", "yes"),
        ("user", "three"),
    ]
    assert third.system == "Always."


def test_going_on_from_calls() -> None:
    """Results belong to the calls of the response that is named, and turns stay whole."""
    me = Talking()
    events = answer(said(0, "Look:"), called(1, "call1", "read", "{}"), called(2, "call2", "read", "{}"))
    first = me.ask("one", events)
    results = [{"type": "function_call_output", "call_id": f"call_{one}", "output": "x"} for one in (1, 2)]
    _, assistant, user = me.read(results, previous_response_id=first["id"]).messages
    assert assistant.parts == [
        Text("Look:"),
        ToolCall("call_1", "read", "{}"),
        ToolCall("call_2", "read", "{}"),
    ]
    assert user.parts == [ToolResult("call_1", (Text("x"),)), ToolResult("call_2", (Text("x"),))]


def test_streamed_ones_too() -> None:
    """A response that was streamed to its end is stored; one that was not is not."""
    me = Talking()
    for events, there in ((ANSWERS["text"], True), (ANSWERS["text"][:-1], False)):
        writer = me.dialect.writer(me.read("hi"))
        stream = b"".join(writer.write(event) for event in events)
        id_ = msgspec.json.decode(stream.split(b"\n")[1].removeprefix(b"data: "))["response"]["id"]
        if there:
            assert me.call(0, id_)["status"] == "completed"
        else:
            with pytest.raises(NotFound):
                me.call(0, id_)


def test_references() -> None:
    """An item's id stands for the item, the model's or one that the client named."""
    me = Talking()
    first = me.ask([{"role": "user", "id": "msg_mine", "content": "one"}])
    items = [{"type": "item_reference", "id": id_} for id_ in ("msg_mine", first["output"][0]["id"])]
    assert said_by(me.read([*items, {"role": "user", "content": "two"}])) == [
        ("user", "one"),
        ("assistant", "yes"),
        ("user", "two"),
    ]


def test_what_is_not_there() -> None:
    """What was not stored, was deleted, or is another key's, is refused by the field that names it."""
    dialect = OpenAIResponses()
    me, you = Talking(dialect, "me"), Talking(dialect, "you")
    kept, left = me.ask("one"), me.ask("one", store=False)
    gone = me.ask("one")
    assert me.call(1, gone["id"]) == {"id": gone["id"], "object": "response", "deleted": True}
    for who, response in ((me, left), (me, gone), (you, kept)):
        with pytest.raises(InvalidRequest) as caught:
            who.read("two", previous_response_id=response["id"])
        assert (caught.value.param, caught.value.code) == (
            "previous_response_id",
            "previous_response_not_found",
        )
        item = response["output"][0]["id"]
        with pytest.raises(InvalidRequest) as caught:
            who.read([{"role": "user", "content": "x"}, {"type": "item_reference", "id": item}])
        assert (caught.value.param, caught.value.code) == ("input[1].id", "item_not_found")
        for place in range(3):
            with pytest.raises(NotFound):
                who.call(place, response["id"])


def test_nothing_is_stored_unless_it_may_be() -> None:
    """The settings can forbid it, and the response says so."""
    me = Talking(OpenAIResponses(Settings(store=False)))
    assert me.ask("one", store=True)["store"] is False
    assert len(me.dialect.stored.store) == 0


def test_the_settings_bound_it() -> None:
    """The settings' number is the most that is stored."""
    me = Talking(OpenAIResponses(Settings(store_limit=2)))
    ids = [me.ask("one")["id"] for _ in range(3)]
    assert len(me.dialect.stored.store) == 2
    assert me.call(0, ids[2])["id"] == ids[2]


def test_the_next_configuration_goes_on() -> None:
    """What one configuration stored, the next one has; another dialect of the name is no matter."""
    me = Talking()
    first = me.ask("one")
    after = OpenAIResponses()
    after.take_over(me.dialect)
    assert Talking(after).read("two", previous_response_id=first["id"]).messages
    after.take_over(object())  # type: ignore[arg-type]
    assert Talking(after).read("two", previous_response_id=first["id"]).messages


ITEMS: list[Any] = [
    {"role": "user", "content": "one"},
    {"type": "message", "role": "user", "content": [{"type": "input_image", "image_url": "https://a/b.png"}]},
    {"role": "assistant", "content": "yes"},
    {"type": "reasoning", "id": "rs_1", "summary": []},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": "x"},
    {"type": "custom_tool_call", "call_id": "d", "name": "f", "input": ""},
    {"type": "custom_tool_call_output", "call_id": "d", "output": [{"type": "input_text", "text": "x"}]},
]


def test_what_led_to_it() -> None:
    """The input is listed as OpenAI lists it, by pages, newest first or oldest first."""
    me = Talking()
    response = me.ask(ITEMS)
    listed = me.call(2, response["id"])
    check("ResponseItemList", listed)
    assert len(listed["data"]) == len(ITEMS)
    assert not listed["has_more"]
    oldest = me.call(2, response["id"], order="asc")["data"]
    assert oldest == listed["data"][::-1]
    assert oldest[0]["content"] == [{"type": "input_text", "text": "one"}]

    pages, after = [], {}
    while True:
        page = me.call(2, response["id"], order="asc", limit="3", **after)
        pages += page["data"]
        if not page["has_more"]:
            break
        after = {"after": page["last_id"]}
    assert pages == oldest


@pytest.mark.parametrize(
    ("place", "query"),
    [
        (0, {"stream": "true"}),
        (2, {"order": "up"}),
        (2, {"limit": "0"}),
        (2, {"limit": "x"}),
        (2, {"after": "x"}),
    ],
)
def test_what_cannot_be_asked(place: int, query: dict[str, str]) -> None:
    """A query that cannot be is refused by its name."""
    me = Talking()
    with pytest.raises(InvalidRequest) as caught:
        me.call(place, me.ask("one")["id"], **query)
    assert caught.value.param in query
