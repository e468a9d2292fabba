"""Channels: joining and leaving, who is there, modes."""

from __future__ import annotations

import pytest
from tests.unit.protocols.irc.harness import MODERN, Net

S = ":irc.example"


@pytest.fixture
def net() -> Net:
    return Net()


@pytest.mark.spec("Modern IRC §join")
@pytest.mark.spec("Modern IRC §channels")
def test_a_join_is_echoed_then_topic_then_names(net: Net) -> None:
    ada = net.login("ada")

    assert ada.send("JOIN #Lobby") == [
        ":ada!ada@irc.example JOIN #lobby",
        f"{S} 353 ada = #lobby :~ada",
        f"{S} 366 ada #lobby :End of /NAMES list.",
    ]
    ada.send("TOPIC #lobby :all about cats")
    bob = net.login("bob")
    assert [line.split()[1] for line in bob.send("JOIN #lobby")] == ["JOIN", "332", "333", "353", "366"]
    assert ada.took() == [":bob!bob@irc.example JOIN #lobby"]


@pytest.mark.spec("Modern IRC §channels")
@pytest.mark.parametrize("name", ["lobby", "#", "#a:b", "#a*b"])
def test_what_is_no_channel_is_refused(net: Net, name: str) -> None:
    assert net.login("ada").send(f"JOIN {name}")[0].startswith(f"{S} 403 ada {name} :")


@pytest.mark.parametrize(
    "command",
    [
        "TOPIC {}",
        "TOPIC {} :hi",
        "NAMES {}",
        "LIST {}",
        "WHO {}",
        "MODE {}",
        "MODE {} b",
        "MODE {} +o eve",
        "MODE {} +i",
        "KICK {} ada",
        "INVITE ada {}",
        "PART {}",
        "PRIVMSG {} :hi",
        "TAGMSG {}",
        "PRIVMSG ChanServ :OP {} eve",
        "CHATHISTORY LATEST {} * 10",
        "MARKREAD {}",
        "MARKREAD {} timestamp=2027-01-15T08:00:02.000Z",
        "REDACT {} 00112233445566778899aabbccddeeff",
    ],
)
def test_a_secret_channel_is_not_there_for_outsiders(net: Net, command: str) -> None:
    ada, _ = net.pair(room="#secret")
    ada.send("MODE #secret +s", "MODE #secret +b *!*@nowhere.example")
    eve = net.login("eve", MODERN)

    answer = eve.send(command.format("#secret"))

    assert answer
    assert answer == [line.replace("#never", "#secret") for line in eve.send(command.format("#never"))]


def test_a_secret_channel_is_there_for_who_was_asked_in(net: Net) -> None:
    ada, _ = net.pair(room="#secret")
    ada.send("MODE #secret +si")
    eve = net.login("eve")
    ada.send("INVITE eve #secret")
    eve.took()

    assert eve.send("MODE #secret") == [f"{S} 324 eve #secret +nis"]
    assert eve.send("MODE #secret b")[0].startswith(f"{S} 442 eve #secret :")


@pytest.mark.spec("Modern IRC §channel-operations")
def test_a_part_is_shown_to_all_and_ends_speech(net: Net) -> None:
    ada, bob = net.pair()

    assert bob.send("PART #lobby :bye") == [":bob!bob@irc.example PART #lobby :bye"]
    assert ada.took() == [":bob!bob@irc.example PART #lobby :bye"]
    assert bob.send("PRIVMSG #lobby :hello?")[0].startswith(f"{S} 404 bob #lobby :")
    assert bob.send("PART #lobby") == [f"{S} 442 bob #lobby :You're not on that channel"]
    assert bob.send("PART #nowhere") == [f"{S} 403 bob #nowhere :No such channel"]


