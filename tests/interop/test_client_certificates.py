"""Clients that show a certificate, over real TLS: SASL EXTERNAL, and channel binding by the exporter."""

from __future__ import annotations

import base64
import datetime
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL
from tests.interop.conftest import PASSWORD, SABIR, wait_until_ready
from tests.support.login import SASL2, authenticate, bind, encoded, plain

from sabir.net.tls import make_self_signed
from sabir.wire.sasl.client import client_mechanism


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A server that asks clients for certificates; its port for direct TLS."""
    folder = tmp_path_factory.mktemp("certificates")
    data, ready = folder / "data", folder / "ready.json"
    command = [*SABIR, "user", "add", "romeo", "--password", PASSWORD, "--data", str(data)]
    subprocess.run(command, check=True, timeout=60)
    flags = [
        "--data",
        data,
        "--ports",
        "auto",
        "--ready-file",
        ready,
        "--set",
        "xmpp.client_certificates=true",
    ]
    log = folder / "log"
    with (
        log.open("wb") as out,
        subprocess.Popen([*SABIR, "serve", *map(str, flags)], stdout=out, stderr=out) as process,
    ):
        try:
            yield wait_until_ready(process, ready, log)["listeners"]["xmpp-tls"]["port"]
        finally:
            process.terminate()
            assert process.wait(timeout=20) == 0


class Dialogue:
    """A TLS connection to the server, with a certificate of ours."""

    def __init__(self, port: int, folder: Path) -> None:
        certificate, key = folder / "c.pem", folder / "k.pem"
        if not certificate.exists():
            made = make_self_signed("romeo", datetime.datetime.now(datetime.UTC))
            certificate.write_bytes(made[0])
            key.write_bytes(made[1])
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.use_certificate_file(str(certificate))
        context.use_privatekey_file(str(key))
        self.der = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(
            serialization.Encoding.DER
        )
        self.session = SSL.Connection(context, socket.create_connection(("127.0.0.1", port)))
        self.session.set_connect_state()
        self.session.do_handshake()
        self.features = self.ask(
            "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
            " to='localhost' from='romeo@localhost' version='1.0'>",
            "</stream:features>",
        )

    def ask(self, text: str, until: str) -> str:
        """Send `text` and return what came up to `until`."""
        self.session.sendall(text.encode())
        heard = ""
        while until not in heard:
            heard += self.session.recv(65_536).decode()
        return heard

    def close(self) -> None:
        self.ask("</stream:stream>", "</stream:stream>")
        self.session.close()


def test_a_client_registers_its_certificate_and_logs_in_with_it(port: int, tmp_path: Path) -> None:
    first = Dialogue(port, tmp_path)
    assert "<mechanism>EXTERNAL</mechanism>" not in first.features
    first.ask(authenticate("PLAIN", plain("romeo", PASSWORD), bind()), "</stream:features>")
    x509cert = f"<name>Phone</name><x509cert>{encoded(first.der)}</x509cert>"
    answer = first.ask(
        f"<iq type='set' id='1'><append xmlns='urn:xmpp:saslcert:1'>{x509cert}</append></iq>", ">"
    )
    assert "result" in answer
    first.close()

    second = Dialogue(port, tmp_path)
    success = second.ask(authenticate("EXTERNAL", "", bind()), "</stream:features>")
    second.close()

    assert "<mechanism>EXTERNAL</mechanism>" in second.features
    assert "<authorization-identifier>romeo@localhost/Test/" in success


def test_a_login_is_bound_to_the_handshake(port: int, tmp_path: Path) -> None:
    dialogue = Dialogue(port, tmp_path)
    exported = dialogue.session.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
    client = client_mechanism(
        "SCRAM-SHA-256-PLUS", "romeo", PASSWORD, bindings={"tls-exporter": exported}, plus_offered=True
    )

    challenge = dialogue.ask(authenticate(client.name, encoded(client.start()), bind()), "</challenge>")
    text = challenge.partition(">")[2].partition("<")[0]
    response = encoded(client.respond(base64.b64decode(text)))
    success = dialogue.ask(f"<response xmlns='{SASL2}'>{response}</response>", "</stream:features>")
    dialogue.close()

    assert "<channel-binding type='tls-exporter'/>" in dialogue.features
    assert "<authorization-identifier>romeo@localhost/Test/" in success
