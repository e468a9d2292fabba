"""Ping (XEP-0199): answered at once, whatever waits."""

from typing import Final

from sabir.protocols.xmpp.features.context import Context, Iq

NAMESPACE: Final = "urn:xmpp:ping"


def ping(context: Context, iq: Iq) -> None:
    """Answer a ping of the server or of an account."""
    context.reply(iq.stanza)
