"""Apple's service, as an HTTP/2 server over TLS on loopback."""

from __future__ import annotations

import asyncio
import json
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h2.config
import h2.connection
import h2.events
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from sabir.core.model.push import PushOutcome
from sabir.net.tls import ensure_self_signed
from sabir.push.apns import Apns
from sabir.push.posting import PostError
from sabir.push.webpush import bytes_of


class Apple(asyncio.Protocol):
    """Answers each request with the next of `answers`, and keeps what was asked."""

    def __init__(self, answers: list[tuple[str, bytes]], asked: list[dict[str, Any]]) -> None:
        self._answers, self._asked = answers, asked
        self._requests: dict[int, dict[str, Any]] = {}
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._h2.initiate_connection()
        transport.write(self._h2.data_to_send())

    def data_received(self, data: bytes) -> None:
        for event in self._h2.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                headers = {name.decode(): value.decode() for name, value in event.headers}
                self._requests[event.stream_id] = {"headers": headers, "body": b""}
            elif isinstance(event, h2.events.DataReceived):
                self._requests[event.stream_id]["body"] += event.data
            elif isinstance(event, h2.events.StreamEnded):
                self._asked.append(self._requests[event.stream_id])
                status, body = self._answers.pop(0)
                self._h2.send_headers(event.stream_id, [(":status", status)])
                self._h2.send_data(event.stream_id, body, end_stream=True)
        self._transport.write(self._h2.data_to_send())


class Told:
    """What was sent, and what came of it."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.outcomes: list[PushOutcome] = []


def send(
    folder: Path, key: ec.EllipticCurvePrivateKey, answers: list[tuple[str, bytes]], *tokens: str
) -> Told:
    """Send a notice to each token; the clock stands at 10,000."""
    file = folder / "key.p8"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    told = Told()

    async def main() -> None:
        certificate, private = ensure_self_signed(folder / "tls", "localhost", lambda: datetime.now(UTC))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, private)
        context.set_alpn_protocols(["h2"])
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: Apple(answers, told.asked), "127.0.0.1", 0, ssl=context)
        url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
        tls = ssl.create_default_context(cafile=certificate)
        apns = Apns(file, "KEY", "TEAM", "org.example.app", url, tls, 10, lambda: 10_000)
        for token in tokens:
            told.outcomes.append(await apns.send(token, b"<n/>", urgent=len(told.outcomes) % 2 == 0))
        await apns.stop()
        server.close()
        await server.wait_closed()

    asyncio.run(main())
    return told


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def test_a_device_is_told_with_a_signature_that_serves_for_many(
    tmp_path: Path, key: ec.EllipticCurvePrivateKey
) -> None:
    told = send(tmp_path, key, [("200", b""), ("200", b"")], "ab12", "cd34")

    assert told.outcomes == [PushOutcome.TAKEN, PushOutcome.TAKEN]
    urgent, quiet = (one["headers"] for one in told.asked)
    assert (urgent[":path"], quiet[":path"]) == ("/3/device/ab12", "/3/device/cd34")
    assert (urgent["apns-push-type"], urgent["apns-priority"]) == ("alert", "10")
    assert (quiet["apns-push-type"], quiet["apns-priority"]) == ("background", "5")
    assert urgent["apns-topic"] == "org.example.app"
    assert urgent["authorization"] == quiet["authorization"]
    head, claims, signature = urgent["authorization"].removeprefix("bearer ").split(".")
    assert json.loads(bytes_of(head)) == {"kid": "KEY", "alg": "ES256"}
    assert json.loads(bytes_of(claims)) == {"iss": "TEAM", "iat": 10_000}
    r, s = (int.from_bytes(half) for half in (bytes_of(signature)[:32], bytes_of(signature)[32:]))
    key.public_key().verify(
        utils.encode_dss_signature(r, s), f"{head}.{claims}".encode(), ec.ECDSA(hashes.SHA256())
    )
    assert json.loads(told.asked[0]["body"])["notification"] == "<n/>"
    assert json.loads(told.asked[1]["body"])["aps"] == {"content-available": 1}


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (("410", b'{"reason": "Unregistered", "timestamp": 1}'), PushOutcome.GONE),
        (("400", b'{"reason": "BadDeviceToken"}'), PushOutcome.GONE),
        (("403", b'{"reason": "ExpiredProviderToken"}'), PushOutcome.LATER),
        (("429", b'{"reason": "TooManyRequests"}'), PushOutcome.LATER),
        (("500", b"[]"), PushOutcome.LATER),
        (("503", b"no JSON"), PushOutcome.LATER),
    ],
)
def test_what_apple_says_decides_whether_a_device_is_told_again(
    tmp_path: Path, key: ec.EllipticCurvePrivateKey, answer: tuple[str, bytes], outcome: PushOutcome
) -> None:
    assert send(tmp_path, key, [answer], "ab12").outcomes == [outcome]


def test_a_token_that_is_none_is_not_sent(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    told = send(tmp_path, key, [], "../../evil")

    assert (told.outcomes, told.asked) == ([PushOutcome.GONE], [])


def test_a_service_that_is_not_there_is_tried_later(tmp_path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    send(tmp_path, key, [])

    async def main() -> None:
        tls = ssl.create_default_context()
        apns = Apns(tmp_path / "key.p8", "K", "T", "t", "https://127.0.0.1:9", tls, 10, int)
        with pytest.raises(PostError):
            await apns.send("ab12", b"<n/>", urgent=True)
        await apns.stop()

    asyncio.run(main())


@pytest.mark.parametrize("text", ["", "no key"])
def test_a_file_that_is_no_key_is_refused_in_words(tmp_path: Path, text: str) -> None:
    file = tmp_path / "key.p8"
    file.write_text(text)

    with pytest.raises(ValueError, match="no key of APNs"):
        Apns(file, "K", "T", "t", "https://x", ssl.create_default_context(), 10, int)
