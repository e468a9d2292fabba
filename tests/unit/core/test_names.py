"""Names: what they may be, and which are taken for one another."""

from __future__ import annotations

import pytest
from tests.unit.core.fakes import World
from tests.unit.core.test_rooms import refusal_of_join

from sabir.core.errors import Refusal
from sabir.core.names import is_nick, skeleton


@pytest.mark.parametrize(
    "nick",
    [
        "ada",
        "ADA",
        "Àdà",
        "a\u0301da",
        "ａｄａ",
        "𝐚𝐝𝐚",
        "a\ufe0fda",
        "a\u034fda",
        "a\u3164da",
        "a\u200bda",
        "a\U000e0100da",
        "\u0430da",
        "\u0410d\u03b1",
    ],
)
def test_a_nick_that_looks_like_another_is_taken_for_it(nick: str) -> None:
    assert skeleton(nick) == "ada"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada", "adam"),
        ("की", "के"),
        ("का", "कि"),
        ("मन", "मान"),
        ("שלם", "שלום"),
        ("กา", "กี"),
        ("ада", "ada"),
        ("🐢", "🐇"),
    ],
)
def test_other_words_are_other_nicks(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)


@pytest.mark.parametrize(
    ("nick", "good"),
    [
        ("Ada", True),
        ("Ada Lovelace", True),
        ("🐢", True),
        ("", False),
        (" ada", False),
        ("a" * 65, False),
        ("\u3164", False),
    ],
)
def test_a_nick_is_something_that_can_be_seen(nick: str, good: bool) -> None:
    assert is_nick(nick) is good


def test_nobody_poses_as_another_by_a_nick_that_looks_the_same() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    world.account("eve")
    room = world.join(ada, "lobby", "Königin")

    assert refusal_of_join(world, bob, "lobby", "Konigin") is Refusal.NICK_IN_USE
    assert refusal_of_join(world, bob, "lobby", "Ève") is Refusal.NICK_IN_USE
    assert refusal_of_join(world, bob, "lobby", "ｅｖｅ") is Refusal.NICK_IN_USE
    assert refusal_of_join(world, bob, "lobby", "Bób") is None
    attendee = world.services.rooms.attendee
    assert attendee(room, "KÖNIGIN") is room.attendees[ada.actor.id]
    assert attendee(room, "Konigin") is None


def test_who_has_a_nick_keeps_it_when_an_account_of_that_name_is_made() -> None:
    world = World()
    ada, bob = world.session("ada"), world.session("bob")
    room = world.join(ada, "lobby", "Zoe")

    world.account("zoe")

    assert room.attendees[ada.actor.id].nick == "Zoe"
    assert refusal_of_join(world, bob, "lobby", "zoe") is Refusal.NICK_IN_USE
    assert refusal_of_join(world, ada, "tearoom", "zoe") is Refusal.NICK_IN_USE
