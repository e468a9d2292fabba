"""Settings of the MQTT front end."""

from dataclasses import dataclass


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
        if not 1024 <= self.max_packet_bytes <= 268_435_455:
            raise ValueError("max_packet_bytes: must be from 1024 to 268435455")
        for key, least in (("receive_maximum", 1), ("topic_alias_maximum", 0), ("max_keep_alive_s", 0)):
            if not least <= getattr(self, key) <= 65_535:
                raise ValueError(f"{key}: must be from {least} to 65535")
