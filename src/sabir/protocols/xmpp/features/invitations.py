"""Direct invitations to rooms (XEP-0249): carried as any message, and one who may invite lets the invited in."""

from collections.abc import Callable
from typing import Final

from sabir.core.model.actor import Account
from sabir.protocols.xmpp.codec import element_of
from sabir.protocols.xmpp.features.context import Context
from sabir.protocols.xmpp.jid import JidSyntaxError, parse_jid
from sabir.protocols.xmpp.types import Stanza

NAMESPACE: Final = "jabber:x:conference"


def admit(context: Context, stanza: Stanza, other: Account, then: Callable[[], None]) -> None:
    """Let `other` into the members-only room of ours that the message is about; `then` is called in any case."""
    invitation = element_of(stanza).find("x", NAMESPACE)
    try:
        jid = parse_jid("" if invitation is None else invitation.get("jid") or "")
    except JidSyntaxError:
        then()
        return
    services = context.place.services
    room = services.rooms.find(jid.local) if jid.domain == context.place.rooms_domain and jid.local else None
    if room is not None and room.config.members_only:
        services.invitations.admit(context.session, room, other.actor, then)
    else:
        then()
