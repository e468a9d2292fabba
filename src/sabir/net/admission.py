"""Who may connect: the most connections, in all and per peer, and how fast new ones may come."""

import ipaddress
from collections.abc import Sequence
from typing import Final

from sabir.net.config import LimitsConfig, NetConfig
from sabir.net.limits import KeyedBuckets, Rate, peer_key


class Admission:
    """Counts the connections of all listeners of a process."""

    def __init__(self, net: NetConfig, limits: LimitsConfig, proxies: Sequence[str] = ()) -> None:
        """Count up to the limits.

        Args:
            net: how many there may be.
            limits: how fast.
            proxies: networks from which many peers come through one address: what is per peer is not for them.
        """
        self._net: Final = net
        self._limited: Final = limits.enabled
        self._proxies: Final = [ipaddress.ip_network(each, strict=False) for each in proxies]
        self._rate: Final = KeyedBuckets(Rate(limits.connects_per_s_per_peer, limits.burst_connects_per_peer))
        self._per_peer: Final[dict[str, int]] = {}
        self.connected = 0
        """Connections admitted and not yet gone."""
        self.refused: Final[dict[str, int]] = {}
        """How many were refused, by reason."""

    def admit(self, peer: str, now_ms: int) -> str:
        """Count a new connection from the address `peer`; return why it is refused, empty if it is not."""
        key = peer_key(peer)
        reason = self._objection(peer, key, now_ms)
        if reason:
            self.refused[reason] = self.refused.get(reason, 0) + 1
            return reason
        self.connected += 1
        self._per_peer[key] = self._per_peer.get(key, 0) + 1
        return ""

    def left(self, peer: str) -> None:
        """Note that an admitted connection from `peer` is gone."""
        key = peer_key(peer)
        self.connected -= 1
        remaining = self._per_peer[key] - 1
        if remaining:
            self._per_peer[key] = remaining
        else:
            del self._per_peer[key]

    def _objection(self, peer: str, key: str, now_ms: int) -> str:
        if self.connected >= self._net.max_connections:
            return "too many connections"
        if not self._limited or (self._proxies and self._is_proxy(peer)):
            return ""
        if self._per_peer.get(key, 0) >= self._net.max_connections_per_peer:
            return "too many connections from peer"
        if not self._rate.allow(key, now_ms):
            return "connects too fast"
        return ""

    def _is_proxy(self, peer: str) -> bool:
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)
