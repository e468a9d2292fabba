"""What features know of other servers: how to send there, and that it may fail."""

from collections.abc import Callable
from typing import Final, Protocol

from sabir.protocols.xmpp.errors import REMOTE_SERVER_NOT_FOUND, StanzaError

Bounce = Callable[[StanzaError], None]
"""Tells whoever sent a stanza that it could not be delivered."""


class Abroad(Protocol):
    """Everything that is not of this server: other servers, and components."""

    def refusal(self, domain: str) -> StanzaError | None:
        """Return why nothing can be sent to a domain, None if it can be tried."""

    def services(self) -> list[str]:
        """Return the domains of the components that are there."""

    def is_slow(self, local: str, remote: str) -> bool:
        """Return whether what is sent from a domain of ours to another one only piles up."""

    def send(self, local: str, remote: str, stanza: bytes, bounce: Bounce | None = None) -> None:
        """Send a stanza, which has its `from` and `to`, from a domain of ours to another one.

        What cannot be sent now waits for a stream for a short while, in the order given. If there will be none,
        `bounce` is called, perhaps before this returns. It is never called once the stanza is on its way: then the
        other server answers itself.
        """


class Nowhere:
    """There are no other servers."""

    def refusal(self, domain: str) -> StanzaError | None:
        """See `Abroad.refusal`."""
        return REMOTE_SERVER_NOT_FOUND

    def services(self) -> list[str]:
        """See `Abroad.services`."""
        return []

    def is_slow(self, local: str, remote: str) -> bool:
        """See `Abroad.is_slow`."""
        return False

    def send(self, local: str, remote: str, stanza: bytes, bounce: Bounce | None = None) -> None:
        """See `Abroad.send`."""
        if bounce is not None:
            bounce(REMOTE_SERVER_NOT_FOUND)


NOWHERE: Final = Nowhere()
