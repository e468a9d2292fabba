"""Contacts: subscriptions both ways, what each side sees of the other, and blocking."""

from __future__ import annotations

from tests.unit.core.fakes import Listener, World

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.core.model.presence import Availability, Presence
from sabir.core.model.roster import Contact
from sabir.core.model.signals import (
    BlockListChanged,
    ContactChanged,
    PresenceChanged,
    SubscriptionAnswered,
    SubscriptionAsked,
)
from sabir.core.ports import StoreError

HERE = Presence(Availability.ONLINE, "", 0, "test", b"here")


def nothing() -> None:
    """Stand for an outcome that a test does not look at."""


def fail(refusal: Refusal) -> None:
    raise AssertionError(refusal)


class Pair:
    """Ada and Bob, both online."""

    def __init__(self) -> None:
        self.world = World()
        self.ada, self.bob = self.world.session("ada"), self.world.session("bob")
        self.roster = self.world.services.roster
        for session in (self.ada, self.bob):
            self.world.services.presences.change(session, HERE)
        self.took()

    def account(self, session: Listener) -> Account:
        assert session.account is not None
        return session.account

    def took(self) -> tuple[list[object], list[object]]:
        self.world.scheduler.run()
        return self.ada.took(), self.bob.took()

    def contact(self, of: Listener, to: Listener) -> Contact:
        found = self.roster.contact(self.account(of), to.actor)
        assert found is not None
        return found

    def befriend(self) -> None:
        for one, other in ((self.ada, self.bob), (self.bob, self.ada)):
            self.roster.ask(self.account(one), other.actor, b"", nothing, fail)
            self.roster.approve(self.account(other), one.actor, nothing, fail)
        self.took()


def kinds(heard: list[object]) -> list[str]:
    return [type(one).__name__ for one in heard]


def test_a_request_waits_until_it_is_approved_and_then_presence_shows() -> None:
    pair = Pair()

    pair.roster.ask(pair.account(pair.ada), pair.bob.actor, b"<request/>", nothing, fail)
    ada, bob = pair.took()
    assert kinds(ada) == ["ContactChanged"]
    assert isinstance(bob[0], SubscriptionAsked)
    assert bob[0].contact.request == b"<request/>"
    assert pair.contact(pair.ada, pair.bob).asked
    assert not pair.contact(pair.bob, pair.ada).listed, "a request alone is not a contact"

    pair.roster.approve(pair.account(pair.bob), pair.ada.actor, nothing, fail)
    ada, bob = pair.took()
    assert kinds(ada) == ["SubscriptionAnswered", "ContactChanged", "PresenceChanged"]
    assert kinds(bob) == ["ContactChanged"]
    assert pair.contact(pair.ada, pair.bob).watches
    assert pair.contact(pair.bob, pair.ada).watched


def test_an_approval_given_before_the_request_grants_it_at_once() -> None:
    pair = Pair()

    pair.roster.approve(pair.account(pair.bob), pair.ada.actor, nothing, fail)
    pair.took()
    pair.roster.ask(pair.account(pair.ada), pair.bob.actor, b"", nothing, fail)
    ada, bob = pair.took()

    assert isinstance(ada[1], SubscriptionAnswered)
    assert ada[1].granted
    assert "SubscriptionAsked" not in kinds(bob)
    assert pair.contact(pair.ada, pair.bob).watches


def test_a_refused_request_leaves_no_trace_on_the_list_of_the_one_asked() -> None:
    pair = Pair()
    pair.roster.ask(pair.account(pair.ada), pair.bob.actor, b"", nothing, fail)
    pair.took()

    pair.roster.revoke(pair.account(pair.bob), pair.ada.actor, nothing, fail)
    ada, _ = pair.took()

    assert isinstance(ada[0], SubscriptionAnswered)
    assert not ada[0].granted
    assert pair.roster.contact(pair.account(pair.bob), pair.ada.actor) is None
    assert not pair.contact(pair.ada, pair.bob).asked