@pytest.mark.spec("Modern IRC §channel-operations")
def test_a_part_does_not_overtake_the_message_before_it(net: Net) -> None:
    ada, bob = net.pair()

    bob.send("PRIVMSG #lobby :last words", "PART #lobby")

    assert ada.took() == [
        ":bob!bob@irc.example PRIVMSG #lobby :last words",
        ":bob!bob@irc.example PART #lobby",
    ]


def test_a_join_and_a_message_in_one_breath_are_in_order(net: Net) -> None:
    ada, bob = net.login("ada"), net.login("bob")
    ada.send("JOIN #new")

    bob.send("JOIN #new", "PRIVMSG #new :hi")

    assert ada.took() == [":bob!bob@irc.example JOIN #new", ":bob!bob@irc.example PRIVMSG #new :hi"]


def test_join_0_leaves_everything(net: Net) -> None:
    ada = net.login("ada")
    ada.send("JOIN #a,#b")

    assert sorted(ada.send("JOIN 0")) == [
        ":ada!ada@irc.example PART #a",
        ":ada!ada@irc.example PART #b",
    ]


@pytest.mark.spec("Modern IRC §channel-operations")
def test_an_operator_kicks_and_others_may_not(net: Net) -> None:
    ada, bob = net.pair()

    assert bob.send("KICK #lobby ada") == [f"{S} 482 bob #lobby :You're not channel operator"]
    assert ada.send("KICK #lobby eve") == [f"{S} 441 ada eve #lobby :They aren't on that channel"]
    assert ada.send("KICK #lobby bob :mind your words") == [
        ":ada!ada@irc.example KICK #lobby bob :mind your words"
    ]
    assert bob.took() == [":ada!ada@irc.example KICK #lobby bob :mind your words"]


@pytest.mark.spec("Modern IRC §channel-operations")
@pytest.mark.spec("IRCv3 invite-notify")
def test_an_invitation_reaches_the_invited_and_who_wants_to_know(net: Net) -> None:
    ada, bob = net.login("ada"), net.login("bob", "invite-notify")
    eve = net.login("eve")
    ada.send("JOIN #lobby", "MODE #lobby +i")
    assert bob.send("JOIN #lobby") == [f"{S} 473 bob #lobby :Cannot join channel (+i)"]
    assert ada.send("INVITE bob #lobby") == [f"{S} 341 ada bob #lobby"]
    assert bob.took() == [":ada!ada@irc.example INVITE bob #lobby"]
    bob.send("JOIN #lobby")

    ada.send("INVITE eve #lobby")

    assert ":ada!ada@irc.example INVITE eve #lobby" in bob.took()
    assert eve.took() == [":ada!ada@irc.example INVITE eve #lobby"]
    assert ada.send("INVITE bob #lobby")[-1] == f"{S} 443 ada bob #lobby :is already on channel"


@pytest.mark.spec("Modern IRC §channel-operations")
def test_a_topic_is_set_shown_and_cleared(net: Net) -> None:
    ada, bob = net.pair()

    assert bob.send("TOPIC #lobby") == [f"{S} 331 bob #lobby :No topic is set"]
    ada.send("TOPIC #lobby :cats")
    assert bob.took() == [":ada!ada@irc.example TOPIC #lobby :cats"]
    assert bob.send("TOPIC #lobby")[0] == f"{S} 332 bob #lobby :cats"
    ada.send("MODE #lobby +t")
    bob.took()
    assert bob.send("TOPIC #lobby :dogs") == [f"{S} 482 bob #lobby :You're not channel operator"]
    ada.send("TOPIC #lobby :")
    assert bob.took() == [":ada!ada@irc.example TOPIC #lobby :"]


@pytest.mark.spec("IRCv3 multi-prefix")
@pytest.mark.spec("IRCv3 userhost-in-names")
def test_names_come_with_all_prefixes_and_addresses_if_asked(net: Net) -> None:
    ada, _ = net.pair("multi-prefix userhost-in-names")

    assert ada.send("NAMES #lobby")[0] == (
        f"{S} 353 ada = #lobby :~&@ada!ada@irc.example bob!bob@irc.example"
    )


