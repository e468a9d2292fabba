"""People without an account, over a store: who spoke is known after a restart, who did not is forgotten."""

from __future__ import annotations

import itertools

from tests.contract.conftest import Place
from tests.support.loop import START_MS, OpenStore
from tests.unit.core.fakes import Listener, PlainVerifiers

from sabir.base.ids import EventIds
from sabir.core.model.actor import Account
from sabir.core.model.event import Draft
from sabir.core.services import Services, assemble


def core_over(opened: OpenStore) -> Services:
    random = itertools.count(1)

    def randomness(size: int) -> bytes:
        return next(random).to_bytes(8, "big").rjust(size, b"\x01")

    return assemble(
        opened.store,
        opened.loop,
        opened.loop,
        lambda last_ms: EventIds(randomness, max(last_ms, START_MS)),
        randomness,
        PlainVerifiers(),
        bytes(32),
    )


def enter(services: Services, listener: Listener) -> Listener:
    services.devices.log_in(listener)
    services.rooms.join(listener, "lobby", listener.actor.name, lambda joined: None, fail)
    return listener


def guest(services: Services, nick: str) -> Listener:
    actor = services.accounts.guest("irc", nick)
    assert actor is not None
    return enter(services, Listener(actor))


def fail(refusal: object) -> None:
    raise AssertionError(refusal)


def test_who_spoke_is_known_after_a_restart_and_no_id_is_given_twice(place: Place) -> None:
    opened = place.open_bare()
    services = core_over(opened)
    made: list[Account] = []
    services.accounts.create("ada", "pw", made.append, fail)
    opened.loop.run()
    enter(services, Listener(made[0]))
    opened.loop.run()
    speaker = guest(services, "zoe")
    silent = guest(services, "joe")
    opened.loop.run()
    room = services.rooms.find("lobby")
    assert room is not None
    services.messaging.post(speaker, room, Draft("irc", b"hi"))
    for each in (speaker, silent):
        services.rooms.drop(each)
        services.devices.log_out(each)
        services.accounts.release_guest(each.actor)
    again = guest(services, "zoe")
    services.messaging.post(again, room, Draft("irc", b"hi again"))
    opened.loop.run()
    opened.close()
    place.forget()

    opened = place.open_bare()
    services = core_over(opened)
    authors = [
        services.directory.actor(event.actor_id)
        for seq in range(1, services.log.head_seq + 1)
        if (event := services.history.at(seq)) is not None and event.native.startswith(b"hi")
    ]
    newcomer = guest(services, "zoe").actor

    assert [(author.id, author.name) for author in authors] == [
        (speaker.actor.id, "zoe"),
        (again.actor.id, "zoe"),
    ]
    assert silent.actor.id not in services.directory.actors
    assert newcomer.id > again.actor.id
