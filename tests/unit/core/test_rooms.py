"""Rooms: joining, leaving, nicks, and one participant per person."""

from __future__ import annotations

import pytest
from tests.unit.core.fakes import Listener, World

from sabir.core.errors import Refusal
from sabir.core.model.conversation import Membership, Role, RoomConfig
from sabir.core.model.event import Draft, Kind
from sabir.core.model.signals import (
    Attended,
    AttendeeChanged,
    Cause,
    Departed,
    Invited,
    MemberListed,
    ReceiptKind,
    TypingState,
)
from sabir.core.model.state import MemberChanged, decode_state
from sabir.core.names import is_room_name
from sabir.core.policy import PolicyConfig
from sabir.core.ports import StoreError
from sabir.core.services.rooms import Joined


def nothing(*_: object) -> None:
    """Stand for an outcome that a test does not look at."""


def fail(refusal: Refusal) -> None:
    raise AssertionError(refusal)


def refusal_of_join(
    world: World, session: Listener, room: str, nick: str = "", **more: str
) -> Refusal | None:
    refusals: list[Refusal] = []
    world.services.rooms.join(session, room, nick or session.actor.name, nothing, refusals.append, **more)  # type: ignore[arg-type]
    world.scheduler.run()
    return refusals[0] if refusals else None


def test_the_first_who_joins_owns_the_room() -> None:
    world = World()
    ada = world.session("ada")
    outcome: list[Joined] = []

    world.services.rooms.join(ada, "Lobby", "Ada", outcome.append, fail)
    world.scheduler.run()

    assert outcome[0].created
    assert outcome[0].attendee.role is Role.OWNER
    assert world.services.rooms.find("LOBBY") is outcome[0].conversation


def test_others_are_told_who_came_and_who_went() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    ada.took()

    world.join(bob, "lobby", "Bobby")
    came = ada.took()
    world.services.rooms.leave(bob, room, Cause.QUIT, "off", nothing, fail)
    world.scheduler.run()
    went = ada.took()

    assert isinstance(came[0], Attended)
    assert came[0].attendee.nick == "Bobby"
    assert isinstance(went[0], Departed)
    assert (went[0].cause, went[0].reason) == (Cause.QUIT, "off")


def test_two_devices_of_one_person_are_one_participant_under_one_nick() -> None:
    world = World()
    ada, phone, bob = world.session("ada"), world.session("ada", "phone"), world.session("bob")
    room = world.join(bob, "lobby")
    world.join(ada, "lobby", "Countess")
    bob.took()

    world.join(phone, "lobby", "ada")
    assert [attendee.nick for attendee in room.attendees.values()] == ["bob", "Countess"]
    assert [type(heard) for heard in bob.took()] == [Attended]

    world.services.rooms.leave(ada, room, Cause.QUIT, "", nothing, fail)
    world.scheduler.run()
    assert bob.took() == []
    assert phone in room.listeners
    world.services.rooms.drop(phone)
    world.scheduler.run()
    assert isinstance(bob.took()[0], Departed)
    assert not world.services.rooms.attended_by(ada.actor)


def test_joining_for_good_makes_a_member_and_parting_ends_that() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby", durable=True)
    assert room.members[bob.actor.id].membership is Membership.JOIN

    world.services.rooms.leave(bob, room, Cause.PARTED, "bye", nothing, fail)
    world.scheduler.run()

    assert bob.actor.id not in room.members
    entries = [decode_state(event.native) for event in world.store.events if event.kind == Kind.MEMBER]
    assert [entry.membership for entry in entries if isinstance(entry, MemberChanged)] == [
        Membership.JOIN,
        Membership.LEAVE,
    ]


@pytest.mark.parametrize(
    ("protocol", "config", "stays_member"),
    [
        ("xmpp", RoomConfig(), False),
        ("xmpp", RoomConfig(members_only=True), True),
        ("test", RoomConfig(), True),
    ],
)
def test_a_part_while_another_client_stays_ends_membership_unless_that_lets_it_in(
    protocol: str, config: RoomConfig, stays_member: bool
) -> None:
    world = World()
    ada, bob, other = world.session("ada"), world.session("bob"), world.session("bob", "two")
    other.protocol = protocol
    room = world.join(ada, "lobby")
    world.join(bob, "lobby", durable=True)
    world.join(other, "lobby")
    world.services.moderation.configure(ada, room, config, nothing, fail)
    world.scheduler.run()
    ada.took()

    world.services.rooms.leave(bob, room, Cause.PARTED, "bye", nothing, fail)
    world.scheduler.run()

    assert (bob.actor.id in room.members) is stays_member
    assert list(room.attendees[bob.actor.id].sessions) == [other]
    assert not any(isinstance(each, Departed) for each in ada.took()), "the person is still there"


