"""The form `muc#roomconfig` (XEP-0045 §10.2): what owners see and set of a room's configuration.

Fields of the form that this server cannot honour are refused unless they ask for what is the case anyway.
"""

from typing import Final

import msgspec

from sabir.core.model.conversation import Conversation, Role, RoomConfig, Whispers
from sabir.protocols.xmpp.errors import NOT_ACCEPTABLE, Refused
from sabir.protocols.xmpp.features import forms
from sabir.protocols.xmpp.features.context import Place
from sabir.protocols.xmpp.features.forms import Field
from sabir.protocols.xmpp.features.muc.names import real_address

FORM_TYPE: Final = "http://jabber.org/protocol/muc#roomconfig"
PREFIX: Final = "muc#roomconfig_"
MOST_CHARS: Final = 1_000
"""Characters of a title, description or password at most."""
MOST_HISTORY: Final = 250
"""Messages of history at most; for more there is the archive (XEP-0313)."""
MOST_SLOW_S: Final = 86_400
"""The slowest slow mode, in seconds."""

OWNERS: Final = PREFIX + "roomowners"
ADMINS: Final = PREFIX + "roomadmins"
_TITLE: Final = PREFIX + "roomname"
_DESCRIPTION: Final = PREFIX + "roomdesc"
_LANGUAGE: Final = PREFIX + "lang"
_LISTED: Final = PREFIX + "publicroom"
_PERSISTENT: Final = PREFIX + "persistentroom"
_MEMBERS_ONLY: Final = PREFIX + "membersonly"
_MODERATED: Final = PREFIX + "moderatedroom"
_PROTECTED: Final = PREFIX + "passwordprotectedroom"
_SECRET: Final = PREFIX + "roomsecret"
_MAX_USERS: Final = PREFIX + "maxusers"
_CHANGE_SUBJECT: Final = PREFIX + "changesubject"
_INVITES: Final = PREFIX + "allowinvites"
_WHOIS: Final = PREFIX + "whois"
_PRIVATE: Final = PREFIX + "allowpm"
_LOGGING: Final = PREFIX + "enablelogging"
_BROADCAST: Final = PREFIX + "presencebroadcast"
_SLOW_MODE: Final = PREFIX + "slow_mode_duration"
_HISTORY: Final = "muc#maxhistoryfetch"

_SIZES: Final = ("10", "20", "50", "100", "500", "1000", "5000")
_BOOLEANS: Final = (
    (_LISTED, "listed"),
    (_PERSISTENT, "persistent"),
    (_MEMBERS_ONLY, "members_only"),
    (_MODERATED, "moderated"),
    (_INVITES, "invites_by_members"),
)
_TEXTS: Final = ((_TITLE, "title"), (_DESCRIPTION, "description"), (_LANGUAGE, "language"))
_WHISPERS: Final = {
    "anyone": Whispers.ANYONE,
    "participants": Whispers.PARTICIPANTS,
    "moderators": Whispers.MODERATORS,
    "none": Whispers.NOBODY,
}
_ROLES: Final = frozenset(("moderator", "participant", "visitor"))
_KNOWN: Final = frozenset(
    (
        *(name for name, _ in _BOOLEANS),
        *(name for name, _ in _TEXTS),
        *(OWNERS, ADMINS, _PROTECTED, _SECRET, _MAX_USERS, _CHANGE_SUBJECT, _WHOIS, _PRIVATE),
        *(_LOGGING, _BROADCAST, _SLOW_MODE),
    )
)
# XEP-0500 §5.1: the field says that it wants a number from 0 on (XEP-0122).
_FROM_ZERO: Final = (
    "<validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:integer'>"
    "<range min='0'/></validate>"
)


