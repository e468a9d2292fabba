"""MODE: roles, bans and the configuration of rooms as channel modes; the few user modes (Modern IRC §mode)."""

from collections.abc import Callable
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.actor import Actor
from sabir.core.model.conversation import Conversation, Role
from sabir.protocols.irc.codec.names import fold, looks_like_channel, mask_of
from sabir.protocols.irc.features.client import Client, Pending
from sabir.protocols.irc.machine import Reply
from sabir.protocols.irc.translate.names import nick_of
from sabir.protocols.irc.translate.rooms import ROLES, Mode, configured, modes_of, written
from sabir.protocols.irc.types.line import Line

MAX_MODES: Final = 20
"""MODES: changes that one command may make."""

_WITH_ARGUMENT: Final = frozenset("qaovbk")
_WITHOUT: Final = frozenset("imnts")
_ACCOUNT_BANS: Final = ("$a:", "~a:", "~account:", "$account:")


def mode(client: Client, line: Line, reply: Reply) -> None:
    """Show or change modes."""
    target = line.params[0]
    if not looks_like_channel(target):
        _user_mode(client, line, reply)
        return
    room = client.room(target)
    if room is None:
        reply.numeric("403", target, "No such channel")
        reply.end()
    elif len(line.params) == 1:
        shown = written(modes_of(room.config, shows_key=client.attends(room)))
        reply.numeric("324", f"{target} {shown}")
        reply.end()
    else:
        _change(client, room, target, line.params[1:], reply)


def _change(client: Client, room: Conversation, name: str, params: list[str], reply: Reply) -> None:
    changes = _parse(client, params, reply)
    work = [change for change in changes if change.letter != "b" or change.argument]
    if any(change.letter == "b" and not change.argument for change in changes):
        if client.attends(room):
            _show_bans(client, room, name, reply)
        else:
            reply.numeric("442", name, "You're not on that channel")
    config = room.config
    is_configured = False
    rest: list[Mode] = []
    for change in work:
        new = configured(config, change)
        if new is None:
            rest.append(change)
        elif new != config:
            config, is_configured = new, True
    pending = Pending(reply, len(rest) + is_configured)
    moderation = client.network.services.moderation
    if is_configured:
        then, refused = _outcome(client, name, pending)
        moderation.configure(client.session, room, config, then, refused)
    for change in rest:
        if change.letter == "b":
            _change_ban(client, room, name, change, pending)
        else:
            _change_role(client, room, name, change, pending)


def _parse(client: Client, params: list[str], reply: Reply) -> list[Mode]:
    """Read `+ov-b nick nick mask`; what is not known is answered and left out."""
    arguments = params[1:]
    is_set = True
    found: list[Mode] = []
    for sign in params[0]:
        if sign in "+-":
            is_set = sign == "+"
        elif len(found) >= MAX_MODES:
            break
        elif sign in _WITHOUT:
            found.append(Mode(is_set, sign))
        elif sign == "l":
            if not is_set:
                found.append(Mode(False, sign))
            elif arguments and (limit := arguments.pop(0)).isdecimal() and len(limit) < 8:
                found.append(Mode(True, sign, limit))
        elif sign in _WITH_ARGUMENT:
            argument = arguments.pop(0) if arguments else ""
            if argument or sign == "b" or (sign == "k" and not is_set):
                found.append(Mode(is_set, sign, argument))
            else:
                reply.numeric("461", "MODE", f"Not enough parameters for mode {sign}")
        else:
            reply.numeric("472", sign, "is unknown mode char to me")
    return found


def _change_role(client: Client, room: Conversation, name: str, change: Mode, pending: Pending) -> None:
    """Give or take a role. Taking one that somebody does not have changes nothing."""
    target = client.network.actor_named(change.argument)
    if target is None:
        pending.reply.numeric("401", change.argument, "No such nick")
        pending.one()
        return
    role, has = ROLES[change.letter], room.role_of(target.id)
    if (change.is_set and has >= role) or (not change.is_set and has != role):
        pending.one()
        return
    _set_role(client, room, name, target, role if change.is_set else Role.NONE, pending)


def _change_ban(client: Client, room: Conversation, name: str, change: Mode, pending: Pending) -> None:
    """Ban or unban: an account by its role, whatever its client; anything else by a mask."""
    account = _account_meant(client, change.argument)
    if account is not None:
        is_banned = room.role_of(account.id) is Role.BANNED
        if is_banned == change.is_set:
            pending.one()
        else:
            role = Role.BANNED if change.is_set else Role.NONE
            _set_role(client, room, name, account, role, pending)
        return
    then, refused = _outcome(client, name, pending)
    pattern = mask_of(change.argument)
    services = client.network.services
    services.moderation.set_mask(client.session, room, pattern, change.is_set, then, refused)


def _account_meant(client: Client, mask: str) -> Actor | None:
    """Return the account that a ban is about: `$a:name` (IRCv3 account-extban) or `name!*@*`, its nick."""
    for prefix in _ACCOUNT_BANS:
        if mask.startswith(prefix):
            account = client.network.services.accounts.find(mask[len(prefix) :])
            return None if account is None else account.actor
    full = mask_of(mask)
    nick, _, rest = full.partition("!")
    if rest == "*@*" and "*" not in nick and "?" not in nick:
        account = client.network.services.accounts.find(fold(nick))
        return None if account is None else account.actor
    return None


def _set_role(
    client: Client, room: Conversation, name: str, target: Actor, role: Role, pending: Pending
) -> None:
    then, refused = _outcome(client, name, pending)
    client.network.services.moderation.set_role(client.session, room, target, role, "", then, refused)


def _show_bans(client: Client, room: Conversation, name: str, reply: Reply) -> None:
    for mask in room.ban_masks.values():
        reply.numeric("367", f"{name} {mask.pattern} {mask.by} {mask.at_ms // 1000}")
    for member in room.members.values():
        if member.role is Role.BANNED:
            reply.numeric("367", f"{name} $a:{nick_of(member.actor)}")
    reply.numeric("368", name, "End of channel ban list")


def _user_mode(client: Client, line: Line, reply: Reply) -> None:
    """`+i` hides from who shares no channel, `+B` marks a bot (IRCv3 bot-mode); for this connection."""
    if fold(line.params[0]) != fold(client.machine.nick):
        reply.numeric("502", "", "Can't change mode for other users")
        reply.end()
        return
    if len(line.params) == 1:
        reply.numeric("221", _user_modes(client))
        reply.end()
        return
    before = _user_modes(client)
    is_set = True
    for sign in line.params[1]:
        if sign in "+-":
            is_set = sign == "+"
        elif sign == "i":
            client.is_invisible = is_set
        elif sign == "B":
            client.is_bot = is_set
        elif sign not in "oOrwsZ":
            reply.numeric("501", "", "Unknown MODE flag")
    after = _user_modes(client)
    if after != before:
        changed = "".join(f"-{each}" for each in before[1:] if each not in after)
        changed += "".join(f"+{each}" for each in after[1:] if each not in before)
        reply.line(f":{client.mask} MODE {client.machine.nick} :{changed}")
    reply.end()


def _user_modes(client: Client) -> str:
    return "+" + "i" * client.is_invisible + "B" * client.is_bot


def _outcome(
    client: Client, name: str, pending: Pending
) -> tuple[Callable[[], None], Callable[[Refusal], None]]:
    client.turnstile.enter()

    def then() -> None:
        client.turnstile.leave()
        pending.one()
        client.flush()

    def refused(refusal: Refusal) -> None:
        client.turnstile.leave()
        client.refuse(pending.reply, refusal, name)
        pending.one()
        client.flush()

    return then, refused
