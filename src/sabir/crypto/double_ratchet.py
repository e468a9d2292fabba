"""The Double Ratchet (rev 4, §2 and §3) on Curve25519, with the limits of libsignal. Compiled by mypyc.

States and rules:

* A `DoubleRatchet` is a value. `send` and `receive` return the next one and never change the old, so what fails leaves
  no trace, and a key can be used twice only by whoever keeps an old state.
* After a new ratchet key of the other side the sending chain is gone; our next ratchet key is made when we next send
  (§9: deferring), so a forged message costs one agreement at most, and none while it is our turn: the other side can
  have no newer ratchet key before it has seen one of ours.
* Older receiving chains can still be continued: a chain does not end where the other side says so (`previous_counter`
  of a message is not used), but when four newer ones follow it.
* For a message that comes before others of its chain the *seeds* of those are kept, not their keys: the keys also need
  what the post-quantum ratchet gives for that very message.
"""

from __future__ import annotations

from typing import Final

from sabir.crypto import kdf
from sabir.crypto.curve import KeyPair
from sabir.crypto.errors import DuplicateMessageError, InvalidMessageError, NoSessionError
from sabir.crypto.protobuf import Fields, Writer

RATCHET_INFO: Final = b"WhisperRatchet"
MAX_RECEIVING_CHAINS: Final = 5
MAX_SKIPPED: Final = 2000
"""Seeds that are kept in one chain; the oldest are forgotten first."""
MAX_JUMP: Final = 25_000
"""Messages of a chain that may be missing before one that is read."""

_SKIPPED_BYTES: Final = 36
_NOTHING_SKIPPED: Final[dict[int, bytes]] = {}


class ReceivingChain:
    """A chain of the other side, a value.

    Attributes:
        ratchet_key: The public key of the other side that it belongs to.
        chain_key: Of message `index`.
        index: Messages that were read or skipped.
        skipped: The seeds of messages that did not come yet, by number. Shared between values: never changed.
    """

    __slots__ = ("chain_key", "index", "ratchet_key", "skipped")

    def __init__(self, ratchet_key: bytes, chain_key: bytes, index: int, skipped: dict[int, bytes]) -> None:
        self.ratchet_key: bytes = ratchet_key
        self.chain_key: bytes = chain_key
        self.index: int = index
        self.skipped: dict[int, bytes] = skipped

    def taken(self, counter: int) -> tuple[ReceivingChain, bytes]:
        """Return the chain without message `counter`, and the seed of its keys.

        Raises:
            DuplicateMessageError: It was read before.
            InvalidMessageError: It is too far ahead.
        """
        if counter < self.index:
            found = self.skipped.get(counter)
            if found is None:
                raise DuplicateMessageError(f"message {counter} of its chain was read before")
            rest = self.skipped.copy()
            del rest[counter]
            return ReceivingChain(self.ratchet_key, self.chain_key, self.index, rest), found
        if counter - self.index > MAX_JUMP:
            raise InvalidMessageError(f"more than {MAX_JUMP} messages are missing before this one")
        chain_key = self.chain_key
        skipped = self.skipped
        if counter > self.index:
            skipped = skipped.copy()
            for index in range(self.index, counter):
                if counter - index <= MAX_SKIPPED:
                    skipped[index] = kdf.message_seed(chain_key)
                chain_key = kdf.next_chain_key(chain_key)
            for index in sorted(skipped)[: max(0, len(skipped) - MAX_SKIPPED)]:
                del skipped[index]
        seed = kdf.message_seed(chain_key)
        return ReceivingChain(self.ratchet_key, kdf.next_chain_key(chain_key), counter + 1, skipped), seed


class Step:
    """What sending one message gives.

    Attributes:
        ratchet: The state afterwards.
        ratchet_key: Our ratchet key, for the message.
        counter: The number of the message, for the message.
        previous_counter: For the message.
        seed: What its keys are made of.
    """

    __slots__ = ("counter", "previous_counter", "ratchet", "ratchet_key", "seed")

    def __init__(
        self, ratchet: DoubleRatchet, ratchet_key: bytes, counter: int, previous_counter: int, seed: bytes
    ) -> None:
        self.ratchet: DoubleRatchet = ratchet
        self.ratchet_key: bytes = ratchet_key
        self.counter: int = counter
        self.previous_counter: int = previous_counter
        self.seed: bytes = seed


