"""What a peer can do wrong."""


class HttpSyntaxError(Exception):
    """The peer sent something that is no request, or too big a one; the connection cannot go on.

    `status` is what to answer with.
    """

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status = status
