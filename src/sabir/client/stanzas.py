"""What messages of XMPP say to a person, read from and written to elements; no I/O.

`read` tells what arrived, as one of `Arrived`'s kinds; `write` makes the payload of a message from an `Outgoing`.
What is encrypted is found by `encrypted` and read again once it was opened.
"""

from __future__ import annotations

import os
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final
from xml.etree.ElementTree import Element, SubElement

import msgspec

CLIENT: Final = "jabber:client"
ATTENTION: Final = "urn:xmpp:hints"
CARBONS: Final = "urn:xmpp:carbons:2"
CHAT_STATES: Final = "http://jabber.org/protocol/chatstates"
CORRECTION: Final = "urn:xmpp:message-correct:0"
DELAY: Final = "urn:xmpp:delay"
DIRECT_INVITE: Final = "jabber:x:conference"
EME: Final = "urn:xmpp:eme:0"
FALLBACK: Final = "urn:xmpp:fallback:0"
FORWARD: Final = "urn:xmpp:forward:0"
MAM: Final = "urn:xmpp:mam:2"
MARKERS: Final = "urn:xmpp:chat-markers:0"
MUC_USER: Final = "http://jabber.org/protocol/muc#user"
OMEMO: Final = "urn:xmpp:omemo:2"
OMEMO_LEGACY: Final = "eu.siacs.conversations.axolotl"
OOB: Final = "jabber:x:oob"
REACTIONS: Final = "urn:xmpp:reactions:0"
RECEIPTS: Final = "urn:xmpp:receipts"
REPLY: Final = "urn:xmpp:reply:0"
RETRACTION: Final = "urn:xmpp:message-retract:1"
STANZA_ID: Final = "urn:xmpp:sid:0"

SECRET: Final = frozenset({CLIENT, CORRECTION, FALLBACK, OOB, REACTIONS, REPLY, RETRACTION})
CONTROLS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
TEXT_MAX: Final = 65_536
EMOJIS_MAX: Final = 16
YEAR_MIN: Final = 1990
YEAR_MAX: Final = 9000


class Act(Enum):
    """What somebody does with a message."""

    TEXT = "text"
    CORRECTION = "correction"
    RETRACTION = "retraction"
    REACTION = "reaction"
    RECEIPT = "receipt"
    DISPLAYED = "displayed"
    STATE = "state"
    SUBJECT = "subject"
    INVITATION = "invitation"


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """Something to say; `target` is the id of the message that it is about.

    Attributes:
        quoted: What a reply answers, for clients that show no replies (XEP-0461 §3.2).
        author: Who wrote what a reply answers.
        secret: To be encrypted, whatever becomes of the chat meanwhile.
    """

    id: str
    chat: str
    room: bool
    act: Act
    text: str = ""
    target: str = ""
    author: str = ""
    quoted: str = ""
    emojis: tuple[str, ...] = ()
    url: str = ""
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Arrived:
    """What a message says, to whom and from whom.

    Attributes:
        chat: The bare address of the person or the room that it belongs to.
        sender: The bare address of the person, or the nick in a room.
        mine: This account sent it, from whichever device.
        stanza_id: The id that the archive of the chat gave it (XEP-0359).
        time: When it was sent, if it came late (XEP-0203).
    """

    chat: str
    room: bool
    sender: str
    mine: bool
    act: Act
    origin_id: str
    stanza_id: str
    time: datetime | None
    text: str = ""
    target: str = ""
    emojis: tuple[str, ...] = ()
    url: str = ""
    wants_receipt: bool = False
    writing: bool = False
    to: str = ""


@dataclass(frozen=True, slots=True)
class Me:
    """Who reads: the account's bare address, and the nick in each room."""

    jid: str
    nicks: dict[str, str]


def unwrap(message: Element, me: Me) -> tuple[Element, datetime | None, str, bool]:
    """Return the message itself, when it was sent, its id in an archive, and whether it is a copy.

    Copies of what our other devices send and get (XEP-0280) come from our own account alone (§11), results of an
    archive from whom was asked: the caller checks that with the query's id.
    """
    sender = bare(message.get("from", "")) or me.jid
    if (result := message.find(f"{{{MAM}}}result")) is not None:
        forwarded = result.find(f"{{{FORWARD}}}forwarded")
        if forwarded is not None and (inner := forwarded.find(f"{{{CLIENT}}}message")) is not None:
            return inner, _delay(forwarded), result.get("id", ""), True
    if sender == me.jid:
        for name in ("sent", "received"):
            forwarded = message.find(f"{{{CARBONS}}}{name}/{{{FORWARD}}}forwarded")
            if forwarded is not None and (inner := forwarded.find(f"{{{CLIENT}}}message")) is not None:
                return inner, _delay(forwarded), "", True
    return message, _delay(message), "", False


