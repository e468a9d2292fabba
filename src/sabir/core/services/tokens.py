"""Tokens: by what a device that has once proven who it is proves it again, without the password.

A token is not stored. It is made from the server's secret, which is not in the store, and from what is: who has the
store alone can log in with nothing that it holds. A device has two at most, the one in use and one that it was
given to go on with, of which it may never have heard; to use one ends the others (XEP-0484 §6.1).
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Account, AccountState
from sabir.core.model.changes import TOKEN, CredentialRow, ForgetTokens
from sabir.core.ports import Clock, LogStore

MAX_DEVICES: Final = 50
"""Devices of an account that may have tokens; beyond it the one whose token ends first loses it."""

_NONCE_BYTES: Final = 16
_DAY_MS: Final = 24 * 60 * 60 * 1000
_RENEW_AFTER_MS: Final = _DAY_MS


class _Kept(msgspec.Struct, array_like=True, frozen=True):
    """What is stored of a token."""

    nonce: bytes
    mechanism: str
    expires_ms: int
    count: int = 0


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(tuple[_Kept, ...]).decode


@dataclass(frozen=True, slots=True)
class Token:
    """A token and what it is good for."""

    secret: str
    mechanism: str
    """That it was asked for; it is good for no other."""
    expires_ms: int
    count: int
    """The highest number that the device gave a use of it (XEP-0484 §3.4)."""
    nonce: bytes

    def __repr__(self) -> str:
        return f"Token({self.mechanism!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """What a login means for the tokens of its device.

    `proven_at` is `Account.secrets_no` when the proof was looked at. `token` is what was used, None for a password.
    `wanted` names the mechanism for which a new one is wanted, empty for none.
    """

    device: str
    proven_at: int
    token: Token | None = None
    count: int = 0
    forget: bool = False
    wanted: str = ""


class Tokens:
    """The tokens of all devices."""

    def __init__(
        self,
        log: Log,
        store: LogStore,
        clock: Clock,
        randomness: Callable[[int], bytes],
        secret: bytes,
        lifetime_days: int,
    ) -> None:
        self._clock = clock
        self._log = log
        self._store = store
        self._randomness = randomness
        self._secret = secret
        self._lifetime_ms = lifetime_days * _DAY_MS
        self._fresh: dict[tuple[int, str], tuple[_Kept, ...]] = {}
        """Of devices whose row is being written, newest token first, as in the row."""

    def of(self, account: Account, device: str) -> list[Token]:
        """Return the tokens of a device, also those that have expired."""
        return [self._token(account, device, kept) for kept in self._kept(account, device)]

    def settle(
        self,
        account: Account,
        use: Use,
        then: Callable[[Token | None], None],
        refused: Callable[[Refusal], None],
    ) -> None:
        """Do what a login means for the device's tokens; `then` is given the new token, if there is one.

        At once if nothing is to be written, otherwise when it is durable. Refused with `LOGIN_FAILED` if the
        token, or the password, lost its value meanwhile.
        """
        if not self._changes_something(account, use):
            then(None)
            return
        key = (account.id, use.device)
        made: list[Token] = []

        def form(log: Log) -> Refusal | None:
            kept = self._kept(account, use.device)
            if account.state is not AccountState.ACTIVE or account.secrets_no != use.proven_at:
                return Refusal.LOGIN_FAILED
            if use.token is not None:
                index = next((at for at, each in enumerate(kept) if each.nonce == use.token.nonce), -1)
                if index < 0 or (use.count and use.count <= kept[index].count):
                    return Refusal.LOGIN_FAILED
                used = kept[index]
                kept = () if use.forget else (_Kept(used.nonce, used.mechanism, used.expires_ms, use.count),)
            mechanism = self._due(use, log.now_ms)
            if mechanism:
                new = _Kept(self._randomness(_NONCE_BYTES), mechanism, log.now_ms + self._lifetime_ms)
                # One that was given before and never used is forgotten; the one in use stays until this one is.
                kept = (new, *(kept[-1:] if use.token is not None else ()))
                self._make_room(log, account, use.device)
                made.append(self._token(account, use.device, new))
            self._fresh[key] = kept
            log.undo(lambda: self._settled(key))
            self._put(log, account, use.device, kept)
            return None

        def done() -> None:
            self._settled(key)
            then(made[0] if made else None)

        self._log.append(Operation(form, done, refused))

    def forget_all(self, log: Log, account: Account) -> None:
        """End all tokens of an account, while an item forms, and what was proven before."""
        account.secrets_no += 1
        for key in [key for key in self._fresh if key[0] == account.id]:
            del self._fresh[key]
        log.change(ForgetTokens(account_id=account.id))

    def _settled(self, key: tuple[int, str]) -> None:
        self._fresh.pop(key, None)

    def _changes_something(self, account: Account, use: Use) -> bool:
        if use.token is None:
            return bool(use.wanted and use.device)
        kept = self._kept(account, use.device)
        only = len(kept) == 1 and kept[0].nonce == use.token.nonce
        return bool(not only or use.count or use.forget or self._due(use, self._clock.now_ms()))

    def _due(self, use: Use, now_ms: int) -> str:
        """Return the mechanism of the token that is to be made, empty for none."""
        if use.wanted or use.token is None or use.forget:
            return use.wanted
        age_ms = self._lifetime_ms - (use.token.expires_ms - now_ms)
        return use.token.mechanism if age_ms > _RENEW_AFTER_MS else ""

    def _make_room(self, log: Log, account: Account, device: str) -> None:
        """See that a device more does not make too many."""
        rows = [row for row in self._store.credentials(account.id) if row.mechanism.startswith(TOKEN)]
        others = [row for row in rows if row.mechanism != TOKEN + device]
        ends = {
            row.mechanism: max((kept.expires_ms for kept in _decode(row.verifier)), default=0)
            for row in others
        }
        for row in sorted(others, key=lambda row: ends[row.mechanism])[
            : max(0, len(others) - MAX_DEVICES + 1)
        ]:
            row.gone = True
            log.change(row)

    def _put(self, log: Log, account: Account, device: str, kept: tuple[_Kept, ...]) -> None:
        row = CredentialRow(account_id=account.id, mechanism=TOKEN + device, verifier=_encode(kept))
        row.gone = not kept
        log.change(row)

    def _kept(self, account: Account, device: str) -> tuple[_Kept, ...]:
        fresh = self._fresh.get((account.id, device))
        if fresh is not None:
            return fresh
        stored = self._store.credential(account.id, TOKEN + device) if device else None
        return () if stored is None else _decode(stored)

    def _token(self, account: Account, device: str, kept: _Kept) -> Token:
        what = b"\0".join((b"token", account.uuid, device.encode(), kept.mechanism.encode(), kept.nonce))
        secret = base64.urlsafe_b64encode(hmac.digest(self._secret, what, "sha256")).decode()
        return Token(secret, kept.mechanism, kept.expires_ms, kept.count, kept.nonce)