class DoubleRatchet:
    """One side of a Double Ratchet, a value.

    Attributes:
        root_key: 32 bytes.
        own: Our ratchet key pair; none on the side that begins before it first sends.
        their_key: The newest ratchet key of the other side; none on the side that answers before it first receives.
        chain_key: Of our next message; None if a new ratchet key comes before it.
        sent: Messages sent in our chain.
        previous: The length of our chain before.
        receiving: The chains of the other side, the newest last, at most `MAX_RECEIVING_CHAINS`.
    """

    __slots__ = ("chain_key", "own", "previous", "receiving", "root_key", "sent", "their_key")

    def __init__(
        self,
        root_key: bytes,
        own: KeyPair | None,
        their_key: bytes | None,
        chain_key: bytes | None,
        sent: int,
        previous: int,
        receiving: list[ReceivingChain],
    ) -> None:
        self.root_key: bytes = root_key
        self.own: KeyPair | None = own
        self.their_key: bytes | None = their_key
        self.chain_key: bytes | None = chain_key
        self.sent: int = sent
        self.previous: int = previous
        self.receiving: list[ReceivingChain] = receiving

    @classmethod
    def begin(cls, root_key: bytes, their_signed_prekey: bytes) -> DoubleRatchet:
        """Return the state of the side that begins (Double Ratchet §3.3, RatchetInitAlice)."""
        return DoubleRatchet(root_key, None, their_signed_prekey, None, 0, 0, [])

    @classmethod
    def answer(cls, root_key: bytes, signed_prekey: KeyPair) -> DoubleRatchet:
        """Return the state of the side that answers (Double Ratchet §3.3, RatchetInitBob)."""
        return DoubleRatchet(root_key, signed_prekey, None, None, 0, 0, [])

    @property
    def can_send(self) -> bool:
        """Whether the other side has told a ratchet key."""
        return self.their_key is not None

    def send(self) -> Step:
        """Step to the next message of ours (Double Ratchet §3.4, RatchetEncrypt).

        Raises:
            NoSessionError: We answer, and have not read the first message.
        """
        own, chain_key, root_key, sent = self.own, self.chain_key, self.root_key, self.sent
        previous = self.previous
        if chain_key is None or own is None:
            if self.their_key is None:
                raise NoSessionError("nothing was received in this session yet")
            own = KeyPair.generate()
            root_key, chain_key = _root_step(root_key, own.agree(self.their_key))
            previous, sent = sent, 0
        after = DoubleRatchet(
            root_key, own, self.their_key, kdf.next_chain_key(chain_key), sent + 1, previous, self.receiving
        )
        return Step(after, own.public_key, sent, previous, kdf.message_seed(chain_key))

    def serialize(self) -> bytes:
        """Return the state in bytes: for sealed storage, nothing else."""
        writer = Writer()
        writer.data(1, self.root_key)
        writer.optional_data(2, None if self.own is None else self.own.private_bytes())
        writer.optional_data(3, self.their_key)
        writer.optional_data(4, self.chain_key)
        writer.number(5, self.sent)
        writer.number(6, self.previous)
        for chain in self.receiving:
            part = Writer()
            part.data(1, chain.ratchet_key)
            part.data(2, chain.chain_key)
            part.number(3, chain.index)
            part.data(
                4, b"".join([number.to_bytes(4, "big") + seed for number, seed in chain.skipped.items()])
            )
            writer.data(7, part.finish())
        return writer.finish()

    @classmethod
    def deserialize(cls, data: bytes) -> DoubleRatchet:
        """Read a state that `serialize` wrote.

        Raises:
            ProtobufError: It is no such state.
            InvalidKeyError: Our ratchet key in it is none.
        """
        fields = Fields(data)
        own = fields.data(2)
        receiving: list[ReceivingChain] = []
        for part in fields.every(7):
            chain = Fields(part)
            packed = chain.needed_data(4)
            skipped: dict[int, bytes] = {}
            for at in range(0, len(packed), _SKIPPED_BYTES):
                skipped[int.from_bytes(packed[at : at + 4], "big")] = packed[at + 4 : at + _SKIPPED_BYTES]
            receiving.append(
                ReceivingChain(chain.needed_data(1), chain.needed_data(2), chain.needed_number(3), skipped)
            )
        return DoubleRatchet(
            fields.needed_data(1),
            None if own is None else KeyPair.from_private(own),
            fields.data(3),
            fields.data(4),
            fields.needed_number(5),
            fields.needed_number(6),
            receiving,
        )

    def receive(self, ratchet_key: bytes, counter: int) -> tuple[DoubleRatchet, bytes]:
        """Step to a message of the other side: return the state afterwards and the seed of its keys.

        The message is not proven yet: who finds its MAC wrong drops the state (Double Ratchet §3.5).

        Raises:
            DuplicateMessageError: It was read before.
            InvalidMessageError: It cannot be one of this session, or is too far ahead in its chain.
            InvalidKeyError: `ratchet_key` is no proper point.
        """
        chains = self.receiving
        for place in range(len(chains)):
            if chains[place].ratchet_key == ratchet_key:
                chain, seed = chains[place].taken(counter)
                after = chains.copy()
                after[place] = chain
                return (
                    DoubleRatchet(
                        self.root_key,
                        self.own,
                        self.their_key,
                        self.chain_key,
                        self.sent,
                        self.previous,
                        after,
                    ),
                    seed,
                )
        own = self.own
        if own is None or (self.chain_key is None and self.their_key is not None):
            raise InvalidMessageError("a ratchet key that the other side cannot have yet")
        root_key, chain_key = _root_step(self.root_key, own.agree(ratchet_key))
        chain, seed = ReceivingChain(ratchet_key, chain_key, 0, _NOTHING_SKIPPED).taken(counter)
        after = [*chains[-(MAX_RECEIVING_CHAINS - 1) :], chain]
        return DoubleRatchet(root_key, own, ratchet_key, None, self.sent, self.previous, after), seed


def _root_step(root_key: bytes, secret: bytes) -> tuple[bytes, bytes]:
    """Return the next root key and the first key of a chain (Double Ratchet §7.2, KDF_RK)."""
    keys = kdf.hkdf(root_key, secret, RATCHET_INFO, 2 * kdf.KEY_BYTES)
    return keys[:32], keys[32:]
