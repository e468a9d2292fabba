"""JOIN, PART, KICK, INVITE, TOPIC, NAMES, LIST (Modern IRC §channel-operations)."""

from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.actor import Actor
from sabir.core.model.conversation import Attendee, Conversation
from sabir.core.model.signals import Cause
from sabir.core.services.rooms import Joined
from sabir.protocols.irc.codec.names import is_channel, looks_like_channel, matches
from sabir.protocols.irc.features.client import Channel, Client, Pending
from sabir.protocols.irc.features.history import replay, send_marker
from sabir.protocols.irc.machine import Reply
from sabir.protocols.irc.translate.names import nick_of, room_of
from sabir.protocols.irc.translate.rooms import LETTERS, SIGNS, letter_of
from sabir.protocols.irc.types.capabilities import (
    CHATHISTORY,
    EXTENDED_JOIN,
    MULTI_PREFIX,
    NO_IMPLICIT_NAMES,
    READ_MARKER,
    USERHOST_IN_NAMES,
)
from sabir.protocols.irc.types.line import Line

MAX_TARGETS: Final = 20
"""Channels or nicks that one command may name."""

_NAMES_BYTES: Final = 400


def join(client: Client, line: Line, reply: Reply) -> None:
    """Join channels; `0` leaves them all."""
    if line.params[0] == "0":
        rooms = [channel.conversation for channel in client.channels.values()]
        pending = Pending(reply, len(rooms))
        for room in rooms:
            _leave(client, room, "", pending)
        return
    names = line.params[0].split(",")[:MAX_TARGETS]
    keys = line.params[1].split(",") if len(line.params) > 1 else []
    pending = Pending(reply, len(names))
    for at, name in enumerate(names):
        enter(client, name, keys[at] if at < len(keys) else "", pending)


def enter(client: Client, name: str, key: str, pending: Pending) -> None:
    """Join one channel."""
    reply = pending.reply
    if not is_channel(name):
        reply.numeric("403", name or "*", "No such channel: names begin with #, without spaces and commas")
        pending.one()
        return
    room = client.room(name)
    if room is not None and client.attends(room):
        pending.one()
        return
    if len(client.channels) >= client.network.config.max_channels:
        reply.numeric("405", name, "You have joined too many channels")
        pending.one()
        return
    client.turnstile.enter()

    def then(joined: Joined) -> None:
        client.turnstile.leave()
        if client.is_gone:
            return
        _show_joined(client, joined.conversation, reply)
        pending.one()
        client.flush()
        for other in client.network.clients_of(client.actor):
            if other is not client and not other.attends(joined.conversation):
                enter(other, name, key, Pending(Reply(other.machine, ""), 1))
        if not client.caps & CHATHISTORY:
            replay(client, client.channels[joined.conversation.id])

    def refused(refusal: Refusal) -> None:
        client.turnstile.leave()
        client.refuse(reply, refusal, name)
        pending.one()
        client.flush()

    rooms = client.network.services.rooms
    rooms.join(
        client.session,
        room_of(name),
        client.actor.name,
        then,
        refused,
        key=key,
        durable=client.account is not None,
        address=client.mask,
    )


def _show_joined(client: Client, room: Conversation, reply: Reply) -> None:
    """Tell a client that it is on a channel (Modern IRC §join: JOIN, topic, names, in this order)."""
    client.channels[room.id] = Channel(room)
    client.targets.clear()
    client.event_line(client.actor, join_text(client, room, client.actor))
    _show_topic(client, room, reply)
    if client.caps & READ_MARKER:
        send_marker(client, room, reply)
    if not client.caps & NO_IMPLICIT_NAMES:
        _show_names(client, room, client.network.scribe.channel(room), reply)


def join_text(client: Client, room: Conversation, actor: Actor) -> str:
    """Return JOIN as `client` is shown it (IRCv3 extended-join)."""
    network = client.network
    channel = network.scribe.channel(room)
    if not client.caps & EXTENDED_JOIN:
        return f"JOIN {channel}"
    return f"JOIN {channel} {network.scribe.account_of(actor) or '*'} :{network.realname_of(actor)}"


