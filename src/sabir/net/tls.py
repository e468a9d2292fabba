"""Our certificate: made at first start, loaded, watched for changes; and what a handshake agreed on.

A changed certificate serves new handshakes. Connections that are up keep the one they were shown, which is
why the hash for channel binding belongs to the connection.
"""

import datetime
import hashlib
import ipaddress
import logging
import os
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

log = logging.getLogger(__name__)

_VALID_FOR: Final = datetime.timedelta(days=730)
_RENEW_BEFORE: Final = datetime.timedelta(days=30)
_WEAK_HASHES: Final = frozenset({"md5", "sha1"})
# Forward secrecy and authenticated encryption only (RFC 9325 §4.2); TLS 1.3 suites are all of that kind.
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
_PRIVATE_FILE: Final = 0o600
_PRIVATE_FOLDER: Final = 0o700


class TlsError(Exception):
    """The certificate or key cannot be used; the text says why, with the file."""


@dataclass(frozen=True, slots=True)
class TlsInfo:
    """What a TLS handshake agreed on."""

    version: str
    """`TLSv1.2` or `TLSv1.3`."""
    cipher: str
    alpn: str
    """The protocol that was negotiated, empty if none."""
    peer_certificate: bytes | None
    """DER; None if the peer showed none."""
    bindings: dict[str, bytes]
    """Channel bindings by name: `tls-server-end-point`, and `tls-unique` up to TLS 1.2."""

    def channel_binding(self, name: str) -> bytes | None:
        """Return the data of a channel binding type (RFC 5929), None if it does not exist here."""
        return self.bindings.get(name)


def tls_info(tls: ssl.SSLObject, endpoint_hash: bytes) -> TlsInfo:
    """Return what the handshake of `tls` agreed on, with `endpoint_hash` as `tls-server-end-point`."""
    version = tls.version() or ""
    cipher = tls.cipher()
    bindings = {"tls-server-end-point": endpoint_hash}
    unique = tls.get_channel_binding("tls-unique")
    if unique is not None and version != "TLSv1.3":  # RFC 9266 §3: not defined for TLS 1.3
        bindings["tls-unique"] = unique
    return TlsInfo(
        version=version,
        cipher=cipher[0] if cipher else "",
        alpn=tls.selected_alpn_protocol() or "",
        peer_certificate=tls.getpeercert(True),
        bindings=bindings,
    )


@dataclass(frozen=True, slots=True)
class Credentials:
    """One certificate with its key, loaded and proven to fit together."""

    certificate_path: Path
    key_path: Path
    certificate: bytes
    """The server's own certificate, DER."""
    endpoint_hash: bytes
    """Its hash as `tls-server-end-point` wants it."""
    not_after: datetime.datetime
    _contexts: dict[tuple[str, ...], ssl.SSLContext] = field(default_factory=dict, compare=False)

    def context(self, alpn: tuple[str, ...] = ()) -> ssl.SSLContext:
        """Return the context for a listener that offers `alpn`; made once."""
        context = self._contexts.get(alpn)
        if context is None:
            context = _server_context(self.certificate_path, self.key_path)
            if alpn:
                context.set_alpn_protocols(list(alpn))
            self._contexts[alpn] = context
        return context


class Certificates:
    """The credentials that new handshakes use, from files that may change at any time."""

    def __init__(self, certificate_path: Path, key_path: Path) -> None:
        """Load the files.

        Args:
            certificate_path: PEM, the server's certificate first, then its chain.
            key_path: PEM, not encrypted.

        Raises:
            TlsError: they cannot be used.
        """
        self._certificate_path = certificate_path
        self._key_path = key_path
        self._alpns: set[tuple[str, ...]] = set()
        self._stamp = self._stamp_now()
        self.current = self._load()

    def offer(self, alpn: tuple[str, ...]) -> None:
        """Note that a listener will ask for contexts that offer `alpn`."""
        self._alpns.add(alpn)
        self.current.context(alpn)

    def reload(self) -> None:
        """Read the files again.

        Raises:
            TlsError: they cannot be used; the old credentials stay in use.
        """
        self._stamp = self._stamp_now()
        self.current = self._load()
        log.info("certificate loaded", extra=_told(self.current))

    def reload_if_changed(self) -> bool:
        """Read the files again if they changed since; a failure is logged, and the old ones stay in use."""
        if self._stamp_now() == self._stamp:
            return False
        try:
            self.reload()
        except TlsError as error:
            # Often between the writing of the two files; the next look will find both.
            log.warning("new certificate not usable, the old one stays", extra={"reason": str(error)})
            return False
        return True

    def _load(self) -> Credentials:
        # The contexts are made from the same reading, or a later change on disk would show in half of them.
        loaded = load_credentials(self._certificate_path, self._key_path)
        for alpn in self._alpns:
            loaded.context(alpn)
        return loaded

    def _stamp_now(self) -> tuple[int, ...]:
        try:
            found = (self._certificate_path.stat(), self._key_path.stat())
        except OSError:
            return ()
        return tuple(number for stat in found for number in (stat.st_mtime_ns, stat.st_ino, stat.st_size))


