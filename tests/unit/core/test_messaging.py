"""Posting: targets, reactions, deletions, repeats, blocks and rates."""

from __future__ import annotations

from collections.abc import Sequence

from tests.unit.core.fakes import Listener, World

from sabir.core.errors import Refusal
from sabir.core.model.changes import AccountRow, EraseBody
from sabir.core.model.event import Draft, Event, Kind
from sabir.core.policy import PolicyConfig
from sabir.core.ports import Page, StoreError
from sabir.core.services.devices import SAVE_MS
from sabir.core.services.messaging import MAX_EDITS


def nothing() -> None:
    """Stand for an outcome that a test does not look at."""


def ignore(refusal: Refusal) -> None:
    raise AssertionError(refusal)


def posted(world: World, session: Listener, room: str, draft: Draft) -> Event:
    conversation = world.services.rooms.find(room)
    assert conversation is not None
    world.services.messaging.post(session, conversation, draft)
    world.scheduler.run()
    return world.store.events[-1]


def test_a_message_reaches_everyone_but_the_session_that_posted_it() -> None:
    world = World()
    ada, phone, bob = world.session("ada"), world.session("ada", "phone"), world.session("bob")
    for session in (ada, phone, bob):
        world.join(session, "lobby")
    for session in (ada, phone, bob):
        session.took()

    posted(world, ada, "lobby", Draft("test", b"hi"))

    assert ada.took() == [("posted", None)]
    assert phone.took() == [b"hi"]
    assert bob.took() == [b"hi"]


def test_a_direct_message_reaches_all_devices_of_both() -> None:
    world = World()
    ada, phone, bob, eve = (
        world.session("ada"),
        world.session("ada", "phone"),
        world.session("bob"),
        world.session("eve"),
    )
    direct = world.services.messaging.open_direct(ada.account, bob.account)  # type: ignore[arg-type]

    world.services.messaging.post(ada, direct, Draft("test", b"hi"))
    world.scheduler.run()

    assert (phone.took(), bob.took(), eve.took()) == ([b"hi"], [b"hi"], [])


def test_an_edit_names_its_target_by_the_senders_own_id_even_before_the_commit() -> None:
    world = World()
    ada = world.session("ada")
    room = world.join(ada, "lobby")

    world.services.messaging.post(ada, room, Draft("test", b"helo", native_id=b"n1"))
    world.services.messaging.post(ada, room, Draft("test", b"hello", kind=Kind.EDIT, target_native=b"n1"))
    world.scheduler.run()

    first, edit = world.store.events[-2:]
    assert (edit.target_seq, edit.target_id) == (first.seq, first.event_id)


def test_nobody_edits_the_message_of_somebody_else() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby")
    event = posted(world, ada, "lobby", Draft("test", b"mine"))

    draft = Draft("test", b"yours", kind=Kind.EDIT, target_id=event.event_id)
    world.services.messaging.post(bob, room, draft, "t")
    world.scheduler.run()

    assert bob.took()[-1] == (Refusal.TARGET_FOREIGN, "t")


def test_deleting_erases_the_message_and_its_edits() -> None:
    world = World()
    ada = world.session("ada")
    world.join(ada, "lobby")
    event = posted(world, ada, "lobby", Draft("test", b"secret"))
    edit = posted(world, ada, "lobby", Draft("test", b"secret2", kind=Kind.EDIT, target_id=event.event_id))

    posted(world, ada, "lobby", Draft("test", b"retract", kind=Kind.DELETE, target_id=event.event_id))

    erased = [change for change in world.store.changes if isinstance(change, EraseBody)]
    assert erased[0].seqs == (event.seq, edit.seq)
    assert event.erased
    assert edit.erased


def test_a_moderator_deletes_for_others_and_a_member_does_not() -> None:
    world = World()
    ada, bob, eve = world.session("ada"), world.session("bob"), world.session("eve")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby")
    world.join(eve, "lobby")
    event = posted(world, bob, "lobby", Draft("test", b"spam"))
    draft = Draft("test", b"", kind=Kind.DELETE, target_id=event.event_id)

    world.services.messaging.post(eve, room, draft, "eve")
    world.services.messaging.post(ada, room, draft, "ada")
    world.scheduler.run()

    assert (Refusal.TARGET_FOREIGN, "eve") in eve.took()
    assert ("posted", "ada") in ada.took()