def read(message: Element, me: Me, time: datetime | None = None, archived: str = "") -> Arrived | None:
    """Return what a message says, or None if it says nothing that a person would see.

    Args:
        message: The message, taken out of what carried it.
        me: Who reads.
        time: When it was sent, if that is known from outside.
        archived: Its id in the archive that it came from.
    """
    if message.get("type") == "error":
        return None
    sender, to = message.get("from", ""), message.get("to", "")
    room = message.get("type") == "groupchat"
    if room:
        chat, who = bare(sender), resource(sender)
        if chat not in me.nicks:
            return None  # a person who plays a room could speak as whomever the resource names
        mine = who == me.nicks.get(chat)
    else:
        who = _party(sender, me) or me.jid
        mine = who == me.jid
        chat = _party(to, me) if mine and to else who
    stanza_id = archived or _stanza_id(message, chat if room else me.jid)
    origin = message.find(f"{{{STANZA_ID}}}origin-id")
    origin_id = (origin.get("id", "") if origin is not None else "") or message.get("id", "")
    found = _act(message)
    if found is None or (room and not who and found[0] is not Act.SUBJECT):
        return None
    act, target = found
    state = next((child.tag for child in message if child.tag.startswith(f"{{{CHAT_STATES}}}")), "")
    return Arrived(
        chat,
        room,
        who,
        mine,
        act,
        origin_id or stanza_id,
        stanza_id,
        time,
        _text(message, act)[:TEXT_MAX],
        target,
        _emojis(message) if act is Act.REACTION else (),
        message.findtext(f"{{{OOB}}}x/{{{OOB}}}url", ""),
        message.find(f"{{{RECEIPTS}}}request") is not None,
        state.endswith("}composing"),
        to,
    )


def archived_as(message: Element, me: Me) -> tuple[str, str]:
    """Return the archive that has a message, a room's or (empty) the account's, and its id there, empty if unknown."""
    of = bare(message.get("from", "")) if message.get("type") == "groupchat" else ""
    return of, _stanza_id(message, of or me.jid)


def encrypted(message: Element) -> tuple[str, Element] | None:
    """Return how a message is encrypted, by its namespace, and the element that is."""
    for namespace in (OMEMO, OMEMO_LEGACY):
        if (element := message.find(f"{{{namespace}}}encrypted")) is not None:
            return namespace, element
    return None


def is_secret(element: Element) -> bool:
    """Whether a part of a message is what people said, which encryption hides; the rest serves its delivery."""
    return element.tag.partition("}")[0][1:] in SECRET


def opened(message: Element, namespace: str, content: list[Element]) -> Element:
    """Return a message with what was encrypted in it, in place of whatever else it says in the clear."""
    inner = Element(message.tag, message.attrib)
    hidden = f"{{{namespace}}}encrypted"
    inner.extend(child for child in message if child.tag != hidden and not is_secret(child))
    inner.extend(content)
    return inner


def write(outgoing: Outgoing) -> list[Element]:
    """Return the payload of the message that says `outgoing`."""
    payload = [_element(STANZA_ID, "origin-id", id=outgoing.id)]
    match outgoing.act:
        case Act.TEXT | Act.CORRECTION:
            payload += _written_text(outgoing)
        case Act.RETRACTION:
            payload.append(_element(RETRACTION, "retract", id=outgoing.target))
            payload.append(_element(FALLBACK, "fallback", **{"for": RETRACTION}))
            payload.append(_body("(This person takes back a message, but your client does not support it.)"))
        case Act.REACTION:
            reactions = _element(REACTIONS, "reactions", id=outgoing.target)
            for emoji in outgoing.emojis:
                SubElement(reactions, f"{{{REACTIONS}}}reaction").text = emoji
            payload.append(reactions)
        case Act.RECEIPT:
            payload.append(_element(RECEIPTS, "received", id=outgoing.target))
        case Act.DISPLAYED:
            payload.append(_element(MARKERS, "displayed", id=outgoing.target))
        case Act.STATE:
            return [_element(CHAT_STATES, outgoing.text), _element(ATTENTION, "no-store")]
        case Act.SUBJECT | Act.INVITATION:
            raise ValueError(outgoing.act)
    payload.append(_element(ATTENTION, "store"))
    return payload


def plain(text: str) -> str:
    """Return a text without what a terminal could take for a command: control characters but line breaks and tabs."""
    return CONTROLS.sub("", text)


def new_id() -> str:
    """Return an id for a message (XEP-0359 §3: not to be guessed)."""
    return str(uuid.UUID(bytes=os.urandom(16), version=4))


def bare(address: str) -> str:
    """Return an address without its resource."""
    return address.partition("/")[0].lower()


def resource(address: str) -> str:
    """Return the resource of an address; the nick, in a room."""
    return address.partition("/")[2]


