"""WHO, WHOIS, WHOWAS, USERHOST, ISON (Modern IRC §user-based-queries, IRCv3 whox)."""

from datetime import UTC, datetime
from typing import Final

from sabir.core.model.actor import Actor
from sabir.core.model.conversation import Attendee, Conversation
from sabir.protocols.irc.codec.names import fold, looks_like_channel, matches
from sabir.protocols.irc.features.channels import prefix_of
from sabir.protocols.irc.features.client import Client
from sabir.protocols.irc.machine import Reply
from sabir.protocols.irc.translate.names import nick_of
from sabir.protocols.irc.types.line import Line

MAX_FOUND: Final = 100
"""People that a WHO with a mask lists."""

_FIELDS: Final = "tcuihsnfdlaor"
_CHANNELS_BYTES: Final = 350


def who(client: Client, line: Line, reply: Reply) -> None:
    """List who is on a channel, or whose nick fits a mask."""
    mask = line.params[0] if line.params else "*"
    flags, _, fields = (line.params[1] if len(line.params) > 1 else "").partition("%")
    wanted, _, token = fields.partition(",")
    for room, actor, attendee in _found(client, mask):
        if "o" in flags:
            break  # WHO ... o lists operators of the server: there are none
        if wanted:
            reply.numeric("354", *_whox(client, wanted, token[:3], room, actor, attendee))
        else:
            network = client.network
            channel = "*" if room is None else network.scribe.channel(room)
            nick = nick_of(actor)
            words = f"{channel} {nick} {network.server} {network.server} {nick}"
            words += f" {_flags(client, room, actor, attendee)}"
            reply.numeric("352", words, f"0 {network.realname_of(actor)}")
    reply.numeric("315", mask, "End of WHO list")
    reply.end()


def _found(client: Client, mask: str) -> list[tuple[Conversation | None, Actor, Attendee | None]]:
    network = client.network
    if looks_like_channel(mask):
        room = client.room(mask)
        if room is None or not (client.attends(room) or room.config.listed):
            return []
        return [(room, attendee.actor, attendee) for attendee in room.attendees.values()]
    actor = network.actor_named(mask)
    if actor is not None:
        visible = network.is_online(actor) and network.may_see(client, actor)
        return [_placed(client, actor)] if visible else []
    seen: dict[int, Actor] = {}
    for clients in network.clients.values():
        seen[clients[0].actor.id] = clients[0].actor
    for channel in client.channels.values():
        for attendee in channel.conversation.attendees.values():
            seen[attendee.actor.id] = attendee.actor
    fitting = [
        each for each in seen.values() if matches(mask, nick_of(each)) and network.may_see(client, each)
    ]
    return [_placed(client, each) for each in fitting[:MAX_FOUND]]


def _placed(client: Client, actor: Actor) -> tuple[Conversation | None, Actor, Attendee | None]:
    """Return somebody with a channel that both are on, if there is one."""
    for channel in client.channels.values():
        attendee = channel.conversation.attendees.get(actor.id)
        if attendee is not None:
            return channel.conversation, actor, attendee
    return None, actor, None


def _flags(client: Client, room: Conversation | None, actor: Actor, attendee: Attendee | None) -> str:
    flags = "G" if client.network.away_of(actor) else "H"
    if any(other.is_bot for other in client.network.clients_of(actor)):
        flags += "B"  # IRCv3 bot-mode
    return flags if room is None or attendee is None else flags + prefix_of(client, room, attendee)


