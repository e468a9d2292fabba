"""PRIVMSG, NOTICE, TAGMSG, multi-line messages and REDACT: what becomes an entry of the log; and typing."""

from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Draft, Event, Kind
from sabir.protocols.irc.codec.names import fold, looks_like_channel
from sabir.protocols.irc.features.client import Client, Pending
from sabir.protocols.irc.features.nickserv import SERVICES, serve
from sabir.protocols.irc.machine import Reply
from sabir.protocols.irc.translate.accept import (
    PROTOCOL,
    draft_of_message,
    draft_of_redaction,
    event_id_of,
    is_ctcp,
    reaction_of,
    typing_of,
)
from sabir.protocols.irc.translate.names import name_of
from sabir.protocols.irc.translate.native import Pieces
from sabir.protocols.irc.types.capabilities import MESSAGE_REDACTION
from sabir.protocols.irc.types.line import Line
from sabir.protocols.irc.types.reports import Composed

MAX_TARGETS: Final = 4
"""TARGMAX for messages: more are dropped, so that one line cannot become hundreds."""


class Posting:
    """What a session is given back with the outcome of a post."""

    def __init__(self, reply: Reply, pending: Pending, target: str, command: str) -> None:
        self.reply: Final = reply
        self.pending: Final = pending
        self.target: Final = target
        self.command: Final = command
        self.is_echoed = False


class Reacting(Posting):
    """The same for a change of reactions, which may make no entry at all."""

    def __init__(self, posting: Posting, client: Client) -> None:
        super().__init__(posting.reply, posting.pending, posting.target, posting.command)
        self._client = client

    def settled(self, events: list[Event]) -> None:
        """All entries were made."""
        self._client.turnstile.leave()
        self.pending.one()
        self._client.flush()


def say(client: Client, line: Line, reply: Reply) -> None:
    """Take PRIVMSG, NOTICE or TAGMSG (Modern IRC §sending-messages, IRCv3 message-tags)."""
    command, params = line.command, line.params
    if not params or not params[0]:
        _complain(client, reply, command, "411", "", f"No recipient given ({command})")
        return
    if command != "TAGMSG" and (len(params) < 2 or not params[1]):
        _complain(client, reply, command, "412", "", "No text to send")
        return
    pieces: Pieces = () if command == "TAGMSG" else ((params[1], False),)
    targets = params[0].split(",")[:MAX_TARGETS]
    pending = Pending(reply, len(targets))
    for target in targets:
        _say_to(client, target, command, line.tags, pieces, pending)


def compose(client: Client, message: Composed, reply: Reply) -> None:
    """Take a message of several lines (IRCv3 multiline)."""
    pending = Pending(reply, 1)
    _say_to(client, message.target, message.command, message.tags, message.pieces, pending)


def _say_to(
    client: Client, target: str, command: str, tags: dict[str, str], pieces: Pieces, pending: Pending
) -> None:
    reply = pending.reply
    if fold(target) in SERVICES:
        serve(client, SERVICES[fold(target)], pieces, reply)
        pending.one()
        return
    if pieces and is_ctcp(pieces[0][0]):
        _relay(client, target, command, pieces[0][0])
        pending.one()
        return
    conversation = client.targets.get(target) or find(client, target)
    if conversation is None:
        if command != "NOTICE":
            _unknown(client, target, reply)
        pending.one()
        return
    if command == "TAGMSG" and reaction_of(tags) is None:
        _tag(client, conversation, tags)
        pending.one()
        return
    draft = draft_of_message(command, tags, pieces, client.session.resource, client.is_bot)
    posting = Posting(reply, pending, target, command)
    post(client, conversation, draft, posting)
    if not looks_like_channel(target) and command == "PRIVMSG":
        _tell_away(client, target, reply)


def post(client: Client, conversation: Conversation, draft: Draft, posting: Posting) -> None:
    """Queue a draft; the session hears of the outcome with `posting`."""
    messaging = client.network.services.messaging
    client.network.counters.messages_in += 1
    client.active_ms = client.network.services.clock.now_ms()
    client.turnstile.enter()
    if draft.kind == Kind.REACTION:
        token = Reacting(posting, client)
        if reaction_taken_back(draft):
            change = messaging.remove_reaction
        else:
            change = messaging.add_reaction
        change(client.session, conversation, draft, draft.relation_key, token, token.settled)
    else:
        messaging.post(client.session, conversation, draft, posting)


def post_text(client: Client, conversation: Conversation, target: str, text: str) -> None:
    """Queue one PRIVMSG without tags or label: the case that has to be fast. Its token is the target."""
    native = ("bot\nPRIVMSG\n" if client.is_bot else "\nPRIVMSG\n") + text
    draft = Draft(PROTOCOL, native.encode(), resource=client.session.resource)
    client.network.counters.messages_in += 1
    client.turnstile.enter()
    client.network.messaging.post(client.session, conversation, draft, target)


def reaction_taken_back(draft: Draft) -> bool:
    """Whether the draft of a reaction withdraws it."""
    return b"+draft/unreact=" in draft.native.partition(b"\n")[0]


