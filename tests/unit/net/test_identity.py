"""What certificates say of domains, and those that strangers make to be stumbled over."""

from __future__ import annotations

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from sabir.net.identity import names_of
from sabir.net.mutual import PeerCertificate

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


@pytest.mark.parametrize("names", [b"\x30\x02\xa3\x00", b"\x30\x02\xa5\x00"])
def test_names_of_kinds_that_nobody_reads_are_a_malformed_certificate_and_nothing_worse(names: bytes) -> None:
    key, nobody = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    builder = x509.CertificateBuilder(
        nobody, nobody, key.public_key(), 1, NOW, NOW + datetime.timedelta(days=1)
    )
    strange = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, names)

    with pytest.raises(ValueError, match="not supported types"):
        names_of(builder.add_extension(strange, critical=False).sign(key, hashes.SHA256()))


XMPP_ADDRESS = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.5")
SERVICE_NAME = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.7")


def signed(*names: x509.GeneralName) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "common.example")])
    builder = x509.CertificateBuilder(
        subject, subject, key.public_key(), 1, NOW, NOW + datetime.timedelta(days=1)
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256())


def der(text: str, tag: int = 0x0C) -> bytes:
    return bytes([tag, len(text)]) + text.encode()


@pytest.mark.spec("RFC 6120 §13.7.1.4")
def test_every_kind_of_name_of_a_server_counts() -> None:
    certificate = signed(
        x509.DNSName("A.Example"),
        x509.DNSName("*.b.example"),
        x509.OtherName(XMPP_ADDRESS, der("C.example")),
        x509.OtherName(SERVICE_NAME, der("_xmpp-server.d.example", 0x16)),
    )

    assert names_of(certificate) == {"a.example", "*.b.example", "c.example", "d.example"}


@pytest.mark.parametrize(
    "name",
    [
        x509.OtherName(SERVICE_NAME, der("_xmpp-client.d.example", 0x16)),
        x509.OtherName(XMPP_ADDRESS, der("*.example")),
        x509.OtherName(XMPP_ADDRESS, der("other.example", 0x04)),
        x509.OtherName(x509.ObjectIdentifier("1.2.3"), der("other.example")),
        x509.DNSName("a*.example"),
        x509.DNSName("*.*.example"),
        x509.RFC822Name("me@example.org"),
        x509.UniformResourceIdentifier("xmpp:example.org"),
    ],
)
def test_names_of_something_else_are_none_of_a_server(name: x509.GeneralName) -> None:
    assert names_of(signed(name)) == frozenset()


@pytest.mark.spec("RFC 9525 §2")
def test_the_common_name_of_the_subject_counts_for_nothing() -> None:
    assert names_of(signed()) == frozenset()


@pytest.mark.spec("RFC 6125 §6.4.3")
def test_a_wildcard_stands_for_one_label() -> None:
    shown = PeerCertificate(frozenset(("*.b.example",)), "")

    assert shown.proves("rooms.b.example")
    assert not shown.proves("b.example")
    assert not shown.proves("x.rooms.b.example")
    assert not PeerCertificate(frozenset(("b.example",)), "expired").proves("b.example")
