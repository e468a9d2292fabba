"""XEP-0388, XEP-0386 and what XEP-0198 has to do with them: logging in, in one breath with everything else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.login import (
    BIND2,
    BINDINGS,
    LAPTOP,
    SASL2,
    Caller,
    agent,
    authenticate,
    bind,
    condition,
    encoded,
    identity,
    plain,
    stream_error,
)
from tests.support.xmpp import OPENING, XmppServer, server_in

from sabir.core.model.actor import AccountState
from sabir.protocols.xmpp.config import XmppConfig
from sabir.wire.xml import Element

SM = "urn:xmpp:sm:3"
ENABLE = f"<enable xmlns='{SM}' resume='true'/>"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet")


def opening(sender: str) -> bytes:
    return OPENING.replace(b" to=", f" from='{sender}' to=".encode())


def resume(token: str, h: int = 0) -> str:
    return f"<resume xmlns='{SM}' previd='{token}' h='{h}'/>"


def managed(success: Element) -> str:
    """Return the token of the stream that came with a login."""
    bound = success.find("bound", BIND2)
    assert bound is not None, success.serialise()
    enabled = bound.find("enabled", SM)
    assert enabled is not None, success.serialise()
    return enabled.get("id") or ""


# What is offered


@pytest.mark.spec("XEP-0388 §2.1")
@pytest.mark.spec("XEP-0386 §3.1")
@pytest.mark.spec("XEP-0198 §9.2")
def test_mechanisms_are_offered_with_what_may_be_asked_for_at_once(server: XmppServer) -> None:
    offered = Caller(server).features.find("authentication", SASL2)

    assert offered is not None
    names = [each.text() for each in offered.find_all("mechanism", SASL2)]
    assert "SCRAM-SHA-256-PLUS" in names
    inline = offered.find("inline", SASL2)
    assert inline is not None
    assert inline.find("sm", SM) is not None
    bind_feature = inline.find("bind", BIND2)
    assert bind_feature is not None
    features = bind_feature.find("inline", BIND2)
    assert features is not None
    assert {each.get("var") for each in features.elements()} == {"urn:xmpp:carbons:2", "urn:xmpp:csi:0", SM}


@pytest.mark.spec("XEP-0388 §3")
def test_nothing_of_it_is_offered_or_taken_without_tls(server: XmppServer) -> None:
    caller = Caller(server, secure=False)

    assert caller.features.find("authentication", SASL2) is None
    assert stream_error(caller.log_in("romeo")) == "policy-violation"


@pytest.mark.spec("XEP-0388 §2.1")
def test_a_stream_from_another_domain_is_refused(server: XmppServer) -> None:
    caller = Caller(server, opening=opening("romeo@elsewhere.example"))

    assert stream_error([caller.features]) == "invalid-from"


# Outcomes


@pytest.mark.spec("XEP-0388 §2.6.1")
def test_success_names_the_account_and_the_stream_goes_on_with_features(server: XmppServer) -> None:
    success, features = Caller(server).log_in("romeo", agent())

    assert identity(success) == "romeo@localhost"
    assert success.find("additional-data", SASL2) is None
    assert features.name == "features"
    assert features.find("bind", "urn:ietf:params:xml:ns:xmpp-bind") is not None
    assert features.find("authentication", SASL2) is None


@pytest.mark.spec("XEP-0388 §2.5")
@pytest.mark.spec("XEP-0388 §2.6.1")
@pytest.mark.parametrize("name", ["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"])
def test_each_side_proves_itself_and_the_proof_of_the_server_comes_with_success(
    server: XmppServer, name: str
) -> None:
    caller = Caller(server)
    plus = name.endswith("-PLUS")
    client, (challenge,) = caller.begin(name, "romeo", bindings=BINDINGS if plus else None, plus_offered=True)
    assert challenge.namespace == SASL2

    success, _ = caller.answer(client, challenge)

    client.finish(base64.b64decode(success.child_text("additional-data", SASL2) or ""))
    assert identity(success) == "romeo@localhost"


@pytest.mark.spec("XEP-0388 §2.3")
def test_the_initial_response_may_come_later(server: XmppServer) -> None:
    caller = Caller(server)

    (challenge,) = caller.say(authenticate("PLAIN", None))
    success, _ = caller.say(f"<response xmlns='{SASL2}'>{plain('romeo')}</response>")

    assert challenge.text() == ""
    assert identity(success) == "romeo@localhost"


@pytest.mark.spec("XEP-0388 §2.6.2")
@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (authenticate("PLAIN", plain("romeo", "wrong")), "not-authorized"),
        (authenticate("PLAIN", plain("nobody")), "not-authorized"),
        (authenticate("PLAIN", plain("romeo", authzid="juliet@localhost")), "invalid-authzid"),
        (authenticate("PLAIN", plain("romeo", authzid="romeo")), "invalid-authzid"),
        (authenticate("PLAIN", encoded(b"rom\0eo\0\0secret")), "malformed-request"),
        (authenticate("PLAIN", encoded(b"\0romeo\0" + b"x" * 5000)), "malformed-request"),
        (authenticate("PLAIN", ""), "malformed-request"),
        (authenticate("PLAIN", "="), "incorrect-encoding"),
        (authenticate("PLAIN", "?"), "incorrect-encoding"),
        (authenticate("X-UNKNOWN", plain("romeo")), "invalid-mechanism"),
        (authenticate("scram-sha-256", plain("romeo")), "invalid-mechanism"),
        (authenticate("PLAIN", plain("romeo"), agent("not-a-uuid")), "malformed-request"),
        (authenticate("PLAIN", plain("romeo"), f"<resume xmlns='{SM}' previd='x'/>"), "malformed-request"),
    ],
)
def test_a_failure_has_a_condition_and_leaves_the_stream_as_it_was(
    server: XmppServer, request_: str, expected: str
) -> None:
    caller = Caller(server)

    (failure,) = caller.say(request_)
    success, _ = caller.log_in("romeo", bind())

    assert condition(failure) == expected
    assert identity(success).startswith("romeo@localhost/Test/")


@pytest.mark.spec("XEP-0388 §2.6.2")
def test_what_was_asked_for_with_a_failed_login_is_not_done(server: XmppServer) -> None:
    romeo = server.services.accounts.find("romeo")
    assert romeo is not None

    Caller(server).log_in("romeo", bind(), password="wrong")

    assert server.services.devices.of(romeo) == []


@pytest.mark.spec("XEP-0388 §2.3")
@pytest.mark.spec("XEP-0388 §4.4")
def test_who_one_wants_to_be_must_fit_what_the_stream_said(server: XmppServer) -> None:
    said = authenticate("PLAIN", plain("romeo", authzid="romeo@localhost"))

    (failure,) = Caller(server, opening=opening("juliet@localhost")).say(said)
    success, _ = Caller(server, opening=opening("romeo@localhost")).say(said)

    assert condition(failure) == "invalid-authzid"
    assert identity(success) == "romeo@localhost"


@pytest.mark.spec("XEP-0388 §4.5")
def test_a_client_may_abort_and_begin_anew(server: XmppServer) -> None:
    caller = Caller(server)
    caller.begin("SCRAM-SHA-256", "romeo")

    (failure,) = caller.say(f"<abort xmlns='{SASL2}'><text>no</text></abort>")
    success, _ = caller.log_in("romeo")

    assert condition(failure) == "aborted"
    assert identity(success) == "romeo@localhost"


@pytest.mark.spec("XEP-0388 §2.4")
@pytest.mark.spec("XEP-0388 §4.8")
@pytest.mark.parametrize(
    "intruder",
    [
        "<presence/>",
        "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>AAAA</auth>",
        authenticate("PLAIN", plain("romeo")),
        "<x xmlns='urn:x'/>",
    ],
)
def test_anything_else_during_a_login_ends_the_stream(server: XmppServer, intruder: str) -> None:
    caller = Caller(server)
    caller.begin("SCRAM-SHA-256", "romeo")

    assert stream_error(caller.say(intruder)) == "policy-violation"
    assert caller.ended


@pytest.mark.spec("XEP-0388 §4.8")
@pytest.mark.parametrize("inside", ["", bind()])
def test_nobody_logs_in_twice(server: XmppServer, inside: str) -> None:
    caller = Caller(server)
    caller.log_in("romeo", inside)

    assert stream_error(caller.log_in("juliet")) == "unsupported-stanza-type"


@pytest.mark.parametrize(
    "lonely", ["<response xmlns='urn:xmpp:sasl:2'>AAAA</response>", "<abort xmlns='urn:xmpp:sasl:2'/>"]
)
def test_an_answer_to_nothing_ends_the_stream(server: XmppServer, lonely: str) -> None:
    assert stream_error(Caller(server).say(lonely)) == "policy-violation"


def test_a_few_failures_end_the_stream(server: XmppServer) -> None:
    caller = Caller(server)
    for _ in range(4):
        (failure,) = caller.log_in("romeo", password="wrong")
        assert condition(failure) == "not-authorized"

    assert stream_error(caller.log_in("romeo", password="wrong")) == "policy-violation"


def test_a_disabled_account_does_not_get_in(server: XmppServer) -> None:
    romeo = server.services.accounts.find("romeo")
    assert romeo is not None
    server.services.accounts.set_state(romeo, AccountState.DISABLED, lambda: None, lambda refusal: None)
    server.loop.run()

    (failure,) = Caller(server).log_in("romeo")

    assert condition(failure) == "not-authorized"


# Binding a resource


@pytest.mark.spec("XEP-0386 §3.2")
def test_a_resource_comes_with_the_login_and_begins_with_the_tag(server: XmppServer) -> None:
    caller = Caller(server)

    success, features = caller.log_in("romeo", agent() + bind(tag="Awesome"))
    caller.say("<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>")

    assert identity(success).startswith("romeo@localhost/Awesome/")
    assert success.find("bound", BIND2) is not None
    assert features.find("bind", "urn:ietf:params:xml:ns:xmpp-bind") is None
    assert not caller.ended


@pytest.mark.spec("XEP-0386 §3.2.1")
def test_the_resource_is_the_same_for_the_same_installation_and_does_not_tell_its_id(
    server: XmppServer,
) -> None:
    first = identity(Caller(server).log_in("romeo", agent() + bind())[0])
    again = identity(Caller(server).log_in("romeo", agent() + bind())[0])
    other = identity(Caller(server).log_in("romeo", agent(LAPTOP) + bind())[0])
    unknown = [identity(Caller(server).log_in("romeo", bind())[0]) for _ in range(2)]

    assert first == again
    assert len({first, other, *unknown}) == 4
    assert "d4565fa7" not in first


@pytest.mark.spec("XEP-0386 §3.2.1")
def test_a_tag_that_no_resource_may_have_is_left_out(server: XmppServer) -> None:
    success, _ = Caller(server).log_in("romeo", bind(tag="x" * 2000))

    assert len(identity(success)) < 40


@pytest.mark.spec("XEP-0386 §3.2")
def test_an_earlier_session_of_the_same_installation_ends(server: XmppServer) -> None:
    first, other = Caller(server), Caller(server)
    first.log_in("romeo", agent() + bind(tag="one"))
    other.log_in("romeo", agent(LAPTOP) + bind())

    Caller(server).log_in("romeo", agent() + bind(tag="two"))

    assert stream_error(first.hear()) == "conflict"
    assert not other.ended


@pytest.mark.spec("XEP-0386 §3.2")
@pytest.mark.spec("XEP-0198 §9.1")
def test_features_are_on_from_the_first_moment(server: XmppServer) -> None:
    caller = Caller(server)
    success, features = caller.log_in(
        "romeo",
        agent() + bind(f"<enable xmlns='urn:xmpp:carbons:2'/>{ENABLE}<inactive xmlns='urn:xmpp:csi:0'/>"),
    )
    assert managed(success)
    assert features.find("sm", SM) is None
    desk = server.log_in("romeo", "desk")
    juliet = server.log_in("juliet")

    desk.say(f"<message to='{juliet.jid}' type='chat'><body>hi</body></message>")
    heard = caller.say(f"<r xmlns='{SM}'/>")

    assert [each.name for each in heard if each.namespace == SM] == ["a"]
    (copy,) = [each for each in heard if each.name == "message"]
    assert copy.find("sent", "urn:xmpp:carbons:2") is not None


@pytest.mark.spec("XEP-0386 §3.2")
def test_what_was_missed_waits_in_the_archive_only(server: XmppServer) -> None:
    juliet = server.log_in("juliet")
    juliet.say("<message to='romeo@localhost' type='chat'><body>are you there?</body></message>")

    caller = Caller(server)
    caller.log_in("romeo", bind())
    heard = caller.say("<presence/>")

    assert [each for each in heard if each.name == "message"] == []


@pytest.mark.spec("XEP-0386 §3.2")
def test_the_client_is_told_where_its_archive_begins_and_ends(server: XmppServer) -> None:
    empty, _ = Caller(server).log_in("romeo", bind())
    juliet = server.log_in("juliet")
    for body in ("one", "two", "three"):
        juliet.say(f"<message to='romeo@localhost' type='chat'><body>{body}</body></message>")

    success, _ = Caller(server).log_in("romeo", bind())

    ends = []
    for each in (empty, success):
        bound = each.find("bound", BIND2)
        assert bound is not None
        metadata = bound.find("metadata", "urn:xmpp:mam:2")
        assert metadata is not None
        ends.append({end.name: end.get("id") for end in metadata.elements()})
    first, *_, last = server_ids(server)
    assert ends == [{}, {"start": first, "end": last}]


def server_ids(server: XmppServer) -> list[str]:
    """Return the ids of what is in romeo's archive."""
    caller = Caller(server)
    caller.log_in("romeo", bind())
    heard = caller.say("<iq type='set' id='m'><query xmlns='urn:xmpp:mam:2'/></iq>")
    results = [each.find("result", "urn:xmpp:mam:2") for each in heard]
    return [each.get("id") or "" for each in results if each is not None]


