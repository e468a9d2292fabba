"""Logging in, who is who, and who is there."""

from __future__ import annotations

import base64

import pytest
from tests.unit.protocols.irc.harness import PASSWORD, Net, Peer

from sabir.protocols.irc.config import IrcConfig
from sabir.wire.sasl.client import client_mechanism

S = ":irc.example"


@pytest.fixture
def net() -> Net:
    return Net()


@pytest.mark.spec("Modern IRC §pass")
@pytest.mark.parametrize("given", [PASSWORD, f"ada:{PASSWORD}"])
@pytest.mark.spec("Modern IRC §feature-advertisement")
def test_a_password_logs_in_and_the_welcome_tells_what_there_is(net: Net, given: str) -> None:
    net.account("ada")

    lines = net.connect().send(f"PASS :{given}", "NICK ada", "USER a 0 * :Ada")

    numbers = [line.split()[1] for line in lines]
    assert numbers == [
        "001",
        "002",
        "003",
        "004",
        "005",
        "005",
        "251",
        "252",
        "254",
        "255",
        "265",
        "266",
        "422",
    ]
    told = " ".join(line for line in lines if line.split()[1] == "005")
    for token in (
        "CASEMAPPING=ascii",
        "CHATHISTORY=200",
        "PREFIX=(qaov)~&@+",
        "UTF8ONLY",
        "WHOX",
        "MONITOR=100",
    ):
        assert f" {token} " in told


@pytest.mark.spec("Modern IRC §clients")
def test_the_nick_is_the_account_whatever_nick_was_asked_for(net: Net) -> None:
    net.account("ada")
    peer = net.connect()

    lines = peer.send(f"PASS ada:{PASSWORD}", "NICK wonder", "USER a 0 * :Ada")

    assert lines[0].startswith(f"{S} 001 ada :")
    assert peer.send("NICK other")[0].startswith(f"{S} 433 ada other :")
    assert peer.send("NICK 1bad")[0].startswith(f"{S} 432 ada 1bad :")
    assert peer.send("NICK ADA") == []


@pytest.mark.spec("Modern IRC §error")
@pytest.mark.parametrize("lines", [[], ["PASS :wrong"], ["PASS :eve:wrong"]])
def test_who_is_not_let_in_is_told_what_to_do(net: Net, lines: list[str]) -> None:
    net.account("ada")
    peer = net.connect()

    answer = peer.send(*lines, "NICK ada", "USER a 0 * :Ada")

    assert answer[0].startswith(f"{S} 464 * :")
    assert "PASS account:password" in answer[0]
    assert answer[-1].startswith("ERROR :")
    assert peer.wire.closing


def test_a_password_in_clear_is_not_taken_where_it_may_be_read() -> None:
    net = Net(plain_logins=False)
    net.account("ada")
    plain = net.connect()
    assert "sasl=SCRAM-SHA-256 " in " ".join(plain.send("CAP LS 302")) + " "

    answer = plain.send(f"PASS :{PASSWORD}", "NICK ada", "USER a 0 * :Ada", "CAP END")

    assert "Connect with TLS" in answer[0]
    secure = net.connect(secure=True)
    assert secure.send(f"PASS :{PASSWORD}", "NICK ada", "USER a 0 * :Ada")[0].startswith(f"{S} 001 ada :")


@pytest.mark.spec("IRCv3 sasl-3")
def test_scram_logs_in_and_the_server_proves_itself(net: Net) -> None:
    net.account("ada")
    peer = net.connect()
    client = client_mechanism("SCRAM-SHA-256", "ada", PASSWORD)

    def answer(data: bytes) -> bytes:
        (line,) = peer.send("AUTHENTICATE " + (base64.b64encode(data).decode() or "+"))
        return base64.b64decode(line.split()[1])

    peer.send("CAP REQ :sasl", "NICK ada", "USER a 0 * :Ada")
    assert peer.send("AUTHENTICATE SCRAM-SHA-256") == ["AUTHENTICATE +"]
    proof = answer(client.respond(answer(client.start())))
    client.finish(proof)

    done = peer.send("AUTHENTICATE +", "CAP END")

    assert done[0] == f"{S} 900 * ada!ada@irc.example ada :You are now logged in as ada"
    assert done[2].startswith(f"{S} 001 ada :")


@pytest.mark.spec("IRCv3 sasl-3")
@pytest.mark.parametrize("message", ["\0ada\0wrong", "\0nobody\0x", "eve\0ada\0" + PASSWORD, "x"])
def test_a_wrong_login_fails_and_may_be_tried_again(net: Net, message: str) -> None:
    net.account("ada")
    peer = net.connect()
    peer.send("CAP REQ :sasl", "AUTHENTICATE PLAIN")

    token = base64.b64encode(message.encode()).decode()
    assert peer.send(f"AUTHENTICATE {token}")[0].startswith(f"{S} 904 * :")
    assert peer.send("AUTHENTICATE PLAIN") == ["AUTHENTICATE +"]