def _whox(
    client: Client,
    wanted: str,
    token: str,
    room: Conversation | None,
    actor: Actor,
    attendee: Attendee | None,
) -> tuple[str, str | None]:
    """Return the fields of one reply, in the order of the specification, and the real name if asked."""
    network = client.network
    idle = [client.network.services.clock.now_ms() - other.active_ms for other in network.clients_of(actor)]
    values = {
        "t": token or "0",
        "c": "*" if room is None else network.scribe.channel(room),
        "u": nick_of(actor),
        "i": "255.255.255.255",  # IRCv3 whox: addresses are not disclosed
        "h": network.server,
        "s": network.server,
        "n": nick_of(actor),
        "f": _flags(client, room, actor, attendee),
        "d": "0",
        "l": str(min(idle) // 1000) if idle else "0",
        "a": network.scribe.account_of(actor) or "0",
        "o": "n/a",
    }
    words = [values[field] for field in _FIELDS if field in wanted and field != "r"]
    return " ".join(words), network.realname_of(actor) if "r" in wanted else None


def whois(client: Client, line: Line, reply: Reply) -> None:
    """Tell about one person."""
    nick = line.params[-1].split(",")[0] if line.params else ""
    if not nick:
        reply.numeric("431", "", "No nickname given")
        reply.end()
        return
    network = client.network
    actor = network.actor_named(nick)
    if actor is None or not network.is_online(actor) or not network.may_see(client, actor):
        reply.numeric("401", nick, "No such nick")
    else:
        _show(client, actor, reply)
    reply.numeric("318", nick, "End of /WHOIS list.")
    reply.end()


def _show(client: Client, actor: Actor, reply: Reply) -> None:
    network = client.network
    nick = nick_of(actor)
    reply.numeric("311", f"{nick} {nick} {network.server} *", network.realname_of(actor))
    row: list[str] = []
    for room in network.services.rooms.attended_by(actor):
        if not room.config.listed and not client.attends(room):
            continue
        row.append(prefix_of(client, room, room.attendees[actor.id]) + network.scribe.channel(room))
        if sum(map(len, row)) > _CHANNELS_BYTES:
            reply.numeric("319", nick, " ".join(row))
            row = []
    if row:
        reply.numeric("319", nick, " ".join(row))
    reply.numeric("312", f"{nick} {network.server}", network.config.network)
    clients = network.clients_of(actor)
    account = network.scribe.account_of(actor)
    if account:
        reply.numeric("330", f"{nick} {account}", "is logged in as")
    if any(other.is_bot for other in clients):
        reply.numeric("335", nick, f"is a bot on {network.config.network}")  # IRCv3 bot-mode
    away = network.away_of(actor)
    if away:
        reply.numeric("301", nick, away)
    if clients:
        if all(other.is_secure for other in clients):
            reply.numeric("671", nick, "is using a secure connection")
        now = network.services.clock.now_ms()
        idle = min(now - other.active_ms for other in clients) // 1000
        since = min(other.connected_ms for other in clients) // 1000
        reply.numeric("317", f"{nick} {idle} {since}", "seconds idle, signon time")


def whowas(client: Client, line: Line, reply: Reply) -> None:
    """Tell about somebody who left."""
    nick = line.params[0]
    count = int(line.params[1]) if len(line.params) > 1 and line.params[1].isdecimal() else 0
    network = client.network
    entries = [entry for entry in reversed(network.whowas) if fold(entry[0]) == fold(nick)]
    for name, realname, at_ms in entries[: count or None]:
        reply.numeric("314", f"{name} {name} {network.server} *", realname)
        left = datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%a %b %d %Y %H:%M:%S UTC")
        reply.numeric("312", f"{name} {network.server}", left)
    if not entries:
        reply.numeric("406", nick, "There was no such nickname")
    reply.numeric("369", nick, "End of WHOWAS")
    reply.end()


def userhost(client: Client, line: Line, reply: Reply) -> None:
    """Tell the addresses of up to five people."""
    network = client.network
    words: list[str] = []
    for nick in line.params[:5]:
        actor = network.actor_named(nick)
        if actor is not None and network.is_online(actor) and network.may_see(client, actor):
            sign = "-" if network.away_of(actor) else "+"
            words.append(f"{nick_of(actor)}={sign}{nick_of(actor)}@{network.server}")
    reply.numeric("302", "", " ".join(words))
    reply.end()


def ison(client: Client, line: Line, reply: Reply) -> None:
    """Tell which of these people are here."""
    network = client.network
    here: list[str] = []
    for nick in " ".join(line.params).split(" "):
        actor = network.actor_named(nick) if nick else None
        if actor is not None and network.is_online(actor) and network.may_see(client, actor):
            here.append(nick_of(actor))
    reply.numeric("303", "", " ".join(here))
    reply.end()
