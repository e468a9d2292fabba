"""Mentions as XMPP writes them (XEP-0513, and XEP-0372 before it), and the nick that a message begins with."""

from typing import Final

from sabir.core.model.actor import Actor
from sabir.core.model.conversation import Conversation
from sabir.core.services.people import People
from sabir.protocols.xmpp.jid import Jid, JidSyntaxError, parse_jid
from sabir.wire.xml import Element

MENTIONS: Final = "urn:xmpp:mentions:0"
REFERENCE: Final = "urn:xmpp:reference:0"
MOST: Final = 20
"""Mentions that are looked at."""

Found = list[tuple[int, int, Actor]]
"""(begin, end, whom) in a body."""


def mentions_in(people: People, conversation: Conversation, message: Element, body: str) -> Found:
    """Return whom a message mentions, and where in its body."""
    found: Found = []
    for mention in message.find_all("mention", MENTIONS)[:MOST]:
        actor = None
        if (occupant_id := mention.get("occupantid")) is not None:
            actor = people.occupant(conversation, occupant_id)
        elif (address := mention.get("jid")) is not None:
            actor = _addressed(people, conversation, address)
        _add(found, mention, actor)
    for reference in message.find_all("reference", REFERENCE)[:MOST]:
        uri = reference.get("uri") or ""
        if reference.get("type") == "mention" and uri.startswith("xmpp:"):
            address = uri.removeprefix("xmpp:").partition("?")[0]
            _add(found, reference, _addressed(people, conversation, address))
    if not found and conversation.is_room:
        # What clients of rooms have always done, and others take for a mention: the nick comes first.
        for sign in (": ", ", "):
            nick = body.partition("\n")[0].partition(sign)[0].removeprefix("@")
            actor = people.shown_as(conversation, nick) if nick and sign in body else None
            if actor is not None:
                begin = int(body.startswith("@"))
                return [(begin, begin + len(nick), actor)]
    return found


def _add(found: Found, element: Element, actor: Actor | None) -> None:
    begin, end = element.get("begin") or "", element.get("end") or ""
    whole = all(text.isascii() and text.isdecimal() and len(text) < 8 for text in (begin, end))
    if actor is not None and whole:
        found.append((int(begin), int(end), actor))


def _addressed(people: People, conversation: Conversation, address: str) -> Actor | None:
    try:
        jid = parse_jid(address)
    except JidSyntaxError:
        return None
    return _by_jid(people, conversation, jid)


def _by_jid(people: People, conversation: Conversation, jid: Jid) -> Actor | None:
    if conversation.is_room and jid.resource and jid.local == conversation.name:
        return people.shown_as(conversation, jid.resource)
    return None if jid.resource else people.named(conversation, jid.local)
