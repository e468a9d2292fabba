"""XEP-0198 and XEP-0352: acknowledgements, resumption, and clients at which nobody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.login import Caller
from tests.support.xmpp import DOMAIN, PASSWORD, Peer, XmppServer, server_in

from sabir.protocols.xmpp.client import ClientStream
from sabir.protocols.xmpp.config import XmppConfig
from sabir.wire.xml import Element

SM = "urn:xmpp:sm:3"
ENABLE = f"<enable xmlns='{SM}' resume='true'/>"
REQUEST = f"<r xmlns='{SM}'/>"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet")


def say(to: str, body: str) -> str:
    return f"<message to='{to}@localhost' type='chat'><body>{body}</body></message>"


def bodies(heard: list[Element]) -> list[str | None]:
    return [stanza.child_text("body") for stanza in heard if stanza.name == "message"]


def nonzas(heard: list[Element]) -> list[tuple[str, str | None]]:
    return [(each.name, each.get("h")) for each in heard if each.namespace == SM]


def enable(peer: Peer) -> str:
    """Turn stream management on; return the token of the stream."""
    peer.say(ENABLE)
    (enabled,) = [each for each in peer.hear() if each.name == "enabled"]
    assert enabled.get("resume") == "true"
    return enabled.get("id") or ""


def resume(server: XmppServer, token: str, handled: int, name: str = "romeo") -> Peer:
    """Return a new client that has asked to resume instead of binding a resource."""
    peer = server.connect(ResumingStream(name, token, handled))
    peer.settle()
    return peer


class ResumingStream(ClientStream):
    """A client that resumes as soon as it is logged in."""

    def __init__(self, name: str, token: str, handled: int) -> None:
        super().__init__(DOMAIN, name, PASSWORD, mechanism="PLAIN")
        self._resumption = f"<resume xmlns='{SM}' previd='{token}' h='{handled}'/>"
        self.answer: Element | None = None

    def _take_features(self, features: Element) -> None:
        if self._logged_in and self.answer is None:
            self._out.append(self._resumption.encode())
        else:
            super()._take_features(features)

    def _negotiate(self, element: Element) -> None:
        if element.namespace == SM:
            self.answer = element
            if element.name == "resumed":
                self.phase = type(self.phase).BOUND
        else:
            super()._negotiate(element)


@pytest.mark.spec("XEP-0198 §4")
def test_stanzas_are_acknowledged_when_their_effect_is_durable(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    server.log_in("juliet")
    enable(romeo)

    romeo.session.receive((say("juliet", "1") + say("juliet", "2") + REQUEST).encode())

    assert romeo.wire.taken() == b""  # nothing is on the disk yet
    server.loop.run()
    assert nonzas(romeo.stream.receive(romeo.wire.taken())) == [("a", "2")]
    romeo.say(REQUEST)
    assert nonzas(romeo.hear()) == [("a", "2")]


@pytest.mark.spec("XEP-0198 §4")
def test_a_request_is_counted_behind_the_message_that_waits(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    server.log_in("juliet")
    enable(romeo)

    ping = "<iq type='get' id='p' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>"
    romeo.session.receive((say("juliet", "1") + ping + REQUEST).encode())

    first = romeo.stream.receive(romeo.wire.taken())
    assert [each.name for each in first] == ["iq"]  # pings overtake, their count does not
    server.loop.run()
    assert nonzas(romeo.stream.receive(romeo.wire.taken())) == [("a", "2")]


@pytest.mark.spec("XEP-0198 §4")
def test_a_refused_message_is_handled_too(server: XmppServer) -> None:
    romeo = server.log_in("romeo")
    enable(romeo)

    romeo.say(say("nobody", "x"), say("romeo", "y"), "<presence/>", REQUEST)

    assert nonzas(romeo.hear())[-1] == ("a", "3")


@pytest.mark.spec("XEP-0198 §4")
def test_the_server_asks_after_some_stanzas_and_believes_no_more_than_it_sent(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    enable(juliet)

    romeo.say(*[say("juliet", str(n)) for n in range(12)])
    assert ("r", None) in nonzas(juliet.hear())
    juliet.say(f"<a xmlns='{SM}' h='99'/>")

    assert juliet.stream.failure is not None
    assert [each.name for each in juliet.stream.failure.elements()] == [
        "undefined-condition", "text", "handled-count-too-high",
    ]  # fmt: skip


@pytest.mark.spec("XEP-0198 §3")
@pytest.mark.parametrize("nonza", [f"<resume xmlns='{SM}' previd='x' h='0'/>", f"<a xmlns='{SM}' h='0'/>"])
def test_what_comes_in_the_wrong_order_fails(server: XmppServer, nonza: str) -> None:
    romeo = server.log_in("romeo")

    romeo.say(nonza)

    assert [each.name for each in romeo.hear()] == ["failed"]


@pytest.mark.spec("XEP-0198 §5")
def test_a_broken_stream_is_resumed_without_loss_or_repeat(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    romeo.say(say("juliet", "0"))
    juliet.hear()
    token = enable(juliet)
    romeo.say(say("juliet", "1"), say("juliet", "2"))
    assert bodies(juliet.hear()) == ["1", "2"]
    juliet.say(say("romeo", "sent"))
    romeo.hear()

    juliet.drop()
    assert [each.get("type") for each in romeo.hear()] == []  # nobody has left
    romeo.say(say("juliet", "3"))
    back = resume(server, token, 1, "juliet")

    assert isinstance(back.stream, ResumingStream)
    assert back.stream.answer is not None
    assert (back.stream.answer.name, back.stream.answer.get("h")) == ("resumed", "1")
    assert bodies(back.hear()) == ["2", "3"]
    romeo.say(say("juliet", "4"))
    assert bodies(back.hear()) == ["4"]
    back.say(say("romeo", "still here"))
    assert bodies(romeo.hear()) == ["still here"]


@pytest.mark.spec("XEP-0198 §5")
def test_a_stream_is_resumed_when_what_it_sent_has_its_outcome_and_nobody_turns_in_circles_till_then(
    server: XmppServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    juliet = server.log_in("juliet")
    token = enable(juliet)
    commits: list[Callable[[], None]] = []
    store = server.opened.store
    append = store.append
    monkeypatch.setattr(store, "append", lambda batch, done: commits.append(lambda: append(batch, done)))
    juliet.say(say("romeo", "1"))
    juliet.drop()

    back = resume(server, token, 0, "juliet")
    assert isinstance(back.stream, ResumingStream)
    assert back.stream.answer is None

    monkeypatch.undo()
    for commit in commits:
        commit()
    server.settle()
    assert back.stream.answer is not None
    assert (back.stream.answer.name, back.stream.answer.get("h")) == ("resumed", "1")


@pytest.mark.spec("XEP-0198 §5")
def test_a_stream_that_still_lives_can_be_taken_over(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    token = enable(juliet)

    back = resume(server, token, 0, "juliet")

    assert isinstance(back.stream, ResumingStream)
    assert back.stream.answer is not None
    assert back.stream.answer.name == "resumed"
    assert b"<conflict " in juliet.wire.taken() or juliet.stream.failure is not None
    juliet.session.closed("closed by us")
    romeo = server.log_in("romeo")
    romeo.say(say("juliet", "x"))
    assert bodies(back.hear()) == ["x"]


@pytest.mark.spec("XEP-0198 §5")
@pytest.mark.parametrize("case", ["unknown", "foreign"])
def test_a_stream_that_is_not_ours_is_not_resumed_and_a_resource_may_be_bound(
    server: XmppServer, case: str
) -> None:
    juliet = server.log_in("juliet")
    token = enable(juliet)
    juliet.drop()

    back = resume(
        server, "x" * 32 if case == "unknown" else token, 0, "juliet" if case == "unknown" else "romeo"
    )

    assert isinstance(back.stream, ResumingStream)
    assert back.stream.answer is not None
    assert back.stream.answer.name == "failed"
    assert [each.name for each in back.stream.answer.elements()] == ["item-not-found"]


@pytest.mark.spec("XEP-0198 §5")
def test_a_client_that_does_not_come_back_is_gone_and_finds_what_it_missed(tmp_path: Path) -> None:
    server = XmppServer(tmp_path, XmppConfig(require_tls=False, resume_s=10))
    server.add("romeo", "juliet")
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    enable(juliet)
    juliet.drop()
    romeo.say(say("juliet", "1"), say("juliet", "2"))

    server.loop.advance(11_000)

    account = server.services.accounts.find("juliet")
    assert account is not None
    assert server.services.devices.of(account) == []
    back = server.log_in("juliet", presence="")
    back.say("<presence/>")
    assert bodies(back.hear()) == ["1", "2"]
    server.close()


@pytest.mark.spec("XEP-0198 §3")
@pytest.mark.parametrize(
    ("wanted", "granted"), [("max='5'", 5), ("max='3600'", 600), ("", 600), ("max='x'", 600), ("max='0'", 1)]
)
def test_a_client_says_for_how_long_its_stream_is_kept_at_most(
    server: XmppServer, wanted: str, granted: int
) -> None:
    juliet = server.log_in("juliet")
    juliet.say(f"<enable xmlns='urn:xmpp:sm:3' resume='true' {wanted}/>")
    (client,) = server.front_end._hub.resumable.values()
    assert client.management is not None
    assert client.management.resume_s == granted
    juliet.drop()

    server.loop.advance(granted * 1000 - 1)
    assert not client.is_over
    server.loop.advance(1)
    assert client.is_over


@pytest.mark.spec("XEP-0198 §5")
def test_a_stream_whose_resource_was_taken_is_not_resumed(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    token = enable(juliet)
    resource = juliet.jid.partition("/")[2]
    server.log_in("juliet", resource=resource)

    back = resume(server, token, 0, "juliet")

    assert isinstance(back.stream, ResumingStream)
    assert back.stream.answer is not None
    assert back.stream.answer.name == "failed"


@pytest.mark.spec("XEP-0198 §5")
def test_the_time_to_come_back_begins_anew_with_each_break(tmp_path: Path) -> None:
    server = XmppServer(tmp_path, XmppConfig(require_tls=False, resume_s=10))
    server.add("romeo", "juliet")
    juliet = server.log_in("juliet")
    token = enable(juliet)
    juliet.drop()
    server.loop.advance(9_000)
    again = resume(server, token, 0, "juliet")
    again.drop()
    server.loop.advance(2_000)

    back = resume(server, token, 0, "juliet")

    assert isinstance(back.stream, ResumingStream)
    assert back.stream.answer is not None
    assert back.stream.answer.name == "resumed"
    server.close()


@pytest.mark.spec("XEP-0198 §4")
@pytest.mark.parametrize("is_there", [True, False])
def test_what_others_send_does_not_fill_the_memory(tmp_path: Path, is_there: bool) -> None:
    server = XmppServer(tmp_path, XmppConfig(require_tls=False, max_unacknowledged_bytes=50_000))
    server.add("romeo", "juliet")
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    enable(juliet)
    if not is_there:
        juliet.drop()
    for _ in range(30):
        romeo.say(f"<iq type='result' id='x' to='{juliet.jid}'><x xmlns='y'>{'x' * 10_000}</x></iq>")

    account = server.services.accounts.find("juliet")
    assert account is not None
    assert server.services.devices.of(account) == []
    server.close()


@pytest.mark.spec("XEP-0198 §5")
def test_a_client_that_is_away_too_long_gets_the_rest_from_the_log(tmp_path: Path) -> None:
    server = XmppServer(tmp_path, XmppConfig(require_tls=False, max_unacknowledged=10))
    server.add("romeo", "juliet")
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    token = enable(juliet)
    juliet.drop()
    romeo.say(*[say("juliet", str(n)) for n in range(40)])

    back = resume(server, token, 0, "juliet")
    handled = 0
    seen: list[str | None] = []
    while heard := back.hear():
        stanzas = [each for each in heard if each.namespace != SM]
        seen += bodies(stanzas)
        handled += len(stanzas)
        back.say(f"<a xmlns='{SM}' h='{handled}'/>")

    assert seen == [str(n) for n in range(40)]
    server.close()


@pytest.mark.spec("XEP-0198 §5")
def test_a_client_that_closes_its_stream_does_not_mean_to_come_back(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    token = enable(juliet)

    juliet.session.receive(b"</stream:stream>")
    juliet.session.closed("closed by peer")
    server.settle()

    back = resume(server, token, 0, "juliet")
    assert isinstance(back.stream, ResumingStream)
    assert back.stream.answer is not None
    assert back.stream.answer.name == "failed"


# Client state


@pytest.mark.spec("XEP-0352 §4")
def test_presence_waits_while_nobody_looks_and_comes_before_the_next_message(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    romeo.say("<presence to='juliet@localhost' type='subscribe'/>")
    juliet.say("<presence to='romeo@localhost' type='subscribed'/>")
    romeo.hear()

    romeo.say("<inactive xmlns='urn:xmpp:csi:0'/>")
    juliet.say("<presence><show>away</show></presence>", "<presence><show>dnd</show></presence>")
    composing = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
    juliet.say(f"<message to='romeo@localhost' type='chat'>{composing}</message>")
    assert romeo.hear() == []
    juliet.say(say("romeo", "hi"))

    heard = romeo.hear()
    assert [(each.name, each.child_text("show")) for each in heard] == [
        ("presence", "dnd"),
        ("message", None),
    ]
    juliet.say("<presence/>")
    assert romeo.hear() == []
    romeo.say("<active xmlns='urn:xmpp:csi:0'/>")
    assert [each.name for each in romeo.hear()] == ["presence"]


@pytest.mark.spec("XEP-0352 §4")
def test_who_looks_again_sees_who_is_typing_now(server: XmppServer) -> None:
    romeo, juliet = server.log_in("romeo"), server.log_in("juliet")
    romeo.say("<inactive xmlns='urn:xmpp:csi:0'/>")

    for state in ("composing", "paused", "composing"):
        typing = f"<{state} xmlns='http://jabber.org/protocol/chatstates'/>"
        juliet.say(f"<message to='romeo@localhost' type='chat'>{typing}</message>")
    assert romeo.hear() == []
    romeo.say("<active xmlns='urn:xmpp:csi:0'/>")

    (shown,) = romeo.hear()
    assert shown.find("composing", "http://jabber.org/protocol/chatstates") is not None


@pytest.mark.spec("XEP-0478 §3.1")
def test_a_stream_says_what_it_takes_before_and_after_the_login(server: XmppServer) -> None:
    caller = Caller(server)
    limits = [caller.features, caller.log_in("romeo")[1]]

    told = [each.find("limits", "urn:xmpp:stream-limits:0") for each in limits]
    sizes = [each.child_text("max-bytes") for each in told if each is not None]
    assert sizes == ["65536", "262144"]
    assert [each.child_text("idle-seconds") for each in told if each is not None] == ["300", "300"]
