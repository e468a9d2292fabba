"""Private XML storage (XEP-0049): documents that clients keep for themselves."""

from dataclasses import replace
from typing import Final

from sabir.protocols.xmpp.errors import FORBIDDEN, NOT_ACCEPTABLE, ErrorType, Refused, StanzaError
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.pubsub import bookmarks
from sabir.wire.xml import Element

NAMESPACE: Final = "jabber:iq:private"
PREFIX: Final = "private:"
MAX_BYTES: Final = 65_536
MAX_VALUES: Final = 200
"""Kept for one account, other data of it included."""
MAX_ALL_BYTES: Final = 1 << 20

_TOO_LARGE: Final = StanzaError(ErrorType.MODIFY, "policy-violation", "A document may have 64 KiB.")
_TOO_MANY: Final = StanzaError(ErrorType.WAIT, "resource-constraint", "There is too much of this already.")
_ONE: Final = replace(NOT_ACCEPTABLE, text="One document at a time.")


def get(context: Context, iq: Iq) -> None:
    """Give a document; an empty one if there is none (XEP-0049 §2.2)."""
    asked = _only(context, iq)
    if asked.namespace == bookmarks.OLD:
        found = bookmarks.document(context.place, context.account)
    else:
        value = context.place.services.devices.data(context.account, _type(asked))
        found = value.decode() if value else Element(asked.name, asked.namespace).serialise()
    context.reply(iq.stanza, f"<query xmlns='{NAMESPACE}'>{found}</query>")


def set_(context: Context, iq: Iq) -> None:
    """Keep a document in place of the one of that name."""
    given = _only(context, iq)
    if given.namespace == bookmarks.OLD:
        bookmarks.write(context, iq, given)
        return
    value = given.to_bytes()
    if len(value) > MAX_BYTES:
        raise Refused(_TOO_LARGE)
    devices = context.place.services.devices
    count, size_bytes = devices.data_size(context.account)
    if count >= MAX_VALUES or size_bytes + len(value) > MAX_ALL_BYTES:
        raise Refused(_TOO_MANY)
    ticket = context.begin()

    def done() -> None:
        context.reply(iq.stanza)
        ticket.finish()

    devices.set_data(context.account, _type(given), value, done, context.refused_by(iq.stanza, ticket))


def _only(context: Context, iq: Iq) -> Element:
    """Return the document that is meant.

    Raises:
        Refused: if there is none or more than one, if it has no namespace of its own, or is another's.
    """
    if iq.to is not None and iq.to.bare != context.jid.bare:
        raise Refused(FORBIDDEN)  # XEP-0049 §2.3
    elements = iq.payload.elements()
    if len(elements) != 1 or elements[0].namespace in ("", NAMESPACE):
        raise Refused(_ONE)  # XEP-0049 §2.3
    if len(_type(elements[0])) > 1_000:
        raise Refused(_TOO_LARGE)
    return elements[0]


def type_of(namespace: str, name: str) -> str:
    """Return what the core calls the document whose root is `name` in `namespace`."""
    return f"{PREFIX}{namespace} {name}"


def _type(element: Element) -> str:
    return type_of(element.namespace, element.name)
