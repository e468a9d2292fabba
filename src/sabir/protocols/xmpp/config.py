"""Settings of the XMPP front end."""

import re
from dataclasses import dataclass, field
from enum import Enum

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


class Verify(Enum):
    """How another server has to prove that it speaks for its domain."""

    STRICT = "strict"
    DIALBACK = "dialback"
    INSECURE_TEST = "insecure-test"


class NodeMakers(Enum):
    """Who may make nodes at the pubsub service."""

    ACCOUNTS = "accounts"
    OPERATORS = "operators"


@dataclass(frozen=True, slots=True, kw_only=True)
class FederationConfig:
    """Settings under `[xmpp.federation]`: other XMPP servers."""

    enabled: bool = True
    """Talk with other servers. Never done for the domain `localhost`, which is nobody's address, unless `hosts` names
    servers."""
    verify: Verify = Verify.DIALBACK
    """How servers prove who they are: `strict`, by a certificate of a trusted authority only; `dialback`, by that
    or, in its place, by being where the DNS says (XEP-0220), always encrypted; `insecure-test`, like that and
    without encryption where the peer has none."""
    verify_by_domain: dict[str, Verify] = field(default_factory=dict)
    """The same for single domains, such as `{ "example.org" = "strict" }`."""
    allow: tuple[str, ...] = ()
    """Domains that may be talked with, those below them included; empty for all."""
    deny: tuple[str, ...] = ()
    """Domains that may not, those below them included; more than `allow`."""
    hosts: dict[str, str] = field(default_factory=dict)
    """Where servers are that the DNS does not know: `{ "example.org" = "192.0.2.1:5269" }`, with `tls://` in front for
    TLS from the first byte."""
    name_servers: tuple[str, ...] = ()
    """Name servers to ask for SRV records, `address` or `address:port`; empty for those of the system."""
    private_addresses: bool = False
    """Call other servers also where the DNS gives an address that is not public, such as 127.0.0.1 or 10.0.0.1: for
    servers of one's own network. What `hosts` names is called wherever it is."""
    trust: tuple[str, ...] = ()
    """PEM files with the authorities whose certificates count; empty for those of the system."""
    block_lists: tuple[str, ...] = ()
    """Lists of abusers that other servers keep up to date (RTBL), as `service/node`, such as
    `xmppbl.org/muc_bans_sha256`: nothing is taken from who is on one."""
    max_stanza_bytes: int = 524_288
    """The largest stanza that another server may send, in bytes."""
    max_unproven: int = 200
    """Streams of servers that have not proven yet who they are; those beyond are closed at once."""
    max_links: int = 2_000
    """Streams to other servers, one for each domain of ours and of theirs."""
    negotiation_timeout_s: int = 30
    """Seconds that a stream may take from connecting to the proof."""
    keepalive_s: int = 120
    """Seconds of silence after which a blank is sent, so that routers remember the stream."""
    idle_close_s: int = 900
    """Seconds without a stanza after which a stream is closed; the next stanza opens another."""
    ping_timeout_s: int = 60
    """Seconds that another server may take to confirm messages before the stream is given up."""
    retry_s: int = 10
    """Seconds before a server that could not be reached is tried again; doubled with each try."""
    max_retry_s: int = 1_800
    """The longest that the wait becomes, in seconds."""
    keep_messages_h: int = 24
    """Hours that a message waits for a server that cannot be reached, before its sender is told."""
    max_waiting: int = 10_000
    """Messages that wait for one server; further ones are refused."""

    def __post_init__(self) -> None:
        """Refuse limits with which no server could work.

        Raises:
            ValueError: names the key and the fix.
        """
        if self.max_stanza_bytes < 10_000:
            raise ValueError("max_stanza_bytes: must be at least 10000, as RFC 6120 §13.12 demands")
        for key in (
            "max_unproven",
            "max_links",
            "negotiation_timeout_s",
            "keepalive_s",
            "idle_close_s",
            "ping_timeout_s",
            "retry_s",
            "keep_messages_h",
            "max_waiting",
        ):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1")
        for domain, host in self.hosts.items():
            if not re.fullmatch(r"(tls://)?.+:\d{1,5}", host):
                raise ValueError(f"hosts: {host} of {domain}: write it as host:port")
        for name in self.block_lists:
            if not re.fullmatch(r"[a-z0-9][a-z0-9.-]*/[A-Za-z0-9._/-]{1,60}", name):
                raise ValueError(f"block_lists: {name}: write it as service/node")
        if self.max_retry_s < self.retry_s:
            raise ValueError("max_retry_s: must not be less than retry_s")


@dataclass(frozen=True, slots=True, kw_only=True)
class XmppConfig:
    """Settings under `[xmpp]`."""

    require_tls: bool = True
    """Clients must encrypt the connection (STARTTLS or direct TLS) before they log in."""
    plain_without_tls: bool = False
    """Passwords may cross an unencrypted connection (SASL PLAIN). Only sensible on loopback."""
    registration: bool = False
    """Anybody may create an account from a client (XEP-0077)."""
    anonymous: bool = False
    """People may log in without an account (SASL ANONYMOUS, XEP-0175): they get one for the session, can be in rooms
    and talk with people of this server, and keep nothing. `policy.max_temporary` and
    `limits.temporary_per_minute_per_peer` say how many."""
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
    client_certificates: bool = False
    """Clients are asked for a certificate, and may log in with one that their account has registered (SASL EXTERNAL,
    XEP-0257). Their TLS is then done by pyOpenSSL, which costs more CPU for each message, and offers `tls-exporter`.
    """
    max_sessions_per_account: int = 50
    """Connections of one account at the same time."""
    components: dict[str, Secret] = field(default_factory=dict)
    """Services of others on this machine that are components (XEP-0114), by their domain, with the secret that each
    shares with this server: `{ "irc.example.org" = "..." }`. They connect to port 5347 over loopback."""
    federation: FederationConfig = field(default_factory=FederationConfig)
    """Other servers."""

    pubsub_nodes: NodeMakers = NodeMakers.ACCOUNTS
    """Who may make nodes at the pubsub service, `pubsub.<domain>`: `accounts`, all of them, or `operators` only.
    Whoever makes one owns it; operators own all."""
    user_search: bool = False
    """Everybody with an account can find the accounts that have a card, by name and what the card says (XEP-0055)."""
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
