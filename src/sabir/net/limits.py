"""Rate limits: token buckets, one by one and per key, in bounded memory.

A bucket holds up to `burst` tokens and gains `per_s` each second. Two ways to use it: `allow` refuses what
there are no tokens for; `charge` always takes, into debt if need be, and says how long to pause.
"""

import ipaddress
from dataclasses import dataclass
from typing import Final

from sabir.net.config import LimitsConfig

_MS_PER_S: Final = 1000
_S_PER_H: Final = 3600
_MAX_KEYS: Final = 10_000
_IPV6_PREFIX: Final = 64
_MAX_DEBT_S: Final = 300
"""However much a key has taken, its debt is paid after so long."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How much is allowed: `per_s` for ever, `burst` at once."""

    per_s: float
    burst: float


class TokenBucket:
    """The tokens of one peer, account or connection."""

    __slots__ = ("_at_ms", "_rate", "_tokens")

    def __init__(self, rate: Rate, now_ms: int) -> None:
        """Start full."""
        self._rate = rate
        self._tokens = rate.burst
        self._at_ms = now_ms

    def allow(self, now_ms: int, amount: float = 1) -> bool:
        """Take `amount` if it is there."""
        self._fill(now_ms)
        if self._tokens < amount:
            return False
        self._tokens -= amount
        return True

    def charge(self, now_ms: int, amount: float = 1) -> int:
        """Take `amount` in any case; return the milliseconds until the debt is paid, 0 when there is none."""
        self._fill(now_ms)
        self._tokens -= amount
        if self._tokens >= 0:
            return 0
        return int(-self._tokens * _MS_PER_S / self._rate.per_s) + 1

    def forgive(self, debt_s: float) -> None:
        """Forget what of the debt would take more than `debt_s` to pay."""
        self._tokens = max(self._tokens, -debt_s * self._rate.per_s)

    def has(self, now_ms: int, amount: float = 1) -> bool:
        """Say whether `allow` would allow, and take nothing."""
        self._fill(now_ms)
        return self._tokens >= amount

    def _fill(self, now_ms: int) -> None:
        elapsed_ms = now_ms - self._at_ms
        if elapsed_ms > 0:
            self._at_ms = now_ms
            self._tokens = min(self._rate.burst, self._tokens + elapsed_ms * self._rate.per_s / _MS_PER_S)


class KeyedBuckets:
    """A bucket per key. Beyond `max_keys` the one used longest ago is forgotten, that is: full again."""

    __slots__ = ("_buckets", "_max_keys", "_rate")

    def __init__(self, rate: Rate, max_keys: int = _MAX_KEYS) -> None:
        self._rate = rate
        self._max_keys = max_keys
        self._buckets: dict[str, TokenBucket] = {}

    def allow(self, key: str, now_ms: int) -> bool:
        """Take one token of `key` if it is there."""
        return self._bucket(key, now_ms).allow(now_ms)

    def charge(self, key: str, now_ms: int) -> None:
        """Take one token of `key` in any case; it never owes more than five minutes' worth."""
        bucket = self._bucket(key, now_ms)
        bucket.charge(now_ms)
        bucket.forgive(_MAX_DEBT_S)

    def has(self, key: str, now_ms: int) -> bool:
        """Say whether `key` has a token; a key not seen before has, and is not remembered for the asking."""
        bucket = self._buckets.get(key)
        return bucket is None or bucket.has(now_ms)

    def _bucket(self, key: str, now_ms: int) -> TokenBucket:
        bucket = self._buckets.pop(key, None) or TokenBucket(self._rate, now_ms)
        self._buckets[key] = bucket  # last in the dict = used last
        if len(self._buckets) > self._max_keys:
            del self._buckets[next(iter(self._buckets))]
        return bucket


class LoginLimits:
    """How often a login may fail, per peer and per account, and how many accounts strangers may make.

    Successful logins cost nothing.
    """

    __slots__ = ("_accounts", "_enabled", "_peers", "_registering", "_registrations", "_temporary")

    def __init__(self, config: LimitsConfig) -> None:
        self._enabled = config.enabled
        self._peers = KeyedBuckets(
            Rate(config.failed_logins_per_minute_per_peer / 60, config.failed_logins_burst)
        )
        self._accounts = KeyedBuckets(
            Rate(config.failed_logins_per_minute_per_account / 60, config.failed_logins_burst)
        )
        per_peer, together = config.registrations_per_hour_per_peer, config.registrations_per_hour
        self._registering = KeyedBuckets(Rate(per_peer / _S_PER_H, per_peer))
        temporary = config.temporary_per_minute_per_peer
        self._temporary = KeyedBuckets(Rate(temporary / 60, temporary))
        self._registrations = KeyedBuckets(Rate(together / _S_PER_H, together))

    def may_try(self, peer: str, account: str, now_ms: int) -> bool:
        """Say whether a login of `account` from the address `peer` may be attempted now."""
        if not self._enabled:
            return True
        return self._peers.has(peer_key(peer), now_ms) and self._accounts.has(account, now_ms)

    def may_register(self, peer: str, now_ms: int) -> bool:
        """Count an attempt to make an account; say whether it may go on."""
        if not self._enabled:
            return True
        # In this order: one peer that tries for ever takes nothing from the others.
        return self._registering.allow(peer_key(peer), now_ms) and self._registrations.allow("", now_ms)

    def may_come(self, peer: str, now_ms: int) -> bool:
        """Count somebody who logs in without an account; say whether that may go on."""
        return not self._enabled or self._temporary.allow(peer_key(peer), now_ms)

    def failed(self, peer: str, account: str, now_ms: int) -> None:
        """Count a failed login.

        Beyond the limits no password is looked at, so that nothing is held against the account: its owner could
        be kept out for hours. The peer pays for all, those included that it tried at the same time.
        """
        key = peer_key(peer)
        if self._peers.has(key, now_ms) and self._accounts.has(account, now_ms):
            self._accounts.charge(account, now_ms)
        self._peers.charge(key, now_ms)


def peer_key(peer: str) -> str:
    """Return what counts as one peer: the IPv4 address, or the /64 of an IPv6 address."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return peer
    if address.version == 4:
        return peer
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((int(address) >> _IPV6_PREFIX << _IPV6_PREFIX, _IPV6_PREFIX)))