def test_guests_are_let_in_where_they_are_wanted() -> None:
    net = Net(IrcConfig(guests=True))
    net.account("ada")
    peer = net.connect()

    assert peer.send("NICK ada", "USER a 0 * :A")[0].startswith(f"{S} 433 * ada :")
    assert peer.send("NICK visitor")[0].startswith(f"{S} 001 visitor :")
    ada = net.login("ada")
    ada.send("JOIN #lobby")
    peer.send("JOIN #lobby")
    peer.send("PRIVMSG #lobby :hello")
    assert ada.took()[-1] == ":visitor!visitor@irc.example PRIVMSG #lobby :hello"
    assert peer.send("PRIVMSG ada :psst")[0].startswith(f"{S} 401 visitor ada :")
    assert "guest" in peer.send("PRIVMSG NickServ :IDENTIFY x")[0]
    peer.close()
    assert ada.took()[-1].startswith(":visitor!visitor@irc.example QUIT :")


def test_the_next_guest_of_a_nick_is_somebody_else() -> None:
    net = Net(IrcConfig(guests=True))
    ada = net.login("ada")
    ada.send("JOIN #lobby")

    def visit() -> Peer:
        peer = net.connect()
        peer.send("NICK visitor", "USER v 0 * :V")
        peer.send("JOIN #lobby", "PRIVMSG #lobby :hello")
        return peer

    first = visit()
    ada.send("MODE #lobby +o visitor")
    assert first.send("TOPIC #lobby :mine", "NAMES #lobby")[-2].split(" :")[1].split() == ["~ada", "@visitor"]
    first.close()
    ada.took()

    second = visit()

    assert second.send("NAMES #lobby")[0].split(" :")[1].split() == ["~ada", "visitor"]
    assert second.send("MODE #lobby +m")[0].startswith(f"{S} 482 visitor #lobby :")
    assert not any(" MODE " in line for line in ada.took())


@pytest.mark.spec("Modern IRC §user-based-queries")
def test_whois_tells_about_a_person(net: Net) -> None:
    ada, _ = net.pair()

    lines = ada.send("WHOIS bob")

    assert [line.split()[1] for line in lines] == ["311", "319", "312", "330", "317", "318"]
    assert lines[0] == f"{S} 311 ada bob bob irc.example * :Bob"
    assert ada.send("WHOIS nobody") == [
        f"{S} 401 ada nobody :No such nick",
        f"{S} 318 ada nobody :End of /WHOIS list.",
    ]
    assert ada.send("WHOIS")[0] == f"{S} 431 ada :No nickname given"


@pytest.mark.spec("Modern IRC §user-based-queries")
def test_who_lists_a_channel_a_person_and_a_mask(net: Net) -> None:
    ada, _ = net.pair()
    row = f"{S} 352 ada #lobby bob irc.example irc.example bob H :0 Bob"

    assert row in ada.send("WHO #lobby")
    assert ada.send("WHO bob") == [row, f"{S} 315 ada bob :End of WHO list"]
    assert ada.send("WHO b*")[0] == row
    assert len(ada.send("WHO nobody")) == 1


@pytest.mark.spec("IRCv3 whox")
def test_who_gives_the_fields_that_were_asked_for(net: Net) -> None:
    ada, _ = net.pair()

    assert ada.send("WHO bob %tcnuafr,42")[0] == f"{S} 354 ada 42 #lobby bob bob H bob :Bob"
    assert ada.send("WHO bob %n")[0] == f"{S} 354 ada bob"


@pytest.mark.spec("Modern IRC §user-based-queries")
def test_whowas_remembers_who_left(net: Net) -> None:
    ada, bob = net.pair()
    bob.close()
    ada.took()

    assert [line.split()[1] for line in ada.send("WHOWAS bob")] == ["314", "312", "369"]
    assert ada.send("WHOWAS nobody")[0] == f"{S} 406 ada nobody :There was no such nickname"


def test_userhost_and_ison_tell_who_is_here(net: Net) -> None:
    ada, bob = net.pair()
    bob.send("AWAY :lunch")

    assert ada.send("USERHOST bob nobody") == [f"{S} 302 ada :bob=-bob@irc.example"]
    assert ada.send("ISON bob nobody ada") == [f"{S} 303 ada :bob ada"]


@pytest.mark.spec("IRCv3 away-notify")
def test_an_away_message_is_told_once(net: Net) -> None:
    ada, bob = net.pair("away-notify")
    for peer in (ada, bob):
        peer.send("JOIN #other")
    ada.took()

    assert bob.send("AWAY :lunch")[-1] == f"{S} 306 bob :You have been marked as being away"
    assert ada.took() == [":bob!bob@irc.example AWAY :lunch"]
    assert f"{S} 301 ada bob :lunch" in ada.send("PRIVMSG bob :there?")
    assert f"{S} 301 ada bob :lunch" in ada.send("PRIVMSG bob :there?")
    bob.send("AWAY")
    assert ada.took() == [":bob!bob@irc.example AWAY"]