def find(client: Client, target: str) -> Conversation | None:
    """Return the conversation that a client means by a channel or nick, opened if need be."""
    found: Conversation | None = None
    if looks_like_channel(target):
        found = client.room(target)
        if found is not None and not client.attends(found):
            return found  # the core says why not, and the name must not be remembered
    elif client.account is not None:
        other = client.network.services.accounts.find(target)
        if other is not None:
            found = client.network.services.messaging.open_direct(client.account, other)
        elif "@" in name_of(target):
            # `user@server` is a target of RFC 2812, too; so is the nick that stands for it.
            services = client.network.services
            peer = services.peers.actor_of(name_of(target))
            if peer is not None:
                found = services.directory.foreign(client.account, peer)
                if found is None and services.strangers.may_begin(client.account) is None:
                    found = services.messaging.open_foreign(client.account, peer)
    if found is not None:
        client.targets[target] = found
    return found


def redact(client: Client, line: Line, reply: Reply) -> None:
    """Take a message back (IRCv3 message-redaction)."""
    if not client.caps & MESSAGE_REDACTION:
        reply.numeric("421", "REDACT", "Unknown command")
        reply.end()
        return
    target, msgid = line.params[0], line.params[1]
    reason = line.params[2] if len(line.params) > 2 else ""
    conversation = client.targets.get(target) or find(client, target)
    if conversation is None:
        reply.fail("REDACT", "INVALID_TARGET", target, f"You cannot delete messages from {target}")
        reply.end()
        return
    event_id = event_id_of(msgid)
    event = client.network.services.history.find(event_id) if event_id else None
    if event is None or event.conversation_id != conversation.id:
        refuse_redaction(reply, Refusal.TARGET_UNKNOWN, target, msgid)
        reply.end()
        return
    posting = Posting(reply, Pending(reply, 1), f"{target} {msgid}", "REDACT")
    if event.kind == Kind.REACTION and event.actor_id == client.actor.id:
        _unreact(client, conversation, event, posting)
        return
    post(client, conversation, draft_of_redaction(msgid, reason, client.session.resource), posting)


def refuse_redaction(reply: Reply, refusal: Refusal, target: str, msgid: str) -> None:
    """Say why a message stays."""
    if refusal is Refusal.TARGET_UNKNOWN:
        text = "This message does not exist or is too old"
        reply.fail("REDACT", "UNKNOWN_MSGID", f"{target} {msgid}", text)
    elif refusal is Refusal.TARGET_FOREIGN:
        text = "You are not authorised to delete this message"
        reply.fail("REDACT", "REDACT_FORBIDDEN", f"{target} {msgid}", text)
    else:
        reply.fail("REDACT", "INVALID_TARGET", target, f"You cannot delete messages from {target}")


def refuse_post(client: Client, posting: Posting, refusal: Refusal) -> None:
    """Say why something was not said; a NOTICE is never answered (RFC 2812 §3.3.2)."""
    client.network.counters.refused(refusal)
    if posting.command == "REDACT":
        target, _, msgid = posting.target.partition(" ")
        refuse_redaction(posting.reply, refusal, target, msgid)
    elif posting.command != "NOTICE":
        if refusal in (Refusal.NOT_ATTENDING, Refusal.BANNED):
            posting.reply.numeric("404", posting.target, "Cannot send to channel: join it first")
        else:
            client.refuse(posting.reply, refusal, posting.target)
    posting.pending.one()


def _unreact(client: Client, conversation: Conversation, event: Event, posting: Posting) -> None:
    """Redacting a reaction takes it back (PROTOCOLS 3.1)."""
    target = client.network.services.history.at(event.target_seq)
    emoji = event.relation_key or _reaction_of(event)
    if target is None or not emoji:
        refuse_post(client, posting, Refusal.TARGET_UNKNOWN)
        return
    msgid = target.event_id.hex()
    tags = {"+reply": msgid, "+draft/unreact": emoji}
    draft = draft_of_message("TAGMSG", tags, (), client.session.resource, client.is_bot)
    post(client, conversation, draft, posting)


def _reaction_of(event: Event) -> str:
    from_tags = event.native.partition(b"\n")[0].decode()
    return dict(part.partition("=")[::2] for part in from_tags.split(";")).get("+draft/react", "")


def _relay(client: Client, target: str, command: str, text: str) -> None:
    """Pass CTCP to the other's IRC clients: it is between two programs, and nobody's history."""
    account = client.network.services.accounts.find(target)
    if account is not None:
        payload = f"{command}\n{text}".encode()
        client.turnstile.run(
            lambda: _ignore(client.network.services.relays.to_account(client.session, account, payload))
        )


def _ignore(count: int) -> None:
    """Nobody asks how many there were."""


def _tag(client: Client, conversation: Conversation, tags: dict[str, str]) -> None:
    """Show that somebody types; other tags say nothing without a text."""
    state = typing_of(tags)
    if state is not None:
        reads = client.network.services.reads
        client.turnstile.run(lambda: reads.typing(client.session, conversation, state))


def _unknown(client: Client, target: str, reply: Reply) -> None:
    if looks_like_channel(target):
        reply.numeric("403", target, "No such channel")
    elif client.account is None:
        reply.numeric("401", target, "No such nick, or guests may not write to it")
    else:
        reply.numeric("401", target, "No such nick")


def _complain(client: Client, reply: Reply, command: str, number: str, params: str, text: str) -> None:
    if command != "NOTICE":
        reply.numeric(number, params, text)
    reply.end()


def _tell_away(client: Client, target: str, reply: Reply) -> None:
    network = client.network
    actor = network.actor_named(target)
    if actor is not None and actor is not client.actor:
        away = network.away_of(actor)
        if away and network.may_see(client, actor):
            reply.numeric("301", target, away)
