import datetime
import hashlib
import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from tests.unit.net.harness import now

from sabir.net.tls import Certificates, TlsError, ensure_self_signed, load_credentials

NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def at(moment: datetime.datetime, folder: Path, domain: str = "example.org") -> tuple[Path, Path]:
    return ensure_self_signed(folder, domain, lambda: moment)


def certificate_in(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_the_certificate_is_of_a_server_and_of_no_authority(tmp_path: Path) -> None:
    certificate_path, _ = at(NOW, tmp_path)

    extensions = certificate_in(certificate_path).extensions
    assert not extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert list(extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]


def test_the_first_start_makes_a_certificate_that_only_its_owner_can_read(tmp_path: Path) -> None:
    certificate_path, key_path = at(NOW, tmp_path / "tls")

    names = certificate_in(certificate_path).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert names.value.get_values_for_type(x509.DNSName) == [
        "example.org",
        "rooms.example.org",
        "localhost",
        "rooms.localhost",
    ]
    assert [str(ip) for ip in names.value.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    assert stat.S_IMODE(key_path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "tls").stat().st_mode) == 0o700


def test_the_certificate_is_kept_while_it_will_do(tmp_path: Path) -> None:
    first = at(NOW, tmp_path)[0].read_bytes()

    assert at(NOW + datetime.timedelta(days=600), tmp_path)[0].read_bytes() == first
    assert at(NOW + datetime.timedelta(days=710), tmp_path)[0].read_bytes() != first


def test_a_new_domain_or_a_broken_file_gets_a_new_certificate(tmp_path: Path) -> None:
    certificate_path, key_path = at(NOW, tmp_path)
    at(NOW, tmp_path, "example.net")
    assert "example.net" in str(certificate_in(certificate_path).subject)

    certificate_path.write_text("nonsense")
    at(NOW, tmp_path, "example.net")

    assert load_credentials(certificate_path, key_path).not_after > NOW


@pytest.mark.spec("RFC 5929 §4.1")
def test_the_endpoint_binding_is_the_hash_of_the_certificate(tmp_path: Path) -> None:
    certificate_path, key_path = at(NOW, tmp_path)

    credentials = load_credentials(certificate_path, key_path)

    der = certificate_in(certificate_path).public_bytes(serialization.Encoding.DER)
    assert credentials.certificate == der
    assert credentials.endpoint_hash == hashlib.sha256(der).digest()


@pytest.mark.spec("RFC 7590 §3")
def test_contexts_speak_tls_1_2_and_better_with_forward_secrecy(tmp_path: Path) -> None:
    context = load_credentials(*at(NOW, tmp_path)).context(("xmpp-client",))

    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    names = {cipher["name"] for cipher in context.get_ciphers()}
    assert all(name.startswith(("TLS_", "ECDHE-")) for name in names)
    assert not any("CBC" in name or name.endswith("-SHA") for name in names)


def test_a_missing_or_foreign_key_is_an_error_that_names_the_files(tmp_path: Path) -> None:
    certificate_path, _ = at(NOW, tmp_path / "one")
    _, foreign = at(NOW, tmp_path / "two")

    with pytest.raises(TlsError, match=r"one/certificate\.pem with .*two/key\.pem"):
        load_credentials(certificate_path, foreign)
    with pytest.raises(TlsError, match="No such file"):
        load_credentials(certificate_path, tmp_path / "none.pem")


def test_a_changed_certificate_is_noticed_and_a_bad_one_does_no_harm(tmp_path: Path) -> None:
    certificate_path, key_path = ensure_self_signed(tmp_path / "live", "example.org", now)
    other_certificate, other_key = ensure_self_signed(tmp_path / "other", "example.org", now)
    certificates = Certificates(certificate_path, key_path)
    certificates.offer(("irc",))
    first = certificates.current

    assert not certificates.reload_if_changed()
    other_certificate.replace(certificate_path)
    assert not certificates.reload_if_changed()
    assert certificates.current is first
    other_key.replace(key_path)
    assert certificates.reload_if_changed()

    assert certificates.current.endpoint_hash != first.endpoint_hash
    assert certificates.current.context(("irc",)) is not first.context(("irc",))
