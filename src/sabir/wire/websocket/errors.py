"""What a peer can do wrong."""


class HandshakeError(Exception):
    """The request asks for no WebSocket that we could give it. `status` and `headers` are for the answer."""

    def __init__(self, status: int, what: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(what)
        self.status = status
        self.headers = headers


class FrameError(Exception):
    """The peer sent something that is no frame, or too big a message; the connection cannot go on.

    `code` is what to close with (RFC 6455 §7.4.1).
    """

    def __init__(self, code: int, what: str) -> None:
        super().__init__(what)
        self.code = code
