"""NickServ and ChanServ: the few commands that people know by heart, over accounts and roles."""

from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.conversation import Role
from sabir.protocols.irc.codec.names import looks_like_channel
from sabir.protocols.irc.features.client import Client
from sabir.protocols.irc.machine import Reply
from sabir.protocols.irc.translate.native import Pieces

SERVICES: Final = {"nickserv": "NickServ", "chanserv": "ChanServ"}

_NICKSERV_HELP: Final = (
    "NickServ knows the accounts of this server. Your nick is your account's name.",
    "IDENTIFY: log in when you connect, with SASL or with PASS account:password.",
    "INFO [nick]: tells whether a nick belongs to an account.",
)
_CHANSERV_HELP: Final = (
    "ChanServ knows the roles of channels: q owner, a administrator, o operator, v voice, b banned.",
    "OP, DEOP, VOICE, DEVOICE #channel nick: the same as MODE #channel +o, -o, +v, -v nick.",
)
_ROLES: Final = {
    "OP": Role.MODERATOR,
    "DEOP": Role.NONE,
    "VOICE": Role.MEMBER,
    "DEVOICE": Role.NONE,
}


def serve(client: Client, service: str, pieces: Pieces, reply: Reply) -> None:
    """Take a message to one of the services."""
    words = pieces[0][0].split() if pieces else []
    command = words[0].upper() if words else "HELP"
    if service == "NickServ":
        _nickserv(client, command, words[1:], reply)
    else:
        _chanserv(client, command, words[1:], reply)


def _nickserv(client: Client, command: str, words: list[str], reply: Reply) -> None:
    if command == "IDENTIFY":
        if client.account is not None:
            _answer(client, reply, "NickServ", f"You are logged in as {client.account.name}.")
        else:
            # A guest and an account are two people (DATAMODEL 1.3): one does not become the other midway.
            text = "You are here as a guest. Connect again with SASL, or with PASS account:password."
            _answer(client, reply, "NickServ", text)
    elif command == "INFO":
        nick = words[0] if words else client.machine.nick
        account = client.network.services.accounts.find(nick)
        known = "is the name of an account" if account is not None else "is not the name of an account"
        _answer(client, reply, "NickServ", f"{nick} {known}.")
    else:
        for text in _NICKSERV_HELP:
            _answer(client, reply, "NickServ", text)


def _chanserv(client: Client, command: str, words: list[str], reply: Reply) -> None:
    role = _ROLES.get(command)
    if role is None or not words or not looks_like_channel(words[0]):
        for text in _CHANSERV_HELP:
            _answer(client, reply, "ChanServ", text)
        return
    conversation = client.room(words[0])
    target = client.network.actor_named(words[1]) if len(words) > 1 else client.actor
    if conversation is None or target is None:
        _answer(client, reply, "ChanServ", "There is no such channel, or no such nick.")
        return

    def refused(refusal: Refusal) -> None:
        client.turnstile.leave()
        _answer(client, reply, "ChanServ", f"Not done: {refusal.value}.")
        client.flush()

    client.turnstile.enter()
    moderation = client.network.services.moderation
    moderation.set_role(client.session, conversation, target, role, "", client.turnstile.leave, refused)


def _answer(client: Client, reply: Reply, service: str, text: str) -> None:
    server = client.network.server
    reply.line(f":{service}!{service}@{server} NOTICE {client.machine.nick} :{text}")
