"""TLS between servers: both sides show a certificate, and neither is turned away for a bad one.

Whether a certificate proves what its owner claims is looked at after the handshake: a peer whose certificate proves
nothing may still be known by dialback (XEP-0220), and the domain that it has to prove is known later than the
handshake. The standard library's `ssl` knows only "refuse in the handshake" or "do not ask", and insists on
certificates made for clients, which public authorities no longer sign; hence pyOpenSSL (docs/decisions say more).
"""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from OpenSSL import SSL, crypto

from sabir.net.identity import names_of
from sabir.net.tls import CIPHERS, Credentials, TlsError, TlsInfo

PEER: Final = "peer_certificate"
SESSION: Final = "tls_session"
"""What `get_extra_info` of a transport is asked for."""
_EXPORTER: Final = b"EXPORTER-Channel-Binding"
_EXPORTED_BYTES: Final = 32
_CHUNK: Final = 65_536
_PACE_BYTES: Final = 16_384


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What the other side has shown."""

    names: frozenset[str]
    """The domains that it is for (RFC 6125 §6.4), `*.` in front where it is for all below; small letters."""
    problem: str
    """Why it proves nothing: no certificate, expired, signed by nobody we trust. Empty if it can be trusted."""

    def proves(self, domain: str) -> bool:
        """Return whether it proves that its owner speaks for `domain` (RFC 6120 §13.7.1.2)."""
        if self.problem:
            return False
        # RFC 6125 §6.4.3: a wildcard stands for one whole label, the leftmost.
        return domain in self.names or "*." + domain.partition(".")[2] in self.names


class Trust:
    """Whose signatures count."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Trust the authorities in `files` (PEM), or those of the system if there are none.

        Raises:
            TlsError: a file cannot be read.
        """
        self._store: Final = crypto.X509Store()
        try:
            if files:
                for file in files:
                    self._store.load_locations(str(file))
            else:
                self._load_those_of_the_system()
        except crypto.Error as error:
            raise TlsError(f"cannot read the trusted certificates: {error}") from error

    def problem_of(self, certificate: crypto.X509, chain: Sequence[crypto.X509]) -> str:
        """Return why a certificate cannot be trusted, empty if it can."""
        try:
            crypto.X509StoreContext(self._store, certificate, chain).verify_certificate()
        except crypto.X509StoreContextError as error:
            return str(error)
        return ""

    def _load_those_of_the_system(self) -> None:
        found = ssl.get_default_verify_paths()
        file = found.cafile or (found.openssl_cafile if Path(found.openssl_cafile).exists() else None)
        folder = found.capath or (found.openssl_capath if Path(found.openssl_capath).is_dir() else None)
        if file or folder:
            self._store.load_locations(file, folder)


class Taker(Protocol):
    """Who takes what comes over a secured transport: what the event loop's protocols are told."""

    def taken(self, data: bytes) -> None:
        """Take decrypted bytes."""

    def eof_received(self) -> None:
        """Take note that the peer sends no more."""

    def pause_writing(self) -> None:
        """Take note that the peer reads too slowly."""

    def resume_writing(self) -> None:
        """Take note that the peer has read."""

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the connection is gone."""


class Mutual:
    """Makes handshakes with one certificate of ours. One for each loading of it, and each ALPN."""

    def __init__(self, credentials: Credentials, trust: Trust, alpn: str) -> None:
        self.credentials: Final = credentials
        self.trust: Final = trust
        self._server: Final = self._context(SSL.TLS_SERVER_METHOD)
        self._client: Final = self._context(SSL.TLS_CLIENT_METHOD)
        self._direct: Final = self._context(SSL.TLS_CLIENT_METHOD)
        if alpn:
            wanted = alpn.encode()
            self._server.set_alpn_select_callback(
                lambda _, offered: wanted if wanted in offered else SSL.NO_OVERLAPPING_PROTOCOLS
            )
            self._direct.set_alpn_protos([wanted])

    def accept(self) -> SSL.Connection:
        """Return the server's side of a handshake."""
        session = SSL.Connection(self._server, None)
        session.set_accept_state()
        return session

    def connect(self, domain: str, *, direct: bool) -> SSL.Connection:
        """Return the client's side of a handshake with a server of `domain` (RFC 6066 §3)."""
        session = SSL.Connection(self._direct if direct else self._client, None)
        session.set_tlsext_host_name(domain.encode("idna") if not domain.isascii() else domain.encode())
        session.set_connect_state()
        return session

    def _context(self, method: int) -> SSL.Context:
        context = SSL.Context(method)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)  # RFC 7590 §3, RFC 9325 §3.1.1
        context.set_cipher_list(CIPHERS.encode())
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_NO_TICKET)
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)  # a resumed session shows no certificate
        context.use_certificate_chain_file(str(self.credentials.certificate_path))
        context.use_privatekey_file(str(self.credentials.key_path))
        context.set_verify(SSL.VERIFY_PEER, _let_pass)  # asks for a certificate; `Trust` looks at it
        return context


