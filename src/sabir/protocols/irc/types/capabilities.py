"""The capabilities that we offer, as bits: a set of them is an int that is quick to test and to compare."""

from typing import Final

ACCOUNT_NOTIFY: Final = 1 << 0
ACCOUNT_TAG: Final = 1 << 1
AWAY_NOTIFY: Final = 1 << 2
BATCH: Final = 1 << 3
CAP_NOTIFY: Final = 1 << 4
CHGHOST: Final = 1 << 5
CHATHISTORY: Final = 1 << 6
EVENT_PLAYBACK: Final = 1 << 7
MESSAGE_REDACTION: Final = 1 << 8
MULTILINE: Final = 1 << 9
NO_IMPLICIT_NAMES: Final = 1 << 10
READ_MARKER: Final = 1 << 11
ECHO_MESSAGE: Final = 1 << 12
EXTENDED_JOIN: Final = 1 << 13
INVITE_NOTIFY: Final = 1 << 15
LABELED_RESPONSE: Final = 1 << 16
MESSAGE_TAGS: Final = 1 << 17
MULTI_PREFIX: Final = 1 << 18
SASL: Final = 1 << 19
SERVER_TIME: Final = 1 << 20
SETNAME: Final = 1 << 21
STANDARD_REPLIES: Final = 1 << 22
USERHOST_IN_NAMES: Final = 1 << 23

BITS: Final[dict[str, int]] = {
    "account-notify": ACCOUNT_NOTIFY,
    "account-tag": ACCOUNT_TAG,
    "away-notify": AWAY_NOTIFY,
    "batch": BATCH,
    "cap-notify": CAP_NOTIFY,
    "chghost": CHGHOST,
    "draft/chathistory": CHATHISTORY,
    "draft/event-playback": EVENT_PLAYBACK,
    "draft/message-redaction": MESSAGE_REDACTION,
    "draft/multiline": MULTILINE,
    "draft/no-implicit-names": NO_IMPLICIT_NAMES,
    "draft/read-marker": READ_MARKER,
    "echo-message": ECHO_MESSAGE,
    "extended-join": EXTENDED_JOIN,
    "invite-notify": INVITE_NOTIFY,
    "labeled-response": LABELED_RESPONSE,
    "message-tags": MESSAGE_TAGS,
    "multi-prefix": MULTI_PREFIX,
    "no-implicit-names": NO_IMPLICIT_NAMES,
    "sasl": SASL,
    "server-time": SERVER_TIME,
    "setname": SETNAME,
    "standard-replies": STANDARD_REPLIES,
    "userhost-in-names": USERHOST_IN_NAMES,
}
"""Names to bits; `draft/no-implicit-names` is what clients still ask for."""
