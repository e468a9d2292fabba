"""Brings accounts out of the core."""

from collections.abc import Iterator

from sabir.core.model.actor import Account, Actor
from sabir.core.model.pubsub import Node
from sabir.core.model.roster import Contact
from sabir.core.services import Services
from sabir.protocols.xmpp.features import forms, private, vcard
from sabir.protocols.xmpp.features.pubsub import options
from sabir.protocols.xmpp.pie.person import CLIENT, Entry, Person, Shelf
from sabir.wire.sasl import credentials
from sabir.wire.xml import parse


def persons(services: Services) -> Iterator[Person]:
    """Yield every account, with what belongs to it alone."""
    for account in sorted(services.accounts.all(), key=lambda each: each.name):
        yield _person(services, account)


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
