"""XEP-0357: registering a device, when it is woken and what its service is told; back-off and forgetting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from tests.conformance.xmpp.test_im import condition
from tests.support.federation import Net
from tests.support.push import PushDevice
from tests.support.xmpp import Peer, XmppServer

from sabir.core.model.actor import AccountState
from sabir.core.model.push import PushOutcome
from sabir.core.services.pushes import AGAIN_MS, MAX_DEVICES, MAX_FAILURES, MAX_RETRY_MS, RETRY_MS
from sabir.protocols.xmpp.features.errands import TIMEOUT_MS
from sabir.wire.xml import Element, parse

PUSH = "urn:xmpp:push:0"
INFO = "http://jabber.org/protocol/disco#info"
OPTIONS = "http://jabber.org/protocol/pubsub#publish-options"
DEVICE = PushDevice.new()
ENDPOINT = "https://up.example/device"


class Recorder:
    """A waker that keeps what it was to send, and answers `outcome`."""

    def __init__(self) -> None:
        self.types = frozenset({"webpush"})
        self.key = "KEY"
        self.outcome: PushOutcome | None = PushOutcome.TAKEN
        self.told: list[tuple[Mapping[str, str], Element, bool]] = []
        self.waiting: list[Callable[[PushOutcome], None]] = []

    def wake(
        self,
        options: Mapping[str, str],
        payload: bytes,
        done: Callable[[PushOutcome], None],
        *,
        urgent: bool,
    ) -> None:
        self.told.append((options, parse(payload), urgent))
        if self.outcome is None:
            self.waiting.append(done)
        else:
            done(self.outcome)

    def counts(self) -> list[str]:
        """Return the numbers of messages that services were told since the last call."""
        told, self.told = self.told, []
        return [value(payload, "message-count") for _, payload, _ in told]


def value(notification: Element, name: str) -> str:
    form = notification.elements()[0]
    (field,) = [field for field in form.find_all("field") if field.get("var") == name]
    return field.elements()[0].text()


@pytest.fixture
def waker() -> Recorder:
    return Recorder()


@pytest.fixture
def server(tmp_path: Path, waker: Recorder) -> Iterator[XmppServer]:
    server = XmppServer(tmp_path, waker=waker)
    server.add("romeo", "juliet")
    yield server
    server.close()


def form(fields: Mapping[str, str]) -> str:
    shown = "".join([f"<field var='{name}'><value>{text}</value></field>" for name, text in fields.items()])
    return (
        f"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{OPTIONS}</value></field>"
        f"{shown}</x>"
    )


def enable(
    peer: Peer, node: str = "n", options: Mapping[str, str] | None = None, jid: str = "push.localhost"
) -> Element:
    shown = form(DEVICE.options(ENDPOINT) if options is None else options)
    return peer.ask(f"<enable xmlns='{PUSH}' jid='{jid}' node='{node}'>{shown}</enable>", type="set")


def disable(peer: Peer, node: str = "", jid: str = "push.localhost") -> Element:
    shown = f" node='{node}'" if node else ""
    return peer.ask(f"<disable xmlns='{PUSH}' jid='{jid}'{shown}/>", type="set")


def asleep(server: XmppServer, name: str = "juliet", resource: str = "phone") -> None:
    """Register a device, and let it go offline."""
    phone = server.log_in(name, resource)
    assert enable(phone).get("type") == "result"
    phone.say("</stream:stream>")
    phone.drop()


def say(peer: Peer, text: str = "Wherefore?", to: str = "juliet@localhost") -> None:
    peer.say(f"<message to='{to}' type='chat'><body>{text}</body></message>")


@pytest.mark.spec("XEP-0357 §4")
def test_the_account_and_the_service_say_that_they_support_it(server: XmppServer) -> None:
    juliet = server.log_in("juliet")

    own = juliet.ask(f"<query xmlns='{INFO}'/>", to="juliet@localhost").elements()[0]
    service = juliet.ask(f"<query xmlns='{INFO}'/>", to="push.localhost").elements()[0]
    items = juliet.ask("<query xmlns='http://jabber.org/protocol/disco#items'/>", to="localhost").elements()[
        0
    ]

    assert PUSH in [each.get("var") for each in own.elements()]
    identity = service.elements()[0]
    assert (identity.get("category"), identity.get("type")) == ("pubsub", "push")
    assert "KEY" in service.to_bytes().decode()
    assert "push.localhost" in [each.get("jid") for each in items.elements()]
    assert (
        condition(juliet.ask("<ping xmlns='urn:xmpp:ping'/>", to="push.localhost")) == "service-unavailable"
    )


@pytest.mark.spec("XEP-0357 §5")
@pytest.mark.spec("XEP-0357 §7")
def test_a_device_that_is_gone_is_woken_without_the_text(server: XmppServer, waker: Recorder) -> None:
    asleep(server)

    say(server.log_in("romeo"))

    ((options, payload, urgent),) = waker.told
    assert options["endpoint"] == ENDPOINT
    assert (payload.name, payload.namespace) == ("notification", PUSH)
    assert value(payload, "FORM_TYPE") == "urn:xmpp:push:summary"
    assert value(payload, "message-count") == "1"
    assert value(payload, "last-message-body") == "New message"
    assert b"romeo" not in payload.to_bytes()
    assert urgent


@pytest.mark.spec("XEP-0357 §7")
def test_sender_and_text_are_told_where_the_operator_allows_it(tmp_path: Path, waker: Recorder) -> None:
    server = XmppServer(tmp_path, waker=waker, push_sender=True)
    server.services.pushes.shows_text = True
    server.add("romeo", "juliet")
    asleep(server)
    romeo = server.log_in("romeo")

    say(romeo, "a &lt; b")
    server.loop.advance(AGAIN_MS)
    romeo.say(
        "<message to='juliet@localhost' type='chat'><encrypted xmlns='urn:xmpp:omemo:2'/>"
        "<body>You cannot read this</body></message>"
    )

    clear, encrypted = [payload for _, payload, _ in waker.told]
    assert value(clear, "last-message-sender") == "romeo@localhost"
    assert value(clear, "last-message-body") == "a < b"
    assert value(encrypted, "last-message-body") == "New message"
    server.close()


@pytest.mark.spec("XEP-0357 §5")
def test_a_device_that_is_there_is_not_woken(server: XmppServer, waker: Recorder) -> None:
    phone = server.log_in("juliet", "phone")
    enable(phone)

    say(server.log_in("romeo"))

    assert waker.told == []


@pytest.mark.spec("XEP-0357 §7")
def test_only_what_somebody_should_see_wakes_a_device(server: XmppServer, waker: Recorder) -> None:
    asleep(server)
    desk, romeo = server.log_in("juliet", "desk"), server.log_in("romeo")

    romeo.say(
        "<message to='juliet@localhost' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>"
    )
    romeo.say(
        "<message to='juliet@localhost' type='chat'><x xmlns='u:x'/><store xmlns='urn:xmpp:hints'/></message>"
    )
    say(desk, to="romeo@localhost")
    assert waker.told == []

    romeo.say("<message to='juliet@localhost'><propose xmlns='urn:xmpp:jingle-message:0' id='c'/></message>")
    assert waker.counts() == ["1"]


@pytest.mark.spec("XEP-0357 §5")
@pytest.mark.spec("XEP-0198 §5")
def test_a_device_whose_stream_broke_is_woken_also_for_what_it_did_not_acknowledge(
    server: XmppServer, waker: Recorder
) -> None:
    phone, romeo = server.log_in("juliet", "phone"), server.log_in("romeo")
    phone.say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
    enable(phone)
    phone.wire.closing = True  # nothing reaches the phone any more, and nobody knows it yet
    say(romeo)
    assert waker.told == []

    phone.session.closed("lost")
    assert waker.counts() == ["1"]

    server.loop.advance(AGAIN_MS)
    assert waker.told == []
    say(romeo)
    assert waker.counts() == ["2"]


@pytest.mark.spec("XEP-0352 §4")
def test_a_device_at_which_nobody_looks_is_woken_until_somebody_does(
    server: XmppServer, waker: Recorder
) -> None:
    phone, romeo = server.log_in("juliet", "phone"), server.log_in("romeo")
    enable(phone)

    phone.say("<inactive xmlns='urn:xmpp:csi:0'/>")
    say(romeo)
    assert waker.counts() == ["1"]

    phone.say("<active xmlns='urn:xmpp:csi:0'/>")
    server.loop.advance(AGAIN_MS)
    say(romeo)
    assert waker.told == []


@pytest.mark.spec("XEP-0357 §7")
def test_a_room_wakes_who_is_in_it_and_away_less_urgently(server: XmppServer, waker: Recorder) -> None:
    phone, romeo = server.log_in("juliet", "phone"), server.log_in("romeo")
    join = "<presence to='den@rooms.localhost/{}'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
    romeo.say(join.format("romeo"))
    phone.say("<enable xmlns='urn:xmpp:sm:3' resume='true'/>", join.format("juliet"))
    enable(phone)
    phone.drop()
    assert waker.told == []

    romeo.say("<message to='den@rooms.localhost' type='groupchat'><body>anybody?</body></message>")

    ((_, _, urgent),) = waker.told
    assert not urgent


@pytest.mark.spec("XEP-0357 §7")
def test_a_burst_is_one_notice_and_a_second_one_later(server: XmppServer, waker: Recorder) -> None:
    asleep(server)
    romeo = server.log_in("romeo")

    for number in range(20):
        say(romeo, str(number))
    assert waker.counts() == ["1"]

    server.loop.advance(AGAIN_MS)
    assert waker.counts() == ["20"]
    server.loop.advance(10 * AGAIN_MS)
    assert waker.told == []


@pytest.mark.spec("XEP-0357 §7")
def test_who_came_back_meanwhile_is_told_nothing_and_counted_anew(
    server: XmppServer, waker: Recorder
) -> None:
    asleep(server)
    romeo = server.log_in("romeo")
    say(romeo, "1")
    say(romeo, "2")
    assert waker.counts() == ["1"]

    phone = server.log_in("juliet", "phone")
    enable(phone)
    server.loop.advance(AGAIN_MS)
    assert waker.told == []
    phone.drop()
    say(romeo, "3")

    assert waker.counts() == ["1"]


@pytest.mark.spec("XEP-0357 §6")
def test_a_node_is_switched_off_or_all_of_a_service(server: XmppServer, waker: Recorder) -> None:
    desk = server.log_in("juliet", "desk")
    for node in ("a", "b", "c"):
        enable(desk, node)
    account = server.services.accounts.find("juliet")
    assert account is not None

    assert disable(desk, "a").get("type") == "result"
    assert [row.node for row in server.services.pushes.of(account)] == ["b", "c"]
    assert disable(desk).get("type") == "result"
    assert disable(desk).get("type") == "result"
    desk.drop()
    say(server.log_in("romeo"))

    assert server.services.pushes.of(account) == []
    assert waker.told == []


@pytest.mark.spec("XEP-0357 §5")
def test_the_last_request_for_a_node_counts(server: XmppServer, waker: Recorder) -> None:
    asleep(server)
    phone = server.log_in("juliet", "phone")
    enable(phone, options=DEVICE.options("https://up.example/new"))
    phone.drop()

    say(server.log_in("romeo"))

    assert [options["endpoint"] for options, _, _ in waker.told] == ["https://up.example/new"]


@pytest.mark.spec("XEP-0357 §5")
@pytest.mark.parametrize(
    ("options", "jid", "expected"),
    [
        ({}, "push.localhost", "not-acceptable"),
        ({"type": "carrier-pigeon"}, "push.localhost", "not-acceptable"),
        (DEVICE.options("http://up.example/"), "push.localhost", "not-acceptable"),
        (DEVICE.options("https://u:p@up.example/"), "push.localhost", "not-acceptable"),
        (DEVICE.options("https://[::1"), "push.localhost", "not-acceptable"),
        (DEVICE.options(ENDPOINT) | {"auth": "AAAA"}, "push.localhost", "not-acceptable"),
        (DEVICE.options(ENDPOINT) | {"p256dh": "!"}, "push.localhost", "not-acceptable"),
        (DEVICE.options(ENDPOINT) | {"x": "y" * 5_000}, "push.localhost", "bad-request"),
        ({f"x{n}": "y" for n in range(20)}, "push.localhost", "bad-request"),
        ({}, "", "bad-request"),
    ],
)
def test_a_registration_that_could_not_work_is_refused(
    server: XmppServer, options: Mapping[str, str], jid: str, expected: str
) -> None:
    juliet = server.log_in("juliet")

    assert condition(enable(juliet, options=options, jid=jid)) == expected


@pytest.mark.spec("XEP-0357 §5")
def test_the_devices_of_an_account_are_limited(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    for number in range(MAX_DEVICES):
        enable(juliet, f"n{number}")

    assert condition(enable(juliet, "more")) == "resource-constraint"
    assert enable(juliet, "n0").get("type") == "result"
    assert condition(enable(juliet, "n" * 2_000)) == "bad-request"


@pytest.mark.spec("XEP-0357 §7.1")
def test_a_service_that_fails_is_asked_later_and_later(server: XmppServer, waker: Recorder) -> None:
    asleep(server)
    waker.outcome = PushOutcome.LATER
    say(server.log_in("romeo"))
    assert waker.counts() == ["1"]

    for tries in range(4):
        server.loop.advance((RETRY_MS << tries) - 1)
        assert waker.told == []
        server.loop.advance(1)
        assert waker.counts() == ["1"]

    waker.outcome = PushOutcome.TAKEN
    server.loop.advance(MAX_RETRY_MS)
    assert waker.counts() == ["1"]
    server.loop.advance(MAX_RETRY_MS)
    assert waker.told == []


@pytest.mark.spec("XEP-0357 §7.1")
@pytest.mark.parametrize("outcome", [PushOutcome.GONE, PushOutcome.LATER])
def test_a_device_that_its_service_does_not_know_or_never_reaches_is_forgotten(
    tmp_path: Path, waker: Recorder, outcome: PushOutcome
) -> None:
    server = XmppServer(tmp_path, waker=waker)
    server.add("romeo", "juliet")
    asleep(server)
    waker.outcome = outcome
    say(server.log_in("romeo"))
    server.loop.advance(MAX_RETRY_MS * (MAX_FAILURES + 1))
    server.close()

    again = XmppServer(tmp_path, waker=waker)
    account = again.services.accounts.find("juliet")

    assert account is not None
    assert again.services.pushes.of(account) == []
    again.close()


@pytest.mark.spec("XEP-0357 §5")
def test_registrations_outlive_the_server(tmp_path: Path, waker: Recorder) -> None:
    server = XmppServer(tmp_path, waker=waker)
    server.add("romeo", "juliet")
    asleep(server)
    server.close()

    again = XmppServer(tmp_path, waker=waker)
    say(again.log_in("romeo"))

    assert waker.counts() == ["1"]
    again.close()


def test_many_devices_are_woken_a_few_at_a_time(server: XmppServer, waker: Recorder) -> None:
    names = [f"p{number}" for number in range(40)]
    server.add(*names)
    for name in names:
        asleep(server, name)
    waker.outcome = None
    romeo = server.log_in("romeo")

    for name in names:
        say(romeo, to=f"{name}@localhost")
    assert len(waker.told) == 32
    waker.outcome = PushOutcome.TAKEN
    for done in waker.waiting:
        done(PushOutcome.TAKEN)

    assert len(waker.told) == 40


def test_a_new_password_ends_what_wakes_devices_that_knew_the_old_one(server: XmppServer) -> None:
    asleep(server)
    account = server.services.accounts.find("juliet")
    assert account is not None

    server.services.accounts.set_password(account, "new", lambda: None, lambda refusal: None)
    server.settle()

    assert server.services.pushes.of(account) == []


def test_the_devices_of_a_disabled_account_are_told_of_nothing(server: XmppServer) -> None:
    asleep(server)
    account = server.services.accounts.find("juliet")
    assert account is not None

    server.services.accounts.set_state(account, AccountState.DISABLED, lambda: None, lambda refusal: None)
    server.settle()

    assert server.services.pushes.of(account) == []


def test_the_devices_of_a_deleted_account_are_woken_no_more(server: XmppServer, waker: Recorder) -> None:
    asleep(server)
    account = server.services.accounts.find("juliet")
    assert account is not None

    server.services.accounts.delete(account, lambda: None, lambda refusal: None)
    server.settle()

    assert server.services.pushes.registered == {}


# Services elsewhere

BOT = "juliet@localhost/bot"


def published(peer: Peer) -> Element:
    """Return the one request to publish that a service got."""
    (request,) = [each for each in peer.hear() if each.name == "iq"]
    assert (request.get("type"), request.get("from")) == ("set", "localhost")
    return request


@pytest.mark.spec("XEP-0357 §7")
def test_an_app_server_is_sent_an_item_with_the_options_of_the_registration(server: XmppServer) -> None:
    bot, phone = server.log_in("juliet", "bot"), server.log_in("romeo", "phone")
    enable(phone, "token-1", {"secret": "s3"}, jid=BOT)
    phone.drop()

    say(server.log_in("juliet", "desk"), to="romeo@localhost")

    (pubsub,) = published(bot).elements()
    publish, options = pubsub.elements()
    assert (pubsub.namespace, publish.get("node")) == ("http://jabber.org/protocol/pubsub", "token-1")
    notification = publish.elements()[0].elements()[0]
    assert (notification.name, notification.namespace) == ("notification", PUSH)
    assert value(notification, "message-count") == "1"
    assert options.name == "publish-options"
    assert value(options, "FORM_TYPE") == OPTIONS
    assert value(options, "secret") == "s3"


@pytest.mark.spec("XEP-0357 §7.1")
@pytest.mark.parametrize(
    ("answer", "stays"),
    [
        ("<iq type='result' to='localhost' id='{}'/>", True),
        (
            "<iq type='error' to='localhost' id='{}'><error type='wait'>"
            "<resource-constraint xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
            True,
        ),
        (
            "<iq type='error' to='localhost' id='{}'><error type='cancel'>"
            "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>",
            False,
        ),
        ("<iq type='error' to='localhost' id='{}'/>", False),
    ],
)
def test_what_an_app_server_answers_decides_what_becomes_of_the_registration(
    server: XmppServer, answer: str, stays: bool
) -> None:
    bot, phone = server.log_in("juliet", "bot"), server.log_in("romeo", "phone")
    enable(phone, "token-1", {}, jid=BOT)
    phone.drop()
    say(server.log_in("juliet", "desk"), to="romeo@localhost")

    bot.say(answer.format(published(bot).get("id")))

    account = server.services.accounts.find("romeo")
    assert account is not None
    assert bool(server.services.pushes.of(account)) is stays


@pytest.mark.spec("XEP-0357 §7.1")
def test_nobody_else_can_answer_for_an_app_server(server: XmppServer) -> None:
    bot, phone, mallory = (
        server.log_in("juliet", "bot"),
        server.log_in("romeo", "phone"),
        server.log_in("juliet", "desk"),
    )
    enable(phone, "token-1", {}, jid=BOT)
    phone.drop()
    say(mallory, to="romeo@localhost")
    id_ = published(bot).get("id")

    mallory.say(f"<iq type='error' to='localhost' id='{id_}'/>")

    account = server.services.accounts.find("romeo")
    assert account is not None
    assert len(server.services.pushes.of(account)) == 1


@pytest.mark.spec("XEP-0357 §7.1")
def test_an_app_server_that_is_away_is_asked_again(server: XmppServer) -> None:
    phone = server.log_in("romeo", "phone")
    enable(phone, "token-1", {}, jid=BOT)
    phone.drop()
    say(server.log_in("juliet", "desk"), to="romeo@localhost")

    bot = server.log_in("juliet", "bot")
    server.loop.advance(RETRY_MS)
    first = published(bot)
    server.loop.advance(TIMEOUT_MS + 2 * RETRY_MS)

    assert published(bot).get("id") != first.get("id")


@pytest.mark.spec("XEP-0357 §7")
def test_an_app_server_of_another_domain_is_reached_over_federation(tmp_path: Path) -> None:
    net = Net(tmp_path)
    here = net.server("capulet.example", "juliet", "nurse")
    net.server("montague.example", "bot")
    bot = net.servers["montague.example"].log_in("bot", "push")
    phone = here.log_in("juliet", "phone")
    enable(phone, "token-1", {}, jid=bot.jid)
    phone.drop()

    here.log_in("nurse").say("<message to='juliet@capulet.example' type='chat'><body>Madam!</body></message>")
    net.settle()
    (request,) = [each for each in bot.hear() if each.name == "iq"]
    assert (request.get("from"), request.get("to")) == ("capulet.example", bot.jid)
    assert request.elements()[0].elements()[0].get("node") == "token-1"

    bot.say(
        f"<iq type='error' to='capulet.example' id='{request.get('id')}'><error type='cancel'>"
        "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )
    net.settle()

    account = here.services.accounts.find("juliet")
    assert account is not None
    assert here.services.pushes.of(account) == []
    net.close()


def test_a_sender_of_another_server_is_named_by_its_own_address(tmp_path: Path) -> None:
    net = Net(tmp_path)
    here = net.server("capulet.example", "juliet", push_sender=True)
    there = net.server("montague.example", "bot", "romeo")
    bot = there.log_in("bot", "push")
    phone = here.log_in("juliet", "phone")
    enable(phone, "token-1", {}, jid=bot.jid)
    phone.drop()

    there.log_in("romeo").say("<message to='juliet@capulet.example' type='chat'><body>Hi</body></message>")
    net.settle()

    (request,) = [each for each in bot.hear() if each.name == "iq"]
    assert b"romeo@montague.example<" in request.to_bytes()
    net.close()