def _let_pass(*_: object) -> bool:
    return True


class SecureTransport(asyncio.Transport):
    """TLS over another transport, through memory: what `loop.start_tls` makes, with the handshake of `Mutual`."""

    def __init__(
        self,
        raw: asyncio.Transport,
        session: SSL.Connection,
        trust: Trust,
        taker: Taker,
        buffer: memoryview,
        done: Callable[["SecureTransport", str], None],
    ) -> None:
        """Begin the handshake.

        Args:
            raw: what carries the bytes; its reading is paused.
            session: one side of a handshake.
            trust: judges the peer's certificate.
            taker: hears what comes.
            buffer: to read into, shared by all connections.
            done: called with this and an empty text when the handshake is done, else with why it failed.
        """
        super().__init__()
        self._raw: Final = raw
        self._session: Final = session
        self._trust: Final = trust
        self._taker: Final = taker
        self._buffer: Final = buffer
        self._done: Callable[[SecureTransport, str], None] | None = done
        self._peer = PeerCertificate(frozenset(), "no certificate")
        raw.set_protocol(_Below(self, buffer))
        raw.resume_reading()
        self._shake()

    def give_up(self, why: str) -> None:
        """End a handshake that is not done."""
        done, self._done = self._done, None
        if done is not None:
            self._raw.abort()
            done(self, why)

    # From below

    def fed(self, data: bytes) -> None:
        """Take encrypted bytes from the peer."""
        self._session.bio_write(data)
        if self._done is not None:
            self._shake()
        if self._done is None:
            self._read()

    def ended(self) -> None:
        """Take the end of what the peer sends."""
        if self._done is not None:
            self.give_up("closed by peer")
        else:
            self._taker.eof_received()

    def lost(self, error: Exception | None) -> None:
        """Take the end of the connection."""
        if self._done is not None:
            self.give_up(str(error or "closed by peer"))
        else:
            self._taker.connection_lost(error)

    def paused(self, is_paused: bool) -> None:
        """Take note of how fast the peer reads."""
        if self._done is None:
            if is_paused:
                self._taker.pause_writing()
            else:
                self._taker.resume_writing()

    def _shake(self) -> None:
        try:
            self._session.do_handshake()
        except SSL.WantReadError:
            self._flush()
            return
        except SSL.Error as error:
            self._flush()  # the alert says why
            self.give_up(_reason(error))
            return
        self._flush()
        self._look_at_peer()
        done, self._done = self._done, None
        if done is not None:
            done(self, "")

    def _look_at_peer(self) -> None:
        certificate = self._session.get_peer_certificate()
        if certificate is None:
            return
        problem = self._trust.problem_of(certificate, self._session.get_peer_cert_chain() or ())
        try:
            names = names_of(certificate.to_cryptography())
        except (ValueError, x509.InvalidVersion):
            names, problem = frozenset(), problem or "malformed certificate"
        self._peer = PeerCertificate(names, problem)

    def _read(self) -> None:
        while not self._raw.is_closing():
            try:
                data = self._session.recv(_CHUNK)
            except SSL.WantReadError:
                break
            except SSL.ZeroReturnError:
                self._taker.eof_received()
                self.close()
                return
            except SSL.Error:
                self._raw.abort()
                return
            self._taker.taken(data)
        self._flush()  # what a key update answers

    def _flush(self) -> None:
        while True:
            try:
                self._raw.write(self._session.bio_read(_CHUNK))
            except SSL.WantReadError:
                return

    # See asyncio.Transport

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Encrypt and send."""
        if self._raw.is_closing() or not data:
            return
        view = memoryview(data)
        for at in range(0, len(view), _PACE_BYTES):
            self._session.send(view[at : at + _PACE_BYTES].tobytes())
            self._flush()

    def close(self) -> None:
        """Say goodbye and close when all is sent."""
        if not self._raw.is_closing():
            try:
                self._session.shutdown()
            except SSL.Error:
                self._raw.abort()
                return
            self._flush()
            self._raw.close()

    def abort(self) -> None:
        """Close at once."""
        self._raw.abort()

    def is_closing(self) -> bool:
        """Return whether it closes."""
        return self._raw.is_closing()

    def pause_reading(self) -> None:
        """Read no more."""
        self._raw.pause_reading()

    def resume_reading(self) -> None:
        """Read again."""
        self._raw.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set when the peer counts as slow."""
        self._raw.set_write_buffer_limits(high, low)

    def get_write_buffer_size(self) -> int:
        """Return how much is unsent."""
        return self._raw.get_write_buffer_size()

    def can_write_eof(self) -> bool:
        """Return False: TLS has no half-close that peers understand."""
        return False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return the peer's certificate, the session of TLS, or what the transport below knows."""
        if name == SESSION:
            return self._session
        return self._peer if name == PEER else self._raw.get_extra_info(name, default)


