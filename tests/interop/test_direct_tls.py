"""Direct TLS as a client with nothing but a socket sees it."""

from __future__ import annotations

import socket
import ssl

import pytest
from tests.interop.conftest import RunningServer

TIMEOUT_S = 10


@pytest.mark.spec("XEP-0368 §4")
def test_tls_comes_first_and_the_protocol_is_named_in_it(running: RunningServer) -> None:
    trust = ssl.create_default_context(cafile=running.certificate)
    trust.set_alpn_protocols(["xmpp-client"])

    with (
        socket.create_connection(("127.0.0.1", running.ports["xmpp-tls"]), TIMEOUT_S) as bare,
        trust.wrap_socket(bare, server_hostname=running.domain) as wrapped,
    ):
        wrapped.sendall(
            b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
            b" to='localhost' version='1.0'>"
        )
        heard = b""
        while b"</stream:features>" not in heard:
            part = wrapped.recv(4096)
            assert part, heard
            heard += part
        chosen = wrapped.selected_alpn_protocol()

    assert chosen == "xmpp-client"
    assert b"<mechanism>SCRAM-SHA-256-PLUS</mechanism>" in heard
    assert b"starttls" not in heard, "XEP-0368 §4: TLS is on already"
