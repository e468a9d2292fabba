"""XEP-0484: tokens, by which a client logs in again in one round trip and without its password."""

from __future__ import annotations

import datetime
import hmac
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.login import (
    BIND2,
    LAPTOP,
    PHONE,
    SASL2,
    Caller,
    agent,
    authenticate,
    bind,
    condition,
    encoded,
    identity,
    plain,
)
from tests.support.xmpp import XmppServer, server_in

from sabir.core.errors import Refusal
from sabir.core.model.actor import AccountState
from sabir.core.services.tokens import MAX_DEVICES
from sabir.storage.sqlite.connections import FILE_NAME
from sabir.wire.xml import Element

FAST = "urn:xmpp:fast:0"
ENDP = "HT-SHA-256-ENDP"
NONE = "HT-SHA-256-NONE"
CHANNEL = {ENDP: b"hash", NONE: b""}
DAY_MS = 24 * 60 * 60 * 1000


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    yield from server_in(tmp_path, "romeo", "juliet")


def asking(mechanism: str = ENDP) -> str:
    return f"<request-token xmlns='{FAST}' mechanism='{mechanism}'/>"


def proof(name: str, token: str, mechanism: str = ENDP) -> str:
    digest = hmac.digest(token.encode(), b"Initiator" + CHANNEL[mechanism], "sha256")
    return encoded(name.encode() + b"\0" + digest)


def with_token(
    token: str,
    *,
    name: str = "romeo",
    mechanism: str = ENDP,
    device: str = PHONE,
    fast: str = "",
    inside: str = "",
) -> str:
    """Return a login by token; `fast` are attributes of `<fast/>`."""
    return authenticate(
        mechanism, proof(name, token, mechanism), f"{agent(device)}<fast xmlns='{FAST}'{fast}/>{inside}"
    )


def token_in(success: Element) -> str:
    """Return the token that came with a login, empty if none did."""
    assert success.name == "success", success.serialise()
    found = success.find("token", FAST)
    return "" if found is None else found.get("token") or ""


def given(server: XmppServer, name: str = "romeo", mechanism: str = ENDP, device: str = PHONE) -> str:
    """Log in with a password, and return the token that was asked for."""
    token = token_in(Caller(server).log_in(name, agent(device) + asking(mechanism))[0])
    assert token
    return token


def answer(server: XmppServer, request: str) -> Element:
    """Return the answer to a login on a new connection."""
    return Caller(server).say(request)[0]


# Getting one


@pytest.mark.spec("XEP-0484 §3.1")
def test_tokens_are_offered_with_and_without_channel_binding(server: XmppServer) -> None:
    offered = Caller(server).features.find("authentication", SASL2)
    assert offered is not None
    inline = offered.find("inline", SASL2)
    assert inline is not None
    fast = inline.find("fast", FAST)
    assert fast is not None

    assert [each.text() for each in fast.elements()] == [ENDP, NONE]
    assert fast.get("tls-0rtt") is None  # there is no early data here
    assert ENDP not in [each.text() for each in offered.find_all("mechanism", SASL2)]


@pytest.mark.spec("XEP-0484 §3.2")
@pytest.mark.spec("XEP-0484 §3.3")
def test_a_client_that_logs_in_is_given_a_token_if_it_asks(server: XmppServer) -> None:
    success, _ = Caller(server).log_in("romeo", agent() + bind() + asking())
    without, _ = Caller(server).log_in("romeo", agent(LAPTOP))

    token = success.find("token", FAST)
    assert token is not None
    assert len(token.get("token") or "") >= 43
    expiry = datetime.datetime.fromisoformat(token.get("expiry") or "")
    assert round(expiry.timestamp() * 1000) == server.loop.now_ms() + 21 * DAY_MS
    assert token_in(without) == ""


@pytest.mark.spec("XEP-0484 §3.2")
@pytest.mark.parametrize("inside", [asking(), agent() + asking("HT-SHA-256-EXPR"), agent() + asking("PLAIN")])
def test_no_token_without_a_device_or_for_what_is_not_offered(server: XmppServer, inside: str) -> None:
    success, _ = Caller(server).log_in("romeo", inside)

    assert token_in(success) == ""


