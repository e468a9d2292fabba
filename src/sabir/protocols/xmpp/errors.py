"""Stream errors and stanza errors in the words of RFC 6120, and the core's refusals in these words."""

from dataclasses import dataclass
from enum import Enum
from typing import Final, assert_never

from sabir.core.errors import Refusal
from sabir.wire.xml import XmlFault

STREAM_ERRORS: Final = "urn:ietf:params:xml:ns:xmpp-streams"
STANZA_ERRORS: Final = "urn:ietf:params:xml:ns:xmpp-stanzas"


class StreamCondition(Enum):
    """Why a stream ends (RFC 6120 §4.9.3)."""

    BAD_FORMAT = "bad-format"
    BAD_NAMESPACE_PREFIX = "bad-namespace-prefix"
    CONFLICT = "conflict"
    CONNECTION_TIMEOUT = "connection-timeout"
    HOST_UNKNOWN = "host-unknown"
    IMPROPER_ADDRESSING = "improper-addressing"
    INTERNAL_SERVER_ERROR = "internal-server-error"
    INVALID_FROM = "invalid-from"
    INVALID_NAMESPACE = "invalid-namespace"
    INVALID_XML = "invalid-xml"
    NOT_AUTHORIZED = "not-authorized"
    NOT_WELL_FORMED = "not-well-formed"
    POLICY_VIOLATION = "policy-violation"
    RESET = "reset"
    RESOURCE_CONSTRAINT = "resource-constraint"
    RESTRICTED_XML = "restricted-xml"
    SYSTEM_SHUTDOWN = "system-shutdown"
    UNDEFINED_CONDITION = "undefined-condition"
    UNSUPPORTED_ENCODING = "unsupported-encoding"
    UNSUPPORTED_STANZA_TYPE = "unsupported-stanza-type"
    UNSUPPORTED_VERSION = "unsupported-version"


class StreamError(Exception):
    """Raised, or told, when a stream has to end; `text` says to the peer what to do next.

    `extra` is an application's own condition, as XML.
    """

    def __init__(self, condition: StreamCondition, text: str = "", extra: str = "") -> None:
        super().__init__(condition.value)
        self.condition = condition
        self.text = text
        self.extra = extra


class ErrorType(Enum):
    """What the sender of a refused stanza may do (RFC 6120 §8.3.2)."""

    AUTH = "auth"
    CANCEL = "cancel"
    CONTINUE = "continue"
    MODIFY = "modify"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class StanzaError:
    """Why a stanza is refused (RFC 6120 §8.3); `extra` is an application's own condition, as XML."""

    type: ErrorType
    condition: str
    text: str = ""
    extra: str = ""


class Refused(Exception):
    """Raised while a stanza is handled: its sender is told `error`."""

    def __init__(self, error: StanzaError) -> None:
        super().__init__(error.condition)
        self.error = error


BAD_REQUEST: Final = StanzaError(ErrorType.MODIFY, "bad-request")
CONFLICT: Final = StanzaError(ErrorType.CANCEL, "conflict")
FEATURE_NOT_IMPLEMENTED: Final = StanzaError(ErrorType.CANCEL, "feature-not-implemented")
FORBIDDEN: Final = StanzaError(ErrorType.AUTH, "forbidden")
ITEM_NOT_FOUND: Final = StanzaError(ErrorType.CANCEL, "item-not-found")
JID_MALFORMED: Final = StanzaError(ErrorType.MODIFY, "jid-malformed")
NOT_ACCEPTABLE: Final = StanzaError(ErrorType.MODIFY, "not-acceptable")
NOT_ALLOWED: Final = StanzaError(ErrorType.CANCEL, "not-allowed")
REMOTE_SERVER_NOT_FOUND: Final = StanzaError(ErrorType.CANCEL, "remote-server-not-found")
REMOTE_SERVER_TIMEOUT: Final = StanzaError(ErrorType.WAIT, "remote-server-timeout")
SERVICE_UNAVAILABLE: Final = StanzaError(ErrorType.CANCEL, "service-unavailable")

PUBSUB_ERRORS: Final = "http://jabber.org/protocol/pubsub#errors"


def pubsub_error(type: ErrorType, condition: str, special: str, text: str = "") -> StanzaError:
    """Return an error with a condition of pubsub's own (XEP-0060 §16.4)."""
    return StanzaError(type, condition, text, f"<{special} xmlns='{PUBSUB_ERRORS}'/>")


_BLOCKING: Final = StanzaError(
    ErrorType.CANCEL,
    "not-acceptable",
    "You have blocked this contact.",
    "<blocked xmlns='urn:xmpp:blocking:errors'/>",
)