def load_credentials(certificate_path: Path, key_path: Path) -> Credentials:
    """Load a certificate and its key.

    Raises:
        TlsError: a file is missing or broken, or they do not belong together.
    """
    try:
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        context = _server_context(certificate_path, key_path)
    except (OSError, ValueError, ssl.SSLError) as error:
        raise TlsError(f"cannot use {certificate_path} with {key_path}: {error}") from error
    return Credentials(
        certificate_path=certificate_path,
        key_path=key_path,
        certificate=certificate.public_bytes(serialization.Encoding.DER),
        endpoint_hash=_endpoint_hash(certificate),
        not_after=certificate.not_valid_after_utc,
        _contexts={(): context},
    )


def ensure_self_signed(folder: Path, domain: str, now: Callable[[], datetime.datetime]) -> tuple[Path, Path]:
    """Return the paths of a self-signed certificate and its key in `folder`, made if none there will do.

    It is good for `domain`, its rooms, `localhost` and the loopback addresses; an old one is replaced when it
    ends within 30 days or is not for `domain`.

    Args:
        folder: created if need be, readable by the owner alone, like the key.
        domain: the server's domain.
        now: the time, with a time zone.
    """
    certificate_path, key_path = folder / "certificate.pem", folder / "key.pem"
    if not _will_do(certificate_path, key_path, domain, now()):
        folder.mkdir(mode=_PRIVATE_FOLDER, parents=True, exist_ok=True)
        certificate_pem, key_pem = make_self_signed(domain, now())
        _write_private(key_path, key_pem)
        _write_private(certificate_path, certificate_pem)
        log.info("self-signed certificate made", extra={"domain": domain, "file": str(certificate_path)})
    return certificate_path, key_path


def make_self_signed(domain: str, now: datetime.datetime) -> tuple[bytes, bytes]:
    """Return a certificate for `domain` and its key (ECDSA P-256), both PEM, good for two years."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain[:64])])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + _VALID_FOR)
        .add_extension(x509.SubjectAlternativeName(_alternative_names(domain)), critical=False)
        # Compat: NSS (Pidgin, Finch) and rustls (Halloy): an authority's certificate is nobody's for a server, and
        # with a key usage NSS wants one of RSA. Everybody takes this one, and trusts it once told to.
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    key_pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), key_pem


def _alternative_names(domain: str) -> list[x509.GeneralName]:
    names: list[x509.GeneralName] = [
        x509.DNSName(name)
        for name in dict.fromkeys((domain, f"rooms.{domain}", "localhost", "rooms.localhost"))
    ]
    return [*names, *(x509.IPAddress(ipaddress.ip_address(address)) for address in ("127.0.0.1", "::1"))]


def _will_do(certificate_path: Path, key_path: Path, domain: str, now: datetime.datetime) -> bool:
    try:
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return False
    covered = domain in names.get_values_for_type(x509.DNSName)
    return covered and key_path.exists() and certificate.not_valid_after_utc - now > _RENEW_BEFORE


def _write_private(path: Path, data: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE_FILE), "wb") as file:
        file.write(data)
    fresh.replace(path)


def _server_context(certificate_path: Path, key_path: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 7590 §3, RFC 9325 §3.1.1
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    # A ready answer instead of a prompt: an encrypted key must fail, not wait for somebody at the terminal.
    context.load_cert_chain(certificate_path, key_path, password="")
    return context


def _endpoint_hash(certificate: x509.Certificate) -> bytes:
    # RFC 5929 §4.1: the hash of the certificate's signature, but SHA-256 in place of MD5 and SHA-1. It is
    # undefined where the signature has no single hash (Ed25519); peers take SHA-256 there.
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        algorithm = None
    name = "sha256" if algorithm is None or algorithm.name in _WEAK_HASHES else algorithm.name
    return hashlib.new(name, certificate.public_bytes(serialization.Encoding.DER)).digest()


def _told(credentials: Credentials) -> dict[str, object]:
    return {"file": str(credentials.certificate_path), "until": credentials.not_after.isoformat()}