def part(client: Client, line: Line, reply: Reply) -> None:
    """Leave channels."""
    names = line.params[0].split(",")[:MAX_TARGETS]
    reason = line.params[1] if len(line.params) > 1 else ""
    pending = Pending(reply, len(names))
    for name in names:
        room = client.room(name) if looks_like_channel(name) else None
        if room is None:
            reply.numeric("403", name, "No such channel")
            pending.one()
        elif not client.attends(room):
            reply.numeric("442", name, "You're not on that channel")
            pending.one()
        else:
            _leave(client, room, reason, pending)


def _leave(client: Client, room: Conversation, reason: str, pending: Pending) -> None:
    """Leave with every client of the account: they share one nick."""
    others = [other for other in client.network.clients_of(client.actor) if other is not client]
    client.turnstile.enter()

    def left(attendee: Attendee, is_gone: bool) -> None:
        client.turnstile.leave()
        show_parted(client, room, reason)
        pending.one()
        client.flush()

    def refused(refusal: Refusal) -> None:
        client.turnstile.leave()
        client.refuse(pending.reply, refusal, client.network.scribe.channel(room))
        pending.one()
        client.flush()

    leave = client.network.services.rooms.leave
    leave(client.session, room, Cause.PARTED, reason, left, refused)
    for other in others:
        if other.attends(room):
            _leave_too(other, room, reason)


def _leave_too(client: Client, room: Conversation, reason: str) -> None:
    def left(attendee: Attendee, is_gone: bool) -> None:
        show_parted(client, room, reason)
        client.flush()

    client.network.services.rooms.leave(client.session, room, Cause.PARTED, reason, left, _ignore)


def show_parted(client: Client, room: Conversation, reason: str) -> None:
    """Tell a client that it is not on a channel any more."""
    client.channels.pop(room.id, None)
    client.targets.clear()
    text = f"PART {client.network.scribe.channel(room)}"
    client.event_line(client.actor, f"{text} :{reason}" if reason else text)


def kick(client: Client, line: Line, reply: Reply) -> None:
    """Put people out of a channel."""
    name = line.params[0]
    room = client.room(name)
    nicks = line.params[1].split(",")[:MAX_TARGETS]
    reason = line.params[2] if len(line.params) > 2 else client.machine.nick
    if room is None:
        reply.numeric("403", name, "No such channel")
        reply.end()
        return
    pending = Pending(reply, len(nicks))
    for nick in nicks:
        actor = client.network.actor_named(nick)
        attendee = None if actor is None else room.attendees.get(actor.id)
        if attendee is None:
            reply.numeric("441", f"{nick} {name}", "They aren't on that channel")
            pending.one()
            continue
        _kick(client, room, attendee.actor, reason, pending)


def _kick(client: Client, room: Conversation, target: Actor, reason: str, pending: Pending) -> None:
    client.turnstile.enter()

    def then() -> None:
        client.turnstile.leave()
        pending.one()
        client.flush()

    def refused(refusal: Refusal) -> None:
        client.turnstile.leave()
        client.refuse(pending.reply, refusal, client.network.scribe.channel(room))
        pending.one()
        client.flush()

    client.network.services.moderation.kick(client.session, room, target, reason, then, refused)


def invite(client: Client, line: Line, reply: Reply) -> None:
    """Ask somebody in."""
    nick, name = line.params[0], line.params[1]
    room = client.room(name)
    target = client.network.actor_named(nick)
    if room is None:
        reply.numeric("403", name, "No such channel")
        reply.end()
    elif target is None:
        reply.numeric("401", nick, "No such nick")
        reply.end()
    elif not client.attends(room):
        reply.numeric("442", name, "You're not on that channel")
        reply.end()
    elif target.id in room.attendees:
        reply.numeric("443", f"{nick} {name}", "is already on channel")
        reply.end()
    else:
        then, refused = client.outcome(reply, name, lambda: reply.numeric("341", f"{nick} {name}"))
        client.network.services.invitations.invite(client.session, room, target, "", then, refused)


def topic(client: Client, line: Line, reply: Reply) -> None:
    """Show or set the topic."""
    name = line.params[0]
    room = client.room(name)
    if room is None:
        reply.numeric("403", name, "No such channel")
        reply.end()
    elif len(line.params) > 1:
        then, refused = client.outcome(reply, name)
        services = client.network.services
        services.moderation.set_topic(client.session, room, line.params[1], then, refused)
    else:
        if room.topic is None or not room.topic.text:
            reply.numeric("331", name, "No topic is set")
        else:
            _show_topic(client, room, reply)
        reply.end()


