"""What the service and its rooms say of themselves (XEP-0045 §6, XEP-0030, XEP-0128)."""

from typing import Final

from sabir.core import policy
from sabir.core.model.conversation import Conversation, Role
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import FORBIDDEN, ITEM_NOT_FOUND, Refused
from sabir.protocols.xmpp.features import forms, mam, rsm
from sabir.protocols.xmpp.features.commands import requests as commands
from sabir.protocols.xmpp.features.commands.execution import NAMESPACE as COMMANDS
from sabir.protocols.xmpp.features.context import Context, Iq, Place
from sabir.protocols.xmpp.features.disco import INFO, ITEMS
from sabir.protocols.xmpp.features.muc import hats
from sabir.protocols.xmpp.features.muc.names import room_address
from sabir.wire.xml import escape_attribute

ROOM_INFO: Final = "http://jabber.org/protocol/muc#roominfo"
OWN_NICK: Final = "x-roomuser-item"
MOST_ITEMS: Final = 200
"""Rooms in one page of the directory."""

SERVICE: Final = (
    INFO,
    ITEMS,
    "http://jabber.org/protocol/muc",
    "http://jabber.org/protocol/rsm",
    "urn:xmpp:occupant-id:0",
    "urn:xmpp:ping",
    "vcard-temp",
)
"""What the service answers."""
ROOM: Final = (
    COMMANDS,
    INFO,
    ITEMS,
    "http://jabber.org/protocol/muc",
    "http://jabber.org/protocol/muc#request",
    "http://jabber.org/protocol/muc#self-ping-optimization",
    "http://jabber.org/protocol/muc#stable_id",
    "jabber:iq:register",
    "urn:xmpp:hats:0",
    "urn:xmpp:mam:2",
    "urn:xmpp:mam:2#extended",
    "urn:xmpp:message-moderate:0",
    "urn:xmpp:message-moderate:1",
    "urn:xmpp:message-retract:1",
    "urn:xmpp:message-retract:1#tombstone",
    "urn:xmpp:occupant-id:0",
    "urn:xmpp:reactions:0",
    "urn:xmpp:reply:0",
    "urn:xmpp:sid:0",
    "vcard-temp",
)
"""What a room answers, beside what its configuration says."""


def service_info(context: Context, iq: Iq) -> None:
    """Say what the service is (XEP-0045 §6.2)."""
    if iq.payload.get("node"):
        raise Refused(ITEM_NOT_FOUND)
    identity = "<identity category='conference' type='text' name='Rooms'/>"
    context.reply(iq.stanza, f"<query xmlns='{INFO}'>{identity}{_features(SERVICE)}</query>")


def service_items(context: Context, iq: Iq) -> None:
    """List the public rooms, page by page (XEP-0045 §6.3)."""
    rooms = sorted(context.place.services.rooms.listed(), key=lambda room: room.name)
    request = rsm.read(iq.payload, MOST_ITEMS, MOST_ITEMS)
    page, shown = rsm.page_of(rooms, lambda room: room_address(context.place, room), request)
    items = "".join([_item(context.place, room) for room in page])
    asked = iq.payload.find("set", rsm.NAMESPACE) is not None or len(page) < len(rooms)
    context.reply(iq.stanza, f"<query xmlns='{ITEMS}'>{items}{shown if asked else ''}</query>")


def room_info(context: Context, iq: Iq, room: Conversation) -> None:
    """Say what a room is (XEP-0045 §6.4), or which nick one has there (§7.12)."""
    node = iq.payload.get("node")
    if node == OWN_NICK:
        _own_nick(context, iq, room)
        return
    if node:
        told = commands.info(context, node, hats.commands(room))
        context.reply(iq.stanza, f"<query xmlns='{INFO}'{attribute('node', node)}>{told}</query>")
        return
    config = room.config
    name = escape_attribute(config.title or room.name)
    identity = f"<identity category='conference' type='text' name='{name}'/>"
    kinds = (
        "muc_public" if config.listed else "muc_hidden",
        "muc_persistent" if config.persistent else "muc_temporary",
        "muc_membersonly" if config.members_only else "muc_open",
        "muc_moderated" if config.moderated else "muc_unmoderated",
        "muc_semianonymous" if config.anonymous else "muc_nonanonymous",
        "muc_passwordprotected" if config.key else "muc_unsecured",
    )
    features: tuple[str, ...] = (*ROOM, *kinds)
    if context.place.services.search.is_on:
        features += (mam.FULLTEXT,)
    context.reply(
        iq.stanza,
        f"<query xmlns='{INFO}'>{identity}{_features(features)}{_form(context, room)}</query>",
    )


