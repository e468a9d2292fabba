"""Published answers, and two people with a session."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sabir.crypto import (
    IdentityKeyPair,
    InMemoryProtocolStore,
    PreKeySignalMessage,
    ProtocolAddress,
    SessionBuilder,
    SessionCipher,
    SignalMessage,
)

ALICE, BOB = ProtocolAddress("alice", 1), ProtocolAddress("bob", 1)


@pytest.fixture(scope="session")
def vectors() -> Any:
    return json.loads((Path(__file__).parents[2] / "vectors/signal/vectors.json").read_text())


@dataclass(frozen=True, slots=True)
class Person:
    """A store and the cipher for the other."""

    store: InMemoryProtocolStore
    cipher: SessionCipher

    def says(self, text: bytes) -> bytes:
        return self.cipher.encrypt(text).serialize()

    def reads(self, data: bytes) -> bytes:
        return self.cipher.decrypt(SignalMessage.deserialize(data))

    def reads_first(self, data: bytes) -> bytes:
        return self.cipher.decrypt(PreKeySignalMessage.deserialize(data))


def two_people() -> tuple[Person, Person]:
    """Return Alice and Bob, who know nothing of each other."""
    alice = InMemoryProtocolStore(IdentityKeyPair.generate(), 1)
    bob = InMemoryProtocolStore(IdentityKeyPair.generate(), 2)
    return Person(alice, SessionCipher(alice, BOB)), Person(bob, SessionCipher(bob, ALICE))


def in_session() -> tuple[Person, Person]:
    """Return Alice and Bob, who have both written."""
    alice, bob = two_people()
    SessionBuilder(alice.store, BOB).process(bob.store.make_bundle())
    bob.reads_first(alice.says(b"first"))
    alice.reads(bob.says(b"answer"))
    return alice, bob


@pytest.fixture
def strangers() -> tuple[Person, Person]:
    return two_people()


@pytest.fixture
def pair() -> tuple[Person, Person]:
    return in_session()
