"""Messages, their tags, and history."""

from __future__ import annotations

import re

import pytest
from tests.unit.protocols.irc.harness import MODERN, Net, Peer

from sabir.core.ports import StoreError

S = ":irc.example"


@pytest.fixture
def net() -> Net:
    return Net()


def tag(line: str, name: str) -> str:
    """Return the value of a tag of a line."""
    found = re.match(rf"@(?:[^ ]*;)?{re.escape(name)}=([^ ;]*)", line)
    assert found is not None, line
    return found[1]


def without_tags(lines: list[str]) -> list[str]:
    return [line.partition(" ")[2] if line.startswith("@") else line for line in lines]


@pytest.mark.spec("Modern IRC §sending-messages")
@pytest.mark.spec("RFC 2812 §3.3")
def test_a_message_reaches_a_channel_and_a_person(net: Net) -> None:
    ada, bob = net.pair()

    assert ada.send("PRIVMSG #lobby,bob :hi", "NOTICE bob :beep") == []

    assert bob.took() == [
        ":ada!ada@irc.example PRIVMSG #lobby :hi",
        ":ada!ada@irc.example PRIVMSG bob :hi",
        ":ada!ada@irc.example NOTICE bob :beep",
    ]


@pytest.mark.spec("RFC 2812 §3.3")
@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ("PRIVMSG", "411 ada :No recipient given (PRIVMSG)"),
        ("PRIVMSG bob", "412 ada :No text to send"),
        ("PRIVMSG nobody :x", "401 ada nobody :No such nick"),
        ("PRIVMSG #nowhere :x", "403 ada #nowhere :No such channel"),
        ("NOTICE nobody :x", ""),
        ("NOTICE #nowhere :x", ""),
    ],
)
def test_what_cannot_be_said_is_answered_unless_it_is_a_notice(net: Net, sent: str, answer: str) -> None:
    net.account("bob")

    assert net.login("ada").send(sent) == ([f"{S} {answer}"] if answer else [])


def test_a_message_waits_for_who_is_away_and_comes_once(net: Net) -> None:
    net.account("bob")
    net.login("ada").send("PRIVMSG bob :later")

    bob = net.connect()
    first = bob.send("PASS bob:correct horse", "NICK bob", "USER bob 0 * :Bob")
    bob.close()
    again = net.connect().send("PASS bob:correct horse", "NICK bob", "USER bob 0 * :Bob")

    assert first[-1] == ":ada!ada@irc.example PRIVMSG bob :later"
    assert not any("later" in line for line in again)


@pytest.mark.spec("IRCv3 echo-message")
@pytest.mark.spec("IRCv3 labeled-response")
@pytest.mark.spec("IRCv3 message-ids")
@pytest.mark.spec("IRCv3 server-time")
@pytest.mark.spec("IRCv3 account-tag")
def test_an_echo_has_label_id_time_and_account(net: Net) -> None:
    ada, bob = net.pair(MODERN)

    (echo,) = ada.send("@label=x PRIVMSG #lobby :hi")

    (shown,) = bob.took()
    assert echo == f"@label=x;{shown[1:]}"
    assert tag(shown, "time") == "2027-01-15T08:00:00.000Z"
    assert tag(shown, "account") == "ada"
    assert len(tag(shown, "msgid")) == 32


def test_without_echo_message_a_label_is_acknowledged(net: Net) -> None:
    ada, _ = net.pair("batch labeled-response")

    assert ada.send("@label=x PRIVMSG #lobby :hi") == [f"@label=x {S} ACK"]


def test_who_is_blocked_cannot_tell_it_from_there_being_nobody(net: Net) -> None:
    ada, bob = net.login("ada"), net.login("bob")
    bob.send("AWAY :in the bath")
    nobody = [ada.send(line) for line in ("PRIVMSG eve :hi", "WHOIS eve", "ISON eve")]
    net.services.roster.block(net.account("bob"), ["ada"], lambda: None, _fail)
    net.run()

    blocked = [ada.send(line) for line in ("PRIVMSG bob :hi", "WHOIS bob", "ISON bob")]

    assert blocked == [[line.replace("eve", "bob") for line in lines] for lines in nobody]
    assert bob.took() == []


@pytest.mark.spec("IRCv3 message-tags")
def test_tags_of_the_client_are_relayed_and_ours_cannot_be_forged(net: Net) -> None:
    ada, bob = net.pair("message-tags")

    ada.send("@+example.org/x=1;account=root;time=0;msgid=0;bot PRIVMSG #lobby :hi")

    (line,) = bob.took()
    assert tag(line, "account") == "ada"
    assert tag(line, "msgid") != "0"
    assert line.endswith(";+example.org/x=1 :ada!ada@irc.example PRIVMSG #lobby :hi")


