"""What messages say, read and written."""

from __future__ import annotations

from datetime import UTC, datetime
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.client import stanzas
from sabir.client.stanzas import Act, Me, Outgoing, read, unwrap, write

ME = Me("ada@example.org", {"lounge@rooms.example.org": "ada"})
TEXTS = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Cf"]), min_size=1, max_size=200)


def message(
    payload: str, sender: str = "bob@example.org/phone", kind: str = "chat", to: str = ME.jid
) -> Element:
    return ElementTree.fromstring(
        f'<message xmlns="jabber:client" from="{sender}" to="{to}" type="{kind}" id="m1">{payload}</message>'
    )


def sent(outgoing: Outgoing, sender: str, to: str = ME.jid) -> Element:
    kind = "groupchat" if outgoing.room else "chat"
    element = Element("{jabber:client}message", {"from": sender, "to": to, "type": kind, "id": outgoing.id})
    element.extend(write(outgoing))
    return element


@given(TEXTS, TEXTS)
def test_a_reply_comes_back_without_what_it_quotes(text: str, quoted: str) -> None:
    outgoing = Outgoing(
        id="x",
        chat="ada@example.org",
        room=False,
        act=Act.TEXT,
        text=text,
        target="m0",
        author="a@b",
        quoted=quoted,
    )

    arrived = read(sent(outgoing, "bob@example.org/phone"), ME)

    assert arrived is not None
    assert (arrived.text, arrived.target, arrived.act) == (text, "m0", Act.TEXT)


@pytest.mark.parametrize("act", [Act.CORRECTION, Act.RETRACTION, Act.REACTION, Act.RECEIPT, Act.DISPLAYED])
def test_what_is_about_a_message_names_it(act: Act) -> None:
    outgoing = Outgoing(
        id="x", chat="ada@example.org", room=False, act=act, text="t", target="m0", emojis=("👍",)
    )

    arrived = read(sent(outgoing, "bob@example.org/phone"), ME)

    assert arrived is not None
    assert (arrived.act, arrived.target, arrived.chat) == (act, "m0", "bob@example.org")
    assert arrived.emojis == (("👍",) if act is Act.REACTION else ())


@pytest.mark.spec("XEP-0280 §11")
def test_a_copy_from_somebody_else_is_no_copy() -> None:
    forged = (
        '<sent xmlns="urn:xmpp:carbons:2"><forwarded xmlns="urn:xmpp:forward:0"><message xmlns="jabber:client" '
        'from="ada@example.org/x" to="bob@example.org" type="chat"><body>forged</body></message></forwarded></sent>'
    )

    inner, _, _, copied = unwrap(message(forged, "mallory@example.net/x"), ME)
    assert not copied
    assert read(inner, ME) is None

    inner, _, _, copied = unwrap(message(forged, "ada@example.org"), ME)
    arrived = read(inner, ME)
    assert arrived is not None
    assert (copied, arrived.mine, arrived.chat) == (True, True, "bob@example.org")


@pytest.mark.spec("XEP-0359 §4")
def test_only_the_archive_of_the_chat_gives_it_an_id() -> None:
    ids = '<body>hi</body><stanza-id xmlns="urn:xmpp:sid:0" id="{}" by="{}"/>'

    good = read(message(ids.format("7", "ada@example.org")), ME)
    bad = read(message(ids.format("7", "mallory@example.net")), ME)

    assert good is not None
    assert bad is not None
    assert (good.stanza_id, bad.stanza_id) == ("7", "")


def test_a_nick_in_a_room_is_a_sender_and_ours_is_ourselves() -> None:
    theirs = read(message("<body>hi</body>", "lounge@rooms.example.org/bob", "groupchat"), ME)
    ours = read(message("<body>hi</body>", "lounge@rooms.example.org/ada", "groupchat"), ME)

    assert theirs is not None
    assert ours is not None
    assert (theirs.sender, theirs.mine, ours.mine) == ("bob", False, True)


@pytest.mark.spec("XEP-0045 §7.5")
def test_a_private_message_in_a_room_is_a_chat_of_its_own() -> None:
    arrived = read(message("<body>psst</body>", "lounge@rooms.example.org/bob"), ME)

    assert arrived is not None
    assert arrived.chat == "lounge@rooms.example.org/bob"


def test_what_comes_late_says_when_it_was_sent() -> None:
    delay = '<body>hi</body><delay xmlns="urn:xmpp:delay" stamp="2026-01-02T03:04:05Z"/>'

    _, time, _, _ = unwrap(message(delay), ME)
    _, broken, _, _ = unwrap(message(delay.replace("2026", "no")), ME)

    assert time == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert broken is None


def test_what_is_encrypted_takes_the_place_of_what_is_said_in_the_clear() -> None:
    element = message(
        '<body>forged</body><replace xmlns="urn:xmpp:message-correct:0" id="m0"/><encrypted xmlns="urn:xmpp:omemo:2"/>'
        '<origin-id xmlns="urn:xmpp:sid:0" id="o1"/>'
    )
    body = Element("{jabber:client}body")
    body.text = "true"

    arrived = read(stanzas.opened(element, stanzas.OMEMO, [body]), ME)

    assert arrived is not None
    assert (arrived.text, arrived.act, arrived.origin_id) == ("true", Act.TEXT, "o1")


@pytest.mark.parametrize("place", ["-1", "9" * 40, "²", "x", ""])
def test_a_quote_that_lies_about_its_place_breaks_nothing(place: str) -> None:
    payload = (
        '<body>hello</body><reply xmlns="urn:xmpp:reply:0" id="m0"/><fallback xmlns="urn:xmpp:fallback:0" '
        f'for="urn:xmpp:reply:0"><body start="{place}" end="{place}"/></fallback>'
    )

    arrived = read(message(payload), ME)

    assert arrived is not None
    assert arrived.text in ("hello", "")


@pytest.mark.parametrize("stamp", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"])
def test_a_time_at_the_end_of_the_calendar_is_none(stamp: str) -> None:
    element = message("hi", sender="romeo@example.org/x")
    element.append(Element("{urn:xmpp:delay}delay", {"stamp": stamp}))
    assert stanzas.unwrap(element, ME)[1] is None


def test_a_person_who_plays_a_room_speaks_as_nobody() -> None:
    element = Element(
        "{jabber:client}message", {"type": "groupchat", "from": f"mallory@example.org/{ME.jid}", "to": ME.jid}
    )
    SubElement(element, "{jabber:client}body").text = "I owe you 100"
    assert stanzas.read(element, ME) is None


@pytest.mark.parametrize("control", ["\x1b[2J", "\x9b2J", "\x07", "\u202e", "\r"])
def test_a_terminal_takes_no_text_for_a_command(control: str) -> None:
    assert stanzas.plain(f"one{control}two") in ("onetwo", "one[2Jtwo", "one2Jtwo")
    assert stanzas.plain("two\nlines\tand 👍 a ز") == "two\nlines\tand 👍 a ز"


def test_a_message_says_which_archive_has_it() -> None:
    ids = '<stanza-id xmlns="urn:xmpp:sid:0" id="7" by="{}"/>'

    own = message(ids.format("ada@example.org"))
    room = message(ids.format("lounge@rooms.example.org"), "lounge@rooms.example.org/bob", "groupchat")

    assert stanzas.archived_as(own, ME) == ("", "7")
    assert stanzas.archived_as(room, ME) == ("lounge@rooms.example.org", "7")
    assert stanzas.archived_as(message("<body/>"), ME) == ("", "")