def test_an_account_that_is_disabled_meanwhile_does_not_get_in(server: XmppServer) -> None:
    romeo = server.services.accounts.find("romeo")
    assert romeo is not None
    caller = Caller(server)
    caller.session.receive(authenticate("PLAIN", plain("romeo"), bind()).encode())
    server.services.accounts.set_state(romeo, AccountState.DISABLED, lambda: None, lambda refusal: None)

    heard = caller.hear()

    assert condition(heard[0]) == "not-authorized"
    assert server.services.devices.of(romeo) == []


def test_a_client_too_many_is_told_and_may_try_again(tmp_path: Path) -> None:
    for server in server_in(tmp_path, "romeo", config=XmppConfig(max_sessions_per_account=1)):
        first = Caller(server)
        first.log_in("romeo", bind())
        second = Caller(server)

        (failure,) = second.log_in("romeo", bind())
        first.drop()
        success, _ = second.log_in("romeo", bind())

        assert condition(failure) == "temporary-auth-failure"
        assert identity(success).startswith("romeo@localhost/")


# Resuming a stream


@pytest.mark.spec("XEP-0198 §9.2")
def test_a_stream_is_resumed_with_the_login_instead_of_a_new_resource(server: XmppServer) -> None:
    first = Caller(server)
    success, _ = first.log_in("romeo", agent() + bind(ENABLE))
    first.say("<presence/>")
    first.drop()
    juliet = server.log_in("juliet")
    juliet.say(f"<message to='{identity(success)}' type='chat'><body>one</body></message>")

    heard = Caller(server).log_in("romeo", agent() + resume(managed(success), 1) + bind(ENABLE))

    assert identity(heard[0]) == identity(success)
    assert heard[0].find("resumed", SM) is not None
    assert heard[0].find("bound", BIND2) is None
    # XEP-0198 §9.2: no features; what was not acknowledged follows at once.
    assert [each.name for each in heard[1:]] == ["message"]


