"""Retraction of other people's messages by moderators (XEP-0425)."""

from typing import Final

from sabir.core import policy
from sabir.core.errors import Refusal
from sabir.core.model.conversation import Conversation, Role
from sabir.core.model.event import Draft, Event, Kind
from sabir.protocols.xmpp.errors import BAD_REQUEST, FORBIDDEN, ITEM_NOT_FOUND, Refused
from sabir.protocols.xmpp.features.context import Context, Iq, Ticket
from sabir.protocols.xmpp.features.muc.names import refused
from sabir.protocols.xmpp.features.muc.speaking import PROTOCOL, named
from sabir.protocols.xmpp.translate import stanza_id_of
from sabir.protocols.xmpp.translate.render import RETRACT, STORE
from sabir.wire.xml import escape_text

NAMESPACE: Final = "urn:xmpp:message-moderate:1"
# Version 0.2 of XEP-0425, which clients knew for years.
OLD: Final = "urn:xmpp:message-moderate:0"
FASTEN: Final = "urn:xmpp:fasten:0"


class _Moderating:
    """What becomes of a retraction: the moderator gets the message as everybody does, then the answer."""

    __slots__ = ("_context", "_iq", "_ticket")

    def __init__(self, context: Context, iq: Iq, ticket: Ticket) -> None:
        self._context = context
        self._iq = iq
        self._ticket = ticket

    def posted(self, conversation: Conversation, event: Event) -> None:
        """See `Outcome.posted`."""
        self._context.session.deliver(conversation, event)
        self._context.reply(self._iq.stanza)
        self._ticket.finish()

    def refused(self, refusal: Refusal) -> None:
        """See `Outcome.refused`."""
        refused(self._context, self._iq.stanza, self._ticket)(refusal)


def moderate(context: Context, iq: Iq, room: Conversation) -> None:
    """Take a message out of the room (XEP-0425 §4)."""
    if iq.payload.find("retract", RETRACT) is None:
        raise Refused(BAD_REQUEST)
    _retract(context, iq, room, iq.payload.child_text("reason"))


def fasten(context: Context, iq: Iq, room: Conversation) -> None:
    """Take a message out of the room, asked for in the older way."""
    moderate = iq.payload.find("moderate", OLD)
    if moderate is None or moderate.find("retract", "urn:xmpp:message-retract:0") is None:
        raise Refused(BAD_REQUEST)
    _retract(context, iq, room, moderate.child_text("reason"))


def _retract(context: Context, iq: Iq, room: Conversation, reason: str | None) -> None:
    if policy.effective_role(room, context.actor) < Role.MODERATOR:
        raise Refused(FORBIDDEN)
    event = named(context, room, (iq.payload.get("id") or "").encode())
    if event is None or event.kind not in (Kind.MESSAGE, Kind.EDIT):
        raise Refused(ITEM_NOT_FOUND)
    inside = f"<reason>{escape_text(reason)}</reason>" if reason else ""
    id_ = stanza_id_of(event.event_id)
    native = f" type='groupchat'><retract xmlns='{RETRACT}' id='{id_}'>{inside}</retract>{STORE}</message>"
    draft = Draft(
        PROTOCOL,
        native.encode(),
        kind=int(Kind.DELETE),
        flags=0,
        target_id=event.event_id,
        resource=context.jid.resource,
    )
    outcome = _Moderating(context, iq, context.begin())
    context.place.services.messaging.post(context.session, room, draft, outcome)
