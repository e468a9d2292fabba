"""A list of abusers at Prosody's pubsub service, to which ours subscribes over federation (RTBL)."""

import hashlib
import itertools
from collections.abc import Iterator

import pytest
from tests.support.neighbours import Authority, Names, Person, Prosody, Sabir, missing, wait_until

PUBSUB = "http://jabber.org/protocol/pubsub"
NODE = "muc_bans_sha256"


@pytest.fixture
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sabir, Prosody]]:
    absent = missing("prosody")
    if absent:
        pytest.skip(absent)
    folder = tmp_path_factory.mktemp("lists")
    authority, names = Authority(folder), Names()
    ours = Sabir(folder / "sabir", authority, names)
    theirs = Prosody(folder / "prosody", authority, ours)
    ours.settings.append(f'block_lists = ["pubsub.{theirs.domain}/{NODE}"]')
    ours.add("juliet")
    theirs.add("romeo", "tybalt")
    yield ours, theirs
    ours.kill()
    theirs.kill()
    names.close()


def entry(address: str) -> str:
    return hashlib.sha256(address.encode()).hexdigest()


def change(keeper: Person, request: str, id_: str) -> None:
    keeper.say(
        f"<iq type='set' id='{id_}' to='pubsub.{keeper.server.domain}'><pubsub xmlns='{PUBSUB}'>{request}</pubsub></iq>"
    )
    assert keeper.wait_for_answer(id_).get("type") == "result", keeper.server.said()


def is_refused(sender: Person, to: str, number: int) -> bool:
    """Return whether a message is refused; every message is answered, by a receipt or an error."""
    sender.say(
        f"<message to='{to}' type='chat' id='m{number}'><body>{number}</body></message>"
        f"<iq to='{to.partition('@')[2]}' type='get' id='p{number}'><ping xmlns='urn:xmpp:ping'/></iq>"
    )
    return sender.wait_for_answer(f"p{number}").get("type") == "error"


def test_a_list_of_prosody_is_read_heard_of_and_enforced(servers: tuple[Sabir, Prosody]) -> None:
    ours, theirs = servers
    tybalt_s = entry(f"tybalt@{theirs.domain}")
    ours.start()
    theirs.start()
    romeo, juliet, tybalt = Person(theirs, "romeo"), Person(ours, "juliet"), Person(theirs, "tybalt")
    change(romeo, f"<create node='{NODE}'/>", "create")
    publish = (
        f"<publish node='{NODE}'><item id='{{}}'><report xmlns='urn:xmpp:reporting:1'/></item></publish>"
    )
    change(romeo, publish.format(tybalt_s), "first")
    numbers = itertools.count(1)

    def is_reached() -> bool:
        id_ = f"r{next(numbers)}"
        juliet.say(
            f"<iq type='get' id='{id_}' to='pubsub.{theirs.domain}'><ping xmlns='urn:xmpp:ping'/></iq>"
        )
        juliet.wait_for_answer(id_)
        return "block list read" in ours.said()

    # It was not there when ours started; it is read as soon as its server is reached.
    wait_until(is_reached, "the list")

    def until(*, refused: bool) -> None:
        wait_until(lambda: is_refused(tybalt, juliet.bare, next(numbers)) is refused, f"refused={refused}")

    until(refused=True)
    change(romeo, f"<retract node='{NODE}' notify='true'><item id='{tybalt_s}'/></retract>", "retract")
    until(refused=False)
    change(romeo, publish.format(tybalt_s), "again")
    until(refused=True)
    for person in (romeo, juliet, tybalt):
        person.close()
