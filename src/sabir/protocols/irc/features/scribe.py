"""Writes events of the log as IRC lines. One scribe serves all connections, and shares what it wrote."""

from collections.abc import Callable
from typing import Final

from sabir.core.model.actor import Actor, ActorKind
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import CORE, Event, Kind
from sabir.core.model.plain import plain_text
from sabir.core.ports import Page
from sabir.core.services import Services
from sabir.protocols.irc.codec.lines import MAX_LINE_BYTES
from sabir.protocols.irc.translate.accept import PROTOCOL
from sabir.protocols.irc.translate.names import channel_of, mask, nick_of
from sabir.protocols.irc.translate.native import Said, from_native
from sabir.protocols.irc.translate.render import (
    ACCOUNT,
    TAGS,
    TIME,
    Quote,
    Scene,
    batch_rows,
    plain_line,
    render,
    rows_of,
    said_of,
    said_of_message,
    sender_tags,
    timestamp,
)
from sabir.protocols.irc.translate.rooms import topic_text

_MESSAGE: Final = int(Kind.MESSAGE)
Rows = list[tuple[str, str]]


class Scribe:
    """Knows how everybody and every conversation is called on IRC."""

    def __init__(self, services: Services, host: str, max_fallback_lines: int) -> None:
        self._services: Final = services
        self._directory: Final = services.directory
        self._contents: Final = services.contents
        self._history: Final = services.history
        self._host: Final = host
        self._most_lines: Final = max_fallback_lines
        self._masks: dict[int, str] = {}
        self._channels: dict[int, str] = {}
        self._second = -1
        self._second_text = ""

    def mask_of(self, actor: Actor) -> str:
        """Return `nick!user@host` of anybody."""
        known = self._masks.get(actor.id)
        if known is None:
            host = actor.name.rpartition("@")[2] if actor.kind is ActorKind.REMOTE else self._host
            known = mask(nick_of(actor), host)
            self._masks[actor.id] = known
        return known

    def account_of(self, actor: Actor) -> str:
        """Return the account name, empty for those who have none."""
        return "" if actor.account_id is None else actor.name

    def channel(self, conversation: Conversation) -> str:
        """Return the channel that shows a room."""
        known = self._channels.get(conversation.id)
        if known is None:
            known = channel_of(conversation.name)
            self._channels[conversation.id] = known
        return known

    def target(self, conversation: Conversation, sender_id: int) -> str:
        """Return to whom `sender_id` speaks in a conversation: a channel, or the other party's nick."""
        if conversation.is_room:
            return self.channel(conversation)
        if conversation.peer is not None:
            return nick_of(conversation.other_than(sender_id))
        parties = conversation.parties
        other = parties[-1] if parties[0].actor.id == sender_id else parties[0]
        return nick_of(other.actor)

    def live(self, conversation: Conversation, event: Event, variant: int) -> bytes:
        """Return the lines of a message, or of a topic; empty where this variant is shown nothing."""
        if event.kind == _MESSAGE and event.protocol == PROTOCOL:
            quick = self._quick(conversation, event, variant)
            if quick:
                return quick
        if event.erased:
            return b""
        scene = self._scene(conversation, event)
        if event.protocol == CORE:
            if event.kind != Kind.TOPIC:
                return b""
            text = f":{scene.source} TOPIC {scene.target} :{topic_text(event)}"
            return plain_line(sender_tags(event.at_ms, scene.account, variant), text)
        said = self._said(conversation, event)
        if said is None:
            return b""
        quote = None if variant & TAGS else self._quote(event)
        return render(event, said, scene, variant, quote, self._most_lines)

    def past(self, conversation: Conversation, event: Event, page: Page, variant: int) -> Rows:
        """Return the lines of a message in history: as it reads now, or none if it was taken back."""
        if event.erased or event.kind in (Kind.EDIT, Kind.DELETE):
            return []
        scene = self._scene(conversation, event)
        if event.protocol == CORE:
            if event.kind != Kind.TOPIC:
                return []
            text = f":{scene.source} TOPIC {scene.target} :{topic_text(event)}"
            return [(sender_tags(event.at_ms, scene.account, variant), text)]
        said = self._said(conversation, event)
        if said is None:
            return []
        if event.kind == Kind.MESSAGE:
            said = self._as_it_reads_now(conversation, event, said, page)
        quote = None if variant & TAGS else self._quote(event)
        batched = batch_rows(event, said, scene, variant, event.event_id.hex()[-12:])
        return batched or rows_of(event, said, scene, variant, quote, self._most_lines)

    def _quick(self, conversation: Conversation, event: Event, variant: int) -> bytes:
        """Write a message of one line from one IRC client to another, the case that has to be fast."""
        tags, _, rest = event.native.partition(b"\n")
        command, _, text = rest.partition(b"\n")
        if 0x0A in text or (tags and not variant & TAGS):
            return b""  # several lines, or perhaps a reply that needs a quote
        actor = self._directory.actors[event.actor_id]
        source = self._masks.get(event.actor_id) or self.mask_of(actor)
        target = self.target(conversation, event.actor_id)
        line = b"".join((b":", source.encode(), b" ", command, b" ", target.encode(), b" :", text, b"\r\n"))
        if len(line) > MAX_LINE_BYTES:
            return b""
        if not variant:
            return line
        parts: list[str] = []
        if variant & TIME:
            parts.append("time=" + self._time(event.at_ms))
        if variant & TAGS:
            parts.append("msgid=" + event.event_id.hex())
        if variant & ACCOUNT and actor.account_id is not None:
            parts.append("account=" + actor.name)
        if tags:
            parts.append(tags.decode())
        return f"@{';'.join(parts)} ".encode() + line

    def _time(self, at_ms: int) -> str:
        second, ms = divmod(at_ms, 1000)
        if second != self._second:
            self._second = second
            self._second_text = timestamp(second * 1000)[:-4]
        return f"{self._second_text}{ms:03d}Z"

    def _scene(self, conversation: Conversation, event: Event) -> Scene:
        actor = self._directory.actor(event.actor_id)
        return Scene(self.mask_of(actor), self.account_of(actor), self.target(conversation, event.actor_id))

    def _said(self, conversation: Conversation, event: Event) -> Said | None:
        if event.protocol == PROTOCOL:
            return said_of(event, None)
        return said_of(event, self._contents.of(event), self._names(conversation))

    def _names(self, conversation: Conversation) -> Callable[[str, str], str]:
        """Return what says how people of a conversation are called here, whatever a message calls them."""

        def name(label: str, uri: str) -> str:
            actor = self._services.people.of_uri(conversation, uri)
            nick = "" if actor is None else nick_of(actor)
            return label if nick.casefold() in label.casefold() else nick

        return name

    def _quote(self, event: Event) -> Quote | None:
        """Return what a message answers, for readers without tags."""
        if event.kind != Kind.MESSAGE or not event.target_seq:
            return None
        target = self._history.at(event.target_seq)
        if target is None or target.erased or target.protocol == CORE:
            return None
        rows = self._history.relations((target.seq,))
        edits = [row.seq for row in rows if row.kind == Kind.EDIT]
        latest = self._history.at(max(edits)) if edits else None
        shown = target if latest is None or latest.erased else latest
        return Quote(nick_of(self._directory.actor(target.actor_id)), plain_text(self._contents.of(shown)))

    def _as_it_reads_now(self, conversation: Conversation, event: Event, said: Said, page: Page) -> Said:
        """Return `said` with the text of its last edit."""
        edits = [row.seq for row in page.relations.get(event.seq, []) if row.kind == Kind.EDIT]
        latest = self._history.at(max(edits)) if edits else None
        if latest is None or latest.erased:
            return said
        if latest.protocol == PROTOCOL:
            newer = from_native(latest.native)
        else:
            newer = said_of_message(self._contents.of(latest), self._names(conversation))
        return Said(said.tags, said.command, newer.pieces)