def test_a_nick_in_use_or_the_name_of_another_account_is_refused() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    world.account("eve")
    world.join(ada, "lobby", "Queen")

    assert refusal_of_join(world, bob, "lobby", "QUEEN") is Refusal.NICK_IN_USE
    assert refusal_of_join(world, bob, "lobby", "eve") is Refusal.NICK_IN_USE
    assert refusal_of_join(world, bob, "lobby", "a\x00b") is Refusal.NICK_INVALID
    assert refusal_of_join(world, bob, "lobby", "bob") is None


def test_bans_masks_keys_limits_and_membership_keep_people_out() -> None:
    world = World()
    ada, bob, eve = world.session("ada"), world.session("bob"), world.session("eve")
    room = world.join(ada, "lobby")
    services = world.services

    def configure(config: RoomConfig) -> None:
        services.moderation.configure(ada, room, config, nothing, fail)
        world.scheduler.run()

    configure(RoomConfig(key="sesame"))
    assert refusal_of_join(world, bob, "lobby") is Refusal.KEY_WRONG
    assert refusal_of_join(world, bob, "lobby", key="sesame") is None
    configure(RoomConfig(max_attendees=2))
    assert refusal_of_join(world, eve, "lobby") is Refusal.ROOM_FULL
    configure(RoomConfig(members_only=True))
    assert bob.actor.id not in room.attendees, "who is no member goes when the room becomes members-only"
    assert refusal_of_join(world, bob, "lobby") is Refusal.MEMBERS_ONLY
    services.invitations.invite(ada, room, bob.actor, "come", nothing, fail)
    world.scheduler.run()
    assert isinstance(bob.took()[-1], Invited)
    assert refusal_of_join(world, bob, "lobby") is None
    configure(RoomConfig())
    services.moderation.set_mask(ada, room, "*!*@EVIL.example", True, nothing, fail)
    world.scheduler.run()
    assert refusal_of_join(world, eve, "lobby", address="eve!e@evil.example") is Refusal.BANNED
    assert refusal_of_join(world, eve, "lobby", address="eve!e@good.example") is None


def test_kick_and_ban_put_out_and_only_a_ban_keeps_out() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby")
    bob.took()

    world.services.moderation.kick(ada, room, bob.actor, "spam", nothing, fail)
    world.scheduler.run()
    heard = bob.took()
    assert isinstance(heard[0], Departed)
    assert (heard[0].cause, heard[0].by_nick, heard[0].reason) == (Cause.KICKED, "ada", "spam")
    assert refusal_of_join(world, bob, "lobby") is None

    world.services.moderation.set_role(ada, room, bob.actor, Role.BANNED, "more spam", nothing, fail)
    world.scheduler.run()
    assert bob not in room.listeners
    assert refusal_of_join(world, bob, "lobby") is Refusal.BANNED

    world.services.moderation.set_role(ada, room, bob.actor, Role.NONE, "", nothing, fail)
    world.scheduler.run()
    assert isinstance(ada.took()[-2], MemberListed)
    assert refusal_of_join(world, bob, "lobby") is None


