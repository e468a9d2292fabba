"""Settings of the MQTT front end."""

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from sabir.base.secret import Secret

_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ADDRESS: Final = re.compile(r"(tls://)?(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeTopic:
    """Topics that two brokers share, in `[[mqtt.bridges]]`."""

    filter: str
    """Which topics, without what `local` and `remote` put before them."""

    direction: Literal["in", "out", "both"] = "out"
    """`in`: from the other broker to here."""

    qos: int = 1
    """The highest at which messages pass."""

    local: str = ""
    """What stands before such a topic here, such as `plant/`."""

    remote: str = ""
    """What stands before it at the other broker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeConfig:
    """Another broker, `[[mqtt.bridges]]`."""

    name: str
    """Names the bridge in `$SYS/broker/connection/NAME/state`."""

    address: str
    """`host:port`, or `tls://host:port`."""

    topics: tuple[BridgeTopic, ...]
    """What is shared."""

    client_id: str = ""
    """The client identifier at the other broker; empty for `sabir-` and the name."""

    username: str = ""
    """The user name at the other broker; empty for none."""

    password: Secret = field(default_factory=lambda: Secret(""))
    """Its password."""

    trust: tuple[str, ...] = ()
    """Files with the certificates of authorities that count there (PEM); none for those of the system."""

    version: Literal["5.0", "3.1.1"] = "5.0"
    """The version of MQTT that the other broker speaks."""

    keep_alive_s: int = 60
    """The longest silence before the other broker is asked whether it is there."""

    session_expiry_s: int = 604_800
    """How long the other broker is to keep what it has for us."""

    def __post_init__(self) -> None:
        """Check what a type cannot say."""
        if not _NAME.fullmatch(self.name):
            raise ValueError("name takes letters, digits, - and _")
        if not _ADDRESS.fullmatch(self.address):
            raise ValueError("address is written host:port or tls://host:port")
        if not 1 <= self.keep_alive_s <= 65_535:
            raise ValueError("keep_alive_s must be from 1 to 65535")
        if not 1 <= self.session_expiry_s <= 0xFFFF_FFFF:
            raise ValueError("session_expiry_s must be from 1 to 4294967295")
        if self.password.reveal() and not self.username:
            raise ValueError("a password needs a username")
        if any(not 0 <= topic.qos <= 2 for topic in self.topics):
            raise ValueError("qos must be 0, 1 or 2")


@dataclass(frozen=True, slots=True, kw_only=True)
class MqttConfig:
    """Settings under `[mqtt]`."""

    anonymous: bool = False
    """Whether clients without user name may connect."""

    acl: tuple[str, ...] = ()
    """Who may read and write which topics, a rule each: `WHO WHAT FILTER`. WHO is an account, `*` or `anonymous`, WHAT
    is `read`, `write`, `readwrite` or `deny`, and in FILTER `%u` stands for the account and `%c` for the client
    identifier. The first rule that fits decides; if none does, it is denied. Without rules everything is allowed."""

    max_packet_bytes: int = 1_048_576
    """Longest packet that a client may send."""

    receive_maximum: int = 1000
    """Messages of QoS 2 that a client may have under way at once."""

    max_inflight: int = 1000
    """Messages that are sent to a client at once before it acknowledges one; it may ask for fewer."""

    topic_alias_maximum: int = 100
    """Topic aliases that a client may use; 0 for none."""

    max_keep_alive_s: int = 0
    """A client that asks for a longer keep-alive, or for none, is given this one; 0 leaves it to the client."""

    connect_timeout_s: int = 15
    """A connection that has not logged in by then is closed."""

    max_session_expiry_s: int = 604_800
    """Longest time that the session of a client that is gone is kept."""

    max_sessions: int = 100_000
    """Sessions that outlive their connection. Beyond, a client of 5.0 is told that its session ends with its
    connection, and a client of 3.1.1 that wants one is refused."""

    max_account_sessions: int = 20_000
    """The same for the clients of one account; those without account count as one."""

    max_queue_bytes: int = 268_435_456
    """What may wait for one client."""

    max_account_queue_bytes: int = 1_073_741_824
    """What may wait for all clients of one account together, or be under way to them."""

    max_queues_bytes: int = 2_147_483_648
    """The same for all clients of all accounts."""

    max_subscriptions: int = 1000
    """Topic filters of one client."""

    max_account_filter_bytes: int = 67_108_864
    """What the filters of all clients of one account may take: each about 350 bytes for a level, and its length."""

    max_retained_bytes: int = 268_435_456
    """What all retained messages together may take."""

    max_account_retained_bytes: int = 134_217_728
    """What the retained messages that were published by one account may take."""

    status_interval_s: int = 10
    """How often the topics under `$SYS` are published; 0 for never."""

    bridges: tuple[BridgeConfig, ...] = ()
    """Other brokers with which topics are shared, each a table `[[mqtt.bridges]]`: see the page about MQTT."""

    redirect: str = ""
    """Another server, as `host:port`, that clients are told to use instead; empty for none."""

    redirect_for_good: bool = False
    """Whether they are to use it for ever."""

    def __post_init__(self) -> None:
        """Refuse what no client could work with.

        Raises:
            ValueError: names the key and the fix.
        """
        positive = ("connect_timeout_s", "max_inflight", "max_queue_bytes", "max_account_queue_bytes")
        for key in (*positive, "max_queues_bytes", "max_subscriptions"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1")
        if len({bridge.name for bridge in self.bridges}) < len(self.bridges):
            raise ValueError("bridges: each needs a name of its own")
        if not 1024 <= self.max_packet_bytes <= 268_435_455:
            raise ValueError("max_packet_bytes: must be from 1024 to 268435455")
        for key, least in (("receive_maximum", 1), ("topic_alias_maximum", 0), ("max_keep_alive_s", 0)):
            if not least <= getattr(self, key) <= 65_535:
                raise ValueError(f"{key}: must be from {least} to 65535")
