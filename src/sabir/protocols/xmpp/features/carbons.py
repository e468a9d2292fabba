"""Copies for the other devices (XEP-0280): switched on and off here, made in `chat`."""

from typing import Final

from sabir.protocols.xmpp.features.context import Context, Iq

NAMESPACE: Final = "urn:xmpp:carbons:2"


def enable(context: Context, iq: Iq) -> None:
    """Let the client have copies from now on."""
    context.carbons = True
    context.reply(iq.stanza)


def disable(context: Context, iq: Iq) -> None:
    """Send no more copies."""
    context.carbons = False
    context.reply(iq.stanza)