@pytest.mark.parametrize(
    ("mine", "theirs", "new", "refusal"),
    [
        (Role.MODERATOR, Role.ADMIN, Role.BANNED, Refusal.ROLE_TOO_LOW),
        (Role.ADMIN, Role.OWNER, Role.NONE, Refusal.ROLE_OF_TARGET),
        (Role.ADMIN, Role.NONE, Role.ADMIN, Refusal.ROLE_OF_TARGET),
        (Role.ADMIN, Role.MODERATOR, Role.MEMBER, None),
        (Role.MEMBER, Role.NONE, Role.MEMBER, Refusal.ROLE_TOO_LOW),
        (Role.MODERATOR, Role.NONE, Role.VISITOR, None),
        (Role.MODERATOR, Role.NONE, Role.BANNED, None),
        (Role.OWNER, Role.ADMIN, Role.NONE, None),
    ],
)
def test_nobody_changes_the_role_of_somebody_as_high(
    mine: Role, theirs: Role, new: Role, refusal: Refusal | None
) -> None:
    world = World()
    owner, ada, bob = world.session("owner"), world.session("ada"), world.session("bob")
    room = world.join(owner, "lobby")
    world.join(ada, "lobby")
    world.join(bob, "lobby")
    for session, role in ((ada, mine), (bob, theirs)):
        world.services.moderation.set_role(owner, room, session.actor, role, "", nothing, fail)
    world.scheduler.run()

    refusals: list[Refusal] = []
    world.services.moderation.set_role(ada, room, bob.actor, new, "", nothing, refusals.append)
    world.scheduler.run()

    assert refusals == ([] if refusal is None else [refusal])


def test_the_last_owner_stays() -> None:
    world = World()
    ada = world.session("ada")
    room = world.join(ada, "lobby")
    refusals: list[Refusal] = []

    world.services.moderation.set_role(ada, room, ada.actor, Role.MEMBER, "", nothing, refusals.append)
    world.scheduler.run()

    assert refusals == [Refusal.LAST_OWNER]


def test_only_those_with_voice_speak_in_a_moderated_room() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby")
    world.services.moderation.configure(ada, room, RoomConfig(moderated=True), nothing, fail)
    world.scheduler.run()
    ada.took()
    world.services.reads.typing(bob, room, TypingState.COMPOSING, native=b"anything")
    world.services.reads.receive(bob, room, None, ReceiptKind.READ, native=b"anything")
    assert ada.took() == []
    world.services.messaging.post(bob, room, Draft("test", b"hm"), 1)
    world.services.moderation.set_role(ada, room, bob.actor, Role.MEMBER, "", nothing, fail)
    world.services.messaging.post(bob, room, Draft("test", b"ah"), 2)
    world.scheduler.run()

    heard = bob.took()
    assert (Refusal.NO_VOICE, 1) in heard
    assert ("posted", 2) in heard
    assert any(isinstance(one, AttendeeChanged) and one.attendee.role is Role.MEMBER for one in heard)


def test_a_topic_is_an_entry_that_everyone_sees() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby")
    bob.took()

    world.services.moderation.set_topic(ada, room, "cake", nothing, fail)
    world.scheduler.run()

    assert room.topic is not None
    assert room.topic.text == "cake"
    assert isinstance(bob.took()[0], bytes)


def test_a_room_that_is_not_to_last_ends_with_its_last_attendee() -> None:
    world = World()
    ada = world.session("ada")
    room = world.join(ada, "lobby")
    world.services.moderation.configure(ada, room, RoomConfig(persistent=False), nothing, fail)
    world.services.rooms.drop(ada)
    world.scheduler.run()

    assert world.services.rooms.find("lobby") is None
    assert room.destroyed


def test_destroying_puts_everyone_out_and_frees_the_name() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby")
    refusals: list[Refusal] = []
    world.services.moderation.destroy(bob, room, "", "", nothing, refusals.append)
    world.services.moderation.destroy(ada, room, "over", "hall", nothing, fail)
    world.scheduler.run()

    assert refusals == [Refusal.ROLE_TOO_LOW]
    assert any(isinstance(one, Departed) and one.cause is Cause.DESTROYED for one in bob.took())
    fresh = world.join(bob, "lobby")
    assert fresh is not room
    assert fresh.role_of(bob.actor.id) is Role.OWNER


def test_a_join_whose_commit_failed_left_no_trace() -> None:
    world = World()
    ada = world.session("ada")
    world.store.errors = [StoreError("disk full")]

    assert refusal_of_join(world, ada, "lobby") is Refusal.STORAGE_FAILED
    assert world.services.rooms.find("lobby") is None
    assert world.services.directory.conversations == {}


