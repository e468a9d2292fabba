"""The directory of public keys: what devices publish so that others can begin encrypted sessions with them.

One-time prekeys are handed out once, the last-resort prekey as often as needed when there are none, or when somebody
asks for too many (PQXDH §3.2). A hand-out is answered when it is durable. Nothing here is secret: there is no place for
a private key.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from sabir.core.delivery import Sessions
from sabir.core.directory import Directory
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Account, AccountState
from sabir.core.model.changes import (
    Change,
    KeyChangeRow,
    KeyDeviceRow,
    KeysCleared,
    KeyTaken,
    OneTimeKeyRow,
)
from sabir.core.model.keys import (
    Bundle,
    KeyKind,
    KeysConfig,
    Publication,
    Standing,
    by_kind,
    checked,
    copy,
    merged,
)
from sabir.core.model.signals import Announced
from sabir.core.pace import Pace
from sabir.core.ports import Clock, KeyStore
from sabir.core.services.peers import is_blocked

_CHUNK: Final = 4
_HOUR_S: Final = 3_600
_DAY_MS: Final = 86_400_000


class KeyLedger(Protocol):
    """Writes down what happens here, for those who check it. Called while the item forms, maybe again after a failure.

    What it gives to `change` becomes durable with the event, or not at all.
    """

    def published(
        self, device: KeyDeviceRow, keys: Sequence[OneTimeKeyRow], change: Callable[[Change], None]
    ) -> None:
        """Note a publication; a `device` that is `gone` was removed."""
        ...

    def handed_out(self, requester: Account, bundle: Bundle, change: Callable[[Change], None]) -> None:
        """Note a hand-out."""
        ...


class _Supply:
    """One-time prekeys of one kind and device, while some of them are handed out and that is not yet durable."""

    def __init__(self) -> None:
        self.rows: deque[OneTimeKeyRow] = deque()
        self.last_id = -1
        self.pending = 0


class Keys:
    """The directory."""

    def __init__(
        self,
        log: Log,
        directory: Directory,
        sessions: Sessions,
        store: KeyStore,
        clock: Clock,
        config: KeysConfig,
        domain: str,
        *,
        limited: bool,
    ) -> None:
        self.ledger: KeyLedger | None = None
        self._log: Final = log
        self._directory: Final = directory
        self._sessions: Final = sessions
        self._store: Final = store
        self._config: Final = config
        self._domain: Final = domain
        per_hour, per_peer = config.one_time_per_hour, config.one_time_per_hour_per_peer
        self._requesters: Final = Pace(clock, per_hour / _HOUR_S, per_hour, limited=limited)
        self._targets: Final = Pace(clock, per_hour / _HOUR_S, per_hour, limited=limited)
        self._peers: Final = Pace(clock, per_peer / _HOUR_S, per_peer, limited=limited)
        publications = config.publications_per_hour
        self._publications: Final = Pace(clock, publications / _HOUR_S, publications, limited=limited)
        self._requests: Final = Pace(
            clock, config.requests_per_s, 10 * config.requests_per_s, limited=limited
        )
        self._notices: Final = Pace(clock, 1 / _HOUR_S, 1, limited=True)
        # What the batch that forms, or is under way, has changed: the store does not know it yet.
        self._fresh: Final[dict[tuple[int, int], KeyDeviceRow]] = {}
        self._supplies: Final[dict[tuple[int, int, int], _Supply]] = {}

    def standing(self, account: Account, device_id: int) -> Standing | None:
        """Return what a device of `account` has here."""
        for device in self._store.devices(account.id):
            if device.device_id == device_id:
                return self._standing(device)
        return None

    def changed(self, account: Account, since: int) -> tuple[int, list[str]]:
        """Return who of the contacts of `account`, and itself, has other devices or identity keys than at `since`.

        With them the log number to ask with next time.
        """
        actors = [self._directory.actor(actor_id) for actor_id in self._directory.contacts_of(account)]
        known = {each.account_id: each.name for each in actors if each.account_id is not None}
        known[account.id] = account.name
        changed = self._store.changed(list(known), since)
        return self._log.head_seq, [known[account_id] for account_id in changed]  # type: ignore[index]  # plain ints

    def publish(
        self,
        account: Account,
        publication: Publication,
        then: Callable[[Standing], None],
        refused: Callable[[Refusal], None],
    ) -> None:
        """Keep what a device publishes.

        `BAD_REQUEST`: a number, key or signature is wrong, or something is missing; `TOO_MANY`: keys or devices.
        """
        refusal = self._publications.take(account.actor.id)
        old = self._device(account, publication.device_id)
        if refusal is None:
            identity = publication.identity_key or (b"" if old is None else old.identity_key)
            refusal = checked(publication, identity)
        if refusal is not None:
            refused(refusal)
            return
        replaced = False
        key = (int(account.id), publication.device_id)

        def form(log: Log) -> Refusal | None:
            nonlocal replaced
            before = self._device(account, publication.device_id)
            row = merged(account, publication, before, log.now_ms)
            if row is None or row.identity_key != identity:
                return Refusal.BAD_REQUEST
            if account.state is not AccountState.ACTIVE:
                return Refusal.ACCOUNT_DISABLED
            is_other = before is None or before.identity_key != row.identity_key
            if before is None and self._devices_of(account) >= self._config.max_devices:
                return Refusal.TOO_MANY
            for kind, added in by_kind(publication):
                held = 0 if is_other else self._store.count(row, kind)
                if held + len(added) > self._config.max_one_time:
                    return Refusal.TOO_MANY
            replaced = before is not None and is_other
            if is_other:
                log.change(KeysCleared(account_id=row.account_id, device_id=row.device_id))
                log.change(KeyChangeRow(account_id=row.account_id))
            log.change(row)
            rows = [
                OneTimeKeyRow(
                    account_id=row.account_id,
                    device_id=row.device_id,
                    kind=kind,
                    key_id=each.id,
                    key=each.key,
                    signature=each.signature,
                )
                for kind, added in by_kind(publication)
                for each in added
            ]
            for one_time in rows:
                log.change(one_time)
            if self.ledger is not None:
                self.ledger.published(row, rows, log.change)
            self._fresh[key] = row
            log.undo(lambda: self._forget_fresh(key))
            return None

        def done() -> None:
            self._forget_fresh(key)
            if replaced:
                self._warn(account, publication.device_id)
            standing = self.standing(account, publication.device_id)
            if standing is None:  # another of the same batch removed it
                refused(Refusal.ITEM_UNKNOWN)
            else:
                then(standing)

        self._log.append(Operation(form, done, refused))

    def remove(
        self,
        account: Account,
        device_id: int,
        then: Callable[[], None],
        refused: Callable[[Refusal], None],
    ) -> None:
        """Forget everything that a device has published."""
        key = (int(account.id), device_id)

        def form(log: Log) -> Refusal | None:
            device = self._device(account, device_id)
            if device is None:
                return Refusal.ITEM_UNKNOWN
            gone = copy(device)
            gone.gone = True
            log.change(KeysCleared(account_id=account.id, device_id=device_id))
            log.change(KeyChangeRow(account_id=account.id))
            log.change(gone)
            if self.ledger is not None:
                self.ledger.published(gone, (), log.change)
            self._fresh[key] = gone
            log.undo(lambda: self._forget_fresh(key))
            return None

        def done() -> None:
            self._forget_fresh(key)
            then()

        self._log.append(Operation(form, done, refused))

    def hand_out(
        self,
        requester: Account,
        peer: int,
        name: str,
        device_id: int | None,
        then: Callable[[list[Bundle]], None],
        refused: Callable[[Refusal], None],
    ) -> None:
        """Give what is needed to begin sessions with all devices of somebody, or with one.

        `peer` stands for the address that the request came from. `ACTOR_UNKNOWN`: there is nobody of that name, or
        nobody who wants to hear from the requester, or there is no such device.
        """
        refusal = self._requests.take(requester.actor.id)
        if refusal is not None:
            refused(refusal)
            return
        bundles: list[Bundle] = []

        def form(log: Log) -> Refusal | None:
            bundles.clear()
            target = self._directory.account(name)
            if target is None or target.state is not AccountState.ACTIVE:
                return Refusal.ACTOR_UNKNOWN
            if is_blocked(self._directory.blocks_of(target), requester.actor):
                return Refusal.ACTOR_UNKNOWN
            for device in self._store.devices(target.id):
                if device_id is not None and device.device_id != device_id:
                    continue
                fresh = self._fresh.get((device.account_id, device.device_id))
                if fresh is not None:
                    # What it has now is not in the store yet, and whether its one-time prekeys stay is not decided.
                    bundles.extend([] if fresh.gone else [Bundle(fresh, None, None)])
                    continue
                bundles.append(self._bundle(log, device, requester, peer))
            if not bundles:
                return Refusal.ACTOR_UNKNOWN
            if self.ledger is not None:
                for bundle in bundles:
                    self.ledger.handed_out(requester, bundle, log.change)
            return None

        def done() -> None:
            for bundle in bundles:
                self._settle(bundle)
            then(bundles)

        self._log.append(Operation(form, done, refused))

    def _bundle(self, log: Log, device: KeyDeviceRow, requester: Account, peer: int) -> Bundle:
        # In this order: one who asks for too much takes nothing from the others.
        if (
            self._requesters.take(requester.actor.id)
            or self._peers.take(peer)
            or self._targets.take(device.account_id)
        ):
            return Bundle(device, None, None)
        return Bundle(device, self._take(log, device, KeyKind.CURVE), self._take(log, device, KeyKind.KYBER))

    def _take(self, log: Log, device: KeyDeviceRow, kind: int) -> OneTimeKeyRow | None:
        key = (device.account_id, device.device_id, kind)
        supply = self._supplies.get(key)
        if supply is None:
            supply = _Supply()
        if not supply.rows:
            supply.rows.extend(self._store.free(device, kind, supply.last_id, _CHUNK))
            if not supply.rows:
                return None
            supply.last_id = supply.rows[-1].key_id
        row = supply.rows.popleft()
        supply.pending += 1
        self._supplies[key] = supply
        # A batch that is rolled back has handed out nothing: the store is asked anew.
        log.undo(lambda: self._drop(key))
        log.change(
            KeyTaken(
                account_id=row.account_id,
                device_id=row.device_id,
                kind=kind,
                key_id=row.key_id,
                taken_ms=log.now_ms,
            )
        )
        return row

    def _settle(self, bundle: Bundle) -> None:
        """Note that what was taken for `bundle` is gone from the store."""
        device = bundle.device
        for row in (bundle.one_time, bundle.one_time_kyber):
            if row is None:
                continue
            key = (row.account_id, row.device_id, row.kind)
            supply = self._supplies.get(key)
            if supply is not None:
                supply.pending -= 1
                if supply.pending == 0:
                    self._drop(key)
        owner = device.account_id
        if self._sessions.of(owner) and self._standing(device).is_low and not self._notices.take(owner):
            text = f"Device {device.device_id} has few one-time prekeys left here. It publishes more when it connects."
            self._tell(owner, text)

    def _drop(self, key: tuple[int, int, int]) -> None:
        self._supplies.pop(key, None)

    def _forget_fresh(self, key: tuple[int, int]) -> None:
        self._fresh.pop(key, None)

    def _device(self, account: Account, device_id: int) -> KeyDeviceRow | None:
        """Return what a device has, what is not yet durable included."""
        fresh = self._fresh.get((account.id, device_id))
        if fresh is not None:
            return None if fresh.gone else fresh
        for device in self._store.devices(account.id):
            if device.device_id == device_id:
                return device
        return None

    def _devices_of(self, account: Account) -> int:
        known = {(device.account_id, device.device_id) for device in self._store.devices(account.id)}
        return len(known | {key for key in self._fresh if key[0] == account.id})

    def _standing(self, device: KeyDeviceRow) -> Standing:
        one_time = self._store.count(device, KeyKind.CURVE)
        one_time_kyber = self._store.count(device, KeyKind.KYBER)
        return Standing(
            device,
            one_time,
            one_time_kyber,
            min(one_time, one_time_kyber) < self._config.low_water,
            min(device.signed_ms, device.kyber_ms) + self._config.rotation_days * _DAY_MS,
        )

    def _warn(self, account: Account, device_id: int) -> None:
        """Tell those who have `account` among their contacts, and its other devices, of a new identity key."""
        text = (
            f"{account.name}@{self._domain} has a new identity key on device {device_id}. "
            "Compare safety numbers before you trust it."
        )
        told = [int(account.id)]
        for actor_id in self._directory.contacts_of(account):
            other = self._directory.actor(actor_id).account_id
            owner = None if other is None else self._directory.accounts.get(other)
            if owner is not None and account.actor.id in self._directory.contacts_of(owner):
                told.append(int(owner.id))
        for account_id in told:
            self._tell(account_id, text)

    def _tell(self, account_id: int, text: str) -> None:
        for session in list(self._sessions.of(account_id)):
            session.signal(Announced(text, "Encryption keys"))
