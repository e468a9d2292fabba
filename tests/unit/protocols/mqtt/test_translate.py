"""From what clients publish on chat topics to drafts, and to content and back: nothing breaks it."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.core.fakes import World

from sabir.core.model import mimi
from sabir.core.model.content import Content
from sabir.core.model.conversation import Conversation, ConversationKind
from sabir.core.model.event import Draft, Event
from sabir.core.model.ids import ActorId, ConversationId
from sabir.core.model.plain import plain_text
from sabir.protocols.mqtt.translate.accept import draft_of
from sabir.protocols.mqtt.translate.content import MqttTranslator, content_of_said, said_of_content
from sabir.protocols.mqtt.translate.said import File, Said, SaidError, stored
from sabir.protocols.mqtt.translate.shown import as_content, as_json, as_text, said_of
from sabir.protocols.mqtt.translate.told import Ask, Meta, Order, Status, presence_of, read, typing_of
from sabir.protocols.mqtt.translate.topics import place_of, wanted_of
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import Properties

WORLD = World()
PEOPLE = WORLD.services.people
ROOM = Conversation(ConversationId(1), bytes(16), ConversationKind.ROOM, "lobby")
TRANSLATOR = MqttTranslator(PEOPLE)

texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30)
names = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=9)
files = st.builds(
    File,
    url=names.map(lambda name: f"https://x.example/{name}"),
    type=st.sampled_from(["", "image/png"]),
    name=texts,
    size=st.integers(0, 1 << 40),
    sha256=st.sampled_from(["", "ab" * 32]),
    description=texts,
    inline=st.booleans(),
)
messages = st.builds(
    Said,
    text=names,
    kind=st.sampled_from(["", "emote", "notice"]),
    lang=st.sampled_from(["", "en"]),
    topic=texts,
    files=st.lists(files, max_size=3).map(tuple),
    expires=st.integers(0, 1 << 31),
    spoiler=st.none() | texts,
    geo=st.sampled_from(["", "geo:1,2"]),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(
    ["text", "markdown", "kind", "lang", "reply_to", "replaces", "deleted", "reaction", "topic", "mentions",
     "files", "expires", "spoiler", "geo", "id", "sender"]
)  # fmt: skip


def event_of(draft: Draft) -> Event:
    """Return the entry that the log would make of a draft."""
    event = Event(
        7, bytes(16), ConversationId(1), 1, 1, 1, 1, ActorId(1), "ada", draft.kind, draft.flags, 0,
        draft.target_id, 5, 0, draft.protocol, draft.native, bytes(32),
    )  # fmt: skip
    event.relation_key = draft.relation_key
    return event


def show(draft: Draft) -> Said | None:
    """Return what subscribers are shown of a draft, in every form."""
    event = event_of(draft)
    content = TRANSLATOR.content_of(event)
    assert plain_text(content)
    said = said_of(event, content, ROOM, PEOPLE, "ada", "")
    if said is not None:
        assert json.loads(as_json("t", said).payload)["id"] == event.event_id.hex()
        as_text("t", said)
        shown = as_content("t", said, event, content)
        assert shown is None or mimi.decode(shown.payload)
    return said


@given(
    st.binary(max_size=60),
    st.sampled_from(["text", "msg"]),
    st.sampled_from(["", "text/markdown", mimi.MEDIA_TYPE]),
)
def test_any_bytes_are_a_draft_or_an_error(payload: bytes, what: str, content_type: str) -> None:
    properties = Properties()
    if content_type:
        properties.texts[ids.CONTENT_TYPE] = content_type
    try:
        draft = draft_of(what, "", payload, properties, "r")
    except SaidError:
        return
    show(draft)


@given(st.dictionaries(fields, json_values, max_size=5))
@example({"reaction": "\ud800", "reply_to": "00" * 16})
@example({"text": "\ud800"})
@example({"text": "x", "topic": "\ud800"})
@example({"text": "x", "mentions": ["\ud800", "", "x"]})
def test_any_json_is_a_draft_or_an_error(value: dict[str, object]) -> None:
    try:
        draft = draft_of("msg", "", json.dumps(value).encode(), Properties(), "r")
    except SaidError:
        return
    show(draft)


@given(st.lists(st.tuples(st.sampled_from(["kind", "reply-to", "replaces", "disposition", "topic", "lang",
    "expires", "spoiler", "geo", "mention", "other"]), texts), max_size=5), st.text(max_size=9))  # fmt: skip
def test_any_properties_are_a_draft_or_an_error(users: list[tuple[str, str]], text: str) -> None:
    properties = Properties()
    properties.users.extend(users)
    try:
        draft = draft_of("text", "", text.encode(errors="replace"), properties, "r")
    except SaidError:
        return
    show(draft)


@given(messages)
def test_what_content_says_is_what_was_said(said: Said) -> None:
    assert said_of_content(content_of_said(said), ROOM, PEOPLE) == said


@given(st.builds(lambda said: content_of_said(said), messages))
def test_mimi_content_is_kept_as_it_came(content: Content) -> None:
    properties = Properties()
    properties.texts[ids.CONTENT_TYPE] = mimi.MEDIA_TYPE
    payload = mimi.encode(content, b"salt" * 4)

    draft = draft_of("msg", "", payload, properties, "r")

    assert draft.native == payload
    assert TRANSLATOR.content_of(event_of(draft)) == content


@given(messages)
def test_a_message_is_stored_as_it_was_said(said: Said) -> None:
    draft = draft_of("msg", "", as_json("t", said_with_id(said)).payload, Properties(), "r")
    assert stored(draft.native) == said


def said_with_id(said: Said) -> Said:
    return msgspec.structs.replace(said, id="00" * 16, sender="forged", ts=1)


@given(st.binary(max_size=40) | json_values.map(lambda value: json.dumps(value).encode()))
@pytest.mark.parametrize("type_", [Ask, Meta, Order, Status])
def test_other_objects_are_read_or_an_error(type_: type[Ask], payload: bytes) -> None:
    for what in (
        lambda: read(payload, type_),
        lambda: typing_of(payload),
        lambda: presence_of(payload, "mqtt"),
    ):
        try:
            what()
        except SaidError:
            continue


levels = st.sampled_from(
    ["chat", "v1", "r", "u", "lobby", "Lobby", "t", "x", "text", "msg", "cbor", "reply", "+", "#", ""]
)


@given(st.lists(levels, max_size=8).map("/".join) | st.text(max_size=20).map("chat/v1/r/".__add__))
def test_any_topic_is_a_place_or_none(topic: str) -> None:
    place, wanted = place_of(topic), wanted_of(topic)
    if place is not None:
        assert "+" not in place.what
        assert place.topics() == [topic]
    if wanted is not None and not {"+", "#"} & set(topic):
        assert wanted.topics() == [topic]
