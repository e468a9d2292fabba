"""Everything that the core may refuse: one closed enum, which each protocol words in its own way."""

from __future__ import annotations

from enum import Enum


class Refusal(Enum):
    """Why the core said no. The state is unchanged whenever one of these is given."""

    LOGIN_FAILED = "login failed"
    """Wrong name, password or mechanism; deliberately one answer for all of them."""
    LOGIN_REQUIRED = "login required"
    ACCOUNT_UNKNOWN = "no such account"
    ACCOUNT_EXISTS = "account exists"
    ACCOUNT_DISABLED = "account disabled"
    NAME_INVALID = "name not valid"

    ROOM_UNKNOWN = "no such room"
    ROOM_EXISTS = "room exists"
    ROOM_GONE = "room was destroyed"
    ROOM_FULL = "room is full"
    ROOM_CREATION_DENIED = "may not create rooms"
    BANNED = "banned from this room"
    MEMBERS_ONLY = "members only"
    KEY_WRONG = "room password missing or wrong"
    NICK_IN_USE = "nick in use"
    NICK_INVALID = "nick not valid"
    NOT_ATTENDING = "not in this room"
    ALREADY_ATTENDING = "already in this room"
    NO_VOICE = "may not speak here"
    ROLE_TOO_LOW = "role too low"
    ROLE_OF_TARGET = "the other one's role is as high or higher"
    LAST_OWNER = "a room needs an owner"
    INVITE_DENIED = "may not invite here"

    ACTOR_UNKNOWN = "nobody of that name"
    ACTOR_ABSENT = "not here now"
    TARGET_UNKNOWN = "no such message"
    TARGET_FOREIGN = "not your message"
    BLOCKED = "blocked by the recipient"
    BLOCKING = "you have blocked them"

    NODE_UNKNOWN = "no such node"
    NODE_EXISTS = "node exists"
    NODE_CLOSED = "may not read this node"
    NODE_DIFFERS = "the node is configured in another way"
    ITEM_UNKNOWN = "no such item"
    NOT_SUBSCRIBED = "not subscribed"

    TOO_LARGE = "too large"
    TOO_MANY = "limit reached"
    RATE_LIMITED = "too fast"
    SLOW_MODE = "the room is in slow mode"
    BUSY = "server is busy"
    STORAGE_FAILED = "the store failed"
    BAD_REQUEST = "bad request"
    FAULT = "internal error"
    """A bug of ours."""
