"""The properties of a packet (MQTT 5.0 §2.2.2)."""

from typing import Final

PAYLOAD_FORMAT: Final = 0x01
MESSAGE_EXPIRY: Final = 0x02
CONTENT_TYPE: Final = 0x03
RESPONSE_TOPIC: Final = 0x08
CORRELATION_DATA: Final = 0x09
SUBSCRIPTION_ID: Final = 0x0B
SESSION_EXPIRY: Final = 0x11
ASSIGNED_CLIENT_ID: Final = 0x12
SERVER_KEEP_ALIVE: Final = 0x13
AUTH_METHOD: Final = 0x15
AUTH_DATA: Final = 0x16
REQUEST_PROBLEM_INFO: Final = 0x17
WILL_DELAY: Final = 0x18
REQUEST_RESPONSE_INFO: Final = 0x19
RESPONSE_INFO: Final = 0x1A
SERVER_REFERENCE: Final = 0x1C
REASON_STRING: Final = 0x1F
RECEIVE_MAXIMUM: Final = 0x21
TOPIC_ALIAS_MAXIMUM: Final = 0x22
TOPIC_ALIAS: Final = 0x23
MAXIMUM_QOS: Final = 0x24
RETAIN_AVAILABLE: Final = 0x25
USER_PROPERTY: Final = 0x26
MAXIMUM_PACKET_SIZE: Final = 0x27
WILDCARDS_AVAILABLE: Final = 0x28
SUBSCRIPTION_IDS_AVAILABLE: Final = 0x29
SHARED_AVAILABLE: Final = 0x2A


_VALUE_BYTES: Final = 50
"""What a text takes beside its characters."""


class Properties:
    """Properties by their identifiers; those that may come more than once stand apart, in their order."""

    def __init__(self) -> None:
        self.numbers: Final[dict[int, int]] = {}
        self.texts: Final[dict[int, str]] = {}
        self.data: Final[dict[int, bytes]] = {}
        self.users: Final[list[tuple[str, str]]] = []
        """User properties; the order, and repeated names, mean something to applications."""
        self.subscription_ids: Final[list[int]] = []

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Properties) and (
            self.numbers == other.numbers
            and self.texts == other.texts
            and self.data == other.data
            and self.users == other.users
            and self.subscription_ids == other.subscription_ids
        )

    def __hash__(self) -> int:
        return id(self)

    def __repr__(self) -> str:
        return f"Properties({self.numbers}, {self.texts}, {self.data}, {self.users}, {self.subscription_ids})"

    @property
    def size(self) -> int:
        """Roughly what they cost to keep, in bytes."""
        texts = sum(len(text) + _VALUE_BYTES for text in self.texts.values())
        data = sum(len(each) + _VALUE_BYTES for each in self.data.values())
        return texts + data + sum(len(name) + len(value) + 3 * _VALUE_BYTES for name, value in self.users)

    def number(self, identifier: int, default: int) -> int:
        """Return the value of a property that is a number, or `default` if it is absent."""
        return self.numbers.get(identifier, default)


NONE: Final = Properties()
"""No properties: shared, and never changed."""