def test_a_client_without_tags_gets_none(net: Net) -> None:
    ada = net.login("ada", MODERN)
    bob = net.login("bob")
    ada.send("JOIN #lobby")
    bob.send("JOIN #lobby")

    ada.send("@+example.org/x=1 PRIVMSG #lobby :hi", "@+typing=active TAGMSG #lobby")

    assert bob.took() == [":ada!ada@irc.example PRIVMSG #lobby :hi"]


def said(peer: Peer, text: str, target: str = "#lobby") -> str:
    """Say something, and return its id."""
    return tag(peer.send(f"PRIVMSG {target} :{text}")[-1], "msgid")


@pytest.mark.spec("IRCv3 reply")
def test_a_reply_has_both_names_of_its_tag_and_a_quote_for_who_knows_neither(net: Net) -> None:
    ada, bob = net.pair(MODERN)
    eve = net.login("eve")
    eve.send("JOIN #lobby")
    target = said(ada, "shall we?")
    eve.took()
    bob.took()

    bob.send(f"@+draft/reply={target} PRIVMSG #lobby :yes")

    line = ada.took()[-1]
    assert tag(line, "+reply") == tag(line, "+draft/reply") == target
    assert eve.took() == [
        ":bob!bob@irc.example PRIVMSG #lobby :> ada: shall we?",
        ":bob!bob@irc.example PRIVMSG #lobby :yes",
    ]


@pytest.mark.spec("IRCv3 react")
def test_a_reaction_is_put_on_and_taken_back(net: Net) -> None:
    ada, bob = net.pair(MODERN)
    target = said(ada, "we won")
    bob.took()

    bob.send(f"@+reply={target};+draft/react=👍 TAGMSG #lobby")
    (put,) = ada.took()
    again = bob.send(f"@label=z;+reply={target};+draft/react=👍 TAGMSG #lobby")
    bob.send(f"@+reply={target};+draft/unreact=👍 TAGMSG #lobby")
    (taken,) = ada.took()

    assert (tag(put, "+draft/react"), tag(taken, "+draft/unreact")) == ("👍", "👍")
    assert again == [f"@label=z {S} ACK"]


@pytest.mark.spec("IRCv3 react")
def test_redacting_a_reaction_takes_it_back(net: Net) -> None:
    ada, bob = net.pair(MODERN)
    target = said(ada, "we won")
    (echo,) = bob.send(f"@+reply={target};+draft/react=👍 TAGMSG #lobby")[-1:]
    ada.took()

    bob.send(f"REDACT #lobby {tag(echo, 'msgid')}")

    assert tag(ada.took()[-1], "+draft/unreact") == "👍"


@pytest.mark.spec("IRCv3 message-redaction")
def test_a_message_is_taken_back_by_its_author_or_an_operator(net: Net) -> None:
    ada, bob = net.pair(MODERN)
    mine, other = said(bob, "oops"), said(ada, "hm")
    ada.took()
    bob.took()

    assert without_tags(bob.send(f"REDACT #lobby {mine} :typo")) == [
        f":bob!bob@irc.example REDACT #lobby {mine} :typo"
    ]
    assert without_tags(ada.took()) == [f":bob!bob@irc.example REDACT #lobby {mine} :typo"]
    assert bob.send(f"REDACT #lobby {other}")[0].startswith(
        f"{S} FAIL REDACT REDACT_FORBIDDEN #lobby {other} :"
    )
    assert bob.send(f"REDACT #lobby {'0' * 32}")[0].startswith(f"{S} FAIL REDACT UNKNOWN_MSGID #lobby ")
    assert bob.send("REDACT #nowhere x")[0].startswith(f"{S} FAIL REDACT INVALID_TARGET #nowhere :")
    third = said(bob, "spam")
    assert (
        without_tags(ada.send(f"REDACT #lobby {third}"))[-1] == f":ada!ada@irc.example REDACT #lobby {third}"
    )


def test_an_edit_says_that_it_is_one(net: Net) -> None:
    ada, bob = net.pair(MODERN)
    first = said(ada, "helo")
    bob.took()

    ada.send(f"@+sabir.im/edit={first} PRIVMSG #lobby :hello")

    (line,) = bob.took()
    assert tag(line, "+sabir.im/edit") == tag(line, "+reply") == first
    assert line.endswith(" PRIVMSG #lobby :* hello (edited)")
    assert bob.send(f"@+sabir.im/edit={first} PRIVMSG #lobby :mine")[-1].startswith(f"{S} 400 bob #lobby :")