def stream_error_for(fault: XmlFault) -> StreamError:
    """Return the stream error that tells a client what is wrong with its XML."""
    match fault:
        case XmlFault.NOT_WELL_FORMED:
            return StreamError(StreamCondition.NOT_WELL_FORMED)  # RFC 6120 §4.9.3.13
        case XmlFault.RESTRICTED:
            return StreamError(StreamCondition.RESTRICTED_XML)  # RFC 6120 §4.9.3.18
        case XmlFault.BAD_ENCODING:
            return StreamError(StreamCondition.UNSUPPORTED_ENCODING, "Send UTF-8.")  # RFC 6120 §4.9.3.22
        case XmlFault.TOO_DEEP | XmlFault.TOO_BIG | XmlFault.TOO_MANY:
            # RFC 6120 §13.12: a stanza beyond the limits ends the stream.
            return StreamError(StreamCondition.POLICY_VIOLATION, fault.value)
        case _:
            assert_never(fault)


def slow_mode(duration_s: int) -> StanzaError:
    """Return what tells a client that it speaks too soon, and how long to wait if that is known (XEP-0500 §6)."""
    wait = f"{duration_s} seconds" if duration_s else "a while"
    text = f"This room is in slow mode: wait {wait} between two messages."
    return StanzaError(ErrorType.WAIT, "policy-violation", text)


def stanza_error_for(refusal: Refusal) -> StanzaError:
    """Return the stanza error that tells an XMPP client about `refusal`."""
    match refusal:
        case Refusal.LOGIN_FAILED | Refusal.LOGIN_REQUIRED:
            return StanzaError(ErrorType.AUTH, "not-authorized")
        case Refusal.ACCOUNT_UNKNOWN | Refusal.ACTOR_UNKNOWN | Refusal.ACTOR_ABSENT | Refusal.BLOCKED:
            # XEP-0191 §3.3: whoever is blocked sees the same as if nobody were there.
            return SERVICE_UNAVAILABLE
        case Refusal.ACCOUNT_EXISTS | Refusal.ROOM_EXISTS | Refusal.NICK_IN_USE | Refusal.ALREADY_ATTENDING:
            return CONFLICT
        case Refusal.ACCOUNT_DISABLED | Refusal.BANNED | Refusal.NO_VOICE | Refusal.ROLE_TOO_LOW:
            return FORBIDDEN
        case Refusal.INVITE_DENIED | Refusal.TARGET_FOREIGN:
            return FORBIDDEN
        case Refusal.NAME_INVALID | Refusal.NICK_INVALID:
            return JID_MALFORMED
        case Refusal.ROOM_CREATION_DENIED | Refusal.ROLE_OF_TARGET:
            return NOT_ALLOWED
        case Refusal.LAST_OWNER:
            return StanzaError(ErrorType.CANCEL, "conflict", "Somebody has to remain its owner.")
        case Refusal.ROOM_UNKNOWN | Refusal.TARGET_UNKNOWN:
            return ITEM_NOT_FOUND
        case Refusal.ROOM_GONE:
            return StanzaError(ErrorType.CANCEL, "gone")
        case Refusal.ROOM_FULL:
            return StanzaError(ErrorType.WAIT, "service-unavailable")
        case Refusal.MEMBERS_ONLY:
            return StanzaError(ErrorType.AUTH, "registration-required")
        case Refusal.KEY_WRONG:
            return StanzaError(ErrorType.AUTH, "not-authorized")
        case Refusal.NOT_ATTENDING:
            return NOT_ACCEPTABLE
        case Refusal.BLOCKING:
            return _BLOCKING  # XEP-0191 §3.2
        case Refusal.NODE_UNKNOWN | Refusal.ITEM_UNKNOWN:
            return ITEM_NOT_FOUND  # XEP-0060 §7.1.3.3, §7.2.3.2
        case Refusal.NODE_EXISTS:
            return CONFLICT  # XEP-0060 §8.1.2
        case Refusal.NODE_CLOSED:
            return pubsub_error(ErrorType.CANCEL, "not-allowed", "closed-node")  # XEP-0060 §6.5.9.8
        case Refusal.NODE_DIFFERS:
            return pubsub_error(ErrorType.CANCEL, "conflict", "precondition-not-met")  # XEP-0060 §7.1.5
        case Refusal.NOT_SUBSCRIBED:
            return pubsub_error(ErrorType.CANCEL, "unexpected-request", "not-subscribed")  # XEP-0060 §6.2.3.2
        case Refusal.TOO_LARGE:
            return StanzaError(ErrorType.MODIFY, "policy-violation", "The message is too large.")
        case Refusal.TOO_MANY:
            return StanzaError(ErrorType.WAIT, "resource-constraint", "A limit of this server is reached.")
        case Refusal.RATE_LIMITED:
            return StanzaError(ErrorType.WAIT, "policy-violation", "Too fast: wait a moment.")
        case Refusal.SLOW_MODE:
            return slow_mode(0)
        case Refusal.BUSY:
            return StanzaError(ErrorType.WAIT, "resource-constraint", "The server is busy: try again.")
        case Refusal.FAULT:
            return StanzaError(ErrorType.CANCEL, "internal-server-error")
        case Refusal.STORAGE_FAILED:
            return StanzaError(ErrorType.WAIT, "internal-server-error", "It was not stored: try again.")
        case Refusal.BAD_REQUEST:
            return BAD_REQUEST
        case _:
            assert_never(refusal)
