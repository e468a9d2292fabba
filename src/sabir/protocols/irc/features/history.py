"""CHATHISTORY, MARKREAD, and history for clients that cannot ask for it."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Final

import msgspec

from sabir.core.errors import Refusal
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event, Kind
from sabir.core.ports import Page, PageQuery
from sabir.protocols.irc.codec.names import looks_like_channel
from sabir.protocols.irc.features.client import Channel, Client
from sabir.protocols.irc.features.scribe import Rows
from sabir.protocols.irc.machine import Reply
from sabir.protocols.irc.translate.accept import event_id_of
from sabir.protocols.irc.translate.names import name_of, nick_of
from sabir.protocols.irc.translate.render import timestamp
from sabir.protocols.irc.types.capabilities import EVENT_PLAYBACK
from sabir.protocols.irc.types.line import Line

MESSAGES: Final = frozenset((int(Kind.MESSAGE),))
PLAYBACK: Final = frozenset((int(Kind.MESSAGE), int(Kind.REACTION), int(Kind.TOPIC)))
MAX_TARGETS_LISTED: Final = 100
MAX_KEPT: Final = 1000
"""Messages kept back while a client is shown history; a client that needs more is shown them out of order."""

_ARGUMENTS: Final = {"LATEST": 3, "BEFORE": 3, "AFTER": 3, "AROUND": 3, "BETWEEN": 4, "TARGETS": 3}


class Selector:
    """One end of a range: `timestamp=` or `msgid=`, as a time or a log number (0: not given)."""

    def __init__(self, at_ms: int, seq: int) -> None:
        self.at_ms: Final = at_ms
        self.seq: Final = seq


class SelectorError(Exception):
    """A selector that cannot be read; the code and text of the FAIL."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(code)
        self.code: Final = code
        self.text: Final = text


def chathistory(client: Client, line: Line, reply: Reply) -> None:
    """Answer with a part of a conversation (IRCv3 chathistory)."""
    command = line.params[0].upper() if line.params else ""
    arguments = line.params[1:]
    if command not in _ARGUMENTS:
        _fail(reply, "INVALID_PARAMS", command or "*", "Unknown command")
    elif len(arguments) < _ARGUMENTS[command]:
        _fail(reply, "INVALID_PARAMS", command, "Insufficient parameters")
    elif len(arguments) > _ARGUMENTS[command]:
        _fail(reply, "INVALID_PARAMS", command, "Too many parameters")
    elif not arguments[-1].isdecimal() or len(arguments[-1]) > 9:
        _fail(reply, "INVALID_PARAMS", f"{command} {arguments[-1]}", "Invalid limit")
    else:
        limit = min(int(arguments[-1]), client.network.config.max_history) or 1
        try:
            if command == "TARGETS":
                _targets(client, arguments, limit, reply)
            else:
                _select(client, command, arguments, limit, reply)
        except SelectorError as error:
            _fail(reply, error.code, command, error.text)


def _select(client: Client, command: str, arguments: list[str], limit: int, reply: Reply) -> None:
    target = arguments[0]
    conversation = conversation_of(client, target)
    history = client.network.services.history
    if conversation is None or history.may_read(conversation, client.actor) is not None:
        _fail(reply, "INVALID_TARGET", f"{command} {target}", "Messages could not be retrieved")
        return
    client.turnstile.enter()

    def then(events: list[Event], relations: Page) -> None:
        client.turnstile.leave()
        if not client.is_gone:
            rows = _rows(client, conversation, events, relations)
            name = client.network.scribe.channel(conversation) if conversation.is_room else target
            reply.batch("chathistory", name, rows)
            reply.end()
            client.flush()

    try:
        _read(client, conversation, command, arguments, limit, then)
    except SelectorError:
        client.turnstile.leave()
        raise


