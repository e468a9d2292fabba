"""History: a client asks for a part of a conversation, and is answered where it says (MQTT 5.0 §4.10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from sabir.core.errors import Refusal
from sabir.core.model.conversation import Conversation
from sabir.core.ports import Page, PageQuery
from sabir.protocols.mqtt.codec.message import Message
from sabir.protocols.mqtt.features.talk import Talk
from sabir.protocols.mqtt.translate.said import Said, SaidError, id_of
from sabir.protocols.mqtt.translate.shown import SHOWN
from sabir.protocols.mqtt.translate.told import Answer, Ask, message, read
from sabir.protocols.mqtt.translate.topics import HISTORY, REPLY, Place, is_chat, topic_of, topic_of_user
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.reasons import Reason

MAX_MESSAGES: Final = 250
"""In one answer."""
MAX_ANSWER_BYTES: Final = 262_144
"""An answer has at least one message, and stops at so many octets."""


def ask(talk: Talk, place: Place, packet: p.Publish) -> None:
    """Answer a request for history; it is acknowledged when it is understood. Raises `SaidError`."""
    asked = read(packet.payload, Ask) if packet.payload else Ask()
    if not 1 <= asked.limit <= MAX_MESSAGES or asked.since < 0 or asked.until < 0:
        raise SaidError(f"limit is from 1 to {MAX_MESSAGES}, since and until are milliseconds since 1970")
    topic = _where(talk, place, packet)
    if topic is None:
        talk.answer(packet, Reason.NOT_AUTHORIZED, "the answer cannot go to that response topic")
        return
    conversation = _conversation(talk, place)
    if isinstance(conversation, Refusal):
        talk.refuse(packet, conversation)
        return
    query = _query(talk, conversation, asked)
    correlation = packet.properties.data.get(ids.CORRELATION_DATA, b"")

    def then(page: Page) -> None:
        if talk.client.connection is not None:
            answer = _answer(talk, place, asked, page, is_newest=query.newest)
            _publish(talk, message(topic, answer, correlation=correlation))

    refusal = _read(talk, conversation, asked.search, query, then)
    if refusal is not None:
        talk.refuse(packet, refusal)
    else:
        talk.answer(packet, Reason.SUCCESS, "")


def _where(talk: Talk, place: Place, packet: p.Publish) -> str | None:
    """Return the topic of the answer: the response topic, or one's own; None if it may not be."""
    own = topic_of(place.name, HISTORY) if place.is_room else topic_of_user(talk.name, HISTORY)
    wanted = packet.properties.texts.get(ids.RESPONSE_TOPIC, "")
    if not wanted or wanted == own:
        return own
    if is_chat(wanted):
        return wanted if wanted.startswith(topic_of_user(talk.name, REPLY)) else None
    acl = talk.broker.acl
    if wanted[0] == "$" or (acl.rules and not acl.may_write(talk.name, talk.client.client_id, wanted)):
        return None
    return wanted


def _conversation(talk: Talk, place: Place) -> Conversation | Refusal | None:
    """Return what is asked about; None is all that one's mailbox has."""
    if place.is_room:
        room = talk.services.rooms.find(place.name)
        return Refusal.ROOM_UNKNOWN if room is None else room
    if place.name == talk.name:
        return None
    return talk.direct(place.name, opens=False)


def _query(talk: Talk, conversation: Conversation | None, asked: Ask) -> PageQuery:
    ends = []
    for text in (asked.after, asked.before):
        seq = 0
        if text:
            event_id = id_of(text)
            event = talk.services.history.find(event_id) if event_id else None
            where = None if event is None else talk.services.history.conversation(event)
            if event is None or where is None or conversation not in (where, None):
                raise SaidError("before and after are ids of messages of the same conversation")
            if talk.services.history.may_read(where, talk.account.actor) is not None:
                raise SaidError("before and after are ids of messages of the same conversation")
            seq = event.seq
        ends.append(seq)
    return PageQuery(
        after_seq=ends[0],
        before_seq=ends[1],
        start_ms=asked.since,
        end_ms=asked.until,
        limit=asked.limit,
        newest=not (asked.after or asked.since),
        kinds=SHOWN,
    )


def _read(
    talk: Talk, conversation: Conversation | None, search: str, query: PageQuery, then: Callable[[Page], None]
) -> Refusal | None:
    services, account = talk.services, talk.account
    if search:
        if not services.search.is_on:
            return Refusal.BAD_REQUEST
        if conversation is not None and conversation.is_room:
            return services.search.page(conversation, account.actor, search, query, then)
        return services.search.mailbox(account, search, query, then, conversation)
    if conversation is not None and conversation.is_room:
        return services.history.page(conversation, account.actor, query, then)
    services.history.mailbox(account, query, then, conversation)
    return None


def _answer(talk: Talk, place: Place, asked: Ask, page: Page, *, is_newest: bool) -> Answer:
    found: list[Said] = []
    size = 0
    is_whole = True
    for event in reversed(page.events) if is_newest else page.events:
        conversation = talk.services.history.conversation(event)
        said = None if conversation is None else talk.rendered.said(conversation, event)
        if said is None:
            continue
        size += len(msgspec.json.encode(said))
        if found and size > MAX_ANSWER_BYTES:
            is_whole = False
            break
        found.append(said)
    if is_newest:
        found.reverse()
    return Answer(
        id=asked.id,
        room=place.name if place.is_room else "",
        to="" if place.is_room or place.name == talk.name else place.name,
        complete=page.complete and is_whole,
        messages=found,
    )


def _publish(talk: Talk, answer: Message) -> None:
    if is_chat(answer.topic):
        talk.wishes.offer_reply(answer)
        return
    broker = talk.broker
    if broker.must_keep(answer.topic, answer.qos, answer.retain):
        broker.keep(answer, None, [], _ignore, _ignore)
    else:
        broker.publish(answer, None)


def _ignore(outcome: object) -> None:
    """The one who asked may ask again."""
