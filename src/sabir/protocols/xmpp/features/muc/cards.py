"""The card of a room, with its picture (XEP-0486): owners set it, whoever may see the room sees it."""

import base64
import binascii
import hashlib
from typing import Final

from sabir.core.model.conversation import Conversation, Role
from sabir.protocols.xmpp.errors import BAD_REQUEST, FORBIDDEN, ErrorType, Refused, StanzaError
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.muc.names import refused, sender
from sabir.wire.xml import Element, escape_attribute

NAMESPACE: Final = "vcard-temp"
UPDATE: Final = "vcard-temp:x:update"
MAX_BYTES: Final = 65_536
_TOO_LARGE: Final = StanzaError(ErrorType.MODIFY, "policy-violation", "A card may have 64 KiB.")


def get(context: Context, iq: Iq, room: Conversation) -> None:
    """Give the card (XEP-0486 §3.4)."""
    card = context.place.services.appearance.card(room)
    context.reply(iq.stanza, card.decode() if card else f"<vCard xmlns='{NAMESPACE}'/>")


def set_(context: Context, iq: Iq, room: Conversation) -> None:
    """Keep what an owner sends; an empty card takes it away (XEP-0486 §3.2)."""
    if room.role_of(context.actor.id) is not Role.OWNER:
        raise Refused(FORBIDDEN)
    card = iq.payload.to_bytes()
    if len(card) > MAX_BYTES:
        raise Refused(_TOO_LARGE)
    avatar = avatar_of(iq.payload)
    ticket = context.begin()

    def done() -> None:
        context.reply(iq.stanza)
        ticket.finish()

    context.place.services.appearance.set_card(
        context.session,
        room,
        card if iq.payload.elements() else b"",
        avatar,
        done,
        refused(context, iq.stanza, ticket),
    )


def avatar_of(card: Element) -> str:
    """Return the hash of the picture in a card (XEP-0153 §3.1), empty if it has none.

    Raises:
        Refused: if the picture is not what it should be.
    """
    photo = card.find("PHOTO")
    encoded = "" if photo is None else photo.child_text("BINVAL") or ""
    if not encoded.strip():
        return ""
    try:
        picture = base64.b64decode("".join(encoded.split()), validate=True)
    except (binascii.Error, ValueError):
        raise Refused(BAD_REQUEST) from None
    return hashlib.sha1(picture, usedforsecurity=False).hexdigest()


def show(context: Context, room: Conversation) -> None:
    """Tell a client which picture the room has, as those expect it that do not ask (XEP-0486 §3.6)."""
    to = escape_attribute(str(context.jid))
    context.send(
        f"<presence to='{to}'{sender(context.place, room, '')}>"
        f"<x xmlns='{UPDATE}'><photo>{room.avatar}</photo></x></presence>".encode()
    )