def fields_of(place: Place, room: Conversation) -> list[Field]:
    """Return the configuration as an owner's form shows it."""
    config = room.config
    most = str(config.max_attendees or "none")
    sizes = sorted({*_SIZES, most} - {"none"}, key=int)
    whispers = next(name for name, value in _WHISPERS.items() if value is config.whispers)
    slow = forms.text(_SLOW_MODE, str(config.slow_mode_s), "Seconds between two messages of one person")
    slow.extra = _FROM_ZERO
    return [
        forms.text(_TITLE, config.title, "Name of the room"),
        forms.text(_DESCRIPTION, config.description, "Short description"),
        forms.text(_LANGUAGE, config.language, "Language of the discussions"),
        forms.boolean(_PERSISTENT, config.persistent, "Keep the room when nobody is in it"),
        forms.boolean(_LISTED, config.listed, "Show the room in the directory"),
        forms.boolean(_MEMBERS_ONLY, config.members_only, "Only members may enter"),
        forms.boolean(_INVITES, config.invites_by_members, "Members may invite others"),
        forms.boolean(_MODERATED, config.moderated, "Only those with voice may speak"),
        forms.boolean(_CHANGE_SUBJECT, not config.topic_locked, "Everybody may change the subject"),
        forms.boolean(_PROTECTED, bool(config.key), "A password is needed to enter"),
        forms.text(_SECRET, config.key, "The password", "text-private"),
        forms.choice(
            _MAX_USERS,
            most,
            "Most people at the same time",
            [("none", "No limit"), *[(size, size) for size in sizes]],
        ),
        forms.choice(
            _WHOIS,
            "moderators" if config.anonymous else "anyone",
            "Who sees the addresses behind nicknames",
            (("moderators", "Moderators"), ("anyone", "Everybody")),
        ),
        forms.choice(
            _PRIVATE,
            whispers,
            "Who may send private messages",
            (
                ("anyone", "Everybody"),
                ("participants", "Those with voice"),
                ("moderators", "Moderators"),
                ("none", "Nobody"),
            ),
        ),
        forms.text(_HISTORY, str(config.max_history), "Most messages of history that one is sent"),
        slow,
        Field(ADMINS, addresses(place, room, Role.ADMIN), "jid-multi", "Administrators"),
        Field(OWNERS, addresses(place, room, Role.OWNER), "jid-multi", "Owners"),
    ]


def addresses(place: Place, room: Conversation, role: Role) -> list[str]:
    """Return the bare addresses of everybody with that stored role."""
    found = [real_address(place, member.actor) for member in room.members.values() if member.role is role]
    return [address for address in found if address]


def config_of(before: RoomConfig, fields: dict[str, list[str]]) -> RoomConfig:
    """Return the configuration that a submitted form makes of `before`.

    Raises:
        Refused: if a value makes no sense, or cannot be honoured.
    """
    if any(name.startswith(PREFIX) and name not in _KNOWN for name in fields):
        raise Refused(NOT_ACCEPTABLE)
    _check_constant(fields)
    changes: dict[str, object] = {"key": _key(before.key, fields)}
    for name, attribute in _BOOLEANS:
        if (value := forms.first(fields, name)) is not None:
            changes[attribute] = forms.is_true(value)
    for name, attribute in _TEXTS:
        if (text := _line(fields, name)) is not None:
            changes[attribute] = text
    if (value := forms.first(fields, _CHANGE_SUBJECT)) is not None:
        changes["topic_locked"] = not forms.is_true(value)
    if (value := forms.first(fields, _WHOIS)) is not None:
        if value not in ("anyone", "moderators"):
            raise Refused(NOT_ACCEPTABLE)
        changes["anonymous"] = value != "anyone"
    if (value := forms.first(fields, _PRIVATE)) is not None:
        if value not in _WHISPERS:
            raise Refused(NOT_ACCEPTABLE)
        changes["whispers"] = _WHISPERS[value]
    if (value := forms.first(fields, _MAX_USERS)) is not None:
        changes["max_attendees"] = 0 if value == "none" else _number(value, 999_999)
    if (value := forms.first(fields, _HISTORY)) is not None:
        changes["max_history"] = min(_number(value, 999_999), MOST_HISTORY)
    if (value := forms.first(fields, _SLOW_MODE)) is not None:
        changes["slow_mode_s"] = _number(value, MOST_SLOW_S)
    return msgspec.structs.replace(before, **changes)


def _check_constant(fields: dict[str, list[str]]) -> None:
    """Refuse to change what is the same in all rooms: everything is kept, and everybody is seen."""
    logging = forms.first(fields, _LOGGING)
    if logging is not None and not forms.is_true(logging):
        raise Refused(NOT_ACCEPTABLE)
    if _BROADCAST in fields and set(fields[_BROADCAST]) != _ROLES:
        raise Refused(NOT_ACCEPTABLE)


def _key(before: str, fields: dict[str, list[str]]) -> str:
    protected = forms.first(fields, _PROTECTED)
    if protected is not None and not forms.is_true(protected):
        return ""
    secret = _line(fields, _SECRET)
    key = before if secret is None else secret
    if protected is not None and not key:
        raise Refused(NOT_ACCEPTABLE)  # a password is demanded and none is given
    return key


def _number(text: str, most: int) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 6 or int(text) > most:
        raise Refused(NOT_ACCEPTABLE)
    return int(text)


def _line(fields: dict[str, list[str]], name: str) -> str | None:
    values = fields.get(name)
    if values is None:
        return None
    value = " ".join(values)
    if len(value) > MOST_CHARS:
        raise Refused(NOT_ACCEPTABLE)
    return value
