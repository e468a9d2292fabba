"""HT-SHA-256-*: logins by token."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.wire.sasl.tokens import BINDING_OF, TokenServer, TokenUse, token_mechanisms
from sabir.wire.sasl.types import Challenge, Failure, Reason, Success

BINDINGS = {"tls-server-end-point": b"end point", "tls-exporter": b"exporter"}


class Device:
    """Two tokens of somebody, and which of them was used."""

    def __init__(self, mechanism: str = "HT-SHA-256-ENDP", *, expired: bool = False) -> None:
        self.used: list[int] = []
        self.server = TokenServer(mechanism, self.lookup, self.used.append, BINDINGS)
        self._expired = expired

    def lookup(self, name: str) -> Sequence[TokenUse]:
        tokens = [TokenUse(secret, has_expired=self._expired) for secret in (b"new", b"old")]
        return tokens if name == "romeo" else []


def message(secret: bytes, binding: bytes = b"end point", name: bytes = b"romeo") -> bytes:
    return name + b"\0" + hmac.digest(secret, b"Initiator" + binding, "sha256")


def test_only_what_the_channel_allows_is_offered() -> None:
    assert token_mechanisms({}) == ["HT-SHA-256-NONE"]
    assert token_mechanisms({"tls-server-end-point": b"x"}) == ["HT-SHA-256-ENDP", "HT-SHA-256-NONE"]
    assert token_mechanisms(dict.fromkeys(BINDING_OF.values(), b"x")) == list(BINDING_OF)


@pytest.mark.parametrize(("secret", "index"), [(b"new", 0), (b"old", 1)])
@pytest.mark.parametrize(
    ("mechanism", "binding"),
    [("HT-SHA-256-ENDP", b"end point"), ("HT-SHA-256-EXPR", b"exporter"), ("HT-SHA-256-NONE", b"")],
)
def test_each_side_proves_that_it_knows_the_token_and_is_on_the_channel(
    mechanism: str, binding: bytes, secret: bytes, index: int
) -> None:
    device = Device(mechanism)

    step = device.server.start(message(secret, binding))

    assert step == Success(hmac.digest(secret, b"Responder" + binding, "sha256"), "romeo", "")
    assert device.used == [index]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (message(b"wrong"), Reason.NOT_AUTHORIZED),
        (message(b"new", b"another channel"), Reason.NOT_AUTHORIZED),
        (message(b"new", name=b"juliet"), Reason.NOT_AUTHORIZED),
        (b"romeo\0", Reason.NOT_AUTHORIZED),
        (b"romeo", Reason.MALFORMED),
        (message(b"new", name=b""), Reason.MALFORMED),
        (message(b"new", name=b"x" * 5000), Reason.MALFORMED),
        (message(b"new", name=b"\xff"), Reason.INVALID_USERNAME),
        (message(b"new", name="\u0627x".encode()), Reason.INVALID_USERNAME),
    ],
)
def test_anything_else_is_refused(data: bytes, reason: Reason) -> None:
    device = Device()

    assert device.server.start(data) == Failure(reason)
    assert device.used == []


def test_a_token_whose_time_is_over_is_said_to_be_so_to_its_owner_alone() -> None:
    assert Device(expired=True).server.start(message(b"new")) == Failure(Reason.EXPIRED)
    assert Device(expired=True).server.start(message(b"wrong")) == Failure(Reason.NOT_AUTHORIZED)


def test_the_client_goes_first_and_once() -> None:
    device = Device()

    assert device.server.start(None) == Failure(Reason.MALFORMED)
    assert isinstance(device.server.respond(message(b"new")), Success)
    assert device.server.respond(message(b"new")) == Failure(Reason.MALFORMED)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_step(data: bytes) -> None:
    assert not isinstance(Device().server.start(data), Challenge)
