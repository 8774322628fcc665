"""Stored responses: they belong to an API key, share equal items, and are bounded."""

from __future__ import annotations

import inspect
import random
import tracemalloc
from typing import Any

import msgspec
import pytest

from claude_max_proxy import Client, InvalidRequest, NotFound, Request, Text, ToolCall, ToolResult, fold
from claude_max_proxy.dialect import Exchange
from claude_max_proxy.dialects.openai_responses import OpenAIResponses, Settings
from claude_max_proxy.dialects.openai_responses import store as store_module
from claude_max_proxy.dialects.openai_responses.memory import MemoryStore
from claude_max_proxy.dialects.openai_responses.store import Store
from claude_max_proxy.dialects.openai_responses.stored import Stored
from claude_max_proxy.route import Call
from tests.dialects.answers import ANSWERS, answer, called, said
from tests.openai_schema import check


ANSWER = answer(said(0, "yes"))


def stored(number: int, *items: bytes, key: str = "", output: tuple[bytes, ...] = ()) -> Stored:
    """Return a response with these items."""
    return Stored(f"resp_{number}", key, b"%d" % number, items, output)


def put(store: Store, *given: Stored, most: int = 100, most_bytes: int = 10_000) -> None:
    """Store these responses."""
    for one in given:
        store.put(one, most=most, most_bytes=most_bytes)


# --- the store


def test_bounded_in_number() -> None:
    """The oldest response is removed first; one that was asked for counts as new."""
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
    """The store never exceeds its limit, and a response that alone exceeds it is not stored."""
    store = Store()
    put(store, *(stored(number, b'"%03998d"' % number) for number in range(10)), most_bytes=11_000)
    assert 8_000 < store.size <= 11_000
    assert len(store) == 2
    put(store, stored(10, b'"%011000d"' % 10), most_bytes=11_000)
    assert len(store) == 2


def test_items_are_kept_once() -> None:
    """A history that grows by an item a turn takes the room of its items once, not once per turn."""
    store = Store()
    history: tuple[bytes, ...] = ()
    for number in range(50):
        history = (*history, b'"%09998d"' % number)
        put(store, stored(number, *history), most_bytes=1_000_000)
    assert len(store) == 50
    assert store.size < 50 * 10_000 * 1.2
    for number in range(50):
        assert store.delete(f"resp_{number}", "")
    assert (store.size, len(store)) == (0, 0)


def test_of_other_keys() -> None:
    """Nothing of one key can be read, found or deleted with another."""
    store = Store()
    put(store, stored(1, b'{"id":"msg_1"}', key="me"))
    assert store.get("resp_1", "you") is None
    assert store.item("msg_1", "you") is None
    assert not store.delete("resp_1", "you")
    assert store.item("msg_1", "me") == {"id": "msg_1"}


def weighed(store: Store, entries: list[Stored]) -> int:
    """Return the size of a store with these responses, computed from scratch."""
    unique = {item for entry in entries for item in entry.items}
    return (
        sum(map(store_module._own_size, entries))
        + sum(len(item) + store_module._PER_ITEM for item in unique)
        + sum(map(store_module._home_size, store._homes))
    )


