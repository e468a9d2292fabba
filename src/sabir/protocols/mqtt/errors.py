"""What is wrong with what a client sent, and the core's refusals as reason codes."""

from typing import assert_never

from sabir.core.errors import Refusal
from sabir.protocols.mqtt.types.reasons import Reason


class MqttSyntaxError(Exception):
    """A packet is malformed or not allowed here: the connection ends with `reason` (MQTT 5.0 §4.13)."""

    def __init__(self, what: str, reason: Reason = Reason.MALFORMED_PACKET) -> None:
        super().__init__(what)
        self.reason = reason


def reason_for(refusal: Refusal) -> Reason:  # a table, and so long
    """Return the reason code that tells a client about `refusal` (MQTT 5.0 §2.4)."""
    match refusal:
        case Refusal.LOGIN_FAILED | Refusal.LOGIN_REQUIRED:
            return Reason.BAD_USER_NAME_OR_PASSWORD
        case Refusal.ACCOUNT_DISABLED | Refusal.BANNED | Refusal.BLOCKED | Refusal.BLOCKING:
            return Reason.BANNED
        case (
            Refusal.MEMBERS_ONLY
            | Refusal.KEY_WRONG
            | Refusal.NO_VOICE
            | Refusal.NOT_ATTENDING
            | Refusal.ROLE_TOO_LOW
            | Refusal.ROLE_OF_TARGET
            | Refusal.INVITE_DENIED
            | Refusal.LAST_OWNER
            | Refusal.TARGET_FOREIGN
            | Refusal.ROOM_CREATION_DENIED
            | Refusal.NODE_CLOSED
            | Refusal.NOT_SUBSCRIBED
        ):
            return Reason.NOT_AUTHORIZED
        case (
            Refusal.ROOM_UNKNOWN
            | Refusal.ROOM_GONE
            | Refusal.ACCOUNT_UNKNOWN
            | Refusal.ACTOR_UNKNOWN
            | Refusal.ACTOR_ABSENT
            | Refusal.NAME_INVALID
            | Refusal.NICK_INVALID
            | Refusal.NODE_UNKNOWN
            | Refusal.ITEM_UNKNOWN
        ):
            return Reason.TOPIC_NAME_INVALID
        case Refusal.TOO_LARGE | Refusal.TOO_MANY | Refusal.ROOM_FULL:
            return Reason.QUOTA_EXCEEDED
        case Refusal.RATE_LIMITED | Refusal.SLOW_MODE:
            return Reason.MESSAGE_RATE_TOO_HIGH
        case Refusal.BUSY | Refusal.STORAGE_FAILED:
            return Reason.SERVER_BUSY
        case Refusal.BAD_REQUEST | Refusal.TARGET_UNKNOWN:
            return Reason.PAYLOAD_FORMAT_INVALID
        case (
            Refusal.ACCOUNT_EXISTS
            | Refusal.NICK_IN_USE
            | Refusal.ROOM_EXISTS
            | Refusal.ALREADY_ATTENDING
            | Refusal.NODE_EXISTS
            | Refusal.NODE_DIFFERS
            | Refusal.FAULT
        ):
            return Reason.IMPLEMENTATION_ERROR
        case _:
            assert_never(refusal)
