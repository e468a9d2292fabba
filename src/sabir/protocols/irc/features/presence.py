"""AWAY, SETNAME, NICK and MONITOR: how one shows oneself, and whom one watches."""

from typing import Final

from sabir.core.model.presence import Availability, Presence
from sabir.protocols.irc.codec.names import fold, is_nick
from sabir.protocols.irc.features.client import Client
from sabir.protocols.irc.machine import Reply
from sabir.protocols.irc.translate.names import nick_of
from sabir.protocols.irc.types.capabilities import SETNAME
from sabir.protocols.irc.types.line import Line

MAX_AWAY_BYTES: Final = 200
MAX_REALNAME_BYTES: Final = 150

_LIST_BYTES: Final = 400


def away(client: Client, line: Line, reply: Reply) -> None:
    """Go away, or come back."""
    text = line.params[0].encode()[:MAX_AWAY_BYTES].decode(errors="ignore") if line.params else ""
    client.away = text
    availability = Availability.AWAY if text else Availability.ONLINE
    services = client.network.services
    services.presences.change(client.session, Presence(availability, text, protocol="irc"))
    for channel in client.channels.values():
        services.rooms.show(client.session, channel.conversation, b"", text)
    if text:
        reply.numeric("306", "", "You have been marked as being away")
    else:
        reply.numeric("305", "", "You are no longer marked as being away")
    reply.end()


def setname(client: Client, line: Line, reply: Reply) -> None:
    """Change the real name (IRCv3 setname)."""
    name = line.params[0]
    if not name or len(name.encode()) > MAX_REALNAME_BYTES:
        reply.fail("SETNAME", "INVALID_REALNAME", "", "Realname is not valid")
        reply.end()
        return
    for own in client.network.clients_of(client.actor):
        own.realname = name
    shown: dict[Client, None] = dict.fromkeys(client.network.clients_of(client.actor))
    for channel in client.channels.values():
        for attendee in channel.conversation.attendees.values():
            shown.update(dict.fromkeys(client.network.clients_of(attendee.actor)))
    for other in shown:
        if other.caps & SETNAME:
            other.event_line(client.actor, f"SETNAME :{name}")
            other.flush()
    reply.end()


def nick(client: Client, line: Line, reply: Reply) -> None:
    """Refuse another nick: it is the account's name (PROTOCOLS 4.2), and one session is one person."""
    wanted = line.params[0] if line.params else ""
    if not wanted:
        reply.numeric("431", "", "No nickname given")
    elif wanted == client.machine.nick or fold(wanted) == fold(client.machine.nick):
        pass
    elif not is_nick(wanted):
        reply.numeric("432", wanted, "Erroneous nickname")
    elif client.account is not None:
        reply.numeric("433", wanted, "Your nick is the name of your account: log in as another to change it")
    else:
        reply.numeric("433", wanted, "Connect again to be called otherwise")
    reply.end()


def monitor(client: Client, line: Line, reply: Reply) -> None:
    """Watch who comes and goes (IRCv3 monitor)."""
    sign = line.params[0].upper() if line.params else ""
    targets = line.params[1].split(",") if len(line.params) > 1 else []
    match sign:
        case "+":
            _watch(client, targets, reply)
        case "-":
            for target in targets:
                forget(client, fold(target))
        case "C":
            unwatch(client)
        case "L":
            for row in _rows(list(client.monitored.values())):
                reply.numeric("732", "", row)
            reply.numeric("733", "", "End of MONITOR list")
        case "S":
            _show(client, list(client.monitored.values()), reply)
        case _:
            reply.numeric("461", "MONITOR", "Not enough parameters")
    reply.end()


def _watch(client: Client, targets: list[str], reply: Reply) -> None:
    limit = client.network.config.max_monitors
    added: list[str] = []
    for at, target in enumerate(targets):
        key = fold(target)
        if not is_nick(target) or key in client.monitored:
            continue
        if len(client.monitored) >= limit:
            reply.numeric("734", f"{limit} {','.join(targets[at:])}", "Monitor list is full.")
            break
        client.monitored[key] = target
        client.network.monitors.setdefault(key, {})[client] = None
        added.append(target)
    _show(client, added, reply)


def _show(client: Client, targets: list[str], reply: Reply) -> None:
    network = client.network
    here: list[str] = []
    gone: list[str] = []
    for target in targets:
        actor = network.actor_named(target)
        if actor is not None and network.is_online(actor) and network.may_see(client, actor):
            here.append(network.scribe.mask_of(actor))
        else:
            gone.append(nick_of(actor) if actor is not None else target)
    for row in _rows(here):
        reply.numeric("730", "", row)
    for row in _rows(gone):
        reply.numeric("731", "", row)


def forget(client: Client, key: str) -> None:
    """Watch one nick no more."""
    if client.monitored.pop(key, None) is not None:
        watchers = client.network.monitors[key]
        watchers.pop(client, None)
        if not watchers:
            del client.network.monitors[key]


def unwatch(client: Client) -> None:
    """Watch nobody any more."""
    for key in list(client.monitored):
        forget(client, key)


def _rows(words: list[str]) -> list[str]:
    """Return a list as rows that fit a line."""
    rows: list[str] = []
    row = ""
    for word in words:
        if len(row) + len(word) > _LIST_BYTES:
            rows.append(row)
            row = ""
        row = f"{row},{word}" if row else word
    return [*rows, row] if row else rows