def test_unsubscribing_makes_the_other_look_gone_and_keeps_the_contact() -> None:
    pair = Pair()
    pair.befriend()

    pair.roster.unask(pair.account(pair.ada), pair.bob.actor, nothing, fail)
    ada, bob = pair.took()

    gone = [one for one in ada if isinstance(one, PresenceChanged)]
    assert not gone[0].presence.is_available
    answered = [one for one in bob if isinstance(one, SubscriptionAnswered)]
    assert answered[0].own
    assert pair.contact(pair.ada, pair.bob).watched
    assert not pair.contact(pair.ada, pair.bob).watches


def test_removing_a_contact_ends_both_subscriptions() -> None:
    pair = Pair()
    pair.befriend()

    pair.roster.remove(pair.account(pair.ada), pair.bob.actor, nothing, fail)
    ada, bob = pair.took()

    assert any(isinstance(one, ContactChanged) and one.removed for one in ada)
    assert kinds(bob).count("SubscriptionAnswered") == 2
    assert pair.roster.contacts(pair.account(pair.ada)) == []
    left = pair.contact(pair.bob, pair.ada)
    assert not left.watches
    assert not left.watched


def test_removing_somebody_who_is_not_listed_is_refused() -> None:
    pair = Pair()
    refusals: list[Refusal] = []

    pair.roster.remove(pair.account(pair.ada), pair.bob.actor, nothing, refusals.append)
    pair.took()

    assert refusals == [Refusal.ACTOR_UNKNOWN]


def test_a_contact_keeps_name_and_groups() -> None:
    pair = Pair()

    pair.roster.set(pair.account(pair.ada), pair.bob.actor, "Bobby", ["Friends"], nothing, fail)
    ada, _ = pair.took()

    assert isinstance(ada[0], ContactChanged)
    assert (ada[0].contact.name, ada[0].contact.groups) == ("Bobby", ("Friends",))


def test_a_failed_commit_leaves_the_list_as_it_was() -> None:
    pair = Pair()
    pair.world.store.errors = [StoreError("disk full")]
    refusals: list[Refusal] = []

    pair.roster.set(pair.account(pair.ada), pair.bob.actor, "Bobby", [], nothing, refusals.append)
    pair.took()

    assert refusals == [Refusal.STORAGE_FAILED]
    assert pair.roster.contacts(pair.account(pair.ada)) == []


def test_presence_goes_to_watchers_and_is_probed_at_login() -> None:
    pair = Pair()
    pair.befriend()
    presences = pair.world.services.presences

    presences.change(pair.ada, Presence(Availability.AWAY, "tea"))
    _, bob = pair.took()
    assert isinstance(bob[0], PresenceChanged)
    assert bob[0].presence.status == "tea"

    phone = pair.world.session("bob", "phone")
    presences.change(phone, HERE)
    heard = [one for one in phone.took() if isinstance(one, PresenceChanged)]
    assert {(one.actor.name, one.resource) for one in heard} == {
        ("ada", "one"),
        ("bob", "one"),
        ("bob", "phone"),
    }
    assert presences.best(pair.account(pair.bob)) is HERE


def test_blocking_hides_presence_and_unblocking_shows_it_again() -> None:
    pair = Pair()
    pair.befriend()

    pair.roster.block(pair.account(pair.ada), ["bob"], nothing, fail)
    ada, bob = pair.took()
    assert isinstance(ada[-1], BlockListChanged)
    assert isinstance(bob[0], PresenceChanged)
    assert not bob[0].presence.is_available
    pair.world.services.presences.change(pair.ada, HERE)
    assert pair.took()[1] == []

    pair.roster.unblock(pair.account(pair.ada), [], nothing, fail)
    _, bob = pair.took()
    assert isinstance(bob[0], PresenceChanged)
    assert bob[0].presence.is_available
    assert pair.roster.blocked(pair.account(pair.ada)) == []


def test_a_request_of_somebody_blocked_is_not_shown() -> None:
    pair = Pair()
    pair.roster.block(pair.account(pair.bob), ["ada"], nothing, fail)
    pair.took()

    pair.roster.ask(pair.account(pair.ada), pair.bob.actor, b"", nothing, fail)
    _, bob = pair.took()

    assert bob == []
    assert pair.contact(pair.ada, pair.bob).asked