@pytest.mark.spec("IRCv3 monitor")
def test_a_watched_nick_is_told_when_it_comes_and_goes(net: Net) -> None:
    ada = net.login("ada")
    net.account("bob")

    assert ada.send("MONITOR + bob,nobody") == [f"{S} 731 ada :bob,nobody"]
    bob = net.login("bob")
    assert ada.took() == [f"{S} 730 ada :bob!bob@irc.example"]
    assert ada.send("MONITOR S") == [
        f"{S} 730 ada :bob!bob@irc.example",
        f"{S} 731 ada :nobody",
    ]
    bob.close()
    assert ada.took() == [f"{S} 731 ada :bob"]
    ada.send("MONITOR - bob")
    assert ada.send("MONITOR L") == [f"{S} 732 ada :nobody", f"{S} 733 ada :End of MONITOR list"]
    ada.send("MONITOR C")
    assert ada.send("MONITOR L") == [f"{S} 733 ada :End of MONITOR list"]


@pytest.mark.spec("IRCv3 monitor")
def test_the_monitor_list_has_an_end() -> None:
    ada = Net(IrcConfig(max_monitors=1)).login("ada")

    assert f"{S} 734 ada 1 b :Monitor list is full." in ada.send("MONITOR + a,b")


@pytest.mark.spec("RFC 6121 §4")
def test_somebody_of_another_protocol_is_not_shown_to_strangers(net: Net) -> None:
    ada = net.login("ada")
    net.account("bob")
    stranger = net.world.session("bob")
    assert ada.send("WHOIS bob")[0].startswith(f"{S} 401 ada bob :")
    ada.send("JOIN #lobby")

    net.world.join(stranger, "lobby")

    assert ada.send("WHO #lobby")[2].endswith(" bob H :0 bob")


@pytest.mark.spec("IRCv3 setname")
def test_a_real_name_is_changed_and_told(net: Net) -> None:
    ada, bob = net.pair("setname")

    assert bob.send("SETNAME :Robert") == [":bob!bob@irc.example SETNAME :Robert"]
    assert ada.took() == [":bob!bob@irc.example SETNAME :Robert"]
    assert bob.send("SETNAME :")[0].startswith(f"{S} FAIL SETNAME INVALID_REALNAME :")


@pytest.mark.parametrize(
    ("command", "numbers"),
    [
        ("VERSION", ["351"]),
        ("TIME", ["391"]),
        ("INFO", ["371", "371", "374"]),
        ("ADMIN", ["423"]),
        ("LUSERS", ["251", "252", "254", "255", "265", "266"]),
        ("MOTD", ["422"]),
        ("MOTD elsewhere", ["402"]),
        ("OPER a b", ["491"]),
        ("LINKS", ["421"]),
        ("JOIN", ["461"]),
    ],
)
def test_the_server_answers_for_itself(net: Net, command: str, numbers: list[str]) -> None:
    assert [line.split()[1] for line in net.login("ada").send(command)] == numbers


def test_motd_and_admin_show_what_is_configured() -> None:
    ada = Net(IrcConfig(motd="Hello\nthere", admin_email="root@example.org")).login("ada")

    assert [line.split()[1] for line in ada.send("MOTD")] == ["375", "372", "372", "376"]
    assert ada.send("ADMIN")[-1] == f"{S} 259 ada :root@example.org"


def test_chanserv_gives_and_takes_roles(net: Net) -> None:
    ada, bob = net.pair()

    ada.send("PRIVMSG ChanServ :OP #lobby bob")
    assert bob.took() == [":ada!ada@irc.example MODE #lobby +o bob"]
    assert "Not done" in bob.send("PRIVMSG ChanServ :DEOP #lobby ada")[-1]
    assert len(bob.send("PRIVMSG ChanServ :HELP")) == 2
    assert "is the name of an account" in bob.send("PRIVMSG NickServ :INFO ada")[0]


def test_people_of_every_protocol_are_counted(net: Net) -> None:
    ada = net.login("ada")
    net.world.session("bob", "phone"), net.world.session("bob", "laptop")

    lines = ada.send("LUSERS")

    assert lines[0].endswith(":There are 2 users and 0 invisible on 1 servers")
    assert lines[3].endswith(":I have 1 clients and 0 servers")


def test_who_logged_in_with_a_password_that_was_changed_has_to_log_in_again(net: Net) -> None:
    ada = net.login("ada")
    account = net.world.services.accounts.find("ada")
    assert account is not None

    net.world.services.accounts.reset_password(account, "another", lambda: None, lambda refusal: None)
    net.run()

    assert ada.took()[-1].startswith("ERROR :")
    assert ada.wire.closing