@pytest.mark.spec("IRCv3 no-implicit-names")
def test_a_client_that_does_not_want_names_gets_none(net: Net) -> None:
    ada = net.login("ada", "no-implicit-names")

    assert [line.split()[1] for line in ada.send("JOIN #lobby")] == ["JOIN"]
    assert len(ada.send("NAMES #lobby")) == 2


@pytest.mark.spec("IRCv3 extended-join")
@pytest.mark.spec("IRCv3 account-tag")
def test_a_join_tells_account_and_real_name(net: Net) -> None:
    ada, bob = net.login("ada", "extended-join account-tag"), net.login("bob")
    ada.send("JOIN #lobby")

    bob.send("JOIN #lobby")

    assert ada.took() == ["@account=bob :bob!bob@irc.example JOIN #lobby bob :Bob"]


@pytest.mark.spec("Modern IRC §elist")
def test_list_filters_by_mask_and_size(net: Net) -> None:
    ada, _ = net.pair()
    ada.send("JOIN #secret", "MODE #secret +s", "JOIN #cats", "TOPIC #cats :meow")
    eve = net.login("eve")

    def listed(command: str) -> list[str]:
        return [line.split()[3] for line in eve.send(command) if line.split()[1] == "322"]

    assert sorted(listed("LIST")) == ["#cats", "#lobby"]
    assert listed("LIST >1") == ["#lobby"]
    assert listed("LIST <2") == ["#cats"]
    assert listed("LIST #c*") == ["#cats"]
    assert listed("LIST !#c*") == ["#lobby"]
    assert listed("LIST #cats") == ["#cats"]
    assert listed("LIST #secret") == []


@pytest.mark.spec("Modern IRC §mode")
def test_modes_are_shown_changed_and_told(net: Net) -> None:
    ada, bob = net.pair()

    assert bob.send("MODE #lobby +m") == [f"{S} 482 bob #lobby :You're not channel operator"]
    ada.send("MODE #lobby +mkl-t sesame 20")
    assert bob.took() == [":ada!ada@irc.example MODE #lobby +mkl sesame 20"]
    assert bob.send("MODE #lobby") == [f"{S} 324 bob #lobby +nmkl sesame 20"]
    eve = net.login("eve")
    assert eve.send("MODE #lobby") == [f"{S} 324 eve #lobby +nmkl * 20"]
    assert eve.send("JOIN #lobby") == [f"{S} 475 eve #lobby :Cannot join channel (+k)"]
    assert eve.send("JOIN #lobby sesame")[0] == ":eve!eve@irc.example JOIN #lobby"
    assert ada.send("MODE #lobby +x")[-1] == f"{S} 472 ada x :is unknown mode char to me"


@pytest.mark.spec("Modern IRC §mode")
def test_a_moderated_channel_needs_a_voice(net: Net) -> None:
    ada, bob = net.pair()
    ada.send("MODE #lobby +m")
    assert bob.send("PRIVMSG #lobby :hi")[-1] == f"{S} 404 bob #lobby :Cannot send to channel (+m)"

    ada.send("MODE #lobby +v bob")

    assert bob.took() == [":ada!ada@irc.example MODE #lobby +v bob"]
    assert bob.send("PRIVMSG #lobby :hi") == []
    assert ada.took()[-1] == ":bob!bob@irc.example PRIVMSG #lobby :hi"


@pytest.mark.spec("Modern IRC §mode")
@pytest.mark.spec("IRCv3 account-extban")
@pytest.mark.parametrize("mask", ["bob!*@*", "$a:bob", "bob"])
def test_a_ban_of_an_account_puts_it_out_and_keeps_it_out(net: Net, mask: str) -> None:
    ada, bob = net.pair()

    ada.send(f"MODE #lobby +b {mask}")

    assert bob.took() == [
        ":ada!ada@irc.example MODE #lobby +b $a:bob",
        ":ada!ada@irc.example KICK #lobby bob :Banned",
    ]
    assert bob.send("JOIN #lobby") == [f"{S} 474 bob #lobby :Cannot join channel (+b)"]
    assert f"{S} 367 ada #lobby $a:bob" in ada.send("MODE #lobby +b")
    ada.send("MODE #lobby -b $a:bob")
    assert bob.send("JOIN #lobby")[0] == ":bob!bob@irc.example JOIN #lobby"


