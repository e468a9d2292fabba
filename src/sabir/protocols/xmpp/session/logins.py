"""What one connection may log in with, and how its tries are checked."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.core.services.tokens import Token
from sabir.gateway.contract import Environment
from sabir.net.limits import peer_key
from sabir.protocols.xmpp.config import XmppConfig
from sabir.protocols.xmpp.features import certificates
from sabir.protocols.xmpp.jid import jid_of
from sabir.protocols.xmpp.types import Authentication, Certificate
from sabir.wire.sasl import anonymous, credentials
from sabir.wire.sasl.anonymous import AnonymousServer
from sabir.wire.sasl.external import ExternalServer
from sabir.wire.sasl.server import SCRAM_MECHANISMS, advertisement, server_mechanism
from sabir.wire.sasl.tokens import TokenServer, TokenUse, token_mechanisms
from sabir.wire.sasl.types import ScramVerifier, ServerMechanism

_STRONGEST_FIRST: Final = ("SCRAM-SHA-256", "SCRAM-SHA-1")


class Logins:
    """See `machine.Mechanisms`. It knows the peer, not the stream: so the two are no cycle."""

    def __init__(self, config: XmppConfig, environment: Environment, secret: bytes, peer: str) -> None:
        self.tried: str = ""
        """The account of the last try."""
        self.proven_at: int = 0
        """Its `secrets_no` then."""
        self.token: Token | None = None
        """The token by which it succeeded."""
        self.shown: bytes = b""
        """The certificate that the client showed (DER), empty if it has none."""
        self.sender: str = ""
        """Who the client says it is, in its opening."""
        self.certificate: Certificate | None = None
        """The certificate by which it succeeded."""
        self.guest: Account | None = None
        """The account that was made for it, because it says no name."""
        self._config: Final = config
        self._environment: Final = environment
        self._secret: Final = secret
        self._peer: Final = peer
        self._candidates: list[Token] = []

    def offered(self, secure: bool, bindings: Mapping[str, bytes], sender: str) -> list[str]:
        """See `Mechanisms.offered`."""
        self.sender = sender
        known = self._known_mechanisms(sender)
        names = ["EXTERNAL"] if secure and self._certified(sender) else []
        names += [
            name
            for name in SCRAM_MECHANISMS
            if (bindings or not name.endswith("-PLUS")) and name.removesuffix("-PLUS") in known
        ]
        if secure or self._config.plain_without_tls or self._environment.plain_logins:
            names.append("PLAIN")
        if self._config.anonymous:
            names.append(anonymous.NAME)
        return names

    def mechanism(
        self, name: str, bindings: Mapping[str, bytes], offered: list[str]
    ) -> ServerMechanism | None:
        """See `Mechanisms.mechanism`."""
        self.token = None
        self.certificate = None
        if name == "EXTERNAL":
            return ExternalServer(self._who)
        if name == anonymous.NAME:
            return AnonymousServer(self._come)
        wanted = _STRONGEST_FIRST if name == "PLAIN" else (name.removesuffix("-PLUS"),)
        return server_mechanism(
            name,
            lookup=lambda authcid: self._verifier(authcid, wanted),
            secret=self._secret,
            bindings=bindings,
            advertised=advertisement(offered, bindings),
        )

    def offered_tokens(self, bindings: Mapping[str, bytes]) -> list[str]:
        """See `Mechanisms.offered_tokens`."""
        return token_mechanisms(bindings)

    def token_mechanism(
        self, name: str, bindings: Mapping[str, bytes], asked: Authentication
    ) -> ServerMechanism:
        """See `Mechanisms.token_mechanism`."""
        self.token = None
        self.certificate = None
        return TokenServer(name, lambda authcid: self._tokens(authcid, name, asked), self._use, bindings)

    def failed(self) -> None:
        """Count a failed try."""
        now_ms = self._environment.services.clock.now_ms()
        self._environment.logins.failed(self._peer, self.tried, now_ms)

    def end_guest(self) -> None:
        """End the account that was made for a client which has not got in."""
        guest, self.guest = self.guest, None
        if guest is not None:
            self._environment.services.temporary.end(guest)

    def _come(self) -> str | None:
        """Return the name of an account for one session (XEP-0175 §2), or None if too many come."""
        self.end_guest()
        self.tried = ""
        services = self._environment.services
        if not self._environment.logins.may_come(self._peer, services.clock.now_ms()):
            return None
        account = services.temporary.admit(peer_key(self._peer))
        if isinstance(account, Refusal):
            return None
        self.guest = account
        self.proven_at = account.secrets_no
        return account.name

    def _certified(self, name: str) -> Certificate | None:
        """Return the certificate that the client showed, if the account of that address has registered it."""
        jid = jid_of(name) if self.shown and name else None
        account = None if jid is None else self._environment.services.accounts.find(jid.local)
        if account is None:
            return None
        now_s = self._environment.services.clock.now_ms() // 1000
        return certificates.find(self._environment.services.devices, account, self.shown, now_s)

    def _who(self, authzid: str) -> str | None:
        """Return the account that the certificate proves (RFC 6120 §6.3.4, XEP-0178 §2)."""
        name = authzid or self.sender
        jid = jid_of(name) if name else None
        certificate = self._certified(name)
        if jid is None or certificate is None or self._account(jid.local) is None:
            return None
        self.certificate = certificate
        return jid.local

    def _known_mechanisms(self, sender: str) -> Collection[str]:
        """Return the SCRAM mechanisms that the account of `sender` is set up for, all if it is not known.

        XEP-0388 §2.1: only what it can log in with is offered. That tells strangers something about accounts which
        came from another server, and nothing about others.
        """
        accounts = self._environment.services.accounts
        jid = jid_of(sender) if sender else None
        account = None if jid is None else accounts.find(jid.local)
        if account is None:
            return credentials.HASHES
        return [name for name in _STRONGEST_FIRST if accounts.verifier(account, name)] or credentials.HASHES

    def _verifier(self, authcid: str, mechanisms: Sequence[str]) -> ScramVerifier | None:
        """Return the verifier of the first of `mechanisms` that the account is set up for."""
        account = self._account(authcid)
        if account is None:
            return None
        for mechanism in mechanisms:
            stored = self._environment.services.accounts.verifier(account, mechanism)
            if stored is not None:
                return credentials.from_bytes(mechanism, stored)
        return None

    def _tokens(self, authcid: str, mechanism: str, asked: Authentication) -> Sequence[TokenUse]:
        """Return the tokens that may be used now: of that device, for that mechanism, not for the second time."""
        services = self._environment.services
        account = self._account(authcid)
        self._candidates = []
        if account is None or asked.token is None:
            return ()  # XEP-0484 §3.4: a client says that it uses a token
        count = asked.token.count
        for token in services.tokens.of(account, asked.device):
            if token.mechanism == mechanism and (not count or count > token.count):
                self._candidates.append(token)
        now_ms = services.clock.now_ms()
        return [
            TokenUse(token.secret.encode(), has_expired=token.expires_ms <= now_ms)
            for token in self._candidates
        ]

    def _use(self, index: int) -> None:
        self.token = self._candidates[index]

    def _account(self, authcid: str) -> Account | None:
        """Return the account if a try to log in as it may be looked at now."""
        services = self._environment.services
        self.tried = authcid.lower()[:64]
        now_ms = services.clock.now_ms()
        if not self._environment.logins.may_try(self._peer, self.tried, now_ms):
            return None
        account = services.accounts.find(authcid)
        if account is None or services.accounts.may_log_in(account) is not None:
            return None
        self.proven_at = account.secrets_no
        return account
