"""Writes the format (XEP-0227 §4)."""

import base64
from collections.abc import Iterable, Iterator

from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.pie.person import (
    ARCHIVE,
    BLOCKING,
    NAMESPACE,
    OWNER,
    PRIVATE,
    PUBSUB,
    ROSTER,
    SCRAM,
    Entry,
    Person,
    Shelf,
)
from sabir.wire.sasl.types import ScramVerifier
from sabir.wire.xml import escape_text

_FORM = "jabber:x:data"
_CONFIG = "http://jabber.org/protocol/pubsub#node_config"


def document(host: str, persons: Iterable[Person]) -> Iterator[str]:
    """Yield an export of one host, account by account."""
    yield f"<?xml version='1.0' encoding='UTF-8'?>\n<server-data xmlns='{NAMESPACE}'>\n<host{attribute('jid', host)}>\n"
    for person in persons:
        yield from _user(person)
    yield "</host>\n</server-data>\n"


def _user(person: Person) -> Iterator[str]:
    parts = [f"<user{attribute('name', person.name)}>\n"]
    parts += [_credentials(verifier) for verifier in person.verifiers]
    if person.entries:
        parts.append(f"<query xmlns='{ROSTER}'>{''.join(map(_item, person.entries))}</query>\n")
    parts += [f"{stanza.decode()}\n" for _, stanza in person.requests]
    if person.card:
        parts.append(person.card.decode() + "\n")
    if person.documents:
        documents = "".join([content.decode() for _, _, content in person.documents])
        parts.append(f"<query xmlns='{PRIVATE}'>{documents}</query>\n")
    if person.blocked:
        items = "".join([f"<item{attribute('jid', jid)}/>" for jid in person.blocked])
        parts.append(f"<blocklist xmlns='{BLOCKING}'>{items}</blocklist>\n")
    if person.shelves:
        shelves = person.shelves.values()
        parts.append(f"<pubsub xmlns='{OWNER}'>{''.join(map(_configure, shelves))}</pubsub>\n")
        parts.append(f"<pubsub xmlns='{PUBSUB}'>{''.join(map(_items, shelves))}</pubsub>\n")
    yield "".join(parts)
    opened = False
    for result in person.archive:
        if not opened:
            opened = True
            yield f"<archive xmlns='{ARCHIVE}'>\n"
        yield result.decode() + "\n"
    yield "</archive>\n</user>\n" if opened else "</user>\n"


def _credentials(verifier: ScramVerifier) -> str:
    def encoded(name: str, value: bytes) -> str:
        return f"<{name}>{base64.b64encode(value).decode()}</{name}>"

    return (
        f"<scram-credentials xmlns='{SCRAM}'{attribute('mechanism', verifier.mechanism)}>"
        f"<iter-count>{verifier.iterations}</iter-count>"
        + encoded("salt", verifier.salt)
        + encoded("server-key", verifier.server_key)
        + encoded("stored-key", verifier.stored_key)
        + "</scram-credentials>\n"
    )


def _item(entry: Entry) -> str:
    shown = attribute("jid", entry.jid) + attribute("subscription", entry.subscription)
    if entry.name:
        shown += attribute("name", entry.name)
    if entry.asked:
        shown += " ask='subscribe'"
    if entry.approved:
        shown += " approved='true'"
    groups = "".join([f"<group>{escape_text(group)}</group>" for group in entry.groups])
    return f"<item{shown}>{groups}</item>"


def _configure(shelf: Shelf) -> str:
    fields = f"<field var='FORM_TYPE' type='hidden'><value>{_CONFIG}</value></field>"
    for name, values in shelf.config.items():
        shown = "".join([f"<value>{escape_text(value)}</value>" for value in values])
        fields += f"<field{attribute('var', name)}>{shown}</field>"
    return (
        f"<configure{attribute('node', shelf.name)}><x xmlns='{_FORM}' type='form'>{fields}</x></configure>"
    )


def _items(shelf: Shelf) -> str:
    items = "".join(
        [f"<item{attribute('id', id_)}>{payload.decode()}</item>" for id_, payload in shelf.items]
    )
    return f"<items{attribute('node', shelf.name)}>{items}</items>"
