"""What is meant to hurt ends its own stream, with an error that arrives even while the peer is still sending."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

import pytest
from tests.interop.conftest import PASSWORD, RunningServer

from sabir.protocols.xmpp.client import ClientStream, Phase

TIMEOUT_S = 20


@contextlib.contextmanager
def logged_in(running: RunningServer, resource: str) -> Iterator[socket.socket]:
    """A socket on which juliet is logged in."""
    with socket.create_connection(("127.0.0.1", running.ports["xmpp"]), timeout=TIMEOUT_S) as connection:
        stream = ClientStream(running.domain, "juliet", PASSWORD, resource=resource, mechanism="PLAIN")
        while stream.phase is Phase.NEGOTIATING:
            connection.sendall(stream.drain())
            stream.receive(connection.recv(65_536))
        yield connection


def last_words(connection: socket.socket) -> bytes:
    heard = b""
    while data := connection.recv(65_536):
        heard += data
    return heard


@pytest.mark.spec("RFC 6120 §4.9.1.1")
@pytest.mark.parametrize(
    ("data", "condition"),
    [
        (b"<message><body>" + b"x" * (10 << 20), b"policy-violation"),
        (b"<message>" + b"<a>" * 1000 + b"x" * (1 << 20), b"policy-violation"),
        (b"<message><body>" + b"\xff" * (1 << 20), b"unsupported-encoding"),
        (b"<!DOCTYPE lolz [" + b"<!ENTITY lol 'lol'>" * 100_000, b"restricted-xml"),
        (b"<message><body>&lol9;</body></message>" + b" " * (1 << 20), b"restricted-xml"),
        (b"</message>" + b"<x/>" * 300_000, b"not-well-formed"),
    ],
    ids=["10 MiB", "depth 1000", "bad UTF-8", "DTD", "entity", "crossed tags"],
)
def test_the_error_reaches_a_peer_that_is_still_sending(
    running: RunningServer, data: bytes, condition: bytes
) -> None:
    with logged_in(running, "hostile") as connection, logged_in(running, "bystander") as other:
        connection.sendall(data)

        assert b"<" + condition + b" xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>" in last_words(connection)
        other.sendall(b"<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>")
        assert b"type='result'" in other.recv(65_536)
