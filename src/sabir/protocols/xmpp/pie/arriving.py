"""Brings accounts of an export into the core: first all of them, then what belongs to each."""

from collections.abc import Callable, Sequence
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account, Actor
from sabir.core.model.pubsub import Access, CreateNode, Edit, NodeConfig, Publish, SendLast
from sabir.core.model.roster import Contact
from sabir.core.services import Services
from sabir.protocols.xmpp.features import private, vcard
from sabir.protocols.xmpp.features.chat import PROTOCOL
from sabir.protocols.xmpp.features.pubsub import bookmarks
from sabir.protocols.xmpp.jid import Jid, JidSyntaxError, parse_jid
from sabir.protocols.xmpp.pie.person import Entry, Person, Shelf
from sabir.wire.sasl import credentials
from sabir.wire.xml import parse

MAX_GROUPS: Final = 32
_ACCESS: Final = {access.value: access for access in Access} | {"authorize": Access.WHITELIST}
"""Who had to ask the owner may not read: nobody is let in who was not."""

Report = Callable[[str], None]
"""Told what could not be imported, in words."""
Done = Callable[[], None]


class Arrivals:
    """Imports accounts; `host` is the domain that they come from."""

    def __init__(
        self,
        services: Services,
        host: str,
        make: Callable[[str], Sequence[tuple[str, bytes]]],
        report: Report,
    ) -> None:
        """Prepare.

        Args:
            services: where to.
            host: the domain in the addresses of the export that stands for ours.
            make: makes verifiers from a password that the export holds.
            report: told what could not be imported.
        """
        self._services: Final = services
        self._host: Final = host
        self._make: Final = make
        self._report: Final = report
        self.made: Final[dict[str, Account]] = {}
        """The new accounts, by name."""

    def create(self, person: Person, done: Done) -> None:
        """Make the account; one that exists already is left alone."""
        name = person.name.lower()
        verifiers = [
            (verifier.mechanism, credentials.to_bytes(verifier))
            for verifier in person.verifiers
            if verifier.mechanism in credentials.HASHES
        ]
        if not verifiers and person.password:
            try:
                verifiers = list(self._make(person.password))
            except ValueError:
                self._report(f"{person.where}: {name}: its password holds what no client could send")
        if not verifiers:
            self._report(
                f"{person.where}: {name}: it cannot log in until `sabir user passwd` gives it a password"
            )

        def made(account: Account) -> None:
            self.made[name] = account
            done()

        def refused(refusal: Refusal) -> None:
            self._report(f"{person.where}: {name}: {refusal.value}")
            done()

        self._services.accounts.create_with(name, verifiers, made, refused)

    def furnish(self, person: Person, done: Done) -> None:
        """Give a new account what belongs to it; `done` is called when all of that is durable."""
        account = self.made.get(person.name.lower())
        if account is None:
            done()
            return
        left = 1

        def heard() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                done()

        def refused(what: str) -> Callable[[Refusal], None]:
            def tell(refusal: Refusal) -> None:
                self._report(f"{person.where}: {account.name}: {what}: {refusal.value}")
                heard()

            return tell

        services = self._services
        contacts = self._contacts(person)
        if contacts:
            left += 1
            services.roster.adopt(account, contacts, heard, refused("contacts"))
        names = list(dict.fromkeys(filter(None, map(self._blocked, person.blocked))))
        if names:
            left += 1
            services.roster.block(account, names, heard, refused("block list"))
        for type_, value in self._data(person):
            left += 1
            services.devices.set_data(account, type_, value, heard, refused(type_))
        for edits in self._edits(person):
            left += 1
            services.pubsub.edit(account.actor, account.actor, edits, heard, refused(f"node {edits[0].name}"))
        for what, count in person.left_out.items():
            self._report(f"{person.where}: {account.name}: not imported: {count} {what}")
        heard()

    # Contacts

    def _contacts(self, person: Person) -> list[Contact]:
        found: dict[int, Contact] = {}
        for entry in person.entries:
            actor = self._actor(person, entry.jid)
            if actor is not None:
                found[actor.id] = _contact(actor, entry)
        for jid, stanza in person.requests:
            actor = self._actor(person, jid)
            if actor is not None:
                known = found.get(actor.id, Contact(actor, listed=False))
                if not known.watched:
                    found[actor.id] = known.with_(asking=True, request=stanza)
        return list(found.values())

    def _actor(self, person: Person, address: str) -> Actor | None:
        jid = self._ours(address)
        if jid is None or not jid.local:
            self._report(f"{person.where}: {person.name}: no address: {address}")
            return None
        accounts = self._services.accounts
        if jid.domain == self._services.domain:
            account = accounts.find(jid.local)
            if account is not None:
                return account.actor
        return accounts.remote(PROTOCOL, str(jid))

    def ours(self, address: str) -> Jid | None:
        """Return an address, at our domain if it was at that of the export; None if it is none."""
        try:
            jid = parse_jid(address)
        except JidSyntaxError:
            return None
        return Jid(jid.local, self._services.domain, jid.resource) if jid.domain == self._host else jid

    def _ours(self, address: str) -> Jid | None:
        jid = self.ours(address)
        return None if jid is None else jid.bare

    def _blocked(self, address: str) -> str:
        jid = self._ours(address)
        if jid is None:
            return ""
        return jid.local if jid.local and jid.domain == self._services.domain else str(jid)

    # Data and nodes

    def _data(self, person: Person) -> list[tuple[str, bytes]]:
        data = [(vcard.NAMESPACE, person.card)] if person.card else []
        data += [
            (private.type_of(namespace, name), content)
            for namespace, name, content in person.documents
            if namespace != bookmarks.OLD
        ]
        kept = [(type_, value) for type_, value in data if len(value) <= private.MAX_BYTES]
        if len(kept) < len(data):
            self._report(f"{person.where}: {person.name}: a card or document of more than 64 KiB")
        return kept[: private.MAX_VALUES]

    def _edits(self, person: Person) -> list[list[Edit]]:
        """Return what makes each node, and publishes its items."""
        edits = [_node(shelf) for shelf in person.shelves.values() if shelf.name]
        if bookmarks.NODE not in person.shelves:
            for namespace, _, content in person.documents:
                if namespace == bookmarks.OLD:
                    edits.append(bookmarks.converted(parse(content)))
        return [each for each in edits if each]


