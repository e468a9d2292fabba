"""What end-to-end encryption costs: ours beside libsignal (called from Node) and Twomemo, in one run, interleaved.

    python -m bench.signal_protocol --rounds 1000 --repeat 5

A figure is the CPU time to encrypt one message of 256 bytes and to decrypt it, both ends in one process, what they keep
in memory.
`answers`: each message is answered, so that ratchets step each time; `one way`: all in one chain. Ours and libsignal
run three ratchets, the post-quantum one included; Twomemo (OMEMO 2) has two, and `doubleratchet` is the library under
it, without session, storage and wire. The median of the repetitions counts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from doubleratchet.recommended.diffie_hellman_ratchet_curve25519 import DiffieHellmanRatchet
from omemo.storage import Just, Maybe, Nothing, Storage
from tests.interop.signal.judge import CannotInstall, Judge, install
from twomemo.twomemo import (
    AEADImpl,
    DoubleRatchetImpl,
    EncryptedKeyMaterialImpl,
    MessageChainKDFImpl,
    RootChainKDFImpl,
    Twomemo,
)

import sabir.crypto.session
from sabir.crypto import (
    IdentityKeyPair,
    InMemoryProtocolStore,
    KeyPair,
    PreKeySignalMessage,
    ProtocolAddress,
    SessionBuilder,
    SessionCipher,
    SignalMessage,
)

TEXT = bytes(256)
ALICE, BOB = ProtocolAddress("alice", 1), ProtocolAddress("bob", 1)
TARGETS = {"Twomemo": 1 / 3, "libsignal": 5.0}
SETUP_TARGET_MS = 5.0


def main() -> int:
    """Print the table; return 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.signal_protocol", description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000, help="messages each way in one repetition")
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    rounds: int = options.rounds
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        runners: dict[str, dict[str, Callable[[int], float]]] = {
            "Sabir": {"answers": ours_answered, "one way": ours_one_way},
            "Twomemo": {
                "answers": lambda number: asyncio.run(twomemo(number, answered=True)),
                "one way": lambda number: asyncio.run(twomemo(number, answered=False)),
            },
            "doubleratchet": {
                "answers": lambda number: asyncio.run(double_ratchet(number, answered=True)),
                "one way": lambda number: asyncio.run(double_ratchet(number, answered=False)),
            },
        }
        judge = None
        try:
            install(Path(folder))
            judge = Judge(Path(folder))
            runners["libsignal"] = {
                "answers": lambda number: float(judge.ask("speed", rounds=number)),
                "one way": lambda number: float(judge.ask("speedOneWay", rounds=number)),
            }
        except CannotInstall as reason:
            print(f"without libsignal: {reason}")
        found: dict[tuple[str, str], list[float]] = {}
        setups: list[float] = []
        for _ in range(options.repeat):
            setups.append(setup_ms(50))
            for name, kinds in runners.items():
                for kind, run in kinds.items():
                    found.setdefault((name, kind), []).append(run(rounds))
        if judge is not None:
            judge.close()
    return show(found, setups)


def show(found: dict[tuple[str, str], list[float]], setups: list[float]) -> int:
    """Print medians and how they stand to the targets."""
    compiled = str(sabir.crypto.session.__file__).endswith(".so")
    print(f"Sabir {'compiled' if compiled else 'interpreted'}; us for one message, encrypted and decrypted")
    missed = statistics.median(setups) > SETUP_TARGET_MS
    print(
        f"set-up of a session, both sides: {statistics.median(setups):.2f} ms (target {SETUP_TARGET_MS} ms)"
    )
    for (name, kind), times in found.items():
        mine = statistics.median(found["Sabir", kind])
        its = statistics.median(times)
        note = ""
        if name in TARGETS:
            missed = missed or mine > TARGETS[name] * its
            note = f"  Sabir takes {mine / its:.2f} of it (target {TARGETS[name]:.2f})"
        print(f"{name:14} {kind:8} {its:8.0f}{note}")
    return int(missed)


def ours() -> tuple[SessionCipher, SessionCipher]:
    """Return both ends of a session in which both have written."""
    stores = [InMemoryProtocolStore(IdentityKeyPair.generate(), number) for number in (1, 2)]
    alice, bob = SessionCipher(stores[0], BOB), SessionCipher(stores[1], ALICE)
    SessionBuilder(stores[0], BOB).process(stores[1].make_bundle())
    bob.decrypt(PreKeySignalMessage.deserialize(alice.encrypt(b"a").serialize()))
    alice.decrypt(SignalMessage.deserialize(bob.encrypt(b"b").serialize()))
    return alice, bob


