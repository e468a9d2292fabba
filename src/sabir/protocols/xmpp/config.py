"""Settings of the XMPP front end."""

from dataclasses import dataclass, field

from sabir.base.secret import Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalService:
    """One of `xmpp.services`."""

    type: str
    host: str
    port: int = 0
    transport: str = ""
    name: str = ""
    secret: Secret = field(default_factory=lambda: Secret(""))
    username: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))

    def __post_init__(self) -> None:
        """Refuse what no client could use.

        Raises:
            ValueError: says why.
        """
        if not self.type or not self.host:
            raise ValueError("a service needs a type and a host")
        if self.port > 65_535:
            raise ValueError("port is a number up to 65535")
        if self.transport not in ("", "udp", "tcp"):
            raise ValueError('transport is "udp" or "tcp"')


@dataclass(frozen=True, slots=True, kw_only=True)
class XmppConfig:
    """Settings under `[xmpp]`."""

    require_tls: bool = True
    """Clients must encrypt the connection (STARTTLS or direct TLS) before they log in."""
    plain_without_tls: bool = False
    """Passwords may cross an unencrypted connection (SASL PLAIN). Only sensible on loopback."""
    registration: bool = False
    """Anybody may create an account from a client (XEP-0077)."""
    max_stanza_bytes: int = 262_144
    """The largest stanza that a client may send, in bytes."""
    max_stanza_bytes_before_login: int = 65_536
    """The same before the login, in bytes; RFC 6120 §13.12 wants at least 10,000."""
    login_attempts: int = 5
    """Failed logins on one connection before it is closed."""
    negotiation_timeout_s: int = 60
    """Seconds that a client may take from connecting to the end of its login."""
    ping_after_s: int = 300
    """Seconds of silence after which a client is asked whether it is still there."""
    ping_timeout_s: int = 60
    """Seconds that a client may take to answer that before the connection is closed."""
    resume_s: int = 600
    """Seconds that a broken connection may be resumed (XEP-0198)."""
    max_unacknowledged: int = 2_000
    """Stanzas kept for a client that does not acknowledge them; beyond it the session waits (XEP-0198)."""
    max_unacknowledged_bytes: int = 1_048_576
    """The same in bytes."""
    max_sessions_per_account: int = 50
    """Connections of one account at the same time."""

    services: tuple[ExternalService, ...] = ()
    """Services for calls, told to clients (XEP-0215). For each: `type` (`stun`, `turn`, `turns`...), `host`, and if
    need be `port`, `transport` (`udp` or `tcp`), `name`, and for TURN either the `secret` that the TURN server shares
    (`static-auth-secret` of coturn), or a fixed `username` and `password`."""
    services_ttl_s: int = 86_400
    """Seconds for which a client may use the credentials made from a `secret`."""

    def __post_init__(self) -> None:
        """Refuse limits with which no client could work.

        Raises:
            ValueError: names the key and the fix.
        """
        for key in ("max_stanza_bytes", "max_stanza_bytes_before_login"):
            if getattr(self, key) < 10_000:
                raise ValueError(f"{key}: must be at least 10000, as RFC 6120 §13.12 demands")
        for key in ("login_attempts", "negotiation_timeout_s", "max_sessions_per_account", "services_ttl_s"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1")
        for key in ("ping_after_s", "ping_timeout_s"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1")
