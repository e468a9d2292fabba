"""The key directory on a real store: one-time prekeys go out once, whatever happens."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from tests.support.loop import OpenStore
from tests.unit.core.fakes import Listener, PlainVerifiers

from sabir.base.ids import EventIds
from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.core.model.changes import Change, KeyDeviceRow, OneTimeKeyRow
from sabir.core.model.keys import Bundle, KeysConfig, Publication, PublicKey, Standing
from sabir.core.model.signals import Announced
from sabir.core.ports import StoreError
from sabir.core.services import Services, assemble
from sabir.crypto.curve import KeyPair
from sabir.crypto.keys import IdentityKeyPair
from sabir.crypto.kyber import KyberKeyPair

DAY_MS = 86_400_000


class Town:
    """A core over a store, opened and opened again."""

    def __init__(self, folder: Path, config: KeysConfig | None = None, *, limited: bool = False) -> None:
        self.folder, self.config, self.limited = folder, config, limited
        self.open()

    def open(self) -> None:
        self.opened = OpenStore(self.folder)
        self.services: Services = assemble(
            self.opened.store,
            self.opened.loop,
            self.opened.loop,
            lambda last_ms: EventIds(os.urandom, last_ms),
            os.urandom,
            PlainVerifiers(),
            b"k" * 32,
            limited=self.limited,
            keys=self.config,
        )
        self.keys = self.services.keys

    def reopen(self) -> None:
        self.opened.close()
        self.open()

    def account(self, name: str) -> Account:
        known = self.services.accounts.find(name)
        if known is None:
            made: list[Account] = []
            self.services.accounts.create(name, "pw", made.append, lambda refusal: None)
            self.opened.loop.run()
            return made[0]
        return known

    def publish(self, name: str, publication: Publication) -> Standing | Refusal:
        outcome: list[Standing | Refusal] = []
        self.keys.publish(self.account(name), publication, outcome.append, outcome.append)
        self.opened.loop.run()
        return outcome[0]

    def ask(self, name: str, whom: str, outcome: list[list[Bundle] | Refusal], peer: int = 1) -> None:
        self.keys.hand_out(self.account(name), peer, whom, None, outcome.append, outcome.append)

    def bundle(self, name: str, whom: str) -> Bundle | Refusal:
        outcome: list[list[Bundle] | Refusal] = []
        self.ask(name, whom, outcome)
        self.opened.loop.run()
        answer = outcome[0]
        return answer if isinstance(answer, Refusal) else answer[0]


def full(identity: IdentityKeyPair, one_time: int, kyber: int = 2, device_id: int = 1) -> Publication:
    numbers = count(1)

    def signed(key: bytes) -> PublicKey:
        return PublicKey(next(numbers), key, identity.sign(key))

    return Publication(
        device_id=device_id,
        registration_id=7,
        identity_key=identity.public_key,
        signed=signed(KeyPair.generate().public_key),
        last_resort=signed(KyberKeyPair.generate().public_key),
        one_time=[PublicKey(n, KeyPair.generate().public_key) for n in range(1, one_time + 1)],
        one_time_kyber=[signed(KyberKeyPair.generate().public_key) for _ in range(kyber)],
    )


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    town = Town(tmp_path / "data")
    yield town
    town.opened.close()


def test_every_one_time_prekey_goes_out_once_and_then_the_last_resort_serves(town: Town) -> None:
    sent = full(IdentityKeyPair.generate(), 10)
    town.publish("ada", sent)
    town.account("bob")
    outcome: list[list[Bundle] | Refusal] = []
    for _ in range(15):
        town.ask("bob", "ada", outcome)
    town.opened.loop.run()

    bundles = [each[0] for each in outcome if isinstance(each, list)]
    given = [each.one_time.key_id for each in bundles if each.one_time is not None]
    assert len(bundles) == 15
    assert sorted(given) == list(range(1, 11))
    assert sum(each.one_time_kyber is not None for each in bundles) == 2
    assert sent.last_resort is not None
    assert bundles[-1].device.kyber_key == sent.last_resort.key


def test_what_was_handed_out_does_not_come_again_by_a_publication_sent_twice(town: Town) -> None:
    sent = full(IdentityKeyPair.generate(), 3, 0)
    town.publish("ada", sent)
    first = town.bundle("bob", "ada")
    town.reopen()

    standing = town.publish("ada", sent)

    assert isinstance(first, Bundle)
    assert isinstance(standing, Standing)
    assert standing.one_time == 2
    second = town.bundle("bob", "ada")
    assert isinstance(second, Bundle)
    assert first.one_time is not None
    assert second.one_time is not None
    assert first.one_time.key_id != second.one_time.key_id


def test_a_hand_out_that_was_not_committed_took_nothing(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    town.publish("ada", full(IdentityKeyPair.generate(), 2, 0))
    town.account("bob")
    append = town.opened.store.append
    failures = iter([True])

    def failing(batch, done):  # type: ignore[no-untyped-def]  # stands in for the one method
        if next(failures, False):
            town.opened.loop.soon(lambda: done(batch, StoreError("disk full")))
        else:
            append(batch, done)

    monkeypatch.setattr(town.opened.store, "append", failing)
    assert town.bundle("bob", "ada") is Refusal.STORAGE_FAILED
    town.opened.loop.advance(2_000)

    again = town.bundle("bob", "ada")
    assert isinstance(again, Bundle)
    assert again.one_time is not None
    assert again.one_time.key_id == 1


def test_a_key_that_its_identity_did_not_sign_is_refused(town: Town) -> None:
    identity, other = IdentityKeyPair.generate(), IdentityKeyPair.generate()
    key = KeyPair.generate().public_key
    wrong = full(identity, 1)
    wrong = Publication(
        device_id=1,
        registration_id=7,
        identity_key=identity.public_key,
        signed=PublicKey(1, key, other.sign(key)),
        last_resort=wrong.last_resort,
    )

    assert town.publish("ada", wrong) is Refusal.BAD_REQUEST
    assert town.keys.standing(town.account("ada"), 1) is None


def test_a_new_identity_ends_the_old_keys_and_contacts_are_told(town: Town) -> None:
    town.publish("ada", full(IdentityKeyPair.generate(), 3))
    ada, bob = town.account("ada"), town.account("bob")
    for one, other in ((ada, bob), (bob, ada)):
        town.services.roster.set(one, other.actor, "", (), lambda *_: None, lambda *_: None)
    town.opened.loop.run()
    listener = Listener(bob, "phone")
    town.services.devices.log_in(listener)
    since, _ = town.keys.changed(bob, 0)
    identity = IdentityKeyPair.generate()

    standing = town.publish("ada", full(identity, 1))

    assert isinstance(standing, Standing)
    assert standing.device.identity_key == identity.public_key
    assert standing.one_time == 1
    assert standing.is_low
    assert any(isinstance(each, Announced) and "identity key" in each.text for each in listener.heard)
    assert town.keys.changed(bob, since)[1] == ["ada"]


def test_who_asks_for_too_much_gets_the_last_resort_and_others_get_theirs(tmp_path: Path) -> None:
    town = Town(tmp_path / "data", KeysConfig(one_time_per_hour=3), limited=True)
    town.publish("ada", full(IdentityKeyPair.generate(), 9, 0))
    town.publish("eve", full(IdentityKeyPair.generate(), 9, 0))

    drained = [town.bundle("mal", "ada") for _ in range(5)]
    spared = town.bundle("bob", "eve")
    town.opened.close()

    given = [each.one_time is not None for each in drained if isinstance(each, Bundle)]
    assert given == [True] * 3 + [False] * 2
    assert isinstance(spared, Bundle)
    assert spared.one_time is not None


def test_nobody_learns_the_keys_of_who_blocked_them(town: Town) -> None:
    town.publish("ada", full(IdentityKeyPair.generate(), 1))
    ada = town.account("ada")
    town.account("bob")
    town.services.directory.blocks_of(ada)["bob"] = None

    assert town.bundle("bob", "ada") is Refusal.ACTOR_UNKNOWN
    assert town.bundle("bob", "nobody") is Refusal.ACTOR_UNKNOWN


def test_the_ledger_hears_of_publications_and_hand_outs(town: Town) -> None:
    heard: list[object] = []

    class Ledger:
        def published(self, device: KeyDeviceRow, keys: list[OneTimeKeyRow], change: object) -> None:
            heard.append(("published", device.device_id, len(keys)))

        def handed_out(self, requester: Account, bundle: Bundle, change: Change) -> None:
            heard.append(("handed out", requester.name, bundle.device.device_id))

    town.keys.ledger = Ledger()
    town.publish("ada", full(IdentityKeyPair.generate(), 2, 0))
    town.bundle("bob", "ada")

    assert heard == [("published", 1, 2), ("handed out", "bob", 1)]