@pytest.mark.spec("IRCv3 typing")
def test_typing_is_shown_to_who_knows_tags(net: Net) -> None:
    ada, bob = net.pair("message-tags")

    ada.send("@+typing=active TAGMSG #lobby", "@+typing=done TAGMSG bob")

    shown = bob.took()
    assert [tag(line, "+typing") for line in shown] == ["active", "done"]
    assert without_tags(shown)[1] == ":ada!ada@irc.example TAGMSG bob"


@pytest.mark.spec("IRCv3 multiline")
@pytest.mark.spec("IRCv3 batch")
def test_several_lines_are_a_batch_to_who_knows_it_and_lines_to_others(net: Net) -> None:
    ada, bob = net.pair(MODERN)
    eve = net.login("eve")
    eve.send("JOIN #lobby")

    ada.send(
        "BATCH +1 draft/multiline #lobby",
        "@batch=1 PRIVMSG #lobby :one",
        "@batch=1 PRIVMSG #lobby :",
        "@batch=1 PRIVMSG #lobby :two ",
        "@batch=1;draft/multiline-concat PRIVMSG #lobby :three",
        "BATCH -1",
    )

    lines = bob.took()
    reference = lines[1].partition(" BATCH +")[2].split()[0]
    src = ":ada!ada@irc.example"
    assert lines[1].endswith(f"{src} BATCH +{reference} draft/multiline #lobby")
    assert lines[2:] == [
        f"@batch={reference} {src} PRIVMSG #lobby :one",
        f"@batch={reference} {src} PRIVMSG #lobby :",
        f"@batch={reference} {src} PRIVMSG #lobby :two ",
        f"@batch={reference};draft/multiline-concat {src} PRIVMSG #lobby :three",
        f"{src} BATCH -{reference}",
    ]
    assert eve.took() == [f"{src} PRIVMSG #lobby :{text}" for text in ("one", "two ", "three")]


def test_a_message_that_does_not_fit_a_line_comes_in_pieces(net: Net) -> None:
    ada, bob = net.pair()

    ada.send("PRIVMSG #lobby :" + "word " * 98)

    lines = bob.took()
    assert len(lines) == 2
    assert all(len(line) <= 510 for line in lines)


def test_ctcp_is_passed_to_the_other_client_and_not_kept(net: Net) -> None:
    ada, bob = net.pair(MODERN)

    ada.send("PRIVMSG bob :\x01VERSION\x01")

    assert without_tags(bob.took()) == [":ada!ada@irc.example PRIVMSG bob :\x01VERSION\x01"]
    assert bob.send("CHATHISTORY LATEST ada * 10")[0].startswith(f"{S} FAIL CHATHISTORY INVALID_TARGET")


def history(peer: Peer, command: str) -> list[str]:
    """Return the texts in the answer to CHATHISTORY."""
    lines = peer.send(f"CHATHISTORY {command}")
    assert " chathistory #lobby" in lines[0], lines
    assert " BATCH -" in lines[-1]
    return [line.rpartition(" :")[2] for line in lines[1:-1]]


@pytest.mark.spec("IRCv3 chathistory")
def test_history_is_found_from_every_side(net: Net) -> None:
    ada, _ = net.pair(MODERN)
    ids = []
    for number in range(6):
        net.world.clock.value_ms += 1000
        ids.append(said(ada, str(number)))

    def at(number: int) -> str:
        return f"timestamp=2027-01-15T08:00:0{number + 1}.000Z"

    assert history(ada, "LATEST #lobby * 2") == ["4", "5"]
    assert history(ada, f"LATEST #lobby msgid={ids[3]} 10") == ["4", "5"]
    assert history(ada, f"BEFORE #lobby msgid={ids[3]} 2") == ["1", "2"]
    assert history(ada, f"AFTER #lobby msgid={ids[3]} 10") == ["4", "5"]
    assert history(ada, f"AROUND #lobby msgid={ids[3]} 3") == ["2", "3", "4"]
    assert history(ada, f"BETWEEN #lobby msgid={ids[1]} msgid={ids[4]} 10") == ["2", "3"]
    assert history(ada, f"BETWEEN #lobby msgid={ids[4]} msgid={ids[1]} 1") == ["3"]