def room_items(context: Context, iq: Iq, room: Conversation) -> None:
    """List who is in a room, to those who are in it themselves (XEP-0045 §6.5); or its commands."""
    if iq.payload.get("node") == COMMANDS:
        listed = commands.items(context, room_address(context.place, room), hats.commands(room))
        context.reply(iq.stanza, f"<query xmlns='{ITEMS}' node='{COMMANDS}'>{listed}</query>")
        return
    request = rsm.read(iq.payload, MOST_ITEMS, MOST_ITEMS)
    shown, items = "", ""
    if context.actor.id in room.attendees:
        nicks = [attendee.nick for attendee in room.attendees.values()]
        page, shown = rsm.page_of(nicks, lambda nick: nick, request)
        address = escape_attribute(room_address(context.place, room))
        items = "".join([f"<item jid='{address}/{escape_attribute(nick)}'/>" for nick in page])
        asked = iq.payload.find("set", rsm.NAMESPACE) is not None or len(page) < len(nicks)
        shown = shown if asked else ""
    context.reply(iq.stanza, f"<query xmlns='{ITEMS}'>{items}{shown}</query>")


def _own_nick(context: Context, iq: Iq, room: Conversation) -> None:
    if not policy.is_member(room, context.actor) and context.actor.id not in room.attendees:
        raise Refused(FORBIDDEN)
    attendee = room.attendees.get(context.actor.id)
    member = room.members.get(context.actor.id)
    nick = room.registered.get(context.actor.id, "")
    if not nick:
        nick = attendee.nick if attendee is not None else "" if member is None else member.nick
    identity = (
        f"<identity category='conference' type='text' name='{escape_attribute(nick)}'/>" if nick else ""
    )
    context.reply(iq.stanza, f"<query xmlns='{INFO}' node='{OWN_NICK}'>{identity}</query>")


def _form(context: Context, room: Conversation) -> str:
    config = room.config
    fields = [
        forms.text("muc#roominfo_description", config.description, "Description"),
        forms.text("muc#roominfo_occupants", str(len(room.attendees)), "Number of occupants"),
        forms.text("muc#maxhistoryfetch", str(config.max_history), "Most messages of history"),
        forms.boolean("muc#roominfo_subjectmod", not config.topic_locked, "Subject may be changed"),
        # As other servers write it, and clients read it.
        forms.boolean("muc#roomconfig_changesubject", not config.topic_locked, "Subject may be changed"),
        forms.text("muc#roomconfig_roomname", config.title, "Name"),
        # XEP-0500 §5.2
        forms.text("muc#roominfo_slow_mode_duration", str(config.slow_mode_s), "Seconds between messages"),
    ]
    if room.avatar:
        fields.append(forms.text("muc#roominfo_avatarhash", room.avatar, "Avatar hash", "text-multi"))
    if room.hats:
        fields.append(forms.text("hats#hash", hats.hash_of(room), "Hats hash"))
    if config.listed and config.persistent and not config.members_only and not config.key:
        # XEP-0502 §9: not of rooms that are not for everybody.
        rate = context.place.services.appearance.messages_per_hour(room)
        if rate is not None:
            activity = "{urn:xmpp:muc-activity}message-activity"
            fields.append(forms.text(activity, f"{rate:.2f}", "Messages per hour"))
    if config.language:
        fields.append(forms.text("muc#roominfo_lang", config.language, "Language"))
    if room.topic is not None and context.place.services.history.may_read(room, context.actor) is None:
        fields.append(forms.text("muc#roominfo_subject", room.topic.text, "Subject"))
    owners = [
        f"{member.actor.name}@{context.place.domain}"
        for member in room.members.values()
        if member.role is Role.OWNER and member.actor.account_id is not None
    ]
    if owners and not config.anonymous:
        fields.append(forms.Field("muc#roominfo_contactjid", owners, "jid-multi", "Contact"))
    return forms.write("result", ROOM_INFO, fields)


def _item(place: Place, room: Conversation) -> str:
    name = escape_attribute(room.config.title or room.name)
    return f"<item jid='{escape_attribute(room_address(place, room))}' name='{name}'/>"


def _features(features: tuple[str, ...]) -> str:
    return "".join([f"<feature var='{feature}'/>" for feature in features])