@pytest.mark.spec("XEP-0484 §3.3")
def test_no_token_after_a_failed_login(server: XmppServer) -> None:
    (failure,) = Caller(server).log_in("romeo", agent() + asking(), password="wrong")

    assert condition(failure) == "not-authorized"
    assert failure.find("token", FAST) is None


# Using it


@pytest.mark.spec("XEP-0484 §3.4")
@pytest.mark.parametrize("mechanism", [ENDP, NONE])
def test_a_client_logs_in_with_its_token_and_everything_else_in_one_round_trip(
    server: XmppServer, mechanism: str
) -> None:
    token = given(server, mechanism=mechanism)

    caller = Caller(server)
    success, _ = caller.say(with_token(token, mechanism=mechanism, inside=bind()))

    assert identity(success).startswith("romeo@localhost/Test/")
    assert success.find("bound", BIND2) is not None
    proven = hmac.digest(token.encode(), b"Responder" + CHANNEL[mechanism], "sha256")
    assert success.child_text("additional-data", SASL2) == encoded(proven)


@pytest.mark.spec("XEP-0484 §3.4")
def test_a_token_is_good_for_its_device_account_and_mechanism_only(server: XmppServer) -> None:
    token, weak = given(server), given(server, device=LAPTOP, mechanism=NONE)
    given(server, "juliet")

    for request in (
        with_token(token, device=LAPTOP),
        with_token(token, name="juliet"),
        with_token(token, mechanism=NONE),
        with_token(weak, device=LAPTOP, mechanism=ENDP),
        with_token("guess"),
        with_token(""),
        authenticate(ENDP, proof("romeo", token), agent()),  # without <fast/>
        authenticate(ENDP, proof("romeo", token), f"<fast xmlns='{FAST}'/>"),
        authenticate("PLAIN", plain("romeo", token), agent()),
        authenticate("HT-SHA-256-NONE", proof("nobody", token, NONE), f"{agent()}<fast xmlns='{FAST}'/>"),
    ):
        assert condition(answer(server, request)) == "not-authorized"
    assert identity(answer(server, with_token(token)))


@pytest.mark.spec("XEP-0484 §3.4")
def test_a_login_that_is_counted_cannot_be_replayed(server: XmppServer) -> None:
    token = given(server)

    assert identity(answer(server, with_token(token, fast=" count='5'")))
    assert condition(answer(server, with_token(token, fast=" count='5'"))) == "not-authorized"
    assert condition(answer(server, with_token(token, fast=" count='4'"))) == "not-authorized"
    assert condition(answer(server, with_token(token, fast=" count='-1'"))) == "malformed-request"
    assert identity(answer(server, with_token(token, fast=" count='6'")))


@pytest.mark.spec("XEP-0484 §3.4")
def test_of_two_replays_at_the_same_moment_one_gets_in(server: XmppServer) -> None:
    token = given(server)
    request = with_token(token, fast=" count='1'").encode()
    callers = [Caller(server), Caller(server)]
    for caller in callers:
        caller.session.receive(request)

    answers = [caller.hear()[0] for caller in callers]

    assert sorted(each.name for each in answers) == ["failure", "success"]


@pytest.mark.spec("XEP-0484 §4.2")
def test_a_token_has_an_end_and_its_owner_is_told_so(server: XmppServer) -> None:
    token = given(server)
    server.loop.advance(21 * DAY_MS)

    assert condition(answer(server, with_token(token))) == "credentials-expired"


# Going on to the next


@pytest.mark.spec("XEP-0484 §3.5")
def test_a_client_gets_a_new_token_once_a_day_and_the_old_one_is_good_until_that_is_used(
    server: XmppServer,
) -> None:
    old = given(server)
    assert token_in(answer(server, with_token(old))) == ""
    server.loop.advance(2 * DAY_MS)

    unheard = token_in(answer(server, with_token(old)))
    new = token_in(answer(server, with_token(old)))
    assert len({old, unheard, new}) == 3
    assert condition(answer(server, with_token(unheard))) == "not-authorized"
    assert token_in(answer(server, with_token(new))) == ""
    assert condition(answer(server, with_token(old))) == "not-authorized"


