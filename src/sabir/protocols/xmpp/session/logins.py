"""What one connection may log in with, and how its tries are checked."""

from collections.abc import Mapping
from typing import Final

from sabir.gateway.contract import Environment
from sabir.protocols.xmpp.config import XmppConfig
from sabir.wire.sasl import credentials
from sabir.wire.sasl.server import SCRAM_MECHANISMS, advertisement, server_mechanism
from sabir.wire.sasl.types import ScramVerifier, ServerMechanism


class Logins:
    """See `machine.Mechanisms`. It knows the peer, not the stream: so the two are no cycle."""

    def __init__(self, config: XmppConfig, environment: Environment, secret: bytes, peer: str) -> None:
        self.tried: str = ""
        """The account of the last try."""
        self._config: Final = config
        self._environment: Final = environment
        self._secret: Final = secret
        self._peer: Final = peer

    def offered(self, secure: bool, bindings: Mapping[str, bytes]) -> list[str]:
        """See `Mechanisms.offered`."""
        names = [name for name in SCRAM_MECHANISMS if bindings or not name.endswith("-PLUS")]
        if secure or self._config.plain_without_tls or self._environment.plain_logins:
            names.append("PLAIN")
        return names

    def mechanism(
        self, name: str, bindings: Mapping[str, bytes], offered: list[str]
    ) -> ServerMechanism | None:
        """See `Mechanisms.mechanism`."""
        wanted = "SCRAM-SHA-256" if name == "PLAIN" else name.removesuffix("-PLUS")
        return server_mechanism(
            name,
            lookup=lambda authcid: self._verifier(authcid, wanted),
            secret=self._secret,
            bindings=bindings,
            advertised=advertisement(offered, bindings),
        )

    def failed(self) -> None:
        """Count a failed try."""
        now_ms = self._environment.services.clock.now_ms()
        self._environment.logins.failed(self._peer, self.tried, now_ms)

    def _verifier(self, authcid: str, mechanism: str) -> ScramVerifier | None:
        services = self._environment.services
        self.tried = authcid.lower()[:64]
        now_ms = services.clock.now_ms()
        if not self._environment.logins.may_try(self._peer, self.tried, now_ms):
            return None
        account = services.accounts.find(authcid)
        if account is None or services.accounts.may_log_in(account) is not None:
            return None
        stored = services.accounts.verifier(account, mechanism)
        return None if stored is None else credentials.from_bytes(mechanism, stored)