@pytest.mark.spec("XEP-0198 §9.2")
def test_a_resource_is_bound_if_nothing_can_be_resumed(server: XmppServer) -> None:
    success, features = Caller(server).log_in("romeo", resume("unknown") + bind(ENABLE))

    failed = success.find("failed", SM)
    assert failed is not None
    assert failed.elements()[0].name == "item-not-found"
    assert identity(success).startswith("romeo@localhost/Test/")
    assert managed(success)
    assert features.name == "features"


@pytest.mark.spec("XEP-0198 §9.2")
def test_nobody_resumes_the_stream_of_another(server: XmppServer) -> None:
    first = Caller(server)
    success, _ = first.log_in("romeo", bind(ENABLE))

    answer, _ = Caller(server).log_in("juliet", resume(managed(success)) + bind())

    assert answer.find("failed", SM) is not None
    assert identity(answer).startswith("juliet@localhost/")


def test_a_claim_to_have_handled_too_much_ends_the_stream(server: XmppServer) -> None:
    first = Caller(server)
    success, _ = first.log_in("romeo", bind(ENABLE))
    first.drop()

    assert stream_error(Caller(server).log_in("romeo", resume(managed(success), 99))) == "undefined-condition"


# Everything at once


@pytest.mark.spec("XEP-0388 §2.6.1")
def test_a_client_may_send_its_login_and_all_that_follows_in_one_piece(server: XmppServer) -> None:
    login = authenticate("PLAIN", plain("romeo"), bind(ENABLE))
    caller = Caller(server, secure=True, opening=OPENING)

    success, features, pong = caller.say(
        login + "<iq type='get' id='1' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>"
    )

    assert identity(success).startswith("romeo@localhost/")
    assert features.name == "features"
    assert (pong.get("type"), pong.get("id")) == ("result", "1")