def test_creating_rooms_can_be_left_to_operators() -> None:
    world = World(PolicyConfig(create_rooms=False))
    ada = world.session("ada")
    assert refusal_of_join(world, ada, "lobby") is Refusal.ROOM_CREATION_DENIED

    world.services.rooms.create("lobby", ada.actor, nothing, fail)
    world.scheduler.run()
    assert refusal_of_join(world, ada, "lobby") is None


def test_occupant_ids_are_stable_and_differ_between_rooms() -> None:
    world = World()
    ada = world.session("ada")
    one, two = world.join(ada, "one"), world.join(ada, "two")
    ids = [world.services.rooms.occupant_id(room, ada.actor) for room in (one, two, one)]

    assert ids[0] == ids[2] != ids[1]


@pytest.mark.parametrize(
    ("name", "good"),
    [
        ("lobby", True),
        ("", False),
        ("a b", False),
        ("a/b", False),
        ("x" * 65, False),
        ("é", True),
        ("ｌobby", False),
    ],
)
def test_room_names_fit_every_protocol(name: str, good: bool) -> None:
    assert is_room_name(name) is good


def test_a_session_that_disconnects_while_joining_leaves_no_ghost() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.store.stalled = True
    world.services.messaging.post(ada, room, Draft("test", b"keeps the store busy"))
    world.services.rooms.join(bob, "lobby", "bob", nothing, fail, durable=True)
    world.scheduler.run()
    world.services.rooms.drop(bob)
    world.services.devices.log_out(bob)
    world.store.go()
    world.scheduler.run()

    assert bob.actor.id not in room.attendees
    assert bob not in room.listeners


def test_nobody_attends_more_rooms_than_policy_allows() -> None:
    world = World(PolicyConfig(max_rooms=2))
    ada, phone = world.session("ada"), world.session("ada", "phone")

    assert [refusal_of_join(world, ada, room) for room in ("a", "b", "c")] == [None, None, Refusal.TOO_MANY]
    assert refusal_of_join(world, phone, "b") is None
    assert sorted(room.name for room in world.services.rooms.attended_by(ada.actor)) == ["a", "b"]


def test_a_session_that_joins_twice_at_once_attends_once() -> None:
    world = World()
    ada, phone, bob = world.session("ada"), world.session("ada", "phone"), world.session("bob")
    room = world.join(bob, "lobby")
    for _ in range(2):
        world.services.rooms.join(ada, "lobby", "ada", nothing, fail)
    world.scheduler.run()
    refusals: list[Refusal] = []
    for _ in range(2):
        world.services.rooms.leave(ada, room, Cause.QUIT, "", nothing, refusals.append)
    world.scheduler.run()
    assert ada.actor.id not in room.attendees
    assert refusals == [Refusal.NOT_ATTENDING]

    world.join(ada, "lobby")
    world.join(phone, "lobby")
    for _ in range(2):
        world.services.rooms.leave(ada, room, Cause.QUIT, "", nothing, refusals.append)
    world.scheduler.run()
    assert list(room.attendees[phone.actor.id].sessions) == [phone]


def test_a_join_that_is_taken_back_leaves_the_other_sessions() -> None:
    world = World()
    ada, phone = world.session("ada"), world.session("ada", "phone")
    room = world.join(ada, "lobby")
    world.store.errors = [StoreError("disk full")]
    world.services.messaging.post(ada, room, Draft("test", b"makes the batch one of writing"))

    assert refusal_of_join(world, phone, "lobby") is Refusal.STORAGE_FAILED
    assert list(room.attendees[ada.actor.id].entered) == [ada]


def test_a_refused_join_makes_no_room() -> None:
    world = World(PolicyConfig(max_rooms=1))
    ada = world.session("ada")
    world.account("bob")

    assert refusal_of_join(world, ada, "lobby", "bob") is Refusal.NICK_IN_USE
    assert refusal_of_join(world, ada, "lobby", " ") is Refusal.NICK_INVALID
    assert refusal_of_join(world, ada, "one") is None
    assert refusal_of_join(world, ada, "two") is Refusal.TOO_MANY
    assert [room.name for room in world.services.rooms.all()] == ["one"]


