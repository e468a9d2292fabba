"""Vouchers: what somebody is given who may make an account here, become somebody's contact, or both.

Whoever shows the secret of a voucher holds it. The secret is not stored, only its digest. A voucher ends with its
last use, with its time, or with the account that gave it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from sabir.core.directory import Directory
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Account, AccountState, Actor
from sabir.core.model.changes import VoucherRow
from sabir.core.policy import PolicyConfig
from sabir.core.ports import Clock
from sabir.core.services.accounts import NAME, RESERVED, Accounts, Promise
from sabir.core.services.roster import Roster

MAX_GIVEN: Final = 50
"""Vouchers of one account that are not used up."""
MAX_GIVEN_BY_OPERATOR: Final = 5_000
MAX_USES: Final = 1_000

_SECRET_BYTES: Final = 20
_DIGEST_BYTES: Final = 16
_DAY_MS: Final = 24 * 60 * 60 * 1000
_LONG_AGO_MS: Final = _DAY_MS
"""Vouchers are deleted so long after their end: who showed one in time may still be making the account."""


@dataclass(frozen=True, slots=True)
class Voucher:
    """A voucher; `inviter` is None if the operator gave it."""

    digest: bytes
    inviter: Account | None
    name: str
    uses: int
    expires_ms: int
    registers: bool
    befriends: bool


class Vouchers:
    """All vouchers that are not used up."""

    def __init__(
        self,
        log: Log,
        directory: Directory,
        accounts: Accounts,
        roster: Roster,
        clock: Clock,
        randomness: Callable[[int], bytes],
        policy: PolicyConfig,
        rows: Iterable[VoucherRow],
    ) -> None:
        self._log = log
        self._directory = directory
        self._accounts = accounts
        self._roster = roster
        self._clock = clock
        self._randomness = randomness
        self._policy = policy
        self._rows: dict[bytes, VoucherRow] = {}
        for row in rows:
            self._add(row)

    def may_give_accounts(self, account: Account) -> bool:
        """Return whether an account's vouchers may be good for new accounts."""
        return self._policy.members_invite and account.state is AccountState.ACTIVE

    def give(
        self,
        inviter: Account | None,
        then: Callable[[str, Voucher], None],
        refused: Callable[[Refusal], None],
        *,
        name: str = "",
        uses: int = 1,
        days: int = 0,
        registers: bool,
        befriends: bool,
    ) -> None:
        """Make a voucher; `then` is given its secret, which is known to nobody afterwards.

        `name` keeps that name for its holder; `days` 0 stands for the usual time.
        """
        name = name.lower()
        secret = base64.b32encode(self._randomness(_SECRET_BYTES)).decode().lower()
        row = VoucherRow(
            digest=_digest(secret),
            account_id=0 if inviter is None else inviter.id,
            name=name,
            uses=uses,
            expires_ms=self._clock.now_ms() + (days or self._policy.invitation_days) * _DAY_MS,
            registers=registers,
            befriends=befriends and inviter is not None,
        )

        def form(log: Log) -> Refusal | None:
            if not 1 <= uses <= MAX_USES or days < 0 or (name and uses > 1):
                return Refusal.BAD_REQUEST
            if name and (not NAME.match(name) or name in RESERVED):
                return Refusal.NAME_INVALID
            _, until_ms = self._directory.promised_names.get(name, (b"", 0))
            if self._directory.account(name) is not None or until_ms > log.now_ms:
                return Refusal.ACCOUNT_EXISTS
            given = sum(
                each.account_id == row.account_id and each.expires_ms > log.now_ms
                for each in self._rows.values()
            )
            if given >= (MAX_GIVEN if inviter is not None else MAX_GIVEN_BY_OPERATOR):
                return Refusal.TOO_MANY
            self._sweep(log)
            self._add(row)
            log.undo(lambda: self._remove(row))
            log.change(self._copy(row))
            return None

        self._log.append(Operation(form, lambda: then(secret, self._voucher(row)), refused))

    def find(self, secret: str) -> Voucher | None:
        """Return the voucher with that secret, unless its time is over."""
        row = self._rows.get(_digest(secret.lower()))
        if row is None or row.expires_ms <= self._clock.now_ms():
            return None
        voucher = self._voucher(row)
        inviter = voucher.inviter
        if row.account_id and (inviter is None or inviter.state is not AccountState.ACTIVE):
            return None
        return voucher

    def given_by(self, inviter: Account | None) -> list[Voucher]:
        """Return the vouchers of an account, or of the operator, that are not used up."""
        account_id = 0 if inviter is None else inviter.id
        return [self._voucher(row) for row in self._rows.values() if row.account_id == account_id]

    def register(
        self,
        voucher: Voucher,
        name: str,
        password: str,
        then: Callable[[Account], None],
        refused: Callable[[Refusal], None],
    ) -> None:
        """Make an account by a voucher that was found; its time is not looked at again (XEP-0445 §4).

        Whoever gave it is a contact from the beginning, if that was promised.
        """
        if not voucher.registers or (voucher.name and voucher.name != name):
            refused(Refusal.NAME_INVALID if voucher.registers else Refusal.LOGIN_REQUIRED)
            return
        inviter = voucher.inviter if voucher.befriends else None

        def keep(log: Log, account: Account) -> None:
            self._use(log, voucher)
            if inviter is not None:
                self._roster.befriend(log, account, inviter)

        def done(account: Account) -> None:
            then(account)
            if inviter is not None:
                self._roster.show_befriended(account, inviter)

        self._accounts.create(
            name, password, done, refused, Promise(voucher.digest, lambda: self._used_up(voucher), keep)
        )

    def befriend(self, voucher: Voucher, newcomer: Actor, ask: Callable[[], None], request: bytes) -> None:
        """Let whoever gave the voucher agree to what `newcomer` asks by `ask`, then ask back by `request`.

        For the server to do in place of the inviter's client (XEP-0379 §3.5). `ask` is called in any case, and asks
        in the usual way if the voucher is good for nothing any more.
        """
        inviter = voucher.inviter
        if inviter is None or not voucher.befriends or newcomer is inviter.actor:
            ask()
            return

        def agree() -> None:
            # In this order: what is approved before is granted at once, and nobody is shown a question.
            self._roster.approve(inviter, newcomer, _nothing, _nothing)
            ask()
            self._roster.ask(inviter, newcomer, request, _nothing, _nothing)

        def form(log: Log) -> Refusal | None:
            used_up = self._used_up(voucher)
            if used_up is None:
                self._use(log, voucher)
            return used_up

        self._log.append(Operation(form, agree, lambda refusal: ask()))

    def _used_up(self, voucher: Voucher) -> Refusal | None:
        return None if voucher.digest in self._rows else Refusal.LOGIN_REQUIRED

    def _use(self, log: Log, voucher: Voucher) -> None:
        row = self._rows[voucher.digest]
        row.uses -= 1
        log.undo(lambda: self._put_back(row))
        if row.uses <= 0:
            self._remove(row)
        changed = self._copy(row)
        changed.gone = row.uses <= 0
        log.change(changed)

    def _put_back(self, row: VoucherRow) -> None:
        row.uses += 1
        self._add(row)

    def _sweep(self, log: Log) -> None:
        """Delete what has long been over."""
        over = [row for row in self._rows.values() if row.expires_ms + _LONG_AGO_MS <= log.now_ms]
        for row in over:
            self._remove(row)
            gone = self._copy(row)
            gone.gone = True
            log.change(gone)

        def put_back() -> None:
            for row in over:
                self._add(row)

        log.undo(put_back)

    def _add(self, row: VoucherRow) -> None:
        self._rows[row.digest] = row
        if row.name:
            self._directory.promised_names[row.name] = (row.digest, row.expires_ms)

    def _remove(self, row: VoucherRow) -> None:
        del self._rows[row.digest]
        if row.name and self._directory.promised_names.get(row.name, (b"", 0))[0] == row.digest:
            del self._directory.promised_names[row.name]

    def _copy(self, row: VoucherRow) -> VoucherRow:
        return VoucherRow(
            digest=row.digest,
            account_id=row.account_id,
            name=row.name,
            uses=row.uses,
            expires_ms=row.expires_ms,
            registers=row.registers,
            befriends=row.befriends,
        )

    def _voucher(self, row: VoucherRow) -> Voucher:
        inviter = self._directory.accounts.get(row.account_id)  # type: ignore[call-overload]  # rows hold plain ints
        return Voucher(row.digest, inviter, row.name, row.uses, row.expires_ms, row.registers, row.befriends)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()[:_DIGEST_BYTES]


def _nothing(*outcome: object) -> None:
    """Nobody waits for the outcome."""