GROWING = "follow-ups of a long history"
SHAPES: dict[str, Any] = {
    GROWING: lambda n, before: (*before, b'{"id":"msg_%d","a":1}' % n) if before else (b"1",) * 5_000,
    "many small responses": lambda n, _: (b'"%d"' % n,),
    "many small items": lambda n, _: tuple(b'"%d.%d"' % (n, i) for i in range(500)),
    "many items with ids": lambda n, _: tuple(b'{"id":"%d.%d"}' % (n, i) for i in range(500)),
    "items of one id": lambda n, _: tuple(b'{"id":"a","n":"%d.%d"}' % (n, i) for i in range(500)),
    "large items": lambda n, _: (b'"%0100000d"' % n,),
    "the same again and again": lambda n, _: (b'"x"',) * 2000,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_counted_is_what_it_takes(shape: str) -> None:
    """Whatever is stored, the memory that it takes is about the size that is counted, and never much more."""
    most, store, items = 1_000_000, Store(), ()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for number in range(40 if shape == GROWING else 100):
            items = SHAPES[shape](number, items)
            store.put(
                Stored(f"resp_{number:032d}", "key", b'{"%d":1}' % number, items, ()),
                most=1_000_000,
                most_bytes=most,
            )
        kept = items if shape == GROWING else ()
        items = ()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(store) > 0
    assert store.size <= most
    assert taken - 8 * len(kept) < 1.25 * store.size + 100_000
    if shape == GROWING:
        assert len(store) < 40  # each refers to everything before it


def test_after_any_history() -> None:
    """After storing and deleting many responses, the sizes are right and nothing deleted remains."""
    store, dice = Store(), random.Random(4)
    for number in range(500):
        items = [b'{"id":"i%d"}' % dice.randrange(20) for _ in range(dice.randrange(6))]
        put(store, stored(number, *items, output=(b'{"id":5}',)), most=dice.randrange(1, 9), most_bytes=8_000)
        store.delete(f"resp_{dice.randrange(number + 1)}", "")
        kept = [one for one in range(number + 1) if store.get(f"resp_{one}", "")]
        entries = [entry for one in kept if (entry := store.get(f"resp_{one}", ""))]
        assert store.size == weighed(store, entries)
        assert store.size <= 8_000
    for one in kept:
        store.delete(f"resp_{one}", "")
    assert store.size == 0
    assert store.item("i1", "") is None


# --- the dialect


def done(step: Any) -> Any:
    """Return what a step returns that has nothing to wait for, since all is in memory."""
    if not inspect.iscoroutine(step):
        return step
    with pytest.raises(StopIteration) as ended:
        step.send(None)
    return ended.value.value


class Talking:
    """A client of one dialect, with a key."""

    def __init__(self, dialect: OpenAIResponses | None = None, key: str = "") -> None:
        """Begin with nothing stored."""
        self.dialect = dialect or OpenAIResponses()
        self.client = Client(key)

    def open(self, given: Any, **fields: Any) -> Exchange:
        """Open an exchange as this client, and add what it refers to."""
        exchange = self.dialect.open(msgspec.json.encode({"model": "m", "input": given, **fields}))
        exchange.request.client = self.client
        done(exchange.resume())
        return exchange

    def read(self, given: Any, **fields: Any) -> Request:
        """Return the request as the backend gets it."""
        return self.open(given, **fields).request

    def ask(self, given: Any, events: Any = None, **fields: Any) -> dict[str, Any]:
        """Ask, answer the request with these events, and return the response."""
        exchange = self.open(given, **fields)
        body: dict[str, Any] = msgspec.json.decode(exchange.writer.whole(fold(events or ANSWER)))
        done(exchange.settle())
        return body

    def call(self, place: int, id_: str, **query: str) -> Any:
        """Call one of the further routes."""
        route = self.dialect.further_routes[place]
        body = done(route.answer(Call({"id": id_}, query, self.client)))
        assert isinstance(body, bytes)
        return msgspec.json.decode(body)


def in_memory(talking: Talking) -> MemoryStore:
    """Return what the dialect has stored in memory."""
    store = talking.dialect.stored.store
    assert isinstance(store, MemoryStore)
    return store


def said_by(request: Request) -> list[tuple[str, str]]:
    """Return who said what, in short."""
    return [
        (message.role, part.text)
        for message in request.messages
        for part in message.parts
        if isinstance(part, Text)
    ]


def test_going_on() -> None:
    """A response's id refers to the whole conversation up to it, without its instructions."""
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
    """Results belong to the calls of the response that is referred to, and turns stay whole."""
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
        exchange = me.open("hi")
        stream = b"".join(exchange.writer.write(event) for event in events)
        done(exchange.settle())
        id_ = msgspec.json.decode(stream.split(b"\n")[1].removeprefix(b"data: "))["response"]["id"]
        if there:
            assert me.call(0, id_)["status"] == "completed"
        else:
            with pytest.raises(NotFound):
                me.call(0, id_)


def test_references() -> None:
    """An item's id refers to the item, whether the model wrote it or the client named it."""
    me = Talking()
    first = me.ask([{"role": "user", "id": "msg_mine", "content": "one"}])
    items = [{"type": "item_reference", "id": id_} for id_ in ("msg_mine", first["output"][0]["id"])]
    assert said_by(me.read([*items, {"role": "user", "content": "two"}])) == [
        ("user", "one"),
        ("assistant", "yes"),
        ("user", "two"),
    ]


def test_what_is_not_there() -> None:
    """A response that was not stored, was deleted, or is another key's, is refused by the field's name."""
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
    """The settings can forbid storing, and the response says that it is not stored."""
    me = Talking(OpenAIResponses(Settings(store=False)))
    assert me.ask("one", store=True)["store"] is False
    assert len(in_memory(me)) == 0


def test_the_settings_bound_it() -> None:
    """The number in the settings is the most responses that are stored."""
    me = Talking(OpenAIResponses(Settings(store_limit=2)))
    ids = [me.ask("one")["id"] for _ in range(3)]
    assert len(in_memory(me)) == 2
    assert me.call(0, ids[2])["id"] == ids[2]


def test_the_next_configuration_goes_on() -> None:
    """A new configuration keeps what the previous one stored, and takes nothing over from another dialect."""
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
    """The input is listed in OpenAI's form, by pages, newest first or oldest first."""
    me = Talking()
    response = me.ask(ITEMS)
    listed = me.call(2, response["id"])
    check("ResponseItemList", listed)
    assert len(listed["data"]) == len(ITEMS)
    assert not listed["has_more"]
    oldest = me.call(2, response["id"], order="asc")["data"]
    assert oldest == listed["data"][::-1]
    assert oldest[0]["content"] == [{"type": "input_text", "text": "one"}]

    pages: list[Any] = []
    after: dict[str, Any] = {}
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
    """An invalid query is refused by the parameter's name."""
    me = Talking()
    with pytest.raises(InvalidRequest) as caught:
        me.call(place, me.ask("one")["id"], **query)
    assert caught.value.param in query