def test_a_set_of_reactions_becomes_one_event_per_difference() -> None:
    world = World()
    ada = world.session("ada")
    room = world.join(ada, "lobby")
    event = posted(world, ada, "lobby", Draft("test", b"cake?"))
    messaging = world.services.messaging

    def react(*emojis: str) -> list[tuple[str, bool]]:
        made: list[Event] = []
        draft = Draft("test", b"set", flags=0, target_id=event.event_id)
        messaging.react(ada, room, draft, emojis, settled=made.extend)
        world.scheduler.run()
        return [(one.relation_key, bool(one.flags & 32)) for one in made]

    assert react("👍", "🍰") == [("👍", False), ("🍰", False)]
    assert react("🍰", "👍") == []
    assert react("🍰", "🎂") == [("🎂", False), ("👍", True)]
    assert list(messaging.reactions(event.seq, ada.actor.id)) == ["🍰", "🎂"]


def test_a_reaction_to_nothing_is_refused() -> None:
    world = World()
    ada = world.session("ada")
    room = world.join(ada, "lobby")

    draft = Draft("test", b"set", flags=0, target_id=b"0" * 16)
    world.services.messaging.add_reaction(ada, room, draft, "👍", "t")
    world.scheduler.run()

    assert ada.took()[-1] == (Refusal.TARGET_UNKNOWN, "t")


def test_a_resent_message_is_acknowledged_and_stored_once() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby")
    posted(world, ada, "lobby", Draft("test", b"hi", native_id=b"n1"))
    count = len(world.store.events)
    bob.took()

    again = Draft("test", b"hi", native_id=b"n1", may_repeat=True)
    world.services.messaging.post(ada, room, again, "again")
    other = Draft("test", b"something else", native_id=b"n1", may_repeat=True)
    world.services.messaging.post(ada, room, other, "other")
    world.scheduler.run()

    assert len(world.store.events) == count + 1
    assert ada.took()[-2:] == [("posted", "again"), ("posted", "other")]
    assert bob.took() == [b"something else"]


def test_a_blocked_sender_is_refused_in_a_direct_conversation() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    direct = world.services.messaging.open_direct(ada.account, bob.account)  # type: ignore[arg-type]
    world.services.roster.block(bob.account, ["ada"], nothing, ignore)  # type: ignore[arg-type]

    world.services.messaging.post(ada, direct, Draft("test", b"hi"), 1)
    world.services.messaging.post(bob, direct, Draft("test", b"hi"), 2)
    world.scheduler.run()

    assert (Refusal.BLOCKED, 1) in ada.took()
    assert (Refusal.BLOCKING, 2) in bob.took()


def test_a_deletion_erases_the_edit_sent_just_before_it_too() -> None:
    world = World()
    ada = world.session("ada")
    room = world.join(ada, "lobby")
    target = posted(world, ada, "lobby", Draft("test", b"secret")).event_id

    for draft in (
        Draft("test", b"same secret", kind=Kind.EDIT, flags=0, target_id=target),
        Draft("test", b"", kind=Kind.DELETE, flags=0, target_id=target),
    ):
        world.services.messaging.post(ada, room, draft)
    world.scheduler.run()

    assert [event.erased for event in world.store.events[-3:]] == [True, True, False]


def test_a_deletion_erases_every_edit_and_the_edits_of_edits() -> None:
    world = World()
    ada = world.session("ada")
    world.join(ada, "lobby")
    target = posted(world, ada, "lobby", Draft("test", b"secret")).event_id
    for text in (b"secret 2", b"secret 3"):
        edit = posted(world, ada, "lobby", Draft("test", text, kind=Kind.EDIT, flags=0, target_id=target))
    posted(world, ada, "lobby", Draft("test", b"secret 4", kind=Kind.EDIT, flags=0, target_id=edit.event_id))

    posted(world, ada, "lobby", Draft("test", b"", kind=Kind.DELETE, flags=0, target_id=target))

    assert [event.erased for event in world.store.events[-5:]] == [True, True, True, True, False]


