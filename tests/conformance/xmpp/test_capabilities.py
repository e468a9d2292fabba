"""XEP-0115 and XEP-0390: a hash is asked once, believed when it is true, and never held against others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.pubsub import (
    DISCO,
    answer,
    be_interested,
    befriend,
    events,
    hash_of,
    presence_with,
    publish,
    question,
)
from tests.support.xmpp import Peer, XmppServer, server_in

TUNE = "http://jabber.org/protocol/tune"
SONG = f"<tune xmlns='{TUNE}'/>"
NOTIFY = TUNE + "+notify"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet", "nurse")


def questions(peer: Peer) -> int:
    return sum(each.name == "iq" and each.get("type") == "get" for each in peer.hear())


@pytest.mark.spec("XEP-0115 §5.4")
@pytest.mark.spec("XEP-0115 §6.2")
def test_a_hash_is_asked_of_one_client_and_holds_for_all(server: XmppServer) -> None:
    juliet, phone = server.log_in("juliet"), server.log_in("juliet", "phone")
    ver = hash_of(NOTIFY, "urn:other")

    juliet.say(presence_with(ver))
    asked = question(juliet)
    phone.say(presence_with(ver))
    assert questions(phone) == 0
    query = asked.find("query", DISCO)
    assert query is not None
    assert (asked.get("from"), asked.get("to")) == ("localhost", juliet.jid)
    assert query.get("node") == f"urn:test#{ver}"
    answer(juliet, asked, "urn:other", NOTIFY)
    third = server.log_in("juliet", "third", presence="")
    third.say(presence_with(ver))
    assert questions(third) == 0

    publish(juliet, TUNE, SONG, "one")

    assert len(events(juliet)) == len(events(phone)) == len(events(third)) == 1


@pytest.mark.spec("XEP-0115 §5.4")
@pytest.mark.spec("XEP-0115 §9.3")
def test_a_false_hash_says_nothing_about_others(server: XmppServer) -> None:
    liar, honest = server.log_in("juliet", "liar"), server.log_in("juliet", "honest")
    ver = hash_of(NOTIFY)
    liar.say(presence_with(ver))
    asked = question(liar)
    honest.say(presence_with(ver))
    assert questions(honest) == 0

    answer(liar, asked, "urn:poison+notify")

    answer(honest, question(honest), NOTIFY)
    publish(honest, TUNE, SONG, "one")
    publish(honest, "urn:poison", SONG, "one")
    assert [each.get("node") for each in events(honest)] == [TUNE]
    assert [each.get("node") for each in events(liar)] == ["urn:poison"]  # it is believed about itself


@pytest.mark.spec("XEP-0115 §5.4")
@pytest.mark.parametrize(
    "info",
    [
        "<feature var='{}'/><feature var='{}'/>",
        "<feature var='{}&lt;x'/>",
        "<feature var='{}'/><x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>"
        "<value>a</value></field></x><x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>"
        "<value>a</value></field></x>",
        "<feature var='{}'/><identity category='client' type='pc' name='test'/>",
    ],
)
def test_an_ill_formed_answer_is_not_remembered(server: XmppServer, info: str) -> None:
    juliet, phone = server.log_in("juliet"), server.log_in("juliet", "phone")
    ver = hash_of(NOTIFY)
    juliet.say(presence_with(ver))
    asked = question(juliet)

    juliet.say(
        f"<iq type='result' id='{asked.get('id')}' to='localhost'><query xmlns='{DISCO}'>"
        f"<identity category='client' type='pc' name='test'/>{info.replace('{}', NOTIFY)}</query></iq>"
    )
    phone.say(presence_with(ver))

    assert questions(phone) == 1


@pytest.mark.spec("XEP-0115 §5.1")
def test_forms_and_languages_are_part_of_the_hash(server: XmppServer) -> None:
    romeo, phone = server.log_in("romeo"), server.log_in("romeo", "phone")
    # The complex example of XEP-0115 §5.3.
    ver = "q07IKJEyjvHSyhy//CH0CxmKi8w="
    features = ("caps", "disco#info", "disco#items", "muc")
    listed = "".join(f"<feature var='http://jabber.org/protocol/{feature}'/>" for feature in features)
    fields = {
        "ip_version": ("ipv4", "ipv6"),
        "os": ("Mac",),
        "os_version": ("10.5.1",),
        "software": ("Psi",),
        "software_version": ("0.11",),
    }
    shown = "".join(
        f"<field var='{name}'>{''.join(f'<value>{value}</value>' for value in values)}</field>"
        for name, values in fields.items()
    )
    romeo.say(presence_with(ver))
    asked = question(romeo)

    romeo.say(
        f"<iq type='result' id='{asked.get('id')}' to='localhost'><query xmlns='{DISCO}'>"
        "<identity xml:lang='en' category='client' name='Psi 0.11' type='pc'/>"
        f"<identity xml:lang='el' category='client' name='&#x3A8; 0.11' type='pc'/>{listed}"
        "<x xmlns='jabber:x:data' type='result'><field var='FORM_TYPE' type='hidden'>"
        f"<value>urn:xmpp:dataforms:softwareinfo</value></field>{shown}</x></query></iq>"
    )
    phone.say(presence_with(ver))

    assert questions(phone) == 0


@pytest.mark.spec("XEP-0390 §4.1")
@pytest.mark.spec("XEP-0390 §4.4")
@pytest.mark.spec("XEP-0390 §5.5")
def test_hashes_of_the_second_kind_are_asked_and_checked_too(server: XmppServer) -> None:
    romeo, phone = server.log_in("romeo"), server.log_in("romeo", "phone")
    # The simple example of XEP-0390 §4.5.1.
    value = "kzBZbkqJ3ADrj7v08reD1qcWUwNGHaidNUgD7nHpiw8="
    names = (
        "http://jabber.org/protocol/si http://jabber.org/protocol/bytestreams http://jabber.org/protocol/chatstates"
        " http://jabber.org/protocol/disco#info http://jabber.org/protocol/disco#items urn:xmpp:ping jabber:iq:time"
        " jabber:iq:privacy jabber:iq:version http://jabber.org/protocol/rosterx urn:xmpp:time jabber:x:oob"
        " http://jabber.org/protocol/ibb http://jabber.org/protocol/si/profile/file-transfer urn:xmpp:receipts"
        " jabber:iq:roster jabber:iq:last"
    )
    features = "".join(f"<feature var='{name}'/>" for name in names.split())
    presence = (
        "<presence><c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='sha3-256'>bogus</hash>"
        f"<hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>{value}</hash></c></presence>"
    )
    romeo.say(presence)
    asked = question(romeo)
    query = asked.find("query", DISCO)
    assert query is not None
    assert query.get("node") == f"urn:xmpp:caps#sha-256.{value}"

    romeo.say(
        f"<iq type='result' id='{asked.get('id')}' to='localhost'><query xmlns='{DISCO}'>"
        f"<identity category='client' name='BombusMod' type='mobile'/>{features}</query></iq>"
    )
    phone.say(presence)

    assert questions(phone) == 0


@pytest.mark.spec("XEP-0115 §13")
def test_a_claim_that_cannot_be_checked_is_asked_of_each_client(server: XmppServer) -> None:
    juliet, phone = server.log_in("juliet"), server.log_in("juliet", "phone")
    presence = "<presence><c xmlns='http://jabber.org/protocol/caps' node='urn:old' ver='1.0'/></presence>"

    for peer in (juliet, phone):
        peer.say(presence)
        answer(peer, question(peer), NOTIFY)

    publish(juliet, TUNE, SONG, "one")
    assert len(events(juliet)) == len(events(phone)) == 1


def test_a_client_that_does_not_answer_or_leaves_keeps_nobody_waiting(server: XmppServer) -> None:
    silent, gone, next_ = (server.log_in("juliet", name) for name in ("silent", "gone", "next"))
    for peer in (silent, gone, next_):
        peer.say(presence_with(hash_of(NOTIFY)))
    question(silent)

    server.loop.advance(31_000)
    question(gone)
    gone.say("</stream:stream>")
    gone.drop()
    answer(next_, question(next_), NOTIFY)

    publish(next_, TUNE, SONG, "one")
    assert len(events(next_)) == 1


def test_an_answer_that_was_not_asked_for_counts_for_nothing(server: XmppServer) -> None:
    juliet, romeo = server.log_in("juliet"), server.log_in("romeo")
    juliet.say(presence_with(hash_of(NOTIFY)))
    asked = question(juliet)

    answer(romeo, asked, NOTIFY)  # not its own question
    refused = f"<iq type='error' id='{asked.get('id')}' to='localhost'><error type='cancel'/></iq>"
    juliet.say(refused, refused)

    publish(juliet, TUNE, SONG, "one")
    assert events(juliet) == []


@pytest.mark.spec("XEP-0163 §4.3.3")
def test_a_client_that_learns_to_be_interested_is_shown_what_it_missed(server: XmppServer) -> None:
    juliet, romeo = server.log_in("juliet"), server.log_in("romeo")
    befriend(juliet, romeo)
    publish(juliet, TUNE, SONG, "one")
    publish(juliet, "urn:x", SONG, "one")
    be_interested(romeo, TUNE)
    assert [each.get("node") for each in events(romeo)] == [TUNE]

    be_interested(romeo, TUNE, "urn:x")

    assert [each.get("node") for each in events(romeo)] == ["urn:x"]


def test_a_client_is_asked_one_question_at_a_time(server: XmppServer) -> None:
    juliet, phone = server.log_in("juliet"), server.log_in("juliet", "phone")
    first, second = hash_of(NOTIFY), hash_of(NOTIFY, "urn:other")
    juliet.say(presence_with(first))
    late = question(juliet)
    phone.say(presence_with(first))
    assert questions(phone) == 0

    juliet.say(presence_with(second))

    asked, own = question(phone), question(juliet)
    answer(juliet, late, NOTIFY)  # to a question that is no longer open
    publish(juliet, TUNE, SONG, "one")
    assert events(phone) == events(juliet) == []
    answer(phone, asked, NOTIFY)
    answer(juliet, own, NOTIFY, "urn:other")
    assert len(events(phone)) == len(events(juliet)) == 1  # the last item
