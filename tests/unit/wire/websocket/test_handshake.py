import pytest

from sabir.wire.websocket.errors import HandshakeError
from sabir.wire.websocket.handshake import accept_key, check

HEADERS = {
    "upgrade": "WebSocket",
    "connection": "keep-alive, Upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.mark.spec("RFC 6455 §4.2.2")
def test_the_proof_is_that_of_the_specification() -> None:
    assert accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_a_proper_request_is_taken() -> None:
    check("GET", HEADERS)


@pytest.mark.spec("RFC 6455 §4.2.1", "RFC 6455 §4.4")
@pytest.mark.parametrize(
    ("method", "wrong", "status"),
    [
        ("POST", {}, 426),
        ("GET", {"upgrade": "h2c"}, 426),
        ("GET", {"connection": "close"}, 400),
        ("GET", {"sec-websocket-version": "8"}, 426),
        ("GET", {"sec-websocket-version": ""}, 426),
        ("GET", {"sec-websocket-key": "short"}, 400),
        ("GET", {"sec-websocket-key": "bm90IHNpeHRlZW4="}, 400),
        ("GET", {"sec-websocket-key": "\xe9"}, 400),
    ],
)
def test_anything_else_is_refused_with_the_status_to_answer(
    method: str, wrong: dict[str, str], status: int
) -> None:
    with pytest.raises(HandshakeError) as raised:
        check(method, HEADERS | wrong)

    assert raised.value.status == status
