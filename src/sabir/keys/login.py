"""Who is it: name and password in each request (RFC 7617)."""

from __future__ import annotations

import base64
import binascii
import hmac
import os
from collections.abc import Callable
from typing import Final

from sabir.base.secret import Secret
from sabir.core.model.actor import Account
from sabir.core.services.accounts import Accounts
from sabir.net.limits import LoginLimits
from sabir.wire.sasl.credentials import from_bytes
from sabir.wire.sasl.server import server_mechanism
from sabir.wire.sasl.types import ScramVerifier, Success

_MECHANISM: Final = "SCRAM-SHA-256"
_REMEMBERED_MS: Final = 900_000
_MOST: Final = 4_096


class Login:
    """Checks passwords. One that was right is known by a keyed digest for a while: to check one takes milliseconds."""

    def __init__(
        self,
        accounts: Accounts,
        limits: LoginLimits,
        secret: Secret,
        domain: str,
        now_ms: Callable[[], int],
    ) -> None:
        self._accounts: Final = accounts
        self._limits: Final = limits
        self._secret: Final = secret
        self._domain: Final = domain
        self._now_ms: Final = now_ms
        self._key: Final = os.urandom(32)
        self._known: Final[dict[bytes, tuple[str, int]]] = {}

    def account(self, authorization: str, peer: str) -> Account | None:
        """Return who shows this value of the field `Authorization`, None if it is not right."""
        scheme, _, encoded = authorization.partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, colon, password = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        name = name.removesuffix(f"@{self._domain}").lower()
        if not colon or not name or "\0" in name + password:
            return None
        account = self._accounts.find(name)
        stored = b"" if account is None else self._accounts.verifier(account, _MECHANISM) or b""
        # With the verifier: what was right before a change of password is not known any more.
        said = b"\0".join((stored, name.encode(), password.encode()))
        digest = hmac.digest(self._key, said, "sha256")
        known = self._known.get(digest)
        now_ms = self._now_ms()
        if known is None or known[1] <= now_ms:
            if not self._check(name, password, peer):
                return None
            if len(self._known) >= _MOST:
                del self._known[next(iter(self._known))]
            self._known[digest] = (name, now_ms + _REMEMBERED_MS)
        if account is None or self._accounts.may_log_in(account) is not None:
            return None
        return account

    def _check(self, name: str, password: str, peer: str) -> bool:
        if not self._limits.may_try(peer, name, self._now_ms()):
            return False
        mechanism = server_mechanism("PLAIN", lookup=self._verifier, secret=self._secret.reveal().encode())
        assert mechanism is not None  # there is PLAIN
        if isinstance(mechanism.start(f"\0{name}\0{password}".encode()), Success):
            return True
        self._limits.failed(peer, name, self._now_ms())
        return False

    def _verifier(self, authcid: str) -> ScramVerifier | None:
        account = self._accounts.find(authcid)
        if account is None or self._accounts.may_log_in(account) is not None:
            return None
        stored = self._accounts.verifier(account, _MECHANISM)
        return None if stored is None else from_bytes(_MECHANISM, stored)
