"""What owners do (XEP-0045 §10): the configuration form, and the end of a room."""

from typing import Final

import msgspec

from sabir.core.model.conversation import Conversation, Role, RoomConfig
from sabir.protocols.xmpp.errors import BAD_REQUEST, FORBIDDEN, NOT_ACCEPTABLE, Refused
from sabir.protocols.xmpp.features import forms
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.forms import Field
from sabir.protocols.xmpp.features.muc.names import OWNER, refused

FORM_TYPE: Final = "http://jabber.org/protocol/muc#roomconfig"
MOST_CHARS: Final = 1_000
"""Characters of a title, description or password at most."""

_TITLE: Final = "muc#roomconfig_roomname"
_DESCRIPTION: Final = "muc#roomconfig_roomdesc"
_LISTED: Final = "muc#roomconfig_publicroom"
_PERSISTENT: Final = "muc#roomconfig_persistentroom"
_MEMBERS_ONLY: Final = "muc#roomconfig_membersonly"
_MODERATED: Final = "muc#roomconfig_moderatedroom"
_PROTECTED: Final = "muc#roomconfig_passwordprotectedroom"
_SECRET: Final = "muc#roomconfig_roomsecret"
_MAX_USERS: Final = "muc#roomconfig_maxusers"
_CHANGE_SUBJECT: Final = "muc#roomconfig_changesubject"
_INVITES: Final = "muc#roomconfig_allowinvites"
_WHOIS: Final = "muc#roomconfig_whois"
_PRIVATE: Final = "muc#roomconfig_allowpm"

_SIZES: Final = ("10", "20", "50", "100", "500", "1000", "5000")


def take(context: Context, iq: Iq, room: Conversation) -> None:
    """Answer a request of an owner."""
    if room.role_of(context.actor.id) is not Role.OWNER:
        raise Refused(FORBIDDEN)  # XEP-0045 §10.2
    if not iq.is_set:
        shown = forms.write("form", FORM_TYPE, fields_of(room.config), f"Configuration of {room.name}")
        context.reply(iq.stanza, f"<query xmlns='{OWNER}'>{shown}</query>")
        return
    destroy = iq.payload.find("destroy")
    form = forms.submitted(iq.payload)
    if destroy is not None:
        ticket = context.begin()

        def destroyed() -> None:
            context.reply(iq.stanza)
            ticket.finish()

        context.place.services.moderation.destroy(
            context.session,
            room,
            destroy.child_text("reason") or "",
            destroy.get("jid") or "",
            destroyed,
            refused(context, iq.stanza, ticket),
        )
    elif form is not None and form.get("type") == "cancel":
        context.reply(iq.stanza)
    elif form is not None and form.get("type") == "submit":
        _configure(context, iq, room, forms.read(form))
    else:
        raise Refused(BAD_REQUEST)


def _configure(context: Context, iq: Iq, room: Conversation, fields: dict[str, list[str]]) -> None:
    """XEP-0045 §10.1.2: an empty form takes the defaults; fields that are not sent stay as they are."""
    if forms.first(fields, forms.FORM_TYPE) not in (None, FORM_TYPE):
        raise Refused(BAD_REQUEST)
    config = config_of(room.config, fields)
    if config == room.config:
        context.reply(iq.stanza)
        return
    ticket = context.begin()

    def configured() -> None:
        context.reply(iq.stanza)
        ticket.finish()

    context.place.services.moderation.configure(
        context.session, room, config, configured, refused(context, iq.stanza, ticket)
    )


def fields_of(config: RoomConfig) -> list[Field]:
    """Return the configuration as an owner's form shows it."""
    most = str(config.max_attendees or "none")
    sizes = sorted({*_SIZES, most} - {"none"}, key=int)
    return [
        forms.text(_TITLE, config.title, "Name of the room"),
        forms.text(_DESCRIPTION, config.description, "Short description"),
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
            "anyone" if config.private_messages else "moderators",
            "Who may send private messages",
            (("anyone", "Everybody"), ("moderators", "Moderators")),
        ),
    ]


def config_of(before: RoomConfig, fields: dict[str, list[str]]) -> RoomConfig:
    """Return the configuration that a submitted form makes of `before`.

    Raises:
        Refused: if a value makes no sense.
    """
    config = before
    for name, attribute in (
        (_LISTED, "listed"),
        (_PERSISTENT, "persistent"),
        (_MEMBERS_ONLY, "members_only"),
        (_MODERATED, "moderated"),
        (_INVITES, "invites_by_members"),
    ):
        value = forms.first(fields, name)
        if value is not None:
            config = msgspec.structs.replace(config, **{attribute: forms.is_true(value)})
    if (value := forms.first(fields, _CHANGE_SUBJECT)) is not None:
        config = msgspec.structs.replace(config, topic_locked=not forms.is_true(value))
    if (value := _line(fields, _TITLE)) is not None:
        config = msgspec.structs.replace(config, title=value)
    if (value := _line(fields, _DESCRIPTION)) is not None:
        config = msgspec.structs.replace(config, description=value)
    if (value := forms.first(fields, _WHOIS)) is not None:
        config = msgspec.structs.replace(config, anonymous=value != "anyone")
    if (value := forms.first(fields, _PRIVATE)) is not None:
        config = msgspec.structs.replace(config, private_messages=value in ("anyone", "participants"))
    if (value := forms.first(fields, _MAX_USERS)) is not None:
        if value != "none" and (not value.isascii() or not value.isdecimal() or len(value) > 6):
            raise Refused(NOT_ACCEPTABLE)
        config = msgspec.structs.replace(config, max_attendees=0 if value == "none" else int(value))
    return msgspec.structs.replace(config, key=_key(before.key, fields))


def _key(before: str, fields: dict[str, list[str]]) -> str:
    protected = forms.first(fields, _PROTECTED)
    if protected is not None and not forms.is_true(protected):
        return ""
    secret = _line(fields, _SECRET)
    key = before if secret is None else secret
    if protected is not None and not key:
        raise Refused(NOT_ACCEPTABLE)  # a password is demanded and none is given
    return key


def _line(fields: dict[str, list[str]], name: str) -> str | None:
    values = fields.get(name)
    if values is None:
        return None
    value = " ".join(values)
    if len(value) > MOST_CHARS:
        raise Refused(NOT_ACCEPTABLE)
    return value
