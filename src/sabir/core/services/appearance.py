"""What a room shows of itself and of its people beside their roles: its card and picture, hats, how much is said."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from sabir.core import policy
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Actor
from sabir.core.model.changes import DataRow, StateRow
from sabir.core.model.conversation import Conversation, Hat, Role
from sabir.core.model.ids import ActorId
from sabir.core.model.signals import AttendeeChanged, RoomConfigured
from sabir.core.pace import Pace
from sabir.core.ports import Clock, LogStore, Session
from sabir.core.services.rooms import Rooms

MOST_HATS: Final = 50
"""Hats that one room may have."""
MOST_WORN: Final = 10
"""Hats that one person may wear in one room."""
MOST_WEARERS: Final = 1_000
"""People with hats in one room."""
CARD: Final = "card"

_HOUR_MS: Final = 3_600_000
_SAMPLES: Final = 24
_MOST_ROOMS: Final = 4096

Then = Callable[[], None]
Refused = Callable[[Refusal], None]


class Appearance:
    """Cards, hats and activity of rooms."""

    def __init__(self, log: Log, rooms: Rooms, store: LogStore, clock: Clock, pace: Pace) -> None:
        self._log = log
        self._rooms = rooms
        self._store = store
        self._clock = clock
        self._pace = pace
        self._samples: dict[int, list[tuple[int, int]]] = {}

    def card(self, conversation: Conversation) -> bytes:
        """Return the room's card as its owner's protocol wrote it, empty if there is none."""
        return self._store.data(0, conversation.id, CARD) or b""

    def set_card(
        self,
        session: Session,
        conversation: Conversation,
        card: bytes,
        avatar: str,
        then: Then,
        refused: Refused,
    ) -> None:
        """Replace the card; `avatar` is a hash of the picture in it, empty if it has none. Owners may."""

        def form(log: Log) -> Refusal | None:
            refusal = self._check(session, conversation, Role.OWNER)
            if refusal is not None:
                return refusal
            before = conversation.avatar
            conversation.avatar = avatar
            log.undo(lambda: setattr(conversation, "avatar", before))
            row = DataRow(account_id=0, conversation_id=conversation.id, type=CARD, value=card)
            row.gone = not card
            log.change(row)
            self._put(log, conversation, "avatar", "", avatar.encode())
            return None

        def done() -> None:
            then()
            told = RoomConfigured(conversation, self._nick(session, conversation), avatar=True)
            self._rooms.tell(conversation, told)

        self._log.append(Operation(form, done, refused))

    def set_hat(
        self, session: Session, conversation: Conversation, hat: Hat, then: Then, refused: Refused
    ) -> None:
        """Make a hat, or change the one with that URI. Admins may."""

        def form(log: Log) -> Refusal | None:
            refusal = self._check(session, conversation, Role.ADMIN)
            if refusal is not None:
                return refusal
            if hat.uri not in conversation.hats and len(conversation.hats) >= MOST_HATS:
                return Refusal.TOO_MANY
            self._set_hats(log, conversation, {**conversation.hats, hat.uri: hat})
            self._put(log, conversation, "hat", hat.uri, msgspec.msgpack.encode(hat))
            return None

        self._log.append(Operation(form, self._telling(session, conversation, then, hat.uri), refused))

    def remove_hat(
        self, session: Session, conversation: Conversation, uri: str, then: Then, refused: Refused
    ) -> None:
        """Take a hat from everybody and out of the room's list. Admins may."""
        bare: list[ActorId] = []

        def form(log: Log) -> Refusal | None:
            refusal = self._check(session, conversation, Role.ADMIN)
            if refusal is not None:
                return refusal
            if uri not in conversation.hats:
                return Refusal.TARGET_UNKNOWN
            for actor_id, worn in list(conversation.wearers.items()):
                if uri in worn:
                    bare.append(actor_id)
                    self._wear(log, conversation, actor_id, tuple(each for each in worn if each != uri))
            log.undo(bare.clear)
            self._set_hats(log, conversation, {k: hat for k, hat in conversation.hats.items() if k != uri})
            self._put(log, conversation, "hat", uri, b"")
            return None

        def done() -> None:
            self._telling(session, conversation, then)()
            self._show(conversation, bare)

        self._log.append(Operation(form, done, refused))

    def give_hat(
        self,
        session: Session,
        conversation: Conversation,
        target: Actor,
        uri: str,
        then: Then,
        refused: Refused,
    ) -> None:
        """Let `target` wear a hat of the room. Admins may."""

        def form(log: Log) -> Refusal | None:
            refusal = self._check(session, conversation, Role.ADMIN)
            if refusal is not None:
                return refusal
            if uri not in conversation.hats:
                return Refusal.TARGET_UNKNOWN
            worn = conversation.wearers.get(target.id, ())
            if uri in worn:
                return None
            if len(worn) >= MOST_WORN or (not worn and len(conversation.wearers) >= MOST_WEARERS):
                return Refusal.TOO_MANY
            self._wear(log, conversation, target.id, (*worn, uri))
            return None

        self._change(conversation, target, form, then, refused)

    def take_hat(
        self,
        session: Session,
        conversation: Conversation,
        target: Actor,
        uri: str,
        then: Then,
        refused: Refused,
    ) -> None:
        """Take a hat from `target`. Admins may."""

        def form(log: Log) -> Refusal | None:
            refusal = self._check(session, conversation, Role.ADMIN)
            if refusal is not None:
                return refusal
            worn = conversation.wearers.get(target.id, ())
            if uri not in worn:
                return Refusal.TARGET_UNKNOWN
            self._wear(log, conversation, target.id, tuple(each for each in worn if each != uri))
            return None

        self._change(conversation, target, form, then, refused)

    def messages_per_hour(self, conversation: Conversation) -> float | None:
        """Return about how much is said, None where nobody has asked for so long that it is not known.

        Messages are not counted for this: each call notes the number of the last one, once an hour.
        """
        now_ms = self._clock.now_ms()
        samples = self._samples.get(conversation.id)
        if samples is None:
            if len(self._samples) >= _MOST_ROOMS:
                self._samples.pop(next(iter(self._samples)))
            samples = self._samples[conversation.id] = []
        while samples and now_ms - samples[0][0] > _SAMPLES * _HOUR_MS:
            samples.pop(0)
        if not samples or now_ms - samples[-1][0] >= _HOUR_MS:
            samples.append((now_ms, conversation.message_no))
        passed_ms = now_ms - samples[0][0]
        if passed_ms < _HOUR_MS:
            return None
        return (conversation.message_no - samples[0][1]) * _HOUR_MS / passed_ms

    def _check(self, session: Session, conversation: Conversation, least: Role) -> Refusal | None:
        if conversation.destroyed:
            return Refusal.ROOM_GONE
        if policy.effective_role(conversation, session.actor) < least:
            return Refusal.ROLE_TOO_LOW
        return self._pace.take(session.actor.id)

    def _change(
        self,
        conversation: Conversation,
        target: Actor,
        form: Callable[[Log], Refusal | None],
        then: Then,
        refused: Refused,
    ) -> None:
        def done() -> None:
            then()
            self._show(conversation, [target.id])

        self._log.append(Operation(form, done, refused))

    def _telling(
        self, session: Session, conversation: Conversation, then: Then, uri: str = ""
    ) -> Callable[[], None]:
        """Return what tells everybody in the room, and shows those who wear the hat `uri`."""

        def done() -> None:
            then()
            told = RoomConfigured(conversation, self._nick(session, conversation))
            self._rooms.tell(conversation, told)
            if uri:
                wearers = [actor_id for actor_id, worn in conversation.wearers.items() if uri in worn]
                self._show(conversation, wearers)

        return done

    def _nick(self, session: Session, conversation: Conversation) -> str:
        attendee = conversation.attendees.get(session.actor.id)
        return session.actor.name if attendee is None else attendee.nick

    def _show(self, conversation: Conversation, actor_ids: list[ActorId]) -> None:
        for actor_id in actor_ids:
            attendee = conversation.attendees.get(actor_id)
            if attendee is not None and attendee.sessions:
                told = AttendeeChanged(conversation, attendee, attendee.nick, attendee.role)
                self._rooms.tell(conversation, told, about=attendee)

    def _set_hats(self, log: Log, conversation: Conversation, hats: dict[str, Hat]) -> None:
        before = conversation.hats
        conversation.hats = hats
        log.undo(lambda: setattr(conversation, "hats", before))

    def _wear(self, log: Log, conversation: Conversation, actor_id: ActorId, worn: tuple[str, ...]) -> None:
        before = conversation.wearers
        others = {each: uris for each, uris in before.items() if each != actor_id}
        conversation.wearers = {**others, actor_id: worn} if worn else others
        log.undo(lambda: setattr(conversation, "wearers", before))
        value = msgspec.msgpack.encode(worn) if worn else b""
        self._put(log, conversation, "hats", str(actor_id), value)

    def _put(self, log: Log, conversation: Conversation, type: str, key: str, value: bytes) -> None:
        row = StateRow(conversation_id=conversation.id, type=type, key=key, value=value)
        row.gone = not value
        log.change(row)
