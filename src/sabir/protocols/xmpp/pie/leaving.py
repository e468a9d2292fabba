"""Brings accounts out of the core."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from sabir.core.model.actor import Account, Actor
from sabir.core.model.event import Event, Kind
from sabir.core.model.pubsub import Node
from sabir.core.model.roster import Contact
from sabir.core.ports import Page, PageQuery
from sabir.core.services import Services
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.features import chat, forms, mam, private, vcard
from sabir.protocols.xmpp.features.pubsub import options
from sabir.protocols.xmpp.pie.person import CLIENT, DELAY, FORWARD, MAM, Entry, Person, Shelf
from sabir.protocols.xmpp.translate import stanza_id_of, timestamp
from sabir.wire.sasl import credentials
from sabir.wire.xml import parse

PAGE: Final = 500
"""Messages read at a time."""
_KINDS: Final = mam.KINDS - {int(Kind.DELETE)}


def persons(
    services: Services, rooms_domain: str, read: Callable[[Account, PageQuery], Page]
) -> Iterator[Person]:
    """Yield every account, with what belongs to it.

    `read` reads a page of an account's direct conversations. The archive of a person is read when it is asked for,
    page by page, before the next person is.
    """
    names = _Here(services, services.domain, rooms_domain)
    for account in sorted(services.accounts.all(), key=lambda each: each.name):
        person = _person(services, account)
        person.archive = _archive(names, account, read)
        yield person


@dataclass(frozen=True, slots=True)
class _Here:
    services: Services
    domain: str
    rooms_domain: str

    def address_of(self, actor: Actor) -> str:
        """See `Names.address_of`."""
        return _address(self.services, actor)


def _archive(names: _Here, account: Account, read: Callable[[Account, PageQuery], Page]) -> Iterator[bytes]:
    """Yield what the archive of an account holds (XEP-0227 §4.11).

    Nothing of what was taken back: neither what is left of it, nor that it was.
    """
    after = 0
    while True:
        page = read(account, PageQuery(after_seq=after, limit=PAGE, kinds=_KINDS))
        for event in mam.without_repeats(page.events):
            conversation = names.services.directory.conversation(event.conversation_id)
            native = b"" if conversation is None else chat.native_of(names, conversation, event)
            if conversation is not None and native:
                to = names.address_of(conversation.other_than(event.actor_id))
                yield _result(event, to, native)
        if page.complete or not page.events:
            return
        after = page.events[-1].seq


def _result(event: Event, to: str, native: bytes) -> bytes:
    start = (
        f"<result xmlns='{MAM}' id='{stanza_id_of(event.event_id)}'><forwarded xmlns='{FORWARD}'>"
        f"<delay xmlns='{DELAY}' stamp='{timestamp(event.at_ms)}'/><message xmlns='{CLIENT}'{attribute('to', to)}"
    )
    return start.encode() + native + b"</forwarded></result>"


def _person(services: Services, account: Account) -> Person:
    person = Person(account.name, services.domain, "")
    for mechanism in credentials.HASHES:
        stored = services.accounts.verifier(account, mechanism)
        if stored is not None:
            person.verifiers.append(credentials.from_bytes(mechanism, stored))
    person.entries = [_entry(services, contact) for contact in services.roster.contacts(account)]
    for contact in services.roster.requests(account):
        sender = _address(services, contact.actor)
        stanza = contact.request or f"<presence type='subscribe' from='{sender}'/>".encode()
        element = parse(stanza, f" xmlns='{CLIENT}'".encode())
        person.requests.append((sender, element.to_bytes()))
    person.blocked = [
        name if "@" in name or "." in name else f"{name}@{services.domain}"
        for name in services.roster.blocked(account)
    ]
    for type_ in services.devices.data_types(account):
        value = services.devices.data(account, type_) or b""
        if type_ == vcard.NAMESPACE:
            person.card = value
        elif type_.startswith(private.PREFIX):
            namespace, _, name = type_.removeprefix(private.PREFIX).rpartition(" ")
            person.documents.append((namespace, name, value))
    for node in services.pubsub.nodes(account.actor):
        person.shelves[node.name] = _shelf(services, node)
    return person


def _entry(services: Services, contact: Contact) -> Entry:
    if contact.watches:
        subscription = "both" if contact.watched else "to"
    else:
        subscription = "from" if contact.watched else "none"
    return Entry(
        _address(services, contact.actor),
        contact.name,
        contact.groups,
        subscription,
        asked=contact.asked,
        approved=contact.approved,
    )


def _address(services: Services, actor: Actor) -> str:
    return actor.name if actor.account_id is None else f"{actor.name}@{services.domain}"


def _shelf(services: Services, node: Node) -> Shelf:
    form = parse(options.write(node.config).encode())
    config = {name: values for name, values in forms.read(form).items() if name != forms.FORM_TYPE}
    rows = services.pubsub.items(node, list(node.items))
    return Shelf(node.name, config, [(row.item_id, row.payload) for row in rows])
