"""What a client is told when it has registered, and on request: the server's own affairs."""

from datetime import UTC, datetime
from typing import Final

from sabir.core.names import MAX_NAME
from sabir.protocols.irc.codec.names import MAX_NICK, fold
from sabir.protocols.irc.features.channels import MAX_TARGETS
from sabir.protocols.irc.features.client import Client, Network
from sabir.protocols.irc.features.messages import MAX_TARGETS as MAX_MESSAGE_TARGETS
from sabir.protocols.irc.features.modes import MAX_MODES
from sabir.protocols.irc.features.presence import MAX_AWAY_BYTES, MAX_REALNAME_BYTES
from sabir.protocols.irc.machine import Reply
from sabir.protocols.irc.types.line import Line

_TOKENS_PER_LINE: Final = 12
_MOTD_BYTES: Final = 400


def isupport(network: Network) -> list[str]:
    """Return the features to advertise (Modern IRC §feature-advertisement)."""
    config = network.config
    return [
        "ACCOUNTEXTBAN=a",
        f"AWAYLEN={MAX_AWAY_BYTES}",
        "BOT=B",
        "CASEMAPPING=ascii",
        f"CHANLIMIT=#:{config.max_channels}",
        "CHANMODES=b,k,l,imnst",
        f"CHANNELLEN={MAX_NAME}",
        "CHANTYPES=#",
        f"CHATHISTORY={config.max_history}",
        "ELIST=MNU",
        "EXTBAN=$,a",
        "MAXLIST=b:256",
        f"MODES={MAX_MODES}",
        f"MONITOR={config.max_monitors}",
        "MSGREFTYPES=msgid,timestamp",
        f"NAMELEN={MAX_REALNAME_BYTES}",
        f"NETWORK={config.network.replace(' ', '_')}",
        f"NICKLEN={MAX_NICK}",
        "PREFIX=(qaov)~&@+",
        f"TARGMAX=JOIN:{MAX_TARGETS},PART:{MAX_TARGETS},KICK:{MAX_TARGETS},NAMES:{MAX_TARGETS},"
        f"PRIVMSG:{MAX_MESSAGE_TARGETS},NOTICE:{MAX_MESSAGE_TARGETS},TAGMSG:{MAX_MESSAGE_TARGETS}",
        "TOPICLEN=390",
        "UTF8ONLY",
        "WHOX",
    ]


def welcome(client: Client) -> None:
    """Send the numerics that end registration (RFC 2812 §5.1)."""
    network, machine = client.network, client.machine
    created = datetime.fromtimestamp(network.started_ms // 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    reply = Reply(machine, "")
    reply.numeric("001", "", f"Welcome to the {network.config.network} network, {client.mask}")
    reply.numeric("002", "", f"Your host is {network.server}, running version sabir-{network.version}")
    reply.numeric("003", "", f"This server was started {created}")
    reply.numeric("004", f"{network.server} sabir-{network.version} Bi bikmnstqaovl bklqaov")
    tokens = isupport(network)
    for at in range(0, len(tokens), _TOKENS_PER_LINE):
        shown = " ".join(tokens[at : at + _TOKENS_PER_LINE])
        reply.numeric("005", shown, "are supported by this server")
    _show_lusers(client, reply)
    _show_motd(client, reply)


def motd(client: Client, line: Line, reply: Reply) -> None:
    """Show the message of the day."""
    if line.params and fold(line.params[0]) != fold(client.network.server):
        reply.numeric("402", line.params[0], "No such server")
    else:
        _show_motd(client, reply)
    reply.end()


def _show_motd(client: Client, reply: Reply) -> None:
    text = client.network.config.motd
    if not text:
        reply.numeric("422", "", "There is no message of the day")
        return
    reply.numeric("375", "", f"- {client.network.server} Message of the day - ")
    for row in text.splitlines():
        reply.numeric("372", "", f"- {row}"[:_MOTD_BYTES])
    reply.numeric("376", "", "End of /MOTD command.")


def lusers(client: Client, line: Line, reply: Reply) -> None:
    """Count people and channels."""
    _show_lusers(client, reply)
    reply.end()


def _show_lusers(client: Client, reply: Reply) -> None:
    network = client.network
    people = network.services.devices.people()
    channels = len(network.services.directory.rooms)
    connections = sum(map(len, network.clients.values()))
    reply.numeric("251", "", f"There are {people} users and 0 invisible on 1 servers")
    reply.numeric("252", "0", "operator(s) online")
    reply.numeric("254", str(channels), "channels formed")
    reply.numeric("255", "", f"I have {connections} clients and 0 servers")
    reply.numeric("265", f"{people} {people}", f"Current local users {people}, max {people}")
    reply.numeric("266", f"{people} {people}", f"Current global users {people}, max {people}")


def version(client: Client, line: Line, reply: Reply) -> None:
    """Tell which program this is."""
    network = client.network
    reply.numeric("351", f"sabir-{network.version} {network.server}", "one server for every protocol")
    reply.end()


def time(client: Client, line: Line, reply: Reply) -> None:
    """Tell the time."""
    now = datetime.fromtimestamp(client.network.services.clock.now_ms() // 1000, UTC)
    reply.numeric("391", client.network.server, now.strftime("%A, %d %B %Y, %H:%M:%S UTC"))
    reply.end()


def info(client: Client, line: Line, reply: Reply) -> None:
    """Tell what this program is."""
    for text in (
        f"Sabir {client.network.version}: one account, one room, one history from any client.",
        "People on this server may use IRC, XMPP and other protocols: what you say here they read there.",
    ):
        reply.numeric("371", "", text)
    reply.numeric("374", "", "End of INFO list")
    reply.end()


def admin(client: Client, line: Line, reply: Reply) -> None:
    """Tell whom to ask."""
    network = client.network
    if not network.config.admin_email:
        reply.numeric("423", network.server, "No administrative info available")
    else:
        reply.numeric("256", network.server, "Administrative info")
        reply.numeric("257", "", network.config.network)
        reply.numeric("259", "", network.config.admin_email)
    reply.end()


def oper(client: Client, line: Line, reply: Reply) -> None:
    """Refuse: the operator's tool is the command line."""
    reply.numeric("491", "", "No O-lines for your host")
    reply.end()
