"""Software version (XEP-0092). The operating system is nobody's business."""

from typing import Final

from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.wire.xml import escape_text

NAMESPACE: Final = "jabber:iq:version"


def version(context: Context, iq: Iq) -> None:
    """Tell the name and version of this server."""
    number = escape_text(context.place.version)
    context.reply(
        iq.stanza, f"<query xmlns='{NAMESPACE}'><name>Sabir</name><version>{number}</version></query>"
    )