class _Below(asyncio.BufferedProtocol):
    """What the event loop calls for the transport below."""

    def __init__(self, above: SecureTransport, buffer: memoryview) -> None:
        self._above: Final = above
        self._buffer: Final = buffer

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer that all connections share."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Pass on what was read."""
        self._above.fed(self._buffer[:nbytes].tobytes())

    def eof_received(self) -> None:
        """Pass on that the peer sends no more; the transport closes itself."""
        self._above.ended()

    def pause_writing(self) -> None:
        """Pass on that the peer reads too slowly."""
        self._above.paused(True)

    def resume_writing(self) -> None:
        """Pass on that the peer has read."""
        self._above.paused(False)

    def connection_lost(self, exc: Exception | None) -> None:
        """Pass on that the connection is gone."""
        self._above.lost(exc)


def tls_info_of(session: SSL.Connection, endpoint_hash: bytes) -> TlsInfo:
    """Return what the handshake of `session` agreed on, with `endpoint_hash` as `tls-server-end-point`."""
    version = session.get_protocol_version_name()
    bindings = {"tls-server-end-point": endpoint_hash}
    if version == "TLSv1.3":
        # RFC 9266 §2. Before TLS 1.3 it would need the extended master secret, of which OpenSSL tells us nothing.
        exported = session.export_keying_material(_EXPORTER, _EXPORTED_BYTES, b"")
        bindings = {"tls-exporter": exported} | bindings
    certificate = session.get_peer_certificate(as_cryptography=True)
    return TlsInfo(
        version=version,
        cipher=session.get_cipher_name() or "",
        alpn=session.get_alpn_proto_negotiated().decode("ascii", "replace"),
        peer_certificate=None
        if certificate is None
        else certificate.public_bytes(serialization.Encoding.DER),
        bindings=bindings,
    )


def _reason(error: SSL.Error) -> str:
    """Return what OpenSSL says of a failure."""
    found = error.args[0] if error.args else None
    if isinstance(found, list) and found:
        return str(found[-1][-1])
    return type(error).__name__
