"""Settings of the network layer."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class NetConfig:
    """Settings under `[net]`: sockets and buffers."""

    max_connections: int = 20_000
    """Connections of all protocols together; those beyond are closed at once."""

    max_connections_per_peer: int = 500
    """Connections from one IPv4 address or IPv6 /64, unless `limits.enabled` is false; others are closed."""

    backlog: int = 1024
    """How many connections the kernel keeps waiting to be accepted."""

    reuse_port: bool = False
    """Let several processes listen on the same ports (SO_REUSEPORT); the kernel spreads the connections."""

    high_water_bytes: int = 524_288
    """A client that has this much unread stops receiving live and is served from the log at its own pace."""

    low_water_bytes: int = 131_072
    """A slow client is served again when it has less than this unread. Must be below `high_water_bytes`."""

    handshake_timeout_s: int = 15
    """A TLS handshake that takes longer ends the connection."""

    drain_timeout_s: int = 5
    """How long a stopping server waits for its last words to be sent."""

    def __post_init__(self) -> None:
        """Refuse impossible combinations.

        Raises:
            ValueError: names the key and the fix.
        """
        if not 0 <= self.low_water_bytes < self.high_water_bytes:
            raise ValueError("low_water_bytes: must be below high_water_bytes")
        for key in ("max_connections", "max_connections_per_peer", "backlog", "handshake_timeout_s"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """Settings under `[tls]`: the certificate that clients are shown."""

    certificate: str = ""
    """PEM file with the certificate and its chain. Empty: a self-signed one is made in the data folder."""

    key: str = ""
    """PEM file with the private key of `certificate`, not encrypted, readable by the server alone."""

    check_interval_s: int = 10
    """How often the files are looked at; new connections get a changed certificate, none is dropped."""

    def __post_init__(self) -> None:
        """Refuse one file without the other.

        Raises:
            ValueError: names the key and the fix.
        """
        if bool(self.certificate) != bool(self.key):
            raise ValueError("key: set it together with certificate, or leave both empty")
        if self.check_interval_s < 1:
            raise ValueError("check_interval_s: must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """Settings under `[limits]`: how fast a peer may be."""

    enabled: bool = True
    """Turn all rate limits off with `false`: for load tests, not for the open internet. Size limits stay."""

    bytes_per_s: int = 262_144
    """Bytes a second that one connection may send for long; a faster one is slowed down."""

    burst_bytes: int = 4_194_304
    """Bytes that one connection may send at once before `bytes_per_s` slows it down."""

    bulk_bytes_per_s: int = 16_777_216
    """The same for a connection to `http` or `https`, over which files are uploaded."""

    frames_per_s: int = 50
    """Messages, stanzas or commands a second that one connection may send for long."""

    burst_frames: int = 1_000
    """Messages, stanzas or commands that one connection may send at once."""

    connects_per_s_per_peer: int = 50
    """New connections a second from one IPv4 address or IPv6 /64; those beyond are closed at once."""

    burst_connects_per_peer: int = 500
    """New connections at once from one IPv4 address or IPv6 /64."""

    failed_logins_per_minute_per_peer: int = 10
    """Failed logins a minute from one address before more are refused without a look at the password."""

    failed_logins_per_minute_per_account: int = 20
    """Failed logins a minute for one account, from anywhere."""

    failed_logins_burst: int = 20
    """Failed logins at once, for both."""

    registrations_per_hour_per_peer: int = 5
    """Accounts that may be made in an hour from one IPv4 address or IPv6 /64, where registration is open."""

    registrations_per_hour: int = 100
    """The same from everywhere together."""

    temporary_per_minute_per_peer: int = 10
    """Logins without an account in a minute from one IPv4 address or IPv6 /64, where they are allowed."""

    def __post_init__(self) -> None:
        """Refuse a limit that would let nothing through.

        Raises:
            ValueError: names the key and the fix.
        """
        for key in self.__slots__:
            if key != "enabled" and getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1; limits.enabled = false turns limits off")