def _contact(actor: Actor, entry: Entry) -> Contact:
    return Contact(
        actor,
        entry.name[:256],
        entry.groups[:MAX_GROUPS],
        watches=entry.subscription in ("to", "both"),
        watched=entry.subscription in ("from", "both"),
        asked=entry.asked and entry.subscription in ("none", "from"),
        approved=entry.approved,
    )


def _node(shelf: Shelf) -> list[Edit]:
    """Return the edits that make a node; options that are not known are ignored (XEP-0227 §4.10.1)."""

    def value(name: str) -> str:
        values = shelf.config.get(f"pubsub#{name}")
        return values[0].strip() if values else ""

    most, access = value("max_items"), value("access_model")
    last = {each.value: each for each in SendLast}
    config = NodeConfig(
        # XEP-0163 §1: without a word it is for contacts; what has no counterpart here is for nobody else.
        access=_ACCESS.get(access, Access.WHITELIST) if access else Access.PRESENCE,
        groups=tuple(shelf.config.get("pubsub#roster_groups_allowed", ())),
        persist=value("persist_items") not in ("0", "false"),
        max_items=int(most)
        if most.isdecimal() and len(most) < 10
        else (0 if most else max(1, len(shelf.items))),
        send_last=last.get(value("send_last_published_item"), SendLast.ON_PRESENCE),
        title=value("title")[:1_000],
        description=value("description")[:1_000],
        type=value("type")[:1_000],
    )
    items = [Publish(shelf.name, id_ or "current", payload) for id_, payload in shelf.items if payload]
    return [CreateNode(shelf.name, config), *items]
