"""How much is kept for whom: a client, the clients of an account, all of them. Compiled by mypyc.

Who has too much is *full*: nothing more is promised to such a client until it has taken some of what waits. Nothing
that was acknowledged is dropped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.protocols.mqtt.config import MqttConfig
from sabir.protocols.mqtt.machine import Outflow, Stock

_NODE_BYTES: Final = 350
"""Roughly what a level of a filter takes in the tree."""


class Quotas:
    """See the module's text."""

    def __init__(self, config: MqttConfig) -> None:
        self.everybody: Final = Stock()
        self.full: Final[dict[object, None]] = {}
        """Those that are full: queues of clients (`Outflow`), accounts, or all (`Stock`)."""
        self.room: Callable[[], None] | None = None
        """Called when one of them has room again."""
        self._stocks: Final[dict[int, Stock]] = {}
        self._max_queue_bytes: Final = config.max_queue_bytes
        self._max_account_bytes: Final = config.max_account_queue_bytes
        self._max_bytes: Final = config.max_queues_bytes
        self._max_sessions: Final = config.max_sessions
        self._max_account_sessions: Final = config.max_account_sessions
        self._max_filter_bytes: Final = config.max_account_filter_bytes

    def stock(self, account_id: int) -> Stock:
        """Return what is kept for the clients of an account; 0 = those without."""
        found = self._stocks.get(account_id)
        if found is None:
            found = self._stocks[account_id] = Stock(self.everybody)
        return found

    # Queues

    def over(self, outflow: Outflow) -> bool:
        """Whether there is no room for more in a queue."""
        return (
            outflow.waiting_bytes > self._max_queue_bytes
            or outflow.stock.queued_bytes > self._max_account_bytes
            or self.everybody.queued_bytes > self._max_bytes
        )

    def note(self, outflow: Outflow) -> bool:
        """Take note of what was put into a queue; return whether there is no room for more."""
        if not self.over(outflow):
            return False
        if outflow.waiting_bytes > self._max_queue_bytes:
            self.full[outflow] = None
        if outflow.stock.queued_bytes > self._max_account_bytes:
            self.full[outflow.stock] = None
        if self.everybody.queued_bytes > self._max_bytes:
            self.full[self.everybody] = None
        return True

    def is_full(self, outflow: Outflow, *, is_away: bool) -> bool:
        """Whether nothing more is to be promised to a client.

        Args:
            outflow: that of the client.
            is_away: it would not be sent to the client at once. While its account is full, or all are, only clients
                that take what they are sent are sent more.
        """
        if not self.full:
            return False
        return outflow in self.full or (
            is_away and (outflow.stock in self.full or self.everybody in self.full)
        )

    def ease(self, outflow: Outflow) -> None:
        """Look whether there is room again: with some to spare, or those who wait would be woken for each message."""
        has_room = False
        if outflow in self.full and outflow.waiting_bytes <= self._max_queue_bytes // 8 * 7:
            del self.full[outflow]
            has_room = True
        stock = outflow.stock
        if stock in self.full and stock.queued_bytes <= self._max_account_bytes // 8 * 7:
            del self.full[stock]
            has_room = True
        if self.everybody in self.full and self.everybody.queued_bytes <= self._max_bytes // 8 * 7:
            del self.full[self.everybody]
            has_room = True
        if has_room and self.room is not None:
            self.room()

    # Sessions

    def may_keep(self, stock: Stock) -> bool:
        """Whether one more session of an account may outlive its connection."""
        return stock.sessions < self._max_account_sessions and self.everybody.sessions < self._max_sessions

    # Filters

    def add_filter(self, stock: Stock, name: str) -> bool:
        """Count a filter; return whether there was room for it."""
        cost = _cost(name)
        if stock.filter_bytes + cost > self._max_filter_bytes:
            return False
        stock.filter_bytes += cost
        return True

    def remove_filter(self, stock: Stock, name: str) -> None:
        """Count a filter no more."""
        stock.filter_bytes -= _cost(name)


def _cost(name: str) -> int:
    return len(name) + (name.count("/") + 1) * _NODE_BYTES
