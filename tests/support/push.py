"""The far side of push: a device that opens what it is sent, and a service over HTTPS on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sabir.net.tls import ensure_self_signed
from sabir.push.webpush import public_bytes, text_of


class PushDevice:
    """Holds the keys of a push subscription."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, auth: bytes) -> None:
        self._key = key
        self.auth = auth
        self.p256dh = public_bytes(key)

    @classmethod
    def new(cls) -> PushDevice:
        return cls(ec.generate_private_key(ec.SECP256R1()), os.urandom(16))

    def options(self, endpoint: str) -> dict[str, str]:
        """Return what it says when it registers."""
        return {
            "type": "webpush",
            "endpoint": endpoint,
            "p256dh": text_of(self.p256dh),
            "auth": text_of(self.auth),
        }

    def open(self, sealed: bytes) -> bytes:
        """Return what it was sent (RFC 8291 §3, RFC 8188 §2)."""
        salt, size, length = sealed[:16], int.from_bytes(sealed[16:20], "big"), sealed[20]
        sender, body = sealed[21 : 21 + length], sealed[21 + length :]
        assert len(body) <= size
        shared = self._key.exchange(
            ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), sender)
        )
        secret = _derive(self.auth, shared, b"WebPush: info\0" + self.p256dh + sender, 32)
        key = _derive(salt, secret, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _derive(salt, secret, b"Content-Encoding: nonce\0", 12)
        padded = AESGCM(key).decrypt(nonce, body, None).rstrip(b"\0")
        assert padded.endswith(b"\x02")
        return padded[:-1]


def _derive(salt: bytes, secret: bytes, info: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt, info).derive(secret)


@dataclass
class Posted:
    """A request that the service got."""

    path: str
    headers: dict[str, str]
    body: bytes


class PushEndpoint:
    """A service; `answers` are given in turn, the last one again and again."""

    def __init__(self, port: int, certificate: Path, answers: list[bytes]) -> None:
        self.port = port
        self.certificate = certificate
        self.answers = answers
        self.posted: list[Posted] = []
        self.connections = 0

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await self._serve(reader, writer)
        writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.rstrip("\r\n").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers["content-length"]))
        assert first.startswith("POST "), first
        self.posted.append(Posted(first.split(" ")[1], headers, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        writer.write(answer)
        await writer.drain()
        if answer:
            await reader.read()  # until the other side has read it


def answer(status: str, body: bytes = b"") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@asynccontextmanager
async def push_endpoint(folder: Path, *answers: bytes) -> AsyncIterator[PushEndpoint]:
    """Yield a service on a free port of loopback, with a certificate of its own."""
    made = ensure_self_signed(folder, "localhost", lambda: datetime.datetime.now(datetime.UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*made)
    endpoint = PushEndpoint(0, made[0], list(answers) or [answer("201 Created")])
    server = await asyncio.start_server(endpoint.serve, "127.0.0.1", 0, ssl=context)
    endpoint.port = server.sockets[0].getsockname()[1]
    try:
        yield endpoint
    finally:
        server.close()
        await server.wait_closed()