# Downgrades


@pytest.mark.spec("XEP-0440 §2")
@pytest.mark.spec("XEP-0474 §5.1")
def test_a_client_can_tell_that_nothing_of_what_we_offer_was_hidden(server: XmppServer) -> None:
    caller = Caller(server)
    binding = caller.features.find("sasl-channel-binding", "urn:xmpp:sasl-cb:0")
    offered = caller.features.find("authentication", SASL2)
    assert binding is not None
    assert offered is not None
    types = sorted(each.get("type") or "" for each in binding.elements())
    names = sorted(each.text() for each in offered.find_all("mechanism", SASL2))

    _, (challenge,) = caller.begin("SCRAM-SHA-256", "romeo")

    shown = hashlib.sha256(f"{chr(30).join(names)}\x1f{chr(30).join(types)}".encode()).digest()
    assert types == ["tls-server-end-point"]
    assert base64.b64decode(challenge.text()).endswith(b",h=" + base64.b64encode(shown))


@pytest.mark.spec("XEP-0440 §3")
def test_a_client_that_was_not_shown_that_we_can_bind_is_refused(server: XmppServer) -> None:
    _, (failure,) = Caller(server).begin("SCRAM-SHA-256", "romeo", bindings=BINDINGS, plus_offered=False)

    assert condition(failure) == "not-authorized"
    assert "middle" in (failure.child_text("text", SASL2) or "")