def test_the_banned_invite_nobody() -> None:
    world = World()
    ada, bob, eve = world.session("ada"), world.session("bob"), world.session("eve")
    room = world.join(ada, "lobby")
    config = RoomConfig(members_only=True, invites_by_members=True)
    world.services.moderation.configure(ada, room, config, nothing, fail)
    world.services.moderation.set_role(ada, room, bob.actor, Role.BANNED, "", nothing, fail)
    refusals: list[Refusal] = []
    world.services.invitations.invite(bob, room, eve.actor, "", nothing, refusals.append)
    world.services.invitations.invite(eve, room, bob.actor, "", nothing, refusals.append)
    world.scheduler.run()

    assert refusals == [Refusal.BANNED, Refusal.NOT_ATTENDING]
    assert refusal_of_join(world, eve, "lobby") is Refusal.MEMBERS_ONLY


def test_who_has_no_role_writes_nothing_by_giving_it_up() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    before = len(world.store.events)
    refusals: list[Refusal] = []
    world.services.moderation.set_role(bob, room, bob.actor, Role.NONE, "spam", nothing, refusals.append)
    world.scheduler.run()

    assert refusals == [Refusal.ROLE_TOO_LOW]
    assert len(world.store.events) == before


def test_whom_a_mask_keeps_out_reads_nothing() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    assert world.services.history.may_read(room, bob.actor) is None

    world.services.moderation.set_mask(ada, room, "b*!*@*", True, nothing, fail)
    world.scheduler.run()

    assert world.services.history.may_read(room, bob.actor) is Refusal.BANNED
    assert world.services.history.may_read(room, ada.actor) is None


def test_joins_sent_at_once_are_counted_too() -> None:
    world = World(PolicyConfig(max_rooms=2))
    ada = world.session("ada")
    refusals: list[Refusal] = []
    for room in ("a", "b", "c"):
        world.services.rooms.join(ada, room, "ada", nothing, refusals.append)
    world.scheduler.run()
    assert refusals == [Refusal.TOO_MANY]
    assert [room.name for room in world.services.rooms.attended_by(ada.actor)] == ["a", "b"]

    world.services.rooms.drop(ada)
    world.scheduler.run()
    world.store.errors = [StoreError("disk full")]
    assert refusal_of_join(world, ada, "d") is Refusal.STORAGE_FAILED
    assert world.services.rooms.attended_by(ada.actor) == []


def test_who_is_kicked_is_the_one_meant_even_if_another_takes_the_nick_meanwhile() -> None:
    world = World()
    ada, bob, eve = world.session("ada"), world.session("bob"), world.session("eve")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby", "Troll")
    world.join(eve, "lobby")
    target = room.attendees[bob.actor.id].actor
    world.services.rooms.rename(bob, room, "Saint", nothing, fail)
    world.services.rooms.rename(eve, room, "Troll", nothing, fail)

    world.services.moderation.kick(ada, room, target, "", nothing, fail)
    world.scheduler.run()

    assert bob not in room.listeners
    assert eve in room.listeners


def test_nothing_is_done_in_a_room_that_was_closed() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby")
    moderation = world.services.moderation
    refusals: list[Refusal] = []
    moderation.destroy(ada, room, "", "", nothing, fail)
    moderation.kick(ada, room, bob.actor, "", nothing, refusals.append)
    moderation.configure(ada, room, RoomConfig(title="Ghosts"), nothing, refusals.append)
    moderation.configure(None, room, RoomConfig(title="Ghosts"), nothing, refusals.append)
    moderation.set_mask(ada, room, "bob!*@*", True, nothing, refusals.append)
    moderation.set_topic(ada, room, "boo", nothing, refusals.append)
    moderation.set_role(ada, room, bob.actor, Role.ADMIN, "", nothing, refusals.append)
    world.services.invitations.invite(ada, room, world.account("eve").actor, "", nothing, refusals.append)
    world.scheduler.run()

    assert set(refusals) == {Refusal.ROOM_GONE}
    assert len(refusals) == 7


def test_who_attends_already_joins_for_good_from_another_device() -> None:
    world = World()
    ada, bob, irc = world.session("ada"), world.session("bob"), world.session("bob", "irc")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby", "Bobby")

    world.join(irc, "lobby", durable=True)
    world.join(irc, "lobby", durable=True)

    member = room.members[bob.actor.id]
    assert (member.membership, member.nick) == (Membership.JOIN, "Bobby")
    assert [event.kind for event in world.store.events].count(Kind.MEMBER) == 1
