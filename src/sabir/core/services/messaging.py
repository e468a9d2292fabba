"""Posting: messages, edits, deletions, replies and reactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from sabir.core import policy
from sabir.core.delivery import Delivery
from sabir.core.directory import Directory, conversation_row, pair_of
from sabir.core.errors import Refusal
from sabir.core.log import HARD_BYTES, Item, Log, Operation
from sabir.core.model.actor import Account, Actor
from sabir.core.model.conversation import Conversation, ConversationKind, Role
from sabir.core.model.event import MORE, UNREAD, Draft, Event, Kind
from sabir.core.model.ids import ConversationId
from sabir.core.pace import Pace, Slowness
from sabir.core.policy import PolicyConfig
from sabir.core.ports import LogStore, Session
from sabir.core.services.media import MARK
from sabir.core.services.peers import Peers, is_blocked
from sabir.core.services.relating import REMOVED, Relating

REPLY: Final = "reply"
MAX_EDITS: Final = 1_000
"""Edits of one message: all of them are read with it. Those sent at once may be some more."""
Settled = Callable[[list[Event]], None]
"""Told of the events of a set of reactions once they are durable; none if nothing changed."""


class Post(Item):
    """One message on its way into the log."""

    def __init__(
        self, messaging: Messaging, session: Session, conversation: Conversation, draft: Draft, token: object
    ) -> None:
        self._messaging = messaging
        self._session = session
        self._conversation = conversation
        self._draft = draft
        self._token = token
        self._event: Event | None = None
        self._repeated = False
        self.size_bytes = len(draft.native) + 64

    def form(self, log: Log) -> Refusal | None:
        """See `Item.form`."""
        draft = self._draft
        messaging = self._messaging
        session = self._session
        if draft.may_repeat and draft.native_id:
            stored = messaging.find_repeat(session, self._conversation, draft)
            if stored is not None:
                self._event, self._repeated = stored, True
                return None
        result = messaging.form(log, session, self._conversation, draft)
        if isinstance(result, Event):
            self._event = result
            return None
        return result

    def done(self) -> None:
        """See `Item.done`."""
        event = self._event
        assert event is not None
        self._session.posted(self._conversation, event, self._token)
        if not self._repeated:
            self._messaging.delivery.deliver(self._conversation, event, self._session)

    def refused(self, refusal: Refusal) -> None:
        """See `Item.refused`."""
        self._session.refused(refusal, self._token)


class Messaging:
    """Puts what people say into the log."""

    def __init__(
        self,
        log: Log,
        directory: Directory,
        delivery: Delivery,
        store: LogStore,
        config: PolicyConfig,
        pace: Pace,
        peers: Peers,
        relating: Relating,
    ) -> None:
        self._log = log
        self._directory = directory
        self.delivery = delivery
        self._store = store
        self._config = config
        self._pace = pace
        self._peers = peers
        self._relating = relating
        self._media = relating.media
        self._recent = relating.recent
        self._slowness = Slowness()
        log.rolled_back = relating.forget

    def post(self, session: Session, conversation: Conversation, draft: Draft, token: object = None) -> None:
        """Queue `draft` for the log of `conversation`.

        The outcome reaches `session` in the order of its posts: `session.posted(conversation, event, token)`
        once it is durable, or `session.refused(refusal, token)`, e.g. `Refusal.NOT_ATTENDING`.
        """
        log = self._log
        refusal = self._too_much(session, len(draft.native))
        if refusal is not None:
            log.append(_refused(session, refusal, token))
            return
        log.append(Post(self, session, conversation, draft, token))
        log.hold_if_full(session)

    def react(
        self,
        session: Session,
        conversation: Conversation,
        draft: Draft,
        emojis: Iterable[str],
        token: object = None,
        settled: Settled | None = None,
    ) -> None:
        """Make `emojis` the whole set of the sender's reactions to the draft's target, in place of the former.

        One event per difference (DATAMODEL 4), each with the native form of `draft`; none if nothing changed,
        and then `session.posted` is not called but `session.refused` neither: the set is as asked. So that
        the session can count, `settled` is called with the events at the end in any case but refusal.
        """
        wanted = dict.fromkeys(emojis)
        self._react(session, conversation, draft, lambda have: wanted, token, settled)

    def add_reaction(
        self,
        session: Session,
        conversation: Conversation,
        draft: Draft,
        emoji: str,
        token: object = None,
        settled: Settled | None = None,
    ) -> None:
        """Add one reaction (IRCv3 `+draft/react`); see `react`."""
        self._react(session, conversation, draft, lambda have: {**have, emoji: None}, token, settled)

    def remove_reaction(
        self,
        session: Session,
        conversation: Conversation,
        draft: Draft,
        emoji: str,
        token: object = None,
        settled: Settled | None = None,
    ) -> None:
        """Take one reaction back (IRCv3 `+draft/unreact`); see `react`."""

        def without(have: dict[str, None]) -> dict[str, None]:
            return {key: None for key in have if key != emoji}

        self._react(session, conversation, draft, without, token, settled)

    def _react(
        self,
        session: Session,
        conversation: Conversation,
        draft: Draft,
        wanted: Callable[[dict[str, None]], dict[str, None]],
        token: object,
        settled: Settled | None,
    ) -> None:
        events: list[Event] = []
        too_much = self._too_much(session, len(draft.native))

        def form(log: Log) -> Refusal | None:
            refusal = too_much or policy.may_post(conversation, session.actor)
            if refusal is not None:
                return refusal
            target = self._relating.target(conversation, session.actor.id, draft)
            if target is None:
                return Refusal.TARGET_UNKNOWN
            have = self._relating.reactions(target[0], session.actor.id)
            want = wanted(have)
            changes = [(emoji, 0) for emoji in want if emoji not in have]
            changes += [(emoji, REMOVED) for emoji in have if emoji not in want]
            log.undo(events.clear)
            if len(want) > 20:
                return Refusal.TOO_MANY
            for index, (emoji, removed) in enumerate(changes):
                more = MORE if index + 1 < len(changes) else 0
                single = Draft(
                    draft.protocol,
                    draft.native,
                    kind=Kind.REACTION,
                    flags=(draft.flags & ~UNREAD) | removed | more,
                    native_id=draft.native_id,
                    target_id=target[1],
                    resource=draft.resource,
                    to_resource=draft.to_resource,
                    relation_key=emoji,
                )
                result = self.form(log, session, conversation, single)
                if not isinstance(result, Event):
                    return result
                events.append(result)
            return None

        def done() -> None:
            for event in events:
                session.posted(conversation, event, token)
            for event in events:
                self.delivery.deliver(conversation, event, session)
            if settled is not None:
                settled(events)

        self._log.append(Operation(form, done, lambda refusal: session.refused(refusal, token)))

    def reactions(self, target_seq: int, actor_id: int) -> dict[str, None]:
        """Return the reactions of an actor to an entry, those not committed yet included."""
        return self._relating.reactions(target_seq, actor_id)

    def open_direct(self, one: Account, other: Account) -> Conversation:
        """Return the direct conversation of two accounts, made if need be.

        And stored with its first entry.
        """
        conversation = self._directory.direct(one, other)
        if conversation is None:
            number = self._directory.last_conversation_id + 1
            uuid = self._log.new_id()
            conversation = Conversation(ConversationId(number), uuid, ConversationKind.DIRECT, "")
            low, high = pair_of(one, other)
            parties = (one,) if low == high else ((one, other) if one.id == low else (other, one))
            conversation.parties = parties
            conversation.stored = False
            conversation.generation = self._log.generation
            self._directory.add_conversation(conversation)
        return conversation

    def open_foreign(self, account: Account, peer: Actor) -> Conversation:
        """Return the direct conversation of an account with somebody of another server, made if need be."""
        conversation = self._directory.foreign(account, peer)
        if conversation is None:
            number = ConversationId(self._directory.last_conversation_id + 1)
            conversation = Conversation(number, self._log.new_id(), ConversationKind.DIRECT, "")
            conversation.parties, conversation.peer = (account,), peer
            peer.is_kept = True
            conversation.stored = False
            conversation.generation = self._log.generation
            self._directory.add_conversation(conversation)
        return conversation

    def form(self, log: Log, session: Session, conversation: Conversation, draft: Draft) -> Event | Refusal:
        """Check and number one draft; used by items while they form."""
        actor = session.actor
        refusal = policy.may_post(conversation, actor)
        if refusal is None and not conversation.is_room:
            refusal = self._blocked(session, conversation)
        if refusal is not None:
            return refusal
        target: tuple[int, bytes, int] | None = None
        kind = draft.kind
        if draft.target_id or draft.target_native:
            target = self._relating.target(conversation, session.actor.id, draft)
            if kind == Kind.DELETE:
                if target is None:
                    return Refusal.TARGET_UNKNOWN
                refusal = policy.may_delete(conversation, actor, target[2])
                if refusal is not None:
                    return refusal
            elif kind == Kind.EDIT and target is not None:
                if target[2] != actor.id:
                    return Refusal.TARGET_FOREIGN
                if len(self._relating.edits_of((target[0],))) >= MAX_EDITS:
                    return Refusal.TOO_MANY
        if conversation.peer is not None and self._peers.is_full(conversation.peer):
            return Refusal.TOO_MANY
        if not conversation.stored:
            store_conversation(log, conversation)
        nick = actor.name
        if conversation.is_room:
            attendee = conversation.attendees[actor.id]
            nick = attendee.nick
            if conversation.config.slow_mode_s and draft.flags & UNREAD and attendee.role < Role.ADMIN:
                refusal = self._slow(log, conversation, actor.id)
                if refusal is not None:
                    return refusal
        event = log.enter(conversation, actor.id, nick, kind, draft.flags, draft.protocol, draft.native)
        event.native_id = draft.native_id
        event.expires_ms = draft.expires_ms
        event.resource = draft.resource
        event.to_resource = draft.to_resource
        event.relation_key = draft.relation_key
        if target is not None:
            event.target_seq, event.target_id = target[0], target[1]
            if kind != Kind.MESSAGE:
                self._relating.relate(log, event, draft)
        if self._media.has_files and MARK in draft.native:
            self._media.refer(log, event.seq, event.native)
        self._recent.add(event)
        if conversation.peer is not None:
            self._form_foreign(log, event, conversation.peer)
        return event

    def _form_foreign(self, log: Log, event: Event, peer: Actor) -> None:
        """Let an entry wait for the other server, unless it came from there."""
        if event.actor_id == peer.id:
            return
        if event.flags & MORE:
            return  # one set of reactions is several entries, and one message
        log.introduce(peer.id)
        self._peers.queue_event(log, event, peer)

    def _slow(self, log: Log, conversation: Conversation, actor_id: int) -> Refusal | None:
        """Let one message through in the time that the room's slow mode says (XEP-0500 §6)."""
        before = self._slowness.last_ms(conversation.id, actor_id)
        if log.now_ms - before < conversation.config.slow_mode_s * 1000:
            return Refusal.SLOW_MODE
        self._slowness.note(conversation.id, actor_id, log.now_ms)
        log.undo(lambda: self._slowness.note(conversation.id, actor_id, before))
        return None

    def find_repeat(self, session: Session, conversation: Conversation, draft: Draft) -> Event | None:
        """Return the stored event of which `draft` is a repeat.

        Same id, conversation and payload within a day.
        """
        recent = self._recent.by_native(session.actor.id, draft.native_id)
        seq = recent[0] if recent is not None else 0
        if not seq:
            seq = self._store.find_native(draft.protocol, session.actor.id, draft.native_id)
        event = self._store.event_at(seq) if seq else None
        if (
            event is not None
            and event.conversation_id == conversation.id
            and event.native == draft.native
            and self._log.now_ms - event.at_ms < 86_400_000
        ):
            return event
        return None

    def _blocked(self, session: Session, conversation: Conversation) -> Refusal | None:
        blocks = self._directory.blocks
        if not blocks:
            return None
        account = session.account
        own = None if account is None else blocks.get(account.id)
        for party in conversation.parties:
            if party is account:
                continue
            theirs = blocks.get(party.id)
            if theirs is not None and is_blocked(theirs, session.actor):
                return Refusal.BLOCKED
            if own is not None and party.name in own:
                return Refusal.BLOCKING
        if own is not None and conversation.peer is not None and is_blocked(own, conversation.peer):
            return Refusal.BLOCKING
        return None

    def _too_much(self, session: Session, size_bytes: int) -> Refusal | None:
        if size_bytes > self._config.max_message_bytes:
            return Refusal.TOO_LARGE
        if self._log.pending_bytes > HARD_BYTES:
            return Refusal.BUSY
        return self._pace.take(session.actor.id)


# Apart from their callers, which are called for every message: a function within a function makes it slower.


def _refused(session: Session, refusal: Refusal, token: object) -> Operation:
    """Return an item that is refused in its turn."""
    return Operation(lambda _: refusal, _nothing, lambda why: session.refused(why, token))


def store_conversation(log: Log, conversation: Conversation) -> None:
    """Store a conversation with its first entry."""
    if conversation.peer is not None:
        log.introduce(conversation.peer.id)
    log.change(conversation_row(conversation))
    conversation.stored = True
    log.undo(lambda: _unstore(conversation))


def _nothing() -> None:
    """Do nothing: the other outcome is the only one possible."""


def _unstore(conversation: Conversation) -> None:
    conversation.stored = False