def _show_topic(client: Client, room: Conversation, reply: Reply) -> None:
    found = room.topic
    if found is None or not found.text:
        return
    channel = client.network.scribe.channel(room)
    reply.numeric("332", channel, found.text.replace("\n", " "))
    setter = client.network.services.directory.actors.get(found.actor_id)  # type: ignore[call-overload]  # a row's int
    who = found.nick if setter is None else nick_of(setter)
    reply.numeric("333", f"{channel} {who} {found.at_ms // 1000}")


def names(client: Client, line: Line, reply: Reply) -> None:
    """List who is on channels."""
    if not line.params:
        reply.numeric("366", "*", "End of /NAMES list.")
        reply.end()
        return
    for name in line.params[0].split(",")[:MAX_TARGETS]:
        room = client.room(name) if looks_like_channel(name) else None
        if room is not None and (client.attends(room) or room.config.listed):
            _show_names(client, room, name, reply)
        else:
            reply.numeric("366", name, "End of /NAMES list.")
    reply.end()


def _show_names(client: Client, room: Conversation, name: str, reply: Reply) -> None:
    sign = "=" if room.config.listed else "@"
    row: list[str] = []
    size = 0
    for attendee in room.attendees.values():
        shown = prefix_of(client, room, attendee) + (
            client.network.scribe.mask_of(attendee.actor)
            if client.caps & USERHOST_IN_NAMES
            else nick_of(attendee.actor)
        )
        if size + len(shown) > _NAMES_BYTES:
            reply.numeric("353", f"{sign} {name}", " ".join(row))
            row, size = [], 0
        row.append(shown)
        size += len(shown) + 1
    if row:
        reply.numeric("353", f"{sign} {name}", " ".join(row))
    reply.numeric("366", name, "End of /NAMES list.")


def prefix_of(client: Client, room: Conversation, attendee: Attendee) -> str:
    """Return the signs before a nick: the highest, or all with IRCv3 multi-prefix."""
    letter = letter_of(room, attendee.actor.id, attendee.role)
    if not letter:
        return ""
    if client.caps & MULTI_PREFIX and letter != "v":
        # Higher ranks include the lower ones: an owner may do what an operator may.
        order = [LETTERS[role] for role in LETTERS]
        return "".join(SIGNS[each] for each in order[order.index(letter) : order.index("o") + 1])
    return SIGNS[letter]


def list_channels(client: Client, line: Line, reply: Reply) -> None:
    """List channels (ELIST=MNU: masks, and how many people are there)."""
    conditions = line.params[0].split(",") if line.params else []
    named = [name for name in conditions if looks_like_channel(name) and "*" not in name and "?" not in name]
    services = client.network.services
    if named:
        found = [room for name in named if (room := client.room(name)) is not None]
        found = [room for room in found if room.config.listed or client.attends(room)]
    else:
        found = services.rooms.listed()
        found += [
            each.conversation for each in client.channels.values() if not each.conversation.config.listed
        ]
    rows = [(client.network.scribe.channel(room), len(room.attendees), room) for room in found]
    rows = [
        row for row in rows if all(_fits(row[0], row[1], each) for each in conditions if each not in named)
    ]
    reply.numeric("321", "Channel", "Users  Name")
    for channel, count, room in rows:
        text = "" if room.topic is None else room.topic.text.replace("\n", " ")
        reply.numeric("322", f"{channel} {count}", text)
    reply.numeric("323", "", "End of /LIST")
    reply.end()


def _fits(channel: str, count: int, condition: str) -> bool:
    """Whether a channel meets one condition of LIST (Modern IRC §elist)."""
    if condition[:1] in "<>" and condition[1:].isdecimal():
        limit = int(condition[1:7])
        return count < limit if condition[0] == "<" else count > limit
    if condition.startswith("!"):
        return not matches(condition[1:], channel)
    return matches(condition, channel) if condition else True


def _ignore(refusal: Refusal) -> None:
    """Nobody waits for this."""
