"""Other servers, and how much waits for them."""

from __future__ import annotations


class Peer:
    """Another server. `last` is the last number given in its queue, `waiting` how many entries that has."""

    def __init__(self, id: int, domain: str, transport: str) -> None:
        self.id = id
        self.domain = domain
        self.transport = transport
        self.waiting = 0
        self.last = 0
