"""The table of commands."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sabir.protocols.irc.features import channels, history, messages, modes, people, presence, welcome
from sabir.protocols.irc.features.client import Client
from sabir.protocols.irc.machine import Reply
from sabir.protocols.irc.types.line import Line

Handler = Callable[[Client, Line, Reply], None]


@dataclass(frozen=True, slots=True)
class Command:
    """How a command is carried out. It ends its reply."""

    handle: Handler
    least: int = 0
    """Parameters without which it is answered with 461."""


COMMANDS: Final[dict[str, Command]] = {
    "ADMIN": Command(welcome.admin),
    "AWAY": Command(presence.away),
    "CHATHISTORY": Command(history.chathistory),
    "INFO": Command(welcome.info),
    "INVITE": Command(channels.invite, 2),
    "ISON": Command(people.ison, 1),
    "JOIN": Command(channels.join, 1),
    "KICK": Command(channels.kick, 2),
    "LIST": Command(channels.list_channels),
    "LUSERS": Command(welcome.lusers),
    "MARKREAD": Command(history.markread),
    "MODE": Command(modes.mode, 1),
    "MONITOR": Command(presence.monitor, 1),
    "MOTD": Command(welcome.motd),
    "NAMES": Command(channels.names),
    "NICK": Command(presence.nick),
    "NOTICE": Command(messages.say),
    "OPER": Command(welcome.oper, 2),
    "PART": Command(channels.part, 1),
    "PRIVMSG": Command(messages.say),
    "REDACT": Command(messages.redact, 2),
    "SETNAME": Command(presence.setname, 1),
    "TAGMSG": Command(messages.say),
    "TIME": Command(welcome.time),
    "TOPIC": Command(channels.topic, 1),
    "USERHOST": Command(people.userhost, 1),
    "VERSION": Command(welcome.version),
    "WHO": Command(people.who),
    "WHOIS": Command(people.whois),
    "WHOWAS": Command(people.whowas, 1),
}


def carry_out(client: Client, line: Line, reply: Reply) -> None:
    """Carry out one command of a registered client."""
    command = COMMANDS.get(line.command)
    if command is None:
        reply.numeric("421", line.command[:32], "Unknown command")
        reply.end()
    elif len(line.params) < command.least:
        reply.numeric("461", line.command, "Not enough parameters")
        reply.end()
    else:
        command.handle(client, line, reply)
