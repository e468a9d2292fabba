"""XEP-0513, XEP-0372: mentions go from protocol to protocol, by the name that each knows somebody by."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.muc import ROOM, entered, said
from tests.support.xmpp import Peer, XmppServer, server_in
from tests.unit.core.fakes import Listener

from sabir.core.model.actor import Account
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Draft, Event
from sabir.core.model.mentions import converted
from sabir.core.model.plain import plain_text
from sabir.protocols.irc.translate.accept import PROTOCOL
from sabir.protocols.irc.translate.content import IrcTranslator
from sabir.protocols.irc.translate.formatting import from_markdown


class OnIrc(Listener):
    """A session that keeps the entries that it is shown."""

    def __init__(self, account: Account) -> None:
        super().__init__(account, protocol=PROTOCOL)
        self.events: list[Event] = []

    def deliver(self, conversation: Conversation, event: Event) -> None:
        self.events.append(event)


MENTIONS = "urn:xmpp:mentions:0"
REFERENCE = "urn:xmpp:reference:0"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "crone1", "wiccarocks", "hag66")


@pytest.fixture
def witches(server: XmppServer) -> tuple[Peer, Peer]:
    server.services.contents.register(PROTOCOL, IrcTranslator(server.services.people))
    crone, wicca = server.log_in("crone1", "desktop"), server.log_in("wiccarocks", "laptop")
    entered(crone, "firstwitch")
    entered(wicca, "second")
    crone.hear()
    return crone, wicca


@pytest.fixture
def hag(server: XmppServer, witches: tuple[Peer, Peer]) -> OnIrc:
    """Somebody on IRC, who is in the room."""
    account = server.services.accounts.find("hag66")
    assert account is not None
    hag = OnIrc(account)
    server.services.devices.log_in(hag)
    server.services.rooms.join(hag, "coven", "hag66", lambda joined: None, lambda refusal: None)
    server.settle()
    for witch in witches:
        witch.hear()
    return hag


def room_of(server: XmppServer) -> Conversation:
    room = server.services.rooms.find("coven")
    assert room is not None
    return room


def typed(server: XmppServer, hag: OnIrc, text: str, **fields: bytes) -> None:
    """Say something on IRC."""
    draft = Draft(PROTOCOL, f"\nPRIVMSG\n{text}".encode(), **fields)  # type: ignore[arg-type]
    server.services.messaging.post(hag, room_of(server), draft)
    server.settle()


def shown_on_irc(server: XmppServer, hag: OnIrc) -> str:
    """Return the last message as IRC shows it."""
    content = server.services.contents.of(hag.events[-1])
    people, room = server.services.people, room_of(server)

    def name(label: str, uri: str) -> str:
        actor = people.of_uri(room, uri)
        return label if actor is None else actor.name

    part = content.body
    source = next(
        (each.content.decode() for each in getattr(part, "parts", ()) if "markdown" in each.content_type), ""
    )
    return converted(source, from_markdown, name)[0] if source else plain_text(content)


def occupant_id(server: XmppServer, name: str) -> str:
    account = server.services.accounts.find(name)
    assert account is not None
    return server.services.rooms.occupant_id(room_of(server), account.actor)


@pytest.mark.spec("XEP-0513 §3.1")
@pytest.mark.spec("XEP-0513 §3.3")
@pytest.mark.spec("XEP-0372 §4.2")
def test_a_nick_on_irc_is_a_mention_by_the_nick_of_the_room(
    server: XmppServer, witches: tuple[Peer, Peer], hag: OnIrc
) -> None:
    typed(server, hag, "*psst* WiccaRocks, have you seen crone1?")

    (message,) = witches[0].hear()
    body = message.child_text("body") or ""
    assert body == "*psst* second, have you seen firstwitch?"
    mentions = message.find_all("mention", MENTIONS)
    assert [body[int(each.get("begin") or "") : int(each.get("end") or "")] for each in mentions] == [
        "second",
        "firstwitch",
    ]
    assert [each.get("occupantid") for each in mentions] == [
        occupant_id(server, "wiccarocks"),
        occupant_id(server, "crone1"),
    ]
    uris = [each.get("uri") for each in message.find_all("reference", REFERENCE)]
    assert uris == [f"xmpp:{ROOM}/second", f"xmpp:{ROOM}/firstwitch"]
    assert "wiccarocks@localhost" not in message.serialise(), "the room keeps addresses to itself"


@pytest.mark.spec("XEP-0513 §3.1")
@pytest.mark.parametrize(
    ("body", "inside", "shown"),
    [
        ("look, Hag!", "<mention xmlns='{m}' begin='6' end='9' occupantid='{id}'/>", "look, hag66!"),
        ("look, Hag!", "<mention xmlns='{m}' begin='6' end='9' jid='hag66@localhost'/>", "look, hag66!"),
        (
            "look, Hag!",
            "<reference xmlns='urn:xmpp:reference:0' type='mention' begin='6' end='9' uri='xmpp:hag66@localhost'/>",
            "look, hag66!",
        ),
        ("second: hi", "", "wiccarocks: hi"),
        ("@second, hi", "", "@wiccarocks, hi"),
        ("third: hi", "", "third: hi"),
        ("look, Hag!", "<mention xmlns='{m}' begin='6' end='900' occupantid='{id}'/>", "look, Hag!"),
        ("look, Hag!", "<mention xmlns='{m}' begin='-6' end='x' occupantid='{id}'/>", "look, Hag!"),
        ("look, Hag!", "<mention xmlns='{m}' begin='6' end='9' occupantid='nonsense'/>", "look, Hag!"),
        ("look, Hag!", "<mention xmlns='{m}' begin='6' end='9' jid='eve@localhost'/>", "look, Hag!"),
        ("all", "<mention xmlns='{m}' mentions='{m}#channel'/>", "all"),
    ],
)
def test_a_mention_names_people_as_irc_does(
    server: XmppServer, witches: tuple[Peer, Peer], hag: OnIrc, body: str, inside: str, shown: str
) -> None:
    mark = inside.format(m=MENTIONS, id=occupant_id(server, "hag66"))

    witches[0].say(said(body, extra=mark))

    assert shown_on_irc(server, hag) == shown
    (message,) = [each for each in witches[1].hear() if each.find("body") is not None]
    assert message.child_text("body") == body, "between clients of XMPP nothing changes"


@pytest.mark.spec("XEP-0201 §4.2")
def test_an_answer_from_irc_stays_in_the_thread(
    server: XmppServer, witches: tuple[Peer, Peer], hag: OnIrc
) -> None:
    witches[0].say(said("shall we?", extra="<thread>plans</thread>"))
    witches[0].hear()
    target = hag.events[-1]

    draft = Draft(
        PROTOCOL,
        f"+reply={target.event_id.hex()}\nPRIVMSG\nyes".encode(),
        target_id=target.event_id,
    )
    server.services.messaging.post(hag, room_of(server), draft)
    server.settle()

    (answer,) = witches[0].hear()
    assert answer.child_text("thread") == "plans"
