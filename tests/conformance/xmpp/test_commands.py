"""XEP-0050 ad-hoc commands, XEP-0133 administration, XEP-0157, XEP-0202, XEP-0012."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conformance.xmpp.test_im import condition
from tests.support.xmpp import PASSWORD, Peer, XmppServer

from sabir.core.errors import Refusal
from sabir.core.model.actor import AccountState
from sabir.protocols.xmpp.client import ClientStream, Phase
from sabir.protocols.xmpp.config import XmppConfig
from sabir.protocols.xmpp.features.dialogues import LIFETIME_MS, MAX_DIALOGUES, Dialogues
from sabir.wire.xml import Element

COMMANDS = "http://jabber.org/protocol/commands"
ADMIN = "http://jabber.org/protocol/admin"
INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    server = XmppServer(
        tmp_path,
        operators=frozenset({"bard"}),
        contacts={"abuse": ["mailto:abuse@localhost", "xmpp:bard@localhost"], "status": ["https://x.test/"]},
    )
    server.add("bard", "romeo", "juliet")
    yield server
    server.close()


def send(peer: Peer, node: str, content: str = "", **attributes: str) -> Element:
    shown = "".join([f" {name}='{value}'" for name, value in attributes.items()])
    return peer.ask(
        f"<command xmlns='{COMMANDS}' node='{node}'{shown}>{content}</command>", type="set", to="localhost"
    )


def command_of(answer: Element) -> Element:
    assert answer.get("type") == "result", answer
    (command,) = answer.elements()
    return command


def filled(**fields: list[str]) -> str:
    shown = ""
    for name, said in fields.items():
        listed = "".join([f"<value>{value}</value>" for value in said])
        shown += f"<field var='{name.replace('password_', 'password-')}'>{listed}</field>"
    return f"<x xmlns='jabber:x:data' type='submit'>{shown}</x>"


def carry_out(peer: Peer, node: str, **fields: list[str]) -> Element:
    """Begin a command of operators, fill in its form, and return the last answer."""
    first = command_of(send(peer, f"{ADMIN}#{node}"))
    if first.get("status") == "completed":
        return first
    id_ = first.get("sessionid")
    assert id_
    return send(peer, f"{ADMIN}#{node}", filled(**fields), sessionid=id_)


def values(command: Element, variable: str) -> list[str]:
    form = command.find("x", "jabber:x:data")
    assert form is not None
    (field,) = [field for field in form.find_all("field") if field.get("var") == variable]
    return [value.text() for value in field.find_all("value")]


def specific(answer: Element) -> str:
    error = answer.find("error")
    assert error is not None
    return error.elements()[-1].name


# XEP-0050


@pytest.mark.spec("XEP-0050 §2.1")
@pytest.mark.spec("XEP-0050 §2.2")
def test_an_operator_finds_the_commands_and_what_each_is(server: XmppServer) -> None:
    bard = server.log_in("bard")

    features = bard.ask(f"<query xmlns='{INFO}'/>", to="localhost").elements()[0].elements()
    listed = bard.ask(f"<query xmlns='{ITEMS}' node='{COMMANDS}'/>", to="localhost").elements()[0]
    list_info = bard.ask(f"<query xmlns='{INFO}' node='{COMMANDS}'/>", to="localhost").elements()[0]

    assert COMMANDS in [feature.get("var") for feature in features]
    assert listed.get("node") == COMMANDS
    assert f"{ADMIN}#add-user" in [item.get("node") for item in listed.elements()]
    assert {item.get("jid") for item in listed.elements()} == {"localhost"}
    assert list_info.elements()[0].get("type") == "command-list"
    for item in listed.elements():
        told = bard.ask(f"<query xmlns='{INFO}' node='{item.get('node')}'/>", to="localhost").elements()[0]
        identity, *rest = told.elements()
        assert (identity.get("category"), identity.get("type")) == ("automation", "command-node")
        assert [feature.get("var") for feature in rest] == [COMMANDS, "jabber:x:data"]


@pytest.mark.spec("XEP-0050 §2.2")
@pytest.mark.spec("XEP-0133 §5")
def test_nobody_else_sees_or_runs_them(server: XmppServer) -> None:
    romeo = server.log_in("romeo")

    listed = romeo.ask(f"<query xmlns='{ITEMS}' node='{COMMANDS}'/>", to="localhost").elements()[0]
    told = romeo.ask(f"<query xmlns='{INFO}' node='{ADMIN}#add-user'/>", to="localhost")
    tried = send(romeo, f"{ADMIN}#delete-user")

    assert [item.get("node") for item in listed.elements()] == ["urn:xmpp:invite#invite"]
    assert condition(told) == condition(tried) == "forbidden"


@pytest.mark.spec("XEP-0050 §2.4.2")
@pytest.mark.spec("XEP-0050 §3.4")
def test_a_form_says_which_actions_it_allows(server: XmppServer) -> None:
    bard = server.log_in("bard")

    shown = command_of(send(bard, f"{ADMIN}#add-user", action="execute"))

    assert shown.get("status") == "executing"
    actions = shown.find("actions")
    assert actions is not None
    assert (actions.get("execute"), [each.name for each in actions.elements()]) == ("complete", ["complete"])
    form = shown.find("x", "jabber:x:data")
    assert form is not None
    assert form.get("type") == "form"
    assert [field.get("var") for field in form.find_all("field")] == [
        "FORM_TYPE",
        "accountjid",
        "password",
        "password-verify",
    ]


@pytest.mark.spec("XEP-0050 §2.4.3")
def test_a_cancelled_command_is_over(server: XmppServer) -> None:
    bard = server.log_in("bard")
    id_ = command_of(send(bard, f"{ADMIN}#add-user")).get("sessionid")
    assert id_

    cancelled = command_of(send(bard, f"{ADMIN}#add-user", sessionid=id_, action="cancel"))
    again = send(bard, f"{ADMIN}#add-user", sessionid=id_, action="complete")

    assert (cancelled.get("status"), cancelled.get("sessionid")) == ("canceled", id_)
    assert (condition(again), specific(again)) == ("bad-request", "bad-sessionid")


@pytest.mark.spec("XEP-0050 §4.4")
@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"action": "dance"}, "malformed-action"),
        ({"action": "next"}, "bad-action"),
        ({"sessionid": "made-up"}, "bad-sessionid"),
    ],
)
def test_requests_that_make_no_sense_are_told_what_is_wrong(
    server: XmppServer, attributes: dict[str, str], expected: str
) -> None:
    answer = send(server.log_in("bard"), f"{ADMIN}#add-user", **attributes)

    assert (condition(answer), specific(answer)) == ("bad-request", expected)


@pytest.mark.spec("XEP-0050 §4.4")
@pytest.mark.parametrize(
    ("action", "content", "expected"),
    [
        ("next", filled(accountjid=["a@localhost"]), "bad-action"),
        ("prev", "", "bad-action"),
        ("complete", "", "bad-payload"),
        ("complete", filled(accountjid=["nurse@localhost"]), "bad-payload"),
    ],
)
def test_a_form_that_is_wrong_can_be_put_right(
    server: XmppServer, action: str, content: str, expected: str
) -> None:
    bard = server.log_in("bard")
    node = f"{ADMIN}#add-user"
    id_ = command_of(send(bard, node)).get("sessionid")
    assert id_

    wrong = send(bard, node, content, sessionid=id_, action=action)
    right = filled(accountjid=["nurse@localhost"], password=["x"], password_verify=["x"])
    done = command_of(send(bard, node, right, sessionid=id_, action="complete"))

    assert (condition(wrong), specific(wrong)) == ("bad-request", expected)
    assert done.get("status") == "completed"


def test_a_form_of_a_thousand_fields_is_not_read(server: XmppServer) -> None:
    bard = server.log_in("bard")
    id_ = command_of(send(bard, f"{ADMIN}#add-user")).get("sessionid")
    assert id_

    answer = send(bard, f"{ADMIN}#add-user", filled(**{f"f{n}": ["x"] for n in range(1000)}), sessionid=id_)

    assert condition(answer) == "not-acceptable"


@pytest.mark.spec("XEP-0050 §3.3")
def test_a_command_belongs_to_the_device_that_began_it_and_expires(server: XmppServer) -> None:
    desk, phone = server.log_in("bard", "desk"), server.log_in("bard", "phone")
    node = f"{ADMIN}#add-user"
    id_ = command_of(send(desk, node)).get("sessionid")
    assert id_

    stolen = send(phone, node, sessionid=id_, action="complete")
    server.loop.advance(LIFETIME_MS)
    late = send(desk, node, sessionid=id_, action="complete")

    assert specific(stolen) == "bad-sessionid"
    assert (condition(late), specific(late)) == ("not-allowed", "session-expired")


@pytest.mark.spec("XEP-0050 §3.3")
def test_commands_that_are_begun_and_never_ended_are_forgotten() -> None:
    dialogues = Dialogues("x")

    own = [dialogues.begin("a@b/c", "n", 0) for _ in range(20)]
    others = [dialogues.begin(f"a{n}@b/c", "n", 0) for n in range(MAX_DIALOGUES - 2)]

    assert [dialogues.find(each.id, "a@b/c") is not None for each in own] == [False] * 18 + [True] * 2
    assert all(dialogues.find(each.id, each.requester) is each for each in others)
    assert len({each.id for each in own + others}) == len(own + others)


@pytest.mark.spec("XEP-0050 §4.4")
@pytest.mark.spec("XEP-0133 §5")
def test_commands_that_do_not_exist_are_told_so(server: XmppServer) -> None:
    bard = server.log_in("bard")

    assert condition(send(bard, "config")) == "item-not-found"
    assert condition(send(bard, f"{ADMIN}#restart")) == "feature-not-implemented"
    assert condition(bard.ask(f"<query xmlns='{INFO}' node='config'/>", to="localhost")) == "item-not-found"


# XEP-0133


@pytest.mark.spec("XEP-0133 §4.1")
def test_an_account_is_added_and_can_log_in(server: XmppServer) -> None:
    bard = server.log_in("bard")

    done = carry_out(
        bard, "add-user", accountjid=["nurse@localhost"], password=[PASSWORD], password_verify=[PASSWORD]
    )

    assert command_of(done).get("status") == "completed"
    assert server.log_in("nurse").jid == "nurse@localhost/r"


@pytest.mark.spec("XEP-0133 §4.1")
@pytest.mark.spec("XEP-0133 §5")
@pytest.mark.parametrize(
    ("jid", "again", "expected"),
    [
        ("romeo@localhost", "x", "conflict"),
        ("nurse@elsewhere", "x", "item-not-found"),
        ("nurse@localhost", "y", "bad-request"),
        ("@@", "x", "bad-request"),
        ("Root@localhost", "x", "jid-malformed"),
    ],
)
def test_an_account_that_cannot_be_is_refused(
    server: XmppServer, jid: str, again: str, expected: str
) -> None:
    answer = carry_out(
        server.log_in("bard"), "add-user", accountjid=[jid], password=["x"], password_verify=[again]
    )

    assert condition(answer) == expected


@pytest.mark.spec("XEP-0133 §4.2")
def test_a_deleted_account_is_gone_with_its_sessions_contacts_and_data(server: XmppServer) -> None:
    bard, romeo, juliet = server.log_in("bard"), server.log_in("romeo"), server.log_in("juliet")
    befriend(romeo, juliet)
    romeo.ask("<vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard>", type="set")
    romeo.say(
        "<presence to='balcony@rooms.localhost/romeo'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    )
    juliet.hear()

    done = carry_out(bard, "delete-user", accountjids=["romeo@localhost"])

    assert command_of(done).get("status") == "completed"
    assert romeo.wire.closing
    presences = [each.get("type") for each in juliet.hear() if each.name == "presence"]
    assert presences == ["unavailable", "unsubscribed", "unsubscribe"]
    roster = juliet.ask("<query xmlns='jabber:iq:roster'/>").elements()[0].elements()
    assert [item.get("subscription") for item in roster] == ["none"]
    assert condition(juliet.ask("<vCard xmlns='vcard-temp'/>", to="romeo@localhost")) == "service-unavailable"
    juliet.say("<message to='romeo@localhost' type='chat'><body>Romeo?</body></message>")
    assert condition(juliet.hear()[0]) == "service-unavailable"
    peer = server.connect(ClientStream("localhost", "romeo", PASSWORD, mechanism="PLAIN"))
    server.settle()
    assert peer.stream.phase is not Phase.BOUND
    room = server.services.rooms.find("balcony")
    assert room is None or room.members.get(romeo_actor(server)) is None


@pytest.mark.spec("XEP-0133 §4.2")
def test_the_name_of_a_deleted_account_is_never_given_again_even_after_a_restart(tmp_path: Path) -> None:
    first = XmppServer(tmp_path, operators=frozenset({"bard"}))
    first.add("bard", "romeo")
    carry_out(first.log_in("bard"), "delete-user", accountjids=["romeo@localhost"])
    first.close()

    second = XmppServer(tmp_path, operators=frozenset({"bard"}))
    refusals: list[Refusal] = []
    second.services.accounts.create("romeo", "x", lambda account: None, refusals.append)
    second.loop.run()

    assert refusals == [Refusal.ACCOUNT_EXISTS]
    assert [account.name for account in second.services.accounts.all()] == ["bard"]
    account = second.services.directory.account("romeo")
    assert account is not None
    assert second.opened.store.credential(account.id, "SCRAM-SHA-256") is None
    second.close()


@pytest.mark.spec("XEP-0133 §4.2")
def test_an_operator_cannot_delete_or_disable_the_own_account(server: XmppServer) -> None:
    bard = server.log_in("bard")

    for node in ("delete-user", "disable-user"):
        assert condition(carry_out(bard, node, accountjids=["bard@localhost"])) == "bad-request"


@pytest.mark.spec("XEP-0133 §4.3")
@pytest.mark.spec("XEP-0133 §4.4")
def test_a_disabled_account_is_out_until_it_is_enabled_again(server: XmppServer) -> None:
    bard, romeo = server.log_in("bard"), server.log_in("romeo")

    carry_out(bard, "disable-user", accountjids=["romeo@localhost", "juliet@localhost"])

    assert romeo.wire.closing
    account = server.services.accounts.find("romeo")
    assert account is not None
    assert account.state is AccountState.DISABLED
    assert values(carry_out(bard, "get-disabled-users-num"), "disabledusersnum") == ["2"]
    listed = command_of(carry_out(bard, "get-disabled-users-list", max_items=["25"]))
    assert values(listed, "disableduserjids") == ["juliet@localhost", "romeo@localhost"]

    carry_out(bard, "reenable-user", accountjids=["romeo@localhost"])

    assert server.log_in("romeo").stream.phase is Phase.BOUND


@pytest.mark.spec("XEP-0133 §4.5")
def test_one_session_or_all_of_an_account_are_ended(server: XmppServer) -> None:
    bard = server.log_in("bard")
    desk, phone = server.log_in("romeo", "desk"), server.log_in("romeo", "phone")

    carry_out(bard, "end-user-session", accountjids=["romeo@localhost/desk"])
    assert (desk.wire.closing, phone.wire.closing) == (True, False)

    carry_out(bard, "end-user-session", accountjids=["romeo@localhost"])
    assert phone.wire.closing
    assert server.log_in("romeo", "desk").stream.phase is Phase.BOUND


@pytest.mark.spec("XEP-0133 §4.7")
def test_a_changed_password_is_the_one_that_counts(server: XmppServer) -> None:
    carry_out(
        server.log_in("bard"), "change-user-password", accountjid=["romeo@localhost"], password=["rose"]
    )

    peer = server.connect(ClientStream("localhost", "romeo", "rose", mechanism="PLAIN"))
    server.settle()
    assert peer.stream.phase is Phase.BOUND


@pytest.mark.spec("XEP-0133 §4.10")
@pytest.mark.spec("XEP-0133 §4.13")
@pytest.mark.spec("XEP-0133 §4.15")
@pytest.mark.spec("XEP-0133 §4.18")
@pytest.mark.spec("XEP-0133 §4.20")
def test_accounts_are_counted_and_listed(server: XmppServer) -> None:
    bard, romeo, juliet = server.log_in("bard"), server.log_in("romeo", "orchard"), server.log_in("juliet")
    befriend(romeo, juliet)
    juliet.drop()

    statistics = command_of(carry_out(bard, "user-stats", accountjid=["romeo@localhost"]))

    assert values(statistics, "rostersize") == ["1"]
    assert values(statistics, "onlineresources") == ["orchard"]
    assert values(carry_out(bard, "get-registered-users-num"), "registeredusersnum") == ["3"]
    assert values(carry_out(bard, "get-online-users-num"), "onlineusersnum") == ["2"]
    registered = command_of(carry_out(bard, "get-registered-users-list", max_items=["none"]))
    assert values(registered, "registereduserjids") == [
        "bard@localhost",
        "juliet@localhost",
        "romeo@localhost",
    ]
    online = command_of(carry_out(bard, "get-online-users-list", max_items=["1"]))
    assert values(online, "onlineuserjids") == ["bard@localhost"]
    note = online.find("note")
    assert note is not None
    assert note.text() == "The first 1 of 2."


@pytest.mark.spec("XEP-0133 §4.23")
def test_an_announcement_reaches_everybody_who_is_online(server: XmppServer) -> None:
    bard, romeo = server.log_in("bard"), server.log_in("romeo")

    done = command_of(carry_out(bard, "announce", announcement=["Down at 8.", "Back at 9."]))

    assert done.get("status") == "completed"
    (message,) = romeo.hear()
    assert (message.get("type"), message.get("from")) == ("headline", "localhost")
    assert message.child_text("body") == "Down at 8.\nBack at 9."


@pytest.mark.spec("XEP-0077 §3.2")
def test_who_made_an_account_may_remove_it_where_accounts_are_made_by_anybody(tmp_path: Path) -> None:
    server = XmppServer(tmp_path, XmppConfig(require_tls=False, registration=True))
    server.add("romeo")
    romeo = server.log_in("romeo")

    answer = romeo.ask("<query xmlns='jabber:iq:register'><remove/></query>", type="set")

    assert answer.get("type") == "result"
    assert romeo.wire.closing
    assert server.services.accounts.all() == []
    server.close()


@pytest.mark.spec("XEP-0077 §3.2")
def test_where_the_operator_makes_accounts_nobody_else_removes_them(server: XmppServer) -> None:
    answer = server.log_in("romeo").ask("<query xmlns='jabber:iq:register'><remove/></query>", type="set")

    assert condition(answer) == "not-allowed"


# Others


@pytest.mark.spec("XEP-0157 §3")
def test_who_is_responsible_is_in_the_answer_of_the_server(server: XmppServer) -> None:
    told = server.log_in("romeo").ask(f"<query xmlns='{INFO}'/>", to="localhost").elements()[0]

    assert values(told, "FORM_TYPE") == ["http://jabber.org/network/serverinfo"]
    assert values(told, "abuse-addresses") == ["mailto:abuse@localhost", "xmpp:bard@localhost"]
    assert values(told, "status-addresses") == ["https://x.test/"]


@pytest.mark.spec("XEP-0202 §2")
def test_the_server_tells_its_time_in_utc(server: XmppServer) -> None:
    (told,) = server.log_in("romeo").ask("<time xmlns='urn:xmpp:time'/>", to="localhost").elements()

    assert told.child_text("utc") == "2023-11-14T22:13:20Z"
    assert told.child_text("tzo") == "+00:00"


@pytest.mark.spec("XEP-0012 §5")
def test_the_server_tells_since_when_it_runs(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    server.loop.advance(90_000)

    (told,) = romeo.ask("<query xmlns='jabber:iq:last'/>", to="localhost").elements()

    assert told.get("seconds") == "90"


@pytest.mark.spec("XEP-0012 §3")
def test_contacts_alone_learn_since_when_somebody_is_gone(server: XmppServer) -> None:
    romeo, juliet, bard = server.log_in("romeo"), server.log_in("juliet"), server.log_in("bard")
    befriend(romeo, juliet)
    query = "<query xmlns='jabber:iq:last'/>"

    here = juliet.ask(query, to="romeo@localhost").elements()[0].get("seconds")
    romeo.drop()
    server.loop.advance(903_000)
    gone = juliet.ask(query, to="romeo@localhost").elements()[0].get("seconds")

    assert (here, gone) == ("0", "903")
    assert condition(bard.ask(query, to="romeo@localhost")) == "forbidden"
    assert condition(bard.ask(query, to="nobody@localhost")) == "service-unavailable"


def befriend(one: Peer, other: Peer) -> None:
    """Let two see each other's presence."""
    bare = {peer: peer.jid.partition("/")[0] for peer in (one, other)}
    for asker, asked in ((one, other), (other, one)):
        asker.say(f"<presence to='{bare[asked]}' type='subscribe'/>")
        asked.say(f"<presence to='{bare[asker]}' type='subscribed'/>")
    one.ask("<query xmlns='jabber:iq:roster'/>")
    other.ask("<query xmlns='jabber:iq:roster'/>")
    one.hear()
    other.hear()


def romeo_actor(server: XmppServer) -> int:
    account = server.services.directory.account("romeo")
    assert account is not None
    return account.actor.id
