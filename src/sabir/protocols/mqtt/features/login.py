"""Who is it: user name and password, or enhanced authentication with SCRAM (MQTT 5.0 §3.1.3.5, §4.12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, assert_never

from sabir.base.secret import Secret
from sabir.core.model.actor import Account
from sabir.core.services.accounts import Accounts
from sabir.net.limits import LoginLimits
from sabir.protocols.mqtt.types.reasons import Reason
from sabir.wire.sasl.credentials import from_bytes
from sabir.wire.sasl.server import server_mechanism
from sabir.wire.sasl.types import Challenge, Failure, ScramVerifier, ServerMechanism, Step, Success

METHOD: Final = "SCRAM-SHA-256"
"""The authentication method; a password in CONNECT is checked with the same verifier."""


class Outcome:
    """What came of a step of a login."""

    def __init__(
        self,
        *,
        account: Account | None = None,
        is_granted: bool = False,
        data: bytes = b"",
        reason: Reason = Reason.SUCCESS,
        what: str = "",
    ) -> None:
        self.account: Final = account
        """None if nobody is logged in: an anonymous client."""
        self.is_granted: Final = is_granted
        self.data: Final = data
        """What the mechanism has to say to the client."""
        self.reason: Final = reason
        """Why it was refused. `SUCCESS` without `is_granted`: the client has to go on."""
        self.what: Final = what


class Login:
    """The logins of one connection."""

    def __init__(
        self,
        accounts: Accounts,
        limits: LoginLimits,
        secret: Secret,
        domain: str,
        peer: str,
        now_ms: Callable[[], int],
    ) -> None:
        self._accounts: Final = accounts
        self._limits: Final = limits
        self._secret: Final = secret
        self._domain: Final = domain
        self._peer: Final = peer
        self._now_ms: Final = now_ms
        self._mechanism: ServerMechanism | None = None
        self._tried = ""

    def with_password(self, username: str, password: bytes) -> Outcome:
        """Check the user name, with or without the domain, and password of a CONNECT."""
        name = username.removesuffix(f"@{self._domain}").lower()
        try:
            text = password.decode()
        except UnicodeDecodeError:
            return self._refused()
        mechanism = server_mechanism("PLAIN", lookup=self._verifier, secret=self._secret.reveal().encode())
        assert mechanism is not None  # there is PLAIN
        return self._take(mechanism.start(f"\0{name}\0{text}".encode()))

    def begin(self, method: str, data: bytes | None) -> Outcome:
        """Begin an exchange."""
        if method != METHOD:
            # [MQTT-4.12.0-1]
            return Outcome(reason=Reason.BAD_AUTHENTICATION_METHOD, what=f"the method here is {METHOD}")
        self._mechanism = server_mechanism(
            method, lookup=self._verifier, secret=self._secret.reveal().encode()
        )
        assert self._mechanism is not None  # there is this one
        return self._take(self._mechanism.start(data))

    def answer(self, data: bytes) -> Outcome:
        """Take what the client answers."""
        if self._mechanism is None:
            return Outcome(reason=Reason.PROTOCOL_ERROR, what="nothing was asked")
        return self._take(self._mechanism.respond(data))

    def _take(self, step: Step) -> Outcome:
        match step:
            case Challenge():
                return Outcome(data=step.data)
            case Success():
                self._mechanism = None
                account = self._accounts.find(step.authcid)
                if account is None or (step.authzid and step.authzid.lower() != account.name):
                    return self._refused()
                return Outcome(account=account, is_granted=True, data=step.data)
            case Failure():
                return self._refused()
            case _:
                assert_never(step)

    def _refused(self) -> Outcome:
        self._mechanism = None
        self._limits.failed(self._peer, self._tried.lower(), self._now_ms())
        return Outcome(reason=Reason.BAD_USER_NAME_OR_PASSWORD, what="user name or password is wrong")

    def _verifier(self, authcid: str) -> ScramVerifier | None:
        self._tried = authcid
        if not self._limits.may_try(self._peer, authcid.lower(), self._now_ms()):
            return None
        account = self._accounts.find(authcid)
        if account is None or self._accounts.may_log_in(account) is not None:
            return None
        stored = self._accounts.verifier(account, METHOD)
        return None if stored is None else from_bytes(METHOD, stored)