@pytest.mark.spec("XEP-0484 §3.6")
def test_a_client_may_end_its_token(server: XmppServer) -> None:
    token, other = given(server), given(server, device=LAPTOP)
    server.loop.advance(2 * DAY_MS)

    success = answer(server, with_token(token, fast=" invalidate='true'"))

    assert token_in(success) == ""
    assert condition(answer(server, with_token(token))) == "not-authorized"
    assert identity(answer(server, with_token(other, device=LAPTOP)))


@pytest.mark.spec("XEP-0484 §3.6")
def test_a_client_may_change_its_token_for_another(server: XmppServer) -> None:
    token = given(server)

    new = token_in(answer(server, with_token(token, fast=" invalidate='1'", inside=asking(NONE))))

    assert condition(answer(server, with_token(token))) == "not-authorized"
    assert identity(answer(server, with_token(new, mechanism=NONE)))


# What ends it


def test_a_new_password_ends_every_token(server: XmppServer) -> None:
    tokens = [given(server), given(server, device=LAPTOP)]
    romeo = server.services.accounts.find("romeo")
    assert romeo is not None

    server.services.accounts.set_password(romeo, "new", lambda: None, _fail)
    server.loop.run()

    for token, device in zip(tokens, (PHONE, LAPTOP), strict=True):
        assert condition(answer(server, with_token(token, device=device))) == "not-authorized"


def test_an_account_that_was_disabled_for_a_while_has_no_tokens(server: XmppServer) -> None:
    token = given(server)
    romeo = server.services.accounts.find("romeo")
    assert romeo is not None

    for state in (AccountState.DISABLED, AccountState.ACTIVE):
        server.services.accounts.set_state(romeo, state, lambda: None, _fail)
        server.loop.run()

    assert condition(answer(server, with_token(token))) == "not-authorized"


def test_a_password_that_changes_while_a_login_is_under_way_is_good_for_no_token(server: XmppServer) -> None:
    romeo = server.services.accounts.find("romeo")
    assert romeo is not None
    caller = Caller(server)
    server.services.accounts.set_password(romeo, "new", lambda: None, _fail)

    # Both wait for the same commit.
    (failure,) = caller.log_in("romeo", agent() + asking())

    assert condition(failure) == "not-authorized"


def test_tokens_outlive_the_server_and_the_store_alone_does_not_hold_them(tmp_path: Path) -> None:
    for server in server_in(tmp_path, "romeo"):
        token = given(server)
        stored = server.services.tokens.of(server.services.accounts.find("romeo"), PHONE)  # type: ignore[arg-type]  # it is there
        assert [each.secret for each in stored] == [token]
        assert token not in repr(stored)
    held = b"".join(path.read_bytes() for path in tmp_path.glob(f"{FILE_NAME}*"))
    assert token.encode() not in held

    for server in server_in(tmp_path):
        assert identity(answer(server, with_token(token))) == "romeo@localhost"


def test_a_device_too_many_costs_the_one_that_was_not_there_for_longest_its_token(server: XmppServer) -> None:
    devices = [f"00000000-0000-4000-8000-{number:012}" for number in range(MAX_DEVICES + 1)]
    tokens = []
    for device in devices:
        tokens.append(given(server, device=device))
        server.loop.advance(1000)

    first, second, last = (
        answer(server, with_token(tokens[at], device=devices[at])) for at in (0, 1, MAX_DEVICES)
    )

    assert condition(first) == "not-authorized"
    assert identity(second)
    assert identity(last)


def test_a_guess_counts_as_a_failed_login(server: XmppServer) -> None:
    caller = Caller(server)
    for _ in range(4):
        caller.say(with_token("guess"))
    caller.say(with_token("guess"))

    assert caller.ended


def _fail(refusal: Refusal) -> None:
    raise AssertionError(refusal)
