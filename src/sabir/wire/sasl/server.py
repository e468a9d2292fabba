"""The server's side of PLAIN and SCRAM."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final, assert_never

from sabir.wire.sasl.credentials import DEFAULT_ITERATIONS, HASHES, fake_verifier, verify_plain
from sabir.wire.sasl.messages import (
    MAX_NAME_BYTES,
    ClientFirst,
    ScramSyntaxError,
    parse_client_final,
    parse_client_first,
)
from sabir.wire.sasl.saslprep import saslprep
from sabir.wire.sasl.types import (
    MAX_MESSAGE_BYTES,
    Challenge,
    Failure,
    Lookup,
    Reason,
    ScramVerifier,
    ServerMechanism,
    Step,
    Success,
)

SCRAM_MECHANISMS: Final = ("SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1")
"""Strongest first; `-PLUS` only where there is channel binding data."""


def server_mechanism(
    name: str,
    *,
    lookup: Lookup,
    secret: bytes,
    bindings: Mapping[str, bytes] | None = None,
    fake_iterations: int = DEFAULT_ITERATIONS,
    advertised: bytes = b"",
) -> ServerMechanism | None:
    """Return the server's side of mechanism `name`, or None if there is no such mechanism here.

    `lookup` finds the verifiers of this mechanism (for PLAIN: of any). `bindings`: the channel binding data
    of the connection by type (`tls-exporter`, `tls-server-end-point`): pass them whenever a `-PLUS` mechanism
    was offered, also to the mechanisms without it, which then notice a downgrade. `secret` and
    `fake_iterations` shape the answers for unknown names. `advertised` is what the server offered, as
    `advertisement` writes it, for the client to compare with what it was shown.
    """
    if name == "PLAIN":
        return PlainServer(lookup, secret, fake_iterations)
    if name.removesuffix("-PLUS") not in HASHES or (name.endswith("-PLUS") and not bindings):
        return None
    return ScramServer(
        name, lookup, secret, bindings or {}, fake_iterations=fake_iterations, advertised=advertised
    )


def advertisement(mechanisms: Iterable[str], bindings: Iterable[str]) -> bytes:
    """Return what is hashed against downgrades: the mechanisms, and the types of channel binding if there are any."""
    text = "\x1e".join(sorted(mechanisms))  # XEP-0474 §5.1
    types = "\x1e".join(sorted(bindings))
    return f"{text}\x1f{types}".encode() if types else text.encode()


class PlainServer:
    """PLAIN (RFC 4616): one message, the password in clear. For encrypted connections only."""

    def __init__(self, lookup: Lookup, secret: bytes, fake_iterations: int = DEFAULT_ITERATIONS) -> None:
        self._lookup = lookup
        self._secret = secret
        self._fake_iterations = fake_iterations

    def start(self, initial: bytes | None) -> Step:
        """Ask for the message, or take it."""
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> Step:
        """Check `[authzid] NUL authcid NUL passwd`."""
        parsed = parse_plain(data)
        if parsed is None:
            return Failure(Reason.MALFORMED)
        authzid, authcid, password = parsed
        known = self._lookup(authcid)
        # The same work for unknown names: time must not tell which accounts exist.
        verifier = known or fake_verifier(
            authcid, "SCRAM-SHA-256", secret=self._secret, iterations=self._fake_iterations
        )
        if not verify_plain(password, verifier) or known is None:
            return Failure(Reason.NOT_AUTHORIZED)
        return Success(b"", authcid, authzid)


def parse_plain(data: bytes) -> tuple[str, str, str] | None:
    """Return authzid, prepared authcid and password of a PLAIN message, or None if it is not one."""
    if len(data) > MAX_MESSAGE_BYTES:
        return None
    parts = data.split(b"\0")
    if len(parts) != 3 or not parts[1] or not parts[2] or max(map(len, parts)) > MAX_NAME_BYTES:
        return None
    try:
        authzid, authcid, password = (part.decode() for part in parts)
        return authzid, saslprep(authcid), password
    except ValueError:  # UnicodeDecodeError is one
        return None


class _State(Enum):
    FIRST = 1
    FINAL = 2
    OVER = 3


class ScramServer:
    """SCRAM (RFC 5802, RFC 7677): client-first, server-first, client-final, server-final.

    States: FIRST (waits for client-first) -> FINAL (waits for the proof) -> OVER. Any failure ends in OVER.
    Unknown names take the same road and fail at the proof.
    """

    def __init__(
        self,
        name: str,
        lookup: Lookup,
        secret: bytes,
        bindings: Mapping[str, bytes],
        *,
        nonce: str | None = None,
        fake_iterations: int = DEFAULT_ITERATIONS,
        advertised: bytes = b"",
    ) -> None:
        self._advertised = advertised
        self._plus = name.endswith("-PLUS")
        self._mechanism = name.removesuffix("-PLUS")
        self._hash = HASHES[self._mechanism]
        self._lookup = lookup
        self._secret = secret
        self._bindings = bindings
        self._nonce = nonce or secrets.token_urlsafe(24)
        self._fake_iterations = fake_iterations
        self._state = _State.FIRST
        self._first: ClientFirst | None = None
        self._authcid = ""
        self._known = False
        self._verifier: ScramVerifier | None = None
        self._server_first = b""

    def start(self, initial: bytes | None) -> Step:
        """Ask for client-first, or take it."""
        return Challenge(b"") if initial is None else self.respond(initial)

    def respond(self, data: bytes) -> Step:
        """Take the next message of the client."""
        state, self._state = self._state, _State.OVER
        try:
            match state:
                case _State.FIRST:
                    step = self._take_first(data)
                case _State.FINAL:
                    step = self._take_final(data)
                case _State.OVER:
                    step = Failure(Reason.MALFORMED)
                case _:
                    assert_never(state)
        except ScramSyntaxError as error:
            return Failure(error.reason)
        if isinstance(step, Challenge):
            self._state = _State.FINAL
        return step

    def _take_first(self, data: bytes) -> Step:
        first = parse_client_first(data)
        refusal = self._check_binding_flag(first)
        if refusal is not None:
            return Failure(refusal)
        try:
            self._authcid = saslprep(first.username)
        except ValueError:
            return Failure(Reason.INVALID_USERNAME)
        verifier = self._lookup(self._authcid)
        self._known = verifier is not None and verifier.mechanism == self._mechanism
        if verifier is None or not self._known:
            verifier = fake_verifier(
                self._authcid, self._mechanism, secret=self._secret, iterations=self._fake_iterations
            )
        self._first, self._verifier = first, verifier
        salt = base64.b64encode(verifier.salt).decode()
        self._server_first = f"r={first.nonce}{self._nonce},s={salt},i={verifier.iterations}".encode()
        if self._advertised:
            # XEP-0474 §5.1: an attribute that RFC 5802 §5.1 lets clients ignore; the proofs cover it.
            digest = hashlib.new(self._hash, self._advertised).digest()
            self._server_first += b",h=" + base64.b64encode(digest)
        return Challenge(self._server_first)

    def _check_binding_flag(self, first: ClientFirst) -> Reason | None:
        """RFC 5802 §6: the flag must fit the mechanism and not show that ours was hidden."""
        if self._plus:
            if first.binding_flag != "p":
                return Reason.MALFORMED
            if first.binding_type not in self._bindings:
                return Reason.UNSUPPORTED_CHANNEL_BINDING_TYPE
        elif first.binding_flag == "p":
            return Reason.CHANNEL_BINDING_NOT_SUPPORTED
        elif first.binding_flag == "y" and self._bindings:
            return Reason.DOWNGRADE
        return None

    def _take_final(self, data: bytes) -> Step:
        first, verifier = self._first, self._verifier
        assert first is not None  # the state FINAL says so
        assert verifier is not None
        final = parse_client_final(data)
        expected = first.gs2_header
        if self._plus:
            expected += self._bindings[first.binding_type]
        if not hmac.compare_digest(final.channel_binding, expected):
            return Failure(Reason.CHANNEL_BINDINGS_DONT_MATCH)
        if not hmac.compare_digest(final.nonce.encode(), (first.nonce + self._nonce).encode()):
            return Failure(Reason.NOT_AUTHORIZED)
        auth_message = b",".join((first.bare, self._server_first, final.without_proof))
        signature = hmac.digest(verifier.stored_key, auth_message, self._hash)
        if len(final.proof) != len(signature):
            return Failure(Reason.MALFORMED)
        client_key = bytes(a ^ b for a, b in zip(final.proof, signature, strict=True))
        claimed = hashlib.new(self._hash, client_key).digest()
        if not hmac.compare_digest(claimed, verifier.stored_key) or not self._known:
            return Failure(Reason.NOT_AUTHORIZED)
        server_signature = hmac.digest(verifier.server_key, auth_message, self._hash)
        return Success(b"v=" + base64.b64encode(server_signature), self._authcid, first.authzid)