@pytest.mark.spec("Modern IRC §mode")
def test_a_mask_bans_those_who_come(net: Net) -> None:
    ada = net.login("ada")
    ada.send("JOIN #lobby", "MODE #lobby +b b*!*@*")

    assert net.login("bob").send("JOIN #lobby") == [f"{S} 474 bob #lobby :Cannot join channel (+b)"]
    assert net.login("eve").send("JOIN #lobby")[0] == ":eve!eve@irc.example JOIN #lobby"
    ada.took()
    assert ada.send("MODE #lobby b")[0].startswith(f"{S} 367 ada #lobby b*!*@* ada ")


@pytest.mark.spec("Modern IRC §mode")
@pytest.mark.spec("IRCv3 bot-mode")
def test_user_modes_mark_a_bot(net: Net) -> None:
    ada, bob = net.pair("message-tags")

    assert bob.send("MODE bob +B") == [":bob!bob@irc.example MODE bob :+B"]
    assert bob.send("MODE bob") == [f"{S} 221 bob +B"]
    assert bob.send("MODE ada +i") == [f"{S} 502 bob :Can't change mode for other users"]
    assert any(line.split()[1] == "335" for line in ada.send("WHOIS bob"))
    bob.send("PRIVMSG #lobby :beep")
    assert ";bot " in ada.took()[-1]


def test_a_second_client_is_on_the_same_channels_and_hears_the_first(net: Net) -> None:
    ada, bob = net.pair()
    also = net.login("ada")
    assert also.session.account is ada.session.account

    also.took()
    ada.send("PRIVMSG #lobby :from one")
    ada.send("PRIVMSG bob :psst")

    assert also.took() == [
        ":ada!ada@irc.example PRIVMSG #lobby :from one",
        ":ada!ada@irc.example PRIVMSG bob :psst",
    ]
    also.send("PRIVMSG #lobby :from the other")
    assert ada.took() == [":ada!ada@irc.example PRIVMSG #lobby :from the other"]
    bob.took()
    assert bob.send("NAMES #lobby")[0].endswith(":~ada bob")
    ada.send("PART #lobby")
    assert also.took() == [":ada!ada@irc.example PART #lobby"]


def test_who_disconnects_is_shown_once(net: Net) -> None:
    ada, bob = net.pair()
    for peer in (ada, bob):
        peer.send("JOIN #other")
    bob.took()

    ada.send("QUIT :gone fishing")
    ada.close()

    assert bob.took() == [":ada!ada@irc.example QUIT :Quit: gone fishing"]


def test_a_room_of_another_protocol_is_shown_under_account_names(net: Net) -> None:
    ada = net.login("ada")
    ada.send("JOIN #lobby")
    stranger = net.world.session("bob") if net.account("bob") else None
    assert stranger is not None

    net.world.join(stranger, "lobby", "Bobby")

    assert ada.took() == [":bob!bob@irc.example JOIN #lobby"]


def test_operators_are_told_who_asks_to_be_a_member(net: Net) -> None:
    ada, bob = net.login("ada"), net.login("bob")
    ada.send("JOIN #lobby", "MODE #lobby +i")
    room = net.services.rooms.find("lobby")
    assert room is not None

    net.services.registration.ask(bob.session, room, "bob", lambda _: None, lambda _: None)
    net.run()

    assert ada.took() == [f"{S} 710 ada #lobby bob!bob@irc.example :has asked to be a member"]
