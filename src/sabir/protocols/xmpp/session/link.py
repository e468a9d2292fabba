"""What ties a client to a stream."""

from collections.abc import Callable

from sabir.net.connection import Connection
from sabir.protocols.xmpp.errors import StreamError


class Link:
    """The stream that carries a client at the moment."""

    __slots__ = ("connection", "fail")

    def __init__(self, connection: Connection, fail: Callable[[StreamError], None]) -> None:
        self.connection: Connection = connection
        self.fail: Callable[[StreamError], None] = fail
        """Ends the stream."""
