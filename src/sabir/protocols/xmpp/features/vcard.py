"""Business cards (XEP-0054), kept as they came."""

from typing import Final

from sabir.protocols.xmpp.errors import FORBIDDEN, ITEM_NOT_FOUND, ErrorType, Refused, StanzaError
from sabir.protocols.xmpp.features.context import Context, Iq

NAMESPACE: Final = "vcard-temp"
MAX_BYTES: Final = 65_536
_TOO_LARGE: Final = StanzaError(ErrorType.MODIFY, "policy-violation", "A card may have 64 KiB.")


def get(context: Context, iq: Iq) -> None:
    """Give the card of the client's own account, or of another."""
    if iq.to is not None and iq.to.local:
        account = context.place.services.accounts.find(iq.to.local)
    else:
        account = context.account
    if account is None or context.place.services.presences.hides(account.actor, context.actor):
        raise Refused(ITEM_NOT_FOUND)  # XEP-0191 §3.2: whom they blocked sees nobody
    card = context.place.services.devices.data(account, NAMESPACE)
    if not card and account.actor is not context.actor:
        raise Refused(ITEM_NOT_FOUND)  # XEP-0054 §3.3
    context.reply(iq.stanza, card.decode() if card else f"<vCard xmlns='{NAMESPACE}'/>")


def set_(context: Context, iq: Iq) -> None:
    """Keep the client's card; nobody else's (XEP-0054 §3.2)."""
    if iq.to is not None and iq.to.bare != context.jid.bare:
        raise Refused(FORBIDDEN)
    card = iq.payload.to_bytes()
    if len(card) > MAX_BYTES:
        raise Refused(_TOO_LARGE)
    ticket = context.begin()

    def done() -> None:
        context.reply(iq.stanza)
        ticket.finish()

    context.place.services.devices.set_data(
        context.account, NAMESPACE, card, done, context.refused_by(iq.stanza, ticket)
    )