def _party(address: str, me: Me) -> str:
    """Return whom a message of type `chat` is with: in a room the occupant (XEP-0045 §7.5), else the account."""
    return address if bare(address) in me.nicks and resource(address) else bare(address)


def _written_text(outgoing: Outgoing) -> list[Element]:
    payload: list[Element] = []
    text = outgoing.text
    if outgoing.act is Act.CORRECTION:
        payload.append(_element(CORRECTION, "replace", id=outgoing.target))
    elif outgoing.target:
        quote = "".join(f"> {line}\n" for line in outgoing.quoted.splitlines())
        payload.append(_element(REPLY, "reply", id=outgoing.target, to=outgoing.author))
        fallback = _element(FALLBACK, "fallback", **{"for": REPLY})
        # XEP-0461 §3.2, XEP-0426 §4: counted in code points.
        SubElement(fallback, f"{{{FALLBACK}}}body", start="0", end=str(len(quote)))
        payload.append(fallback)
        text = quote + text
    if outgoing.url:
        oob = _element(OOB, "x")
        SubElement(oob, f"{{{OOB}}}url").text = outgoing.url
        payload.append(oob)
        text = outgoing.url
    payload.append(_body(text))
    if not outgoing.room:
        payload.append(_element(RECEIPTS, "request"))
    payload.append(_element(MARKERS, "markable"))
    return [*payload, _element(CHAT_STATES, "active")]


def _act(message: Element) -> tuple[Act, str] | None:
    if (element := message.find(f"{{{RETRACTION}}}retract")) is not None:
        return Act.RETRACTION, element.get("id", "")
    if (element := message.find(f"{{{REACTIONS}}}reactions")) is not None:
        return Act.REACTION, element.get("id", "")
    has_body = message.find(f"{{{CLIENT}}}body") is not None
    if has_body and (element := message.find(f"{{{CORRECTION}}}replace")) is not None:
        return Act.CORRECTION, element.get("id", "")
    if (element := message.find(f"{{{RECEIPTS}}}received")) is not None:
        return Act.RECEIPT, element.get("id", "")
    if (element := message.find(f"{{{MARKERS}}}displayed")) is not None:
        return Act.DISPLAYED, element.get("id", "")
    if (element := message.find(f"{{{DIRECT_INVITE}}}x")) is not None:
        return Act.INVITATION, element.get("jid", "")
    if message.find(f"{{{MUC_USER}}}x/{{{MUC_USER}}}invite") is not None:
        return Act.INVITATION, bare(message.get("from", ""))
    if has_body:
        reply = message.find(f"{{{REPLY}}}reply")
        return Act.TEXT, reply.get("id", "") if reply is not None else ""
    # XEP-0045 §7.2.15: a subject is a message with a subject and no body.
    if message.get("type") == "groupchat" and message.find(f"{{{CLIENT}}}subject") is not None:
        return Act.SUBJECT, ""
    if any(child.tag.startswith(f"{{{CHAT_STATES}}}") for child in message):
        return Act.STATE, ""
    return None


def _text(message: Element, act: Act) -> str:
    if act is Act.SUBJECT:
        return plain(message.findtext(f"{{{CLIENT}}}subject", ""))
    body = message.findtext(f"{{{CLIENT}}}body", "")
    for fallback in message.iter(f"{{{FALLBACK}}}fallback"):
        if fallback.get("for") == REPLY and (part := fallback.find(f"{{{FALLBACK}}}body")) is not None:
            start, end = _place(part.get("start", ""), 0), _place(part.get("end", ""), len(body))
            body = body[:start] + body[max(start, end) :]
    return plain(body)


def _place(text: str, default: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else default


def _emojis(message: Element) -> tuple[str, ...]:
    found = (element.text or "" for element in message.iter(f"{{{REACTIONS}}}reaction"))
    return tuple(emoji[:32] for emoji in found if emoji)[:EMOJIS_MAX]


def _stanza_id(message: Element, by: str) -> str:
    # XEP-0359 §4: only an id by whose archive it is says anything.
    for element in message.findall(f"{{{STANZA_ID}}}stanza-id"):
        if bare(element.get("by", "")) == by:
            return element.get("id", "")
    return ""


def _delay(element: Element) -> datetime | None:
    delay = element.find(f"{{{DELAY}}}delay")
    if delay is None:
        return None
    try:
        stamp = datetime.fromisoformat(delay.get("stamp", ""))
    except ValueError:
        return None
    stamp = stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    # Anybody may write a stamp: at the ends of the calendar a change of time zone leaves it.
    return stamp if YEAR_MIN <= stamp.year <= YEAR_MAX else None


def _body(text: str) -> Element:
    body = Element(f"{{{CLIENT}}}body")
    body.text = text
    return body


def _element(namespace: str, name: str, **attributes: str) -> Element:
    return Element(f"{{{namespace}}}{name}", {key: value for key, value in attributes.items() if value})
