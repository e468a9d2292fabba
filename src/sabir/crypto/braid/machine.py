"""The steps of the braid: what each state sends, and what it does with a piece (ML-KEM Braid §2.5).

Both functions return a new state and change nothing. A piece that is late, doubled, or of no use to the state changes
nothing either; one of an epoch that is ahead of what can be is refused.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from typing import Final, NamedTuple, assert_never

from sabir.crypto import erasure
from sabir.crypto.braid.authenticator import MAC_BYTES, Authenticator, begin, output_key
from sabir.crypto.braid.messages import Kind, Message
from sabir.crypto.braid.states import (
    Braid,
    Ct1Acknowledged,
    Ct1Received,
    Ct1Sampled,
    Ct2Sampled,
    EkReceivedCt1Sampled,
    EkSentCt1Received,
    HeaderReceived,
    HeaderSent,
    KeysSampled,
    KeysUnsampled,
    NoHeaderReceived,
    Outgoing,
    State,
)
from sabir.crypto.errors import InvalidMessageError
from sabir.crypto.mlkem.incremental import (
    CT1_BYTES,
    CT2_BYTES,
    EK_VECTOR_BYTES,
    HEADER_BYTES,
    RANDOM_BYTES,
    SEED_BYTES,
    InvalidEncapsulationKeyError,
    decapsulate,
    encapsulate1,
    encapsulate2,
    generate,
)

HEADER_CHUNKS: Final = (HEADER_BYTES + MAC_BYTES) // erasure.CHUNK_BYTES
EK_CHUNKS: Final = EK_VECTOR_BYTES // erasure.CHUNK_BYTES
CT1_CHUNKS: Final = CT1_BYTES // erasure.CHUNK_BYTES
CT2_CHUNKS: Final = (CT2_BYTES + MAC_BYTES) // erasure.CHUNK_BYTES


class Sent(NamedTuple):
    """The braid after sending, the message, and the secret of `braid.epoch` if this was the step that made it."""

    braid: Braid
    kind: Kind
    number: int
    chunk: bytes
    secret: bytes | None = None


class Received(NamedTuple):
    """The braid after receiving, and the secret of the epoch before `braid.epoch` if this was the step that gave it."""

    braid: Braid
    secret: bytes | None = None


def first_to_send(secret: bytes) -> Braid:
    """Return the side that makes the first key: who began the session."""
    return Braid(1, begin(secret), KeysUnsampled())


def first_to_answer(secret: bytes) -> Braid:
    """Return the side that answers to the first key."""
    return Braid(1, begin(secret), NoHeaderReceived({}))


def send(braid: Braid, random: Callable[[int], bytes]) -> Sent:
    """Make the next message, of epoch `braid.epoch`."""
    epoch, authenticator, state = braid.epoch, braid.authenticator, braid.state
    match state:
        case KeysUnsampled():
            seed = random(SEED_BYTES)
            header, _ = generate(seed)
            proven = header + authenticator.header_mac(epoch, header)
            return _piece(braid, Kind.HEADER, Outgoing(proven, 0), lambda out: KeysSampled(seed, out))
        case KeysSampled():
            return _piece(braid, Kind.HEADER, state.header, lambda out: KeysSampled(state.seed, out))
        case HeaderSent():
            return _piece(braid, Kind.EK, state.key, lambda out: HeaderSent(state.seed, out, state.ct1))
        case Ct1Received():
            return _piece(
                braid, Kind.EK_CT1_ACK, state.key, lambda out: Ct1Received(state.seed, out, state.ct1)
            )
        case EkSentCt1Received():
            return Sent(braid, Kind.CT1_ACK, 0, b"")
        case NoHeaderReceived() | Ct1Acknowledged():
            return Sent(braid, Kind.NONE, 0, b"")
        case HeaderReceived():
            return _answer(braid, state.header, random(RANDOM_BYTES))
        case Ct1Sampled():
            return _piece(
                braid, Kind.CT1, state.ct1, lambda out: Ct1Sampled(state.header, state.random, out, state.key)
            )
        case EkReceivedCt1Sampled():
            return _piece(
                braid,
                Kind.CT1,
                state.ct1,
                lambda out: EkReceivedCt1Sampled(state.header, state.random, out, state.key),
            )
        case Ct2Sampled():
            return _piece(braid, Kind.CT2, state.ct2, Ct2Sampled)
        case _:
            assert_never(state)


def receive(braid: Braid, message: Message) -> Received:
    """Take a message.

    Raises:
        InvalidMessageError: Its epoch is ahead of what can be, or what it completes is not the other side's.
    """
    epoch, state = braid.epoch, braid.state
    if message.epoch < epoch:
        return Received(braid)
    if message.epoch > epoch:
        # Only who answered can be one behind: the other side has the secret, and waits for our key.
        if message.epoch == epoch + 1 and isinstance(state, Ct2Sampled):
            return Received(Braid(epoch + 1, braid.authenticator, KeysUnsampled()))
        raise InvalidMessageError("post-quantum ratchet: an epoch that cannot be")
    kind = message.kind
    match state:
        case KeysSampled() if kind is Kind.CT1:
            key = Outgoing(generate(state.seed)[1], 0)
            return _to(braid, HeaderSent(state.seed, key, {message.number: message.chunk}))
        case HeaderSent() if kind is Kind.CT1:
            chunks, ct1 = _take(state.ct1, message, CT1_CHUNKS)
            if ct1 is None:
                return _to(braid, HeaderSent(state.seed, state.key, chunks))
            return _to(braid, Ct1Received(state.seed, state.key, ct1))
        case Ct1Received() if kind is Kind.CT2:
            return _to(braid, EkSentCt1Received(state.seed, state.ct1, {message.number: message.chunk}))
        case EkSentCt1Received() if kind is Kind.CT2:
            chunks, ct2 = _take(state.ct2, message, CT2_CHUNKS)
            if ct2 is None:
                return _to(braid, EkSentCt1Received(state.seed, state.ct1, chunks))
            return _agree(braid, state, ct2)
        case NoHeaderReceived() if kind is Kind.HEADER:
            chunks, header = _take(state.header, message, HEADER_CHUNKS)
            if header is None:
                return _to(braid, NoHeaderReceived(chunks))
            mac = braid.authenticator.header_mac(epoch, header[:HEADER_BYTES])
            _prove(mac, header[HEADER_BYTES:])
            return _to(braid, HeaderReceived(header[:HEADER_BYTES]))
        case Ct1Sampled() if kind in (Kind.EK, Kind.EK_CT1_ACK):
            return _take_key(braid, state, message)
        case EkReceivedCt1Sampled() if kind in (Kind.EK_CT1_ACK, Kind.CT1_ACK):
            return _second_part(braid, state.header, state.random, state.ct1.data, state.key)
        case Ct1Acknowledged() if kind in (Kind.EK, Kind.EK_CT1_ACK):
            chunks, whole = _take(state.key, message, EK_CHUNKS)
            if whole is None:
                return _to(braid, Ct1Acknowledged(state.header, state.random, state.ct1, chunks))
            return _second_part(braid, state.header, state.random, state.ct1, whole)
        case _:
            return Received(braid)


def _to(braid: Braid, state: State) -> Received:
    return Received(Braid(braid.epoch, braid.authenticator, state))


def _piece(braid: Braid, kind: Kind, out: Outgoing, following: Callable[[Outgoing], State]) -> Sent:
    """Send the next piece of `out`."""
    number = out.number
    state = following(Outgoing(out.data, (number + 1) % erasure.CHUNKS))
    after = Braid(braid.epoch, braid.authenticator, state)
    return Sent(after, kind, number, erasure.chunk(out.data, number))


def _take(chunks: dict[int, bytes], message: Message, count: int) -> tuple[dict[int, bytes], bytes | None]:
    """Return the pieces with this one among them, and the whole once there are `count`."""
    if message.number in chunks:
        return chunks, None
    more = {**chunks, message.number: message.chunk}
    return more, erasure.join(count, more)


def _prove(mac: bytes, claimed: bytes) -> None:
    if not hmac.compare_digest(mac, claimed):
        raise InvalidMessageError("post-quantum ratchet: a piece was altered")


def _answer(braid: Braid, header: bytes, random: bytes) -> Sent:
    """Make the secret of this epoch and the first part of its ciphertext."""
    epoch = braid.epoch
    ct1, shared_secret = encapsulate1(header, random)
    secret = output_key(epoch, shared_secret)
    authenticator = braid.authenticator.updated(epoch, secret)
    state = Ct1Sampled(header, random, Outgoing(ct1, 1), {})
    return Sent(Braid(epoch, authenticator, state), Kind.CT1, 0, erasure.chunk(ct1, 0), secret)


def _take_key(braid: Braid, state: Ct1Sampled, message: Message) -> Received:
    """Take a piece of the key while ct1 is being sent; with it the other side may say that it has all of ct1."""
    chunks, key = _take(state.key, message, EK_CHUNKS)
    acknowledged = message.kind is Kind.EK_CT1_ACK
    if key is None:
        if acknowledged:
            return _to(braid, Ct1Acknowledged(state.header, state.random, state.ct1.data, chunks))
        return _to(braid, Ct1Sampled(state.header, state.random, state.ct1, chunks))
    if acknowledged:
        return _second_part(braid, state.header, state.random, state.ct1.data, key)
    return _to(braid, EkReceivedCt1Sampled(state.header, state.random, state.ct1, key))


def _second_part(braid: Braid, header: bytes, random: bytes, ct1: bytes, key: bytes) -> Received:
    """Make the second part of the ciphertext."""
    try:
        ct2 = encapsulate2(header, key, random)
    except InvalidEncapsulationKeyError as error:
        raise InvalidMessageError("post-quantum ratchet: a piece was altered") from error
    mac = braid.authenticator.ciphertext_mac(braid.epoch, ct1 + ct2)
    return _to(braid, Ct2Sampled(Outgoing(ct2 + mac, 0)))


def _agree(braid: Braid, state: EkSentCt1Received, proven: bytes) -> Received:
    """Take the secret out of a whole ciphertext, and wait for the other side's key."""
    epoch = braid.epoch
    ct2, claimed = proven[:CT2_BYTES], proven[CT2_BYTES:]
    secret = output_key(epoch, decapsulate(state.seed, state.ct1, ct2))
    authenticator: Authenticator = braid.authenticator.updated(epoch, secret)
    _prove(authenticator.ciphertext_mac(epoch, state.ct1 + ct2), claimed)
    return Received(Braid(epoch + 1, authenticator, NoHeaderReceived({})), secret)