@pytest.mark.spec("IRCv3 chathistory")
@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        ("NONSENSE #lobby * 1", "INVALID_PARAMS NONSENSE :Unknown command"),
        ("LATEST #lobby *", "INVALID_PARAMS LATEST :Insufficient parameters"),
        ("LATEST #lobby * 1 1", "INVALID_PARAMS LATEST :Too many parameters"),
        ("LATEST #lobby * x", "INVALID_PARAMS LATEST x :Invalid limit"),
        ("LATEST #nowhere * 1", "INVALID_TARGET LATEST #nowhere :Messages could not be retrieved"),
        ("BEFORE #lobby timestamp=x 1", "INVALID_PARAMS BEFORE :Invalid timestamp"),
        ("BEFORE #lobby seq=1 1", "INVALID_MSGREFTYPE BEFORE :Messages are named by msgid= or timestamp="),
        ("BEFORE #lobby msgid=00 1", "MESSAGE_ERROR BEFORE :There is no such message here"),
    ],
)
def test_a_bad_request_for_history_says_why(net: Net, sent: str, answer: str) -> None:
    ada, _ = net.pair(MODERN)

    assert ada.send(f"CHATHISTORY {sent}") == [f"{S} FAIL CHATHISTORY {answer}"]
    (session,) = net.world.services.devices.of(net.world.services.accounts.find("ada"))  # type: ignore[arg-type]
    assert session._client.turnstile.is_free  # type: ignore[attr-defined]  # nothing waits for the answer


@pytest.mark.spec("IRCv3 chathistory")
def test_targets_are_listed_by_their_last_message(net: Net) -> None:
    ada, bob = net.pair(MODERN)
    said(ada, "room")
    net.world.clock.value_ms += 1000
    said(bob, "direct", "ada")
    ada.took()

    span = "timestamp=2027-01-15T07:00:00.000Z timestamp=2027-01-15T09:00:00.000Z"
    lines = ada.send(f"CHATHISTORY TARGETS {span} 10")

    assert lines[0].endswith(" draft/chathistory-targets")
    assert [line.partition("CHATHISTORY ")[2] for line in lines[1:-1]] == [
        "TARGETS #lobby 2027-01-15T08:00:00.000Z",
        "TARGETS bob 2027-01-15T08:00:01.000Z",
    ]


@pytest.mark.spec("IRCv3 chathistory")
def test_a_stranger_cannot_read_a_closed_channel(net: Net) -> None:
    ada, _ = net.pair(MODERN)
    ada.send("MODE #lobby +i")
    eve = net.login("eve", MODERN)

    assert "INVALID_TARGET" in eve.send("CHATHISTORY LATEST #lobby * 10")[0]


def test_a_client_that_cannot_ask_is_shown_history_when_it_joins(net: Net) -> None:
    ada = net.login("ada")
    ada.send("JOIN #lobby", "PRIVMSG #lobby :before")

    shown = net.login("bob").send("JOIN #lobby", "PRIVMSG #lobby :after")

    assert shown[-1] == ":ada!ada@irc.example PRIVMSG #lobby :before"
    assert ada.took()[-1] == ":bob!bob@irc.example PRIVMSG #lobby :after"


@pytest.mark.spec("IRCv3 read-marker")
def test_a_read_marker_only_moves_forward_and_is_told_to_the_other_client(net: Net) -> None:
    ada, bob = net.pair(MODERN)
    also = net.login("ada", MODERN)
    also.took()
    for _ in range(2):
        net.world.clock.value_ms += 1000
        said(bob, "hi")
    ada.took()
    also.took()

    assert ada.send("MARKREAD #lobby") == [f"{S} MARKREAD #lobby *"]
    later = f"{S} MARKREAD #lobby timestamp=2027-01-15T08:00:02.000Z"
    assert ada.send("MARKREAD #lobby timestamp=2027-01-15T08:00:02.000Z") == [later]
    assert also.took() == [later]
    assert ada.send("MARKREAD #lobby timestamp=2027-01-15T08:00:01.000Z") == [later]
    assert ada.send("MARKREAD #lobby x")[0].startswith(f"{S} FAIL MARKREAD INVALID_PARAMS #lobby x :")
    assert ada.send("MARKREAD")[0].startswith(f"{S} FAIL MARKREAD NEED_MORE_PARAMS :")


@pytest.mark.spec("IRCv3 read-marker")
def test_a_read_marker_that_cannot_be_kept_is_answered_with_a_failure(net: Net) -> None:
    ada, bob = net.pair(MODERN)
    said(bob, "hi")
    ada.took()
    net.world.store.errors = [StoreError("disk full")]

    (answer,) = ada.send("MARKREAD #lobby timestamp=2027-01-15T08:00:02.000Z")

    assert answer.startswith(f"{S} FAIL MARKREAD INTERNAL_ERROR #lobby :")
    assert ada.send("PING x") == [f"{S} PONG irc.example :x"]


def _fail(refusal: object) -> None:
    raise AssertionError(refusal)