def test_a_message_is_not_edited_without_end() -> None:
    world = World()
    ada = world.session("ada")
    room = world.join(ada, "lobby")
    target = posted(world, ada, "lobby", Draft("test", b"hi")).event_id
    ada.took()

    for number in range(MAX_EDITS + 1):
        draft = Draft("test", b"hi", kind=Kind.EDIT, flags=0, target_id=target)
        world.services.messaging.post(ada, room, draft, number)
        if number % 100 == 99:
            world.scheduler.run()
    world.scheduler.run()

    assert ada.took()[-2:] == [("posted", MAX_EDITS - 1), (Refusal.TOO_MANY, MAX_EDITS)]


def test_an_account_that_posts_too_fast_or_too_much_is_told_so() -> None:
    world = World(PolicyConfig(posts_burst=2, posts_per_s=1, max_message_bytes=100), limited=True)
    ada = world.session("ada")
    room = world.join(ada, "lobby")
    ada.took()

    for number in range(3):
        world.services.messaging.post(ada, room, Draft("test", b"x"), number)
    world.scheduler.run()
    world.scheduler.pass_ms(1000)
    world.services.messaging.post(ada, room, Draft("test", b"x"), 3)
    world.services.messaging.post(ada, room, Draft("test", b"x" * 101), 4)
    world.scheduler.run()

    assert ada.took() == [
        ("posted", 0),
        ("posted", 1),
        (Refusal.RATE_LIMITED, 2),
        ("posted", 3),
        (Refusal.TOO_LARGE, 4),
    ]


def test_a_slow_session_becomes_a_cursor_and_misses_nothing() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby")
    world.join(bob, "lobby")
    bob.took()
    delivery = world.services.delivery

    bob.full = True
    delivery.lag(bob)
    for number in range(600):
        world.services.messaging.post(ada, room, Draft("test", b"%d" % number))
    world.services.messaging.post(bob, room, Draft("test", b"own"), "own")
    world.scheduler.run()
    assert bob.took() == [("posted", "own")]

    bob.full = False
    delivery.catch_up(bob)
    world.scheduler.run()

    assert bob.took() == [*(b"%d" % number for number in range(600)), "live"]
    assert not delivery.is_lagging(bob)
    world.services.messaging.post(ada, room, Draft("test", b"next"))
    world.scheduler.run()
    assert bob.took() == [b"next"]


def test_what_was_missed_comes_before_what_is_said_meanwhile_and_each_once() -> None:
    world = World()
    ada, bob = world.session("ada"), world.account("bob")
    direct = world.services.messaging.open_direct(ada.account, bob)  # type: ignore[arg-type]

    def say(*texts: bytes) -> None:
        for text in texts:
            world.services.messaging.post(ada, direct, Draft("test", text))

    say(b"1", b"2", b"3")
    world.scheduler.run()
    say(b"4")  # queued, not committed, when bob comes
    phone = world.session("bob", "phone")
    shown: list[bytes] = []

    def show(page: Page, events: Sequence[Event]) -> None:
        phone.heard.extend(event.native for event in events)
        shown.extend(event.native for event in events)
        if len(shown) == 2:
            say(b"5")

    world.services.devices.show_missed(phone, 2, show)
    world.scheduler.run()
    say(b"6")
    world.scheduler.run()

    assert phone.took() == [b"1", b"2", b"3", b"4", b"5", b"6"]
    assert shown == [b"1", b"2", b"3"]
    assert bob.delivered_seq > 0


def test_a_marker_that_the_store_cannot_take_is_refused_and_stays() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    ada_account, bob_account = ada.account, bob.account
    assert ada_account is not None
    assert bob_account is not None
    direct = world.services.messaging.open_direct(ada_account, bob_account)
    world.services.messaging.post(bob, direct, Draft("test", b"hi"))
    world.scheduler.run()
    refusals: list[Refusal] = []
    world.store.errors = [StoreError("disk full")]

    world.services.reads.mark(ada, direct, world.store.events[0], nothing, refusals.append)
    world.scheduler.run()

    assert refusals == [Refusal.STORAGE_FAILED]
    assert world.services.reads.marker(ada_account, direct) is None


def test_a_delivery_cursor_that_could_not_be_written_is_written_later() -> None:
    world = World()
    account = world.account("ada")
    world.services.devices.delivered(account, 7)
    world.store.errors = [StoreError("disk full")]

    world.scheduler.pass_ms(SAVE_MS)
    world.scheduler.pass_ms(SAVE_MS)

    rows = [row.delivered_seq for row in world.store.changes if isinstance(row, AccountRow)]
    assert rows[-1] == 7