def ours_answered(rounds: int) -> float:
    """Return microseconds for a message that is answered."""
    alice, bob = ours()
    begin = time.process_time()
    for _ in range(rounds):
        bob.decrypt(SignalMessage.deserialize(alice.encrypt(TEXT).serialize()))
        alice.decrypt(SignalMessage.deserialize(bob.encrypt(TEXT).serialize()))
    return (time.process_time() - begin) / (2 * rounds) * 1e6


def ours_one_way(rounds: int) -> float:
    """Return microseconds for a message of one chain."""
    alice, bob = ours()
    begin = time.process_time()
    for _ in range(rounds):
        bob.decrypt(SignalMessage.deserialize(alice.encrypt(TEXT).serialize()))
    return (time.process_time() - begin) / rounds * 1e6


def setup_ms(rounds: int) -> float:
    """Return milliseconds to begin a session from a bundle, encrypt, and read that on the other side."""
    alice = InMemoryProtocolStore(IdentityKeyPair.generate(), 1)
    bob = InMemoryProtocolStore(IdentityKeyPair.generate(), 2)
    bundles = [bob.make_bundle() for _ in range(rounds)]
    begin = time.process_time()
    for bundle in bundles:
        SessionBuilder(alice, BOB).process(bundle)
        first = SessionCipher(alice, BOB).encrypt(b"a").serialize()
        SessionCipher(bob, ALICE).decrypt(PreKeySignalMessage.deserialize(first))
    return (time.process_time() - begin) / rounds * 1e3


async def double_ratchet(rounds: int, *, answered: bool) -> float:
    """Return microseconds for a message of the library `doubleratchet` alone, as Twomemo configures it."""
    kinds = (DiffieHellmanRatchet, RootChainKDFImpl, MessageChainKDFImpl)
    limits = (DoubleRatchetImpl.MESSAGE_CHAIN_CONSTANT, 1000, 1000, AEADImpl)
    secret, prekey, people = os.urandom(32), KeyPair.generate(), bytes(64)
    alice, first = await DoubleRatchetImpl.encrypt_initial_message(
        *kinds, *limits, secret, prekey.public_key[1:], b"a", people
    )
    bob, _ = await DoubleRatchetImpl.decrypt_initial_message(
        *kinds, *limits, secret, prekey.private_bytes(), first, people
    )
    await alice.decrypt_message(await bob.encrypt_message(b"b", people), people)
    begin = time.process_time()
    for _ in range(rounds):
        await bob.decrypt_message(await alice.encrypt_message(TEXT, people), people)
        if answered:
            await alice.decrypt_message(await bob.encrypt_message(TEXT, people), people)
    return (time.process_time() - begin) / (rounds * (2 if answered else 1)) * 1e6


class Memory(Storage):
    """What a device of Twomemo keeps, in memory like ours."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, Any] = {}

    async def _load(self, key: str) -> Maybe[Any]:
        return Just(self.kept[key]) if key in self.kept else Nothing()

    async def _store(self, key: str, value: Any) -> None:
        self.kept[key] = value

    async def _delete(self, key: str) -> None:
        self.kept.pop(key, None)


async def twomemo(rounds: int, *, answered: bool) -> float:
    """Return microseconds for a message of Twomemo, which like ours loads and stores its session each time."""
    alice, bob = Twomemo(Memory()), Twomemo(Memory())
    for backend in (alice, bob):
        await backend.generate_pre_keys(1)
    _, material = await alice.encrypt_plaintext(b"a")
    session, key = await alice.build_session_active("bob", 1, await bob.get_bundle("bob", 1), material)
    heard, _ = await bob.build_session_passive("alice", 1, session.key_exchange, key)
    await alice.store_session(session)
    await bob.store_session(heard)

    async def say(sender: Twomemo, to: str, receiver: Twomemo, who: str) -> None:
        session = await sender.load_session(to, 1)
        content, material = await sender.encrypt_plaintext(TEXT)
        key = (await sender.encrypt_key_material(session, material)).serialize()
        await sender.store_session(session)
        session = await receiver.load_session(who, 1)
        material = await receiver.decrypt_key_material(session, EncryptedKeyMaterialImpl.parse(key, who, 1))
        assert await receiver.decrypt_plaintext(content, material) == TEXT
        await receiver.store_session(session)

    await say(bob, "alice", alice, "bob")
    begin = time.process_time()
    for _ in range(rounds):
        await say(alice, "bob", bob, "alice")
        if answered:
            await say(bob, "alice", alice, "bob")
    return (time.process_time() - begin) / (rounds * (2 if answered else 1)) * 1e6


if __name__ == "__main__":
    raise SystemExit(main())
