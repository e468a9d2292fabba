"""The client's side of PLAIN and SCRAM."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Final

from sabir.wire.sasl.credentials import DEFAULT_ITERATIONS, HASHES, salted_password
from sabir.wire.sasl.messages import ScramSyntaxError, encode_name, parse_server_first
from sabir.wire.sasl.saslprep import saslprep
from sabir.wire.sasl.types import ClientMechanism, SaslClientError

MAX_ITERATIONS: Final = 1_000_000
"""A server that asks for more wants our CPU, not our proof."""


def client_mechanism(
    name: str,
    username: str,
    password: str,
    *,
    authzid: str = "",
    bindings: Mapping[str, bytes] | None = None,
    plus_offered: bool = False,
) -> ClientMechanism:
    """Return the client's side of mechanism `name`.

    `bindings`: the channel binding data by type; `plus_offered`: did the server offer it.

    Raises:
        ValueError: an unknown mechanism, `-PLUS` without binding data, or a text that SASLprep refuses.
    """
    if name == "PLAIN":
        return PlainClient(username, password, authzid)
    if name.removesuffix("-PLUS") not in HASHES:
        raise ValueError(f"no such mechanism: {name}")
    return ScramClient(name, username, password, authzid, bindings or {}, plus_offered=plus_offered)


class PlainClient:
    """PLAIN (RFC 4616)."""

    def __init__(self, username: str, password: str, authzid: str = "") -> None:
        self.name = "PLAIN"
        self._message = f"{authzid}\0{username}\0{password}".encode()

    def start(self) -> bytes:
        """Return the only message."""
        return self._message

    def respond(self, challenge: bytes) -> bytes:
        """Answer the empty challenge of a server that took no initial response."""
        if challenge:
            raise SaslClientError("a challenge in PLAIN")
        return self._message

    def finish(self, data: bytes | None) -> None:
        """PLAIN proves nothing about the server."""


class ScramClient:
    """SCRAM (RFC 5802, RFC 7677)."""

    def __init__(
        self,
        name: str,
        username: str,
        password: str,
        authzid: str,
        bindings: Mapping[str, bytes],
        *,
        plus_offered: bool = False,
        nonce: str | None = None,
    ) -> None:
        self.name = name
        self._hash = HASHES[name.removesuffix("-PLUS")]
        self._password = saslprep(password)
        self._nonce = nonce or secrets.token_urlsafe(24)
        self._binding = b""
        self._server_signature = b""
        self._proved = False
        flag = "n"
        if name.endswith("-PLUS"):
            if not bindings:
                raise ValueError("-PLUS needs channel binding data")
            binding_type, self._binding = next(iter(bindings.items()))
            flag = f"p={binding_type}"
        elif bindings and not plus_offered:
            flag = "y"  # RFC 5802 §6: we could, the server seems not to
        authz = f"a={encode_name(authzid)}" if authzid else ""
        self._gs2_header = f"{flag},{authz},".encode()
        self._bare = f"n={encode_name(saslprep(username))},r={self._nonce}".encode()

    def start(self) -> bytes:
        """Return client-first."""
        return self._gs2_header + self._bare

    def respond(self, challenge: bytes) -> bytes:
        """Return client-first, client-final, or nothing to a server-final that came as a challenge."""
        if not challenge:
            return self.start()
        if self._server_signature:
            self.finish(challenge)
            return b""
        return self._answer(challenge)

    def finish(self, data: bytes | None) -> None:
        """Check that the server knows the password too (RFC 5802 §3)."""
        if data:
            expected = b"v=" + base64.b64encode(self._server_signature)
            if not self._server_signature or not hmac.compare_digest(data.split(b",")[0], expected):
                raise SaslClientError("the server does not know the password")
            self._proved = True
        if not self._proved:
            raise SaslClientError("the server did not prove that it knows the password")

    def _answer(self, challenge: bytes) -> bytes:
        try:
            first = parse_server_first(challenge)
        except ScramSyntaxError as error:
            raise SaslClientError("a malformed challenge") from error
        if not first.nonce.startswith(self._nonce) or first.nonce == self._nonce:
            raise SaslClientError("the server did not extend our nonce")
        if not DEFAULT_ITERATIONS <= first.iterations <= MAX_ITERATIONS:
            raise SaslClientError("an iteration count that is too weak or too costly")
        salted = salted_password(self._hash, self._password, first.salt, first.iterations)
        client_key = hmac.digest(salted, b"Client Key", self._hash)
        stored_key = hashlib.new(self._hash, client_key).digest()
        binding = base64.b64encode(self._gs2_header + self._binding).decode()
        without_proof = f"c={binding},r={first.nonce}".encode()
        auth_message = b",".join((self._bare, challenge, without_proof))
        signature = hmac.digest(stored_key, auth_message, self._hash)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        server_key = hmac.digest(salted, b"Server Key", self._hash)
        self._server_signature = hmac.digest(server_key, auth_message, self._hash)
        return without_proof + b",p=" + base64.b64encode(proof)
