"""One HTTP request to a service: a connection of its own, TLS, a deadline, limits, and no redirects.

The address comes from a device, so it may be chosen to reach what only this machine can reach. It is looked up
here, and only public addresses are connected to, unless the operator says otherwise.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import httptools

from sabir.net.addresses import public_addresses

MAX_ANSWER_BYTES: Final = 65_536


class PostError(Exception):
    """There was no answer; the text says why, for the operator."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service said."""

    status: int
    body: bytes


class _Collector:
    """What httptools calls."""

    def __init__(self) -> None:
        self.body = b""
        self.is_complete = False

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.is_complete = True


class Poster:
    """Sends requests."""

    def __init__(self, tls: ssl.SSLContext, *, timeout_s: float, private_addresses: bool) -> None:
        self._tls: Final = tls
        self._timeout_s: Final = timeout_s
        self._private_addresses: Final = private_addresses

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Send a POST.

        Raises:
            PostError: there was no answer.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._post(url, headers, body)
        except TimeoutError:
            raise PostError("no answer in time") from None
        except (OSError, ValueError, httptools.HttpParserError) as error:
            raise PostError(str(error) or type(error).__name__) from None

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 443
        if parts.scheme != "https" or not host:
            raise PostError("not an https address")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        shown = f"[{host}]" if ":" in host else host
        lines = [
            f"POST {path} HTTP/1.1",
            f"Host: {shown}" if port == 443 else f"Host: {shown}:{port}",
            "Connection: close",
            f"Content-Length: {len(body)}",
            *[f"{name}: {value}" for name, value in headers.items()],
        ]
        head = "\r\n".join(lines)
        if not head.isascii() or head.count("\r") != len(lines) - 1 or head.count("\n") != len(lines) - 1:
            raise PostError("an address or option that is no text for HTTP")
        address = await self._address(host, port)
        reader, writer = await asyncio.open_connection(address, port, ssl=self._tls, server_hostname=host)
        try:
            writer.write(head.encode("ascii") + b"\r\n\r\n" + body)
            return await _answer(reader)
        finally:
            writer.transport.abort()

    async def _address(self, host: str, port: int) -> str:
        return host if self._private_addresses else (await public_addresses(host, port))[0]


async def _answer(reader: asyncio.StreamReader) -> Answer:
    collector = _Collector()
    parser = httptools.HttpResponseParser(collector)
    size = 0
    while not collector.is_complete:
        data = await reader.read(MAX_ANSWER_BYTES)
        size += len(data)
        if size > MAX_ANSWER_BYTES:
            raise PostError("the answer is too long")
        if not data:
            break
        parser.feed_data(data)
    if not size:
        raise PostError("the connection was closed")
    return Answer(parser.get_status_code(), collector.body)
