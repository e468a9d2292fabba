"""Business cards (XEP-0054), kept as they came, but for the picture: `avatars` has that."""

from typing import Final

from sabir.protocols.xmpp.errors import FORBIDDEN, ITEM_NOT_FOUND, ErrorType, Refused, StanzaError
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.pubsub import avatars
from sabir.wire.xml import Element, parse

NAMESPACE: Final = "vcard-temp"
MAX_BYTES: Final = 65_536
_TOO_LARGE: Final = StanzaError(
    ErrorType.MODIFY, "policy-violation", "A card may have 64 KiB, without its picture."
)


def get(context: Context, iq: Iq) -> None:
    """Give the card of the client's own account, or of another."""
    if iq.to is not None and iq.to.local:
        account = context.place.services.accounts.find(iq.to.local)
    else:
        account = context.account
    if account is None or context.place.services.presences.hides(account.actor, context.actor):
        raise Refused(ITEM_NOT_FOUND)  # XEP-0191 §3.2: whom they blocked sees nobody
    place = context.place
    stored = place.services.devices.data(account, NAMESPACE)
    card = avatars.with_photo(
        place, parse(stored) if stored else Element("vCard", NAMESPACE), account.actor, context.actor
    )
    if not card.children and account.actor is not context.actor:
        raise Refused(ITEM_NOT_FOUND)  # XEP-0054 §3.3
    context.reply(iq.stanza, card.serialise())


def set_(context: Context, iq: Iq) -> None:
    """Keep the client's card; nobody else's (XEP-0054 §3.2). A picture in it is published."""
    if iq.to is not None and iq.to.bare != context.jid.bare:
        raise Refused(FORBIDDEN)
    place = context.place
    edits = avatars.edits_for(place, context.actor, iq.payload)
    card = avatars.without_photo(iq.payload).to_bytes()
    if len(card) > MAX_BYTES:
        raise Refused(_TOO_LARGE)
    ticket = context.begin()
    refused = context.refused_by(iq.stanza, ticket)

    def done() -> None:
        context.reply(iq.stanza)
        ticket.finish()

    def keep() -> None:
        place.services.devices.set_data(context.account, NAMESPACE, card, done, refused)

    if edits:
        place.services.pubsub.edit(context.actor, context.actor, edits, keep, refused)
    else:
        keep()
