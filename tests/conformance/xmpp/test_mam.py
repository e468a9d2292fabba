"""XEP-0313 and XEP-0059: the archives of accounts and rooms."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.muc import ROOM, entered, said, stanza_id
from tests.support.xmpp import Peer, XmppServer, server_in

from sabir.protocols.xmpp.features import mam
from sabir.wire.xml import Element

MAM = "urn:xmpp:mam:2"
RSM = "http://jabber.org/protocol/rsm"
NOBODY = "01890000-0000-7000-8000-000000000000".replace("-", "")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet", "nurse")


class Found:
    """What a query found."""

    def __init__(self, results: list[Element], answer: Element) -> None:
        self.ids = [result.get("id") or "" for result in results]
        self.query_ids = {result.get("queryid") for result in results}
        self.messages: list[Element] = []
        self.stamps: list[str] = []
        for result in results:
            forwarded = result.find("forwarded", "urn:xmpp:forward:0")
            assert forwarded is not None
            message = forwarded.find("message", "jabber:client")
            delay = forwarded.find("delay", "urn:xmpp:delay")
            assert message is not None
            assert delay is not None
            self.messages.append(message)
            self.stamps.append(delay.get("stamp") or "")
        self.bodies = [message.child_text("body") for message in self.messages]
        self.error = answer.find("error")
        self.fin = answer.find("fin", MAM)

    @property
    def is_complete(self) -> bool:
        return self.fin is not None and self.fin.get("complete") == "true"

    @property
    def page(self) -> tuple[str | None, str | None]:
        assert self.fin is not None
        rsm = self.fin.find("set", RSM)
        assert rsm is not None
        return rsm.child_text("first"), rsm.child_text("last")


def search(peer: Peer, *, form: str = "", rsm: str = "", to: str = "", more: str = "") -> Found:
    peer.hear()
    form = f"<x xmlns='jabber:x:data' type='submit'>{field('FORM_TYPE', MAM)}{form}</x>"
    rsm = f"<set xmlns='{RSM}'>{rsm}</set>" if rsm else ""
    answer = peer.ask(f"<query xmlns='{MAM}' queryid='f27'>{form}{rsm}{more}</query>", type="set", to=to)
    results = [result for each in peer.hear() if (result := each.find("result", MAM)) is not None]
    return Found(results, answer)


def field(name: str, *values: str) -> str:
    return f"<field var='{name}'>{''.join([f'<value>{value}</value>' for value in values])}</field>"


def chat(to: str, body: str, id: str = "m") -> str:
    return f"<message to='{to}@localhost' type='chat' id='{id}'><body>{body}</body></message>"


@pytest.fixture
def talk(server: XmppServer) -> tuple[Peer, Peer]:
    romeo, juliet = server.log_in("romeo", "orchard"), server.log_in("juliet", "balcony")
    romeo.say(chat("juliet", "1"))
    juliet.say(chat("romeo", "2"))
    romeo.say(chat("nurse", "3"), chat("juliet", "4"), chat("romeo", "5"))
    return romeo, juliet


@pytest.mark.spec("XEP-0313 §3.3.1")
@pytest.mark.spec("XEP-0313 §3.5")
@pytest.mark.spec("XEP-0313 §6.1.1")
@pytest.mark.spec("XEP-0313 §4.2")
def test_the_archive_holds_what_was_sent_and_received(talk: tuple[Peer, Peer]) -> None:
    romeo, juliet = talk
    live = stanza_id(next(each for each in juliet.hear() if each.child_text("body") == "4"))

    found = search(romeo)
    hers = search(juliet, to="juliet@localhost")

    assert found.bodies == ["1", "2", "3", "4", "5"]
    assert found.query_ids == {"f27"}
    assert found.is_complete
    assert found.page == (found.ids[0], found.ids[-1])
    assert hers.bodies == ["1", "2", "4"]
    assert hers.ids[2] == live
    assert [each.get("from") for each in hers.messages] == [romeo.jid, juliet.jid, romeo.jid]
    assert [each.get("to") for each in hers.messages] == [
        "juliet@localhost",
        "romeo@localhost",
        "juliet@localhost",
    ]
    assert all(stamp.endswith("Z") for stamp in hers.stamps)


@pytest.mark.spec("XEP-0313 §4.1.1")
@pytest.mark.parametrize(
    ("with_", "bodies"),
    [
        ("juliet@localhost", ["1", "2", "4"]),
        ("nurse@localhost", ["3"]),
        ("romeo@localhost", ["5"]),
        ("nobody@localhost", []),
        ("juliet@elsewhere.example", []),
    ],
)
def test_a_query_may_be_about_one_contact(talk: tuple[Peer, Peer], with_: str, bodies: list[str]) -> None:
    found = search(talk[0], form=field("with", with_))

    assert found.bodies == bodies
    assert found.is_complete


@pytest.mark.spec("XEP-0313 §4.1.2")
def test_a_query_may_be_about_a_time(talk: tuple[Peer, Peer]) -> None:
    romeo = talk[0]
    stamps = search(romeo).stamps

    everything = search(romeo, form=field("start", stamps[0]) + field("end", stamps[-1]))
    before = search(romeo, form=field("end", "2001-01-01T00:00:00Z"))
    after = search(romeo, form=field("start", "2999-01-01T00:00:00+02:00"))
    nonsense = search(romeo, form=field("start", "yesterday"))

    assert len(everything.bodies) == 5
    assert before.bodies == after.bodies == []
    assert nonsense.error is not None
    assert nonsense.error.get("type") == "modify"


@pytest.mark.spec("XEP-0313 §4.3.1")
@pytest.mark.spec("XEP-0313 §4.3.3")
@pytest.mark.spec("XEP-0059 §2.1")
@pytest.mark.spec("XEP-0059 §2.5")
@pytest.mark.spec("XEP-0313 §4.3.2")
@pytest.mark.spec("XEP-0059 §2.2")
@pytest.mark.spec("XEP-0059 §2.3")
def test_pages_are_read_from_either_end(talk: tuple[Peer, Peer]) -> None:
    romeo = talk[0]

    first = search(romeo, rsm="<max>2</max>")
    second = search(romeo, rsm=f"<max>2</max><after>{first.page[1]}</after>")
    third = search(romeo, rsm=f"<max>2</max><after>{second.page[1]}</after>")
    last = search(romeo, rsm="<max>2</max><before/>")
    earlier = search(romeo, rsm=f"<max>3</max><before>{last.page[0]}</before>")
    nothing = search(romeo, rsm="<max>0</max>")

    assert [page.bodies for page in (first, second, third)] == [["1", "2"], ["3", "4"], ["5"]]
    assert [page.is_complete for page in (first, second, third)] == [False, False, True]
    assert (last.bodies, last.is_complete) == (["4", "5"], False)
    assert (earlier.bodies, earlier.is_complete) == (["1", "2", "3"], True)
    assert (nothing.bodies, nothing.is_complete) == ([], False)


@pytest.mark.spec("XEP-0313 §4.3.4")
def test_a_page_may_be_flipped(talk: tuple[Peer, Peer]) -> None:
    found = search(talk[0], rsm="<max>3</max>", more="<flip-page/>")

    assert found.bodies == ["3", "2", "1"]
    assert found.page == (found.ids[2], found.ids[0])


@pytest.mark.spec("XEP-0313 §4.1.3")
def test_a_query_may_be_about_ids(talk: tuple[Peer, Peer]) -> None:
    romeo, juliet = talk
    ids = search(romeo).ids

    between = search(romeo, form=field("after-id", ids[0]) + field("before-id", ids[4]))
    chosen = search(romeo, form=field("ids", ids[3], ids[0]))
    foreign = search(juliet, form=field("ids", ids[2]))

    assert between.bodies == ["2", "3", "4"]
    assert chosen.bodies == ["1", "4"]
    assert foreign.error is not None


@pytest.mark.spec("XEP-0059 §2.4")
@pytest.mark.spec("XEP-0313 §4.1.3")
@pytest.mark.spec("XEP-0313 §4.3.2")
@pytest.mark.parametrize("id", [NOBODY, "nonsense"])
def test_an_unknown_id_is_not_found(talk: tuple[Peer, Peer], id: str) -> None:
    romeo = talk[0]

    for found in (
        search(romeo, rsm=f"<after>{id}</after>"),
        search(romeo, rsm=f"<before>{id}</before>"),
        search(romeo, form=field("after-id", id)),
        search(romeo, form=field("before-id", id)),
        search(romeo, form=field("ids", id)),
    ):
        assert found.error is not None
        assert found.error.find("item-not-found", "urn:ietf:params:xml:ns:xmpp-stanzas") is not None


@pytest.mark.spec("XEP-0313 §4.1.5")
def test_fields_are_told_and_unknown_ones_refused(talk: tuple[Peer, Peer]) -> None:
    romeo = talk[0]

    form = romeo.ask(f"<query xmlns='{MAM}'/>").serialise()
    found = search(romeo, form=field("{urn:example}weather", "fine"))

    for name in ("with", "start", "end", "before-id", "after-id", "ids"):
        assert f"var='{name}'" in form
    assert found.error is not None
    assert "feature-not-implemented" in found.error.serialise()


@pytest.mark.spec("XEP-0313 §5")
def test_an_archive_says_where_it_begins_and_ends(server: XmppServer, talk: tuple[Peer, Peer]) -> None:
    romeo, nurse = talk[0], server.log_in("nurse")
    found = search(romeo)

    metadata = romeo.ask(f"<metadata xmlns='{MAM}'/>").elements()[0]

    ends = [(each.name, each.get("id"), each.get("timestamp")) for each in metadata.elements()]
    assert ends == [("start", found.ids[0], found.stamps[0]), ("end", found.ids[-1], found.stamps[-1])]
    server.add("peter")
    peter = server.log_in("peter")
    assert peter.ask(f"<metadata xmlns='{MAM}'/>").elements()[0].elements() == []
    assert len(nurse.ask(f"<metadata xmlns='{MAM}'/>").elements()[0].elements()) == 2


@pytest.mark.spec("XEP-0313 §3.4")
@pytest.mark.spec("XEP-0313 §8.1")
def test_an_archive_is_for_its_owner(talk: tuple[Peer, Peer]) -> None:
    found = search(talk[0], to="juliet@localhost")

    assert found.error is not None
    assert found.bodies == []


@pytest.mark.spec("XEP-0441 §3")
def test_everything_is_archived_and_that_cannot_be_changed(talk: tuple[Peer, Peer]) -> None:
    romeo = talk[0]

    told = romeo.ask(f"<prefs xmlns='{MAM}'/>").elements()[0]
    same = romeo.ask(f"<prefs xmlns='{MAM}' default='always'><always/><never/></prefs>", type="set")
    other = romeo.ask(f"<prefs xmlns='{MAM}' default='never'><always/><never/></prefs>", type="set")

    assert told.get("default") == "always"
    assert same.get("type") == "result"
    assert other.get("type") == "error"


def test_a_page_ends_where_it_would_be_too_large(talk: tuple[Peer, Peer]) -> None:
    romeo = talk[0]
    for number in range(6):
        romeo.say(chat("juliet", f"{number}" + "x" * 200_000))

    found = search(romeo, form=field("with", "juliet@localhost"), rsm="<max>50</max>")
    rest = search(romeo, form=field("with", "juliet@localhost"), rsm=f"<after>{found.page[1]}</after>")
    newest = search(romeo, form=field("with", "juliet@localhost"), rsm="<before/>")

    assert not found.is_complete
    assert sum(len(body or "") for body in found.bodies) < mam.PAGE_BYTES
    assert rest.is_complete
    assert len(found.bodies) + len(rest.bodies) == 9
    assert (newest.bodies[-1] or "").startswith("5")
    assert not newest.is_complete


@pytest.fixture
def room(server: XmppServer) -> tuple[Peer, Peer]:
    romeo, juliet = server.log_in("romeo", "orchard"), server.log_in("juliet", "balcony")
    entered(romeo, "romeo")
    entered(juliet, "jules")
    romeo.hear()
    return romeo, juliet


@pytest.mark.spec("XEP-0313 §3.3.2")
@pytest.mark.spec("XEP-0313 §6.1.2")
def test_the_archive_of_a_room_holds_what_everybody_saw(room: tuple[Peer, Peer]) -> None:
    romeo, juliet = room
    romeo.say(
        said("one", id="m1"), f"<message to='{ROOM}' type='groupchat'><subject>Verona</subject></message>"
    )
    juliet.say(said("two", id="m2"), f"<message to='{ROOM}/romeo' type='chat'><body>psst</body></message>")
    live = stanza_id(next(each for each in romeo.hear() if each.child_text("body") == "two"))

    found = search(juliet, to=ROOM)
    by_owner = search(romeo, to=ROOM)

    assert found.bodies == ["one", None, "two"]
    assert found.messages[1].child_text("subject") == "Verona"
    assert found.ids[2] == live
    assert [each.get("from") for each in found.messages] == [
        f"{ROOM}/romeo",
        f"{ROOM}/romeo",
        f"{ROOM}/jules",
    ]
    assert [each.get("to") for each in found.messages] == [None, None, None]
    assert [each.get("id") for each in found.messages][::2] == ["m1", "m2"]
    for message in found.messages:
        assert message.find("occupant-id", "urn:xmpp:occupant-id:0") is not None
        assert message.find("x", "http://jabber.org/protocol/muc#user") is None
    assert "jid='juliet@localhost'" in by_owner.messages[2].serialise()


@pytest.mark.spec("XEP-0313 §6.1.2")
def test_who_may_not_enter_a_room_may_not_read_its_archive(
    server: XmppServer, room: tuple[Peer, Peer]
) -> None:
    romeo, nurse = room[0], server.log_in("nurse")
    romeo.say(said("one"))

    open_room = search(nurse, to=ROOM)
    romeo.ask(
        "<query xmlns='http://jabber.org/protocol/muc#admin'>"
        "<item affiliation='outcast' jid='nurse@localhost'/></query>",
        type="set",
        to=ROOM,
    )
    banned = search(nurse, to=ROOM)
    nowhere = search(nurse, to="nowhere@rooms.localhost")

    assert open_room.bodies == ["one"]
    assert banned.error is not None
    assert banned.error.find("forbidden", "urn:ietf:params:xml:ns:xmpp-stanzas") is not None
    assert nowhere.error is not None
    assert nowhere.error.find("item-not-found", "urn:ietf:params:xml:ns:xmpp-stanzas") is not None


@pytest.mark.spec("XEP-0424 §4")
@pytest.mark.spec("XEP-0444 §3.2")
def test_what_was_taken_back_is_a_tombstone(room: tuple[Peer, Peer]) -> None:
    romeo, juliet = room
    romeo.say(said("oops", id="m1"), said("fine", id="m2"))
    oops, fine = [stanza_id(each) for each in juliet.hear()]
    juliet.say(
        f"<message to='{ROOM}' type='groupchat' id='r1'><reactions xmlns='urn:xmpp:reactions:0' id='{fine}'>"
        "<reaction>👋</reaction><reaction>🐢</reaction></reactions></message>"
    )
    romeo.say(
        f"<message to='{ROOM}' type='groupchat' id='x1'><retract xmlns='urn:xmpp:message-retract:1' id='{oops}'/>"
        "<body>taken back</body></message>"
    )

    found = search(juliet, to=ROOM)
    late = search(juliet, to=ROOM, form=field("ids", oops))

    tombstone, _, reactions, retraction = found.messages
    assert tombstone.get("id") == "m1"
    assert "oops" not in tombstone.serialise()
    retracted = tombstone.find("retracted", "urn:xmpp:message-retract:1")
    assert retracted is not None
    assert retracted.get("id") == "x1"
    assert retracted.get("stamp") == found.stamps[3]
    assert reactions.get("id") == "r1"
    assert retraction.find("retract", "urn:xmpp:message-retract:1") is not None
    assert late.messages[0] == tombstone


@pytest.mark.spec("XEP-0313 §5")
def test_the_archive_of_a_room_says_where_it_begins_and_ends(room: tuple[Peer, Peer]) -> None:
    romeo = room[0]
    romeo.say(said("one"), said("two"))
    ids = search(romeo, to=ROOM).ids

    metadata = romeo.ask(f"<metadata xmlns='{MAM}'/>", to=ROOM).elements()[0]

    assert [each.get("id") for each in metadata.elements()] == ids


@pytest.mark.spec("XEP-0425 §5")
def test_what_a_moderator_took_out_is_a_tombstone_that_says_so(room: tuple[Peer, Peer]) -> None:
    romeo, juliet = room
    juliet.say(said("magic potions", id="m1"))
    target = stanza_id(romeo.hear()[0])
    romeo.ask(
        f"<moderate xmlns='urn:xmpp:message-moderate:1' id='{target}'>"
        "<retract xmlns='urn:xmpp:message-retract:1'/><reason>not here</reason></moderate>",
        type="set",
        to=ROOM,
    )

    tombstone, retraction = search(juliet, to=ROOM).messages

    retracted = tombstone.find("retracted", "urn:xmpp:message-retract:1")
    assert retracted is not None
    moderated = retracted.find("moderated", "urn:xmpp:message-moderate:1")
    assert moderated is not None
    assert moderated.get("by") == f"{ROOM}/romeo"
    assert retracted.child_text("reason") == "not here"
    assert (tombstone.get("from"), retraction.get("from")) == (f"{ROOM}/jules", ROOM)