def _read(
    client: Client,
    conversation: Conversation,
    command: str,
    arguments: list[str],
    limit: int,
    then: Callable[[list[Event], Page], None],
) -> None:
    kinds = PLAYBACK if client.caps & EVENT_PLAYBACK else MESSAGES

    def page(query: PageQuery, got: Callable[[Page], None]) -> None:
        refusal = client.network.services.history.page(conversation, client.actor, query, got)
        if refusal is not None:  # banned since it was asked
            got(Page([], True))

    if command == "AROUND":
        middle = _selector(client, conversation, arguments[1])
        before = _before(middle, PageQuery(limit=limit // 2, newest=True, kinds=kinds))
        since = PageQuery(
            after_seq=max(0, middle.seq - 1), start_ms=middle.at_ms, limit=limit - limit // 2, kinds=kinds
        )
        if limit == 1:
            page(since, lambda found: then(found.events, found))
        else:
            page(before, lambda old: page(since, lambda new: then(old.events + new.events, _both(old, new))))
        return
    page(
        _query(client, conversation, command, arguments, limit, kinds),
        lambda found: then(found.events, found),
    )


def _query(
    client: Client,
    conversation: Conversation,
    command: str,
    arguments: list[str],
    limit: int,
    kinds: frozenset[int],
) -> PageQuery:
    if command == "LATEST":
        newest = PageQuery(limit=limit, newest=True, kinds=kinds)
        if arguments[1] == "*":
            return newest
        return _after(_selector(client, conversation, arguments[1]), newest)
    first = _selector(client, conversation, arguments[1])
    if command == "BEFORE":
        return _before(first, PageQuery(limit=limit, newest=True, kinds=kinds))
    if command == "AFTER":
        return _after(first, PageQuery(limit=limit, kinds=kinds))
    second = _selector(client, conversation, arguments[2])
    # Forwards or backwards in time: counted from the first one given.
    if _is_later(first, second):
        return _after(second, _before(first, PageQuery(limit=limit, newest=True, kinds=kinds)))
    return _after(first, _before(second, PageQuery(limit=limit, kinds=kinds)))


def _is_later(first: Selector, second: Selector) -> bool:
    if first.seq and second.seq:
        return first.seq > second.seq
    return first.at_ms > second.at_ms


def _before(end: Selector, query: PageQuery) -> PageQuery:
    if end.seq:
        return msgspec.structs.replace(query, before_seq=end.seq)
    return msgspec.structs.replace(query, end_ms=max(1, end.at_ms - 1))


def _after(start: Selector, query: PageQuery) -> PageQuery:
    if start.seq:
        return msgspec.structs.replace(query, after_seq=start.seq)
    return msgspec.structs.replace(query, start_ms=start.at_ms + 1)


def _both(old: Page, new: Page) -> Page:
    return Page(old.events + new.events, False, {**old.relations, **new.relations})


def _selector(client: Client, conversation: Conversation, text: str) -> Selector:
    kind, _, value = text.partition("=")
    if kind == "timestamp":
        return Selector(_time_of(value), 0)
    if kind != "msgid":
        raise SelectorError("INVALID_MSGREFTYPE", "Messages are named by msgid= or timestamp=")
    event_id = event_id_of(value)
    event = client.network.services.history.find(event_id) if event_id else None
    if event is None or event.conversation_id != conversation.id:
        raise SelectorError("MESSAGE_ERROR", "There is no such message here")
    return Selector(event.at_ms, event.seq)


def _time_of(value: str) -> int:
    try:
        at = datetime.strptime(value, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
    except ValueError as error:
        raise SelectorError("INVALID_PARAMS", "Invalid timestamp") from error
    return max(0, round(at.timestamp() * 1000))


def _rows(client: Client, conversation: Conversation, events: list[Event], page: Page) -> Rows:
    scribe = client.network.scribe
    return [row for event in events for row in scribe.past(conversation, event, page, client.variant)]


def _targets(client: Client, arguments: list[str], limit: int, reply: Reply) -> None:
    """List the conversations whose last message lies between two times."""
    first, second = (_time_of(each.removeprefix("timestamp=")) for each in arguments[:2])
    start, end = min(first, second), max(first, second)
    services = client.network.services
    rooms = [channel.conversation for channel in client.channels.values()]
    directs: list[Conversation] = []
    if client.account is not None:
        found = services.history.latest_directs(client.account, MAX_TARGETS_LISTED)
        directs = [conversation for conversation, _ in found]
    wanted = rooms + directs
    client.turnstile.enter()
    latest: list[tuple[int, str]] = []
    open_pages = [len(wanted)]

    def finish() -> None:
        client.turnstile.leave()
        shown = sorted(row for row in latest if start < row[0] < end)
        if first > second:
            shown.reverse()
        rows = [("", f":{services.domain} CHATHISTORY TARGETS {name} {timestamp(at)}") for at, name in shown]
        reply.batch("draft/chathistory-targets", "", rows[:limit])
        reply.end()
        client.flush()

    def got(conversation: Conversation, page: Page) -> None:
        if page.events:
            latest.append((page.events[-1].at_ms, _name_for(client, conversation)))
        open_pages[0] -= 1
        if open_pages[0] == 0:
            finish()

    query = PageQuery(limit=1, newest=True, kinds=MESSAGES)
    if not wanted:
        finish()
    for conversation in wanted:
        refusal = services.history.page(conversation, client.actor, query, partial(got, conversation))
        if refusal is not None:
            got(conversation, Page([], True))


def _name_for(client: Client, conversation: Conversation) -> str:
    if conversation.is_room:
        return client.network.scribe.channel(conversation)
    return nick_of(conversation.other_than(client.actor.id))


def conversation_of(client: Client, target: str) -> Conversation | None:
    """Return the conversation behind a channel or nick, without making one."""
    services = client.network.services
    if looks_like_channel(target):
        return client.room(target)
    other = services.accounts.find(target)
    if client.account is None:
        return None
    if other is None:
        peer = services.peers.actor_of(name_of(target)) if "@" in name_of(target) else None
        return None if peer is None else services.directory.foreign(client.account, peer)
    return services.directory.direct(client.account, other)


def replay(client: Client, channel: Channel) -> None:
    """Show what was said last to a client that just joined and has no `draft/chathistory`.

    What is said meanwhile is kept back until then, so that it comes after.
    """
    limit = client.network.config.autoreplay
    if not limit:
        return
    channel.kept = []
    client.replaying += 1
    head = client.network.services.log.head_seq
    query = PageQuery(before_seq=head + 1, limit=limit, newest=True, kinds=MESSAGES)

    def then(page: Page) -> None:
        kept, channel.kept = channel.kept or [], None
        client.replaying -= 1
        if client.is_gone:
            return
        later = {event.seq for event in kept} | channel.posted
        channel.posted.clear()
        events = [event for event in page.events if event.seq not in later]
        rows = _rows(client, channel.conversation, events, page)
        if rows and client.machine.knows_batches:
            client.machine.send_batch(
                "chathistory", client.network.scribe.channel(channel.conversation), rows
            )
        else:
            for tags, text in rows:
                client.line(text, tags)
        client.flush()
        for event in kept:
            client.session.deliver(channel.conversation, event)

    refusal = client.network.services.history.page(channel.conversation, client.actor, query, then)
    if refusal is not None:
        channel.kept = None
        client.replaying -= 1


def missed(client: Client) -> None:
    """Show the direct messages that no device of the account has seen, to who cannot ask for them."""
    devices = client.network.services.devices

    def show(page: Page, events: Sequence[Event]) -> None:
        for event in events:
            conversation = devices.conversation_of(event)
            if conversation is not None and event.kind == Kind.MESSAGE and event.actor_id != client.actor.id:
                for tags, text in client.network.scribe.past(conversation, event, page, client.variant):
                    client.line(text, tags)
        client.flush()

    devices.show_missed(client.session, client.network.config.max_history, show)


def markread(client: Client, line: Line, reply: Reply) -> None:
    """Show or move the read marker (IRCv3 read-marker)."""
    if not line.params:
        reply.fail("MARKREAD", "NEED_MORE_PARAMS", "", "Missing parameters")
        reply.end()
        return
    target = line.params[0]
    conversation = conversation_of(client, target)
    if conversation is None or client.account is None:
        reply.fail("MARKREAD", "INVALID_PARAMS", target, "Invalid parameters")
        reply.end()
        return
    if len(line.params) == 1:
        send_marker(client, conversation, reply, target)
        reply.end()
        return
    kind, _, value = line.params[1].partition("=")
    try:
        at_ms = _time_of(value)
    except SelectorError:
        kind, at_ms = "", 0
    if kind != "timestamp":
        reply.fail("MARKREAD", "INVALID_PARAMS", f"{target} {line.params[1]}", "Invalid parameters")
        reply.end()
        return
    _mark(client, conversation, target, at_ms, reply)


def _mark(client: Client, conversation: Conversation, target: str, at_ms: int, reply: Reply) -> None:
    """Move the marker to the last message that is not later than `at_ms`."""
    services = client.network.services
    client.turnstile.enter()

    def finish() -> None:
        client.turnstile.leave()
        send_marker(client, conversation, reply, target)
        reply.end()
        client.flush()

    def refused(refusal: Refusal) -> None:
        client.turnstile.leave()
        client.network.counters.refused(refusal)
        # IRCv3 read-marker: what went wrong on the server's side
        reply.fail("MARKREAD", "INTERNAL_ERROR", target, "The read timestamp could not be set")
        reply.end()
        client.flush()

    def then(page: Page) -> None:
        if page.events:
            services.reads.mark(client.session, conversation, page.events[-1], finish, refused)
        else:
            finish()

    query = PageQuery(end_ms=max(1, at_ms), limit=1, newest=True, kinds=MESSAGES)
    refusal = services.history.page(conversation, client.actor, query, then)
    if refusal is not None:
        client.turnstile.leave()
        reply.fail("MARKREAD", "INVALID_PARAMS", target, "You cannot read this")
        reply.end()


def send_marker(client: Client, conversation: Conversation, reply: Reply, target: str = "") -> None:
    """Tell how far the account has read."""
    name = target or _name_for(client, conversation)
    row = None
    if client.account is not None:
        row = client.network.services.reads.marker(client.account, conversation)
    shown = "*" if row is None else f"timestamp={timestamp(row.at_ms)}"
    reply.line(f":{client.network.server} MARKREAD {name} {shown}")


def _fail(reply: Reply, code: str, context: str, text: str) -> None:
    reply.fail("CHATHISTORY", code, context, text)
    reply.end()
