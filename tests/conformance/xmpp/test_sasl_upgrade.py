"""XEP-0480: an account that came with a weak verifier is set up for a stronger mechanism while its owner logs in."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.login import (
    BINDINGS,
    SASL2,
    Caller,
    agent,
    bind,
    condition,
    encoded,
    identity,
    stream_error,
)
from tests.support.xmpp import OPENING, PASSWORD, XmppServer, server_in

from sabir.core.errors import Refusal
from sabir.protocols.xmpp.machine.sasl2 import SCRAM_UPGRADE, UPGRADE
from sabir.wire.sasl.credentials import make_verifier, to_bytes
from sabir.wire.xml import Element

TASK = "UPGR-SCRAM-SHA-256"
ASK = f"<upgrade xmlns='{UPGRADE}'>{TASK}</upgrade>"
NEXT = f"<next xmlns='{SASL2}' task='{TASK}'/>"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[XmppServer]:
    """A server to which `mercutio` came from one that knew SHA-1 only."""
    for server in server_in(tmp_path, "romeo"):
        old = to_bytes(make_verifier(PASSWORD, "SCRAM-SHA-1", salt=b"an old salt"))
        server.services.accounts.create_with("mercutio", [("SCRAM-SHA-1", old)], lambda account: None, _fail)
        server.loop.run()
        yield server


def opening(name: str) -> bytes:
    return OPENING.replace(b" to=", f" from='{name}@localhost' to=".encode())


def offered(caller: Caller) -> list[str]:
    authentication = caller.features.find("authentication", SASL2)
    assert authentication is not None
    return [each.text() for each in authentication.find_all("mechanism", SASL2)]


def proven(server: XmppServer, inside: str = ASK, name: str = "mercutio") -> tuple[Caller, Element]:
    """Log in with SCRAM-SHA-1 as far as the server's word on it."""
    caller = Caller(server)
    client, (challenge,) = caller.begin("SCRAM-SHA-1", name, inside)
    last = caller.answer(client, challenge)[0]
    client.finish(base64.b64decode(last.child_text("additional-data", SASL2) or ""))
    return caller, last


def salted(task_data: Element, hash_name: str = "sha256") -> str:
    """Return the answer to a task."""
    salt = task_data.find("salt", SCRAM_UPGRADE)
    assert salt is not None
    made = hashlib.pbkdf2_hmac(
        hash_name, PASSWORD.encode(), base64.b64decode(salt.text()), int(salt.get("iterations") or "")
    )
    return answer(made)


def answer(data: bytes) -> str:
    inside = f"<hash xmlns='{SCRAM_UPGRADE}'>{encoded(data)}</hash>"
    return f"<task-data xmlns='{SASL2}'>{inside}</task-data>"


@pytest.mark.spec("XEP-0480 §2.1")
def test_upgrades_are_offered_without_the_name_of_a_channel_binding(server: XmppServer) -> None:
    authentication = Caller(server).features.find("authentication", SASL2)
    assert authentication is not None

    assert [each.text() for each in authentication.find_all("upgrade", UPGRADE)] == [TASK]


@pytest.mark.spec("XEP-0388 §2.1")
def test_whoever_says_who_it_is_is_offered_what_it_can_log_in_with(server: XmppServer) -> None:
    weak = offered(Caller(server, opening=opening("mercutio")))

    assert weak == ["SCRAM-SHA-1-PLUS", "SCRAM-SHA-1", "PLAIN"]
    for name in ("romeo", "nobody"):
        assert "SCRAM-SHA-256" in offered(Caller(server, opening=opening(name)))


def test_a_password_is_checked_whatever_is_stored_of_it(server: XmppServer) -> None:
    assert identity(Caller(server).log_in("mercutio")[0]) == "mercutio@localhost"
    assert condition(Caller(server).log_in("mercutio", password="wrong")[0]) == "not-authorized"


@pytest.mark.spec("XEP-0388 §2.6.3")
@pytest.mark.spec("XEP-0480 §2.2")
@pytest.mark.spec("XEP-0480 §3")
def test_a_client_sets_its_account_up_for_a_stronger_mechanism(server: XmppServer) -> None:
    caller, continued = proven(server, ASK + agent() + bind())
    assert continued.name == "continue"
    tasks = continued.find("tasks", SASL2)
    assert tasks is not None
    assert [each.text() for each in tasks.elements()] == [TASK]
    assert continued.find("authorization-identifier", SASL2) is None

    (task_data,) = caller.say(NEXT)
    success, _ = caller.say(salted(task_data))

    assert identity(success).startswith("mercutio@localhost/Test/")
    assert success.find("additional-data", SASL2) is None  # that came with <continue/>
    stronger = Caller(server, opening=opening("mercutio"))
    assert "SCRAM-SHA-256-PLUS" in offered(stronger)
    client, (challenge,) = stronger.begin("SCRAM-SHA-256-PLUS", "mercutio", bindings=BINDINGS)
    assert identity(stronger.answer(client, challenge)[0]) == "mercutio@localhost"
    assert proven(server)[1].name == "success"  # there is nothing left to do, and SHA-1 still works


@pytest.mark.spec("XEP-0480 §2.2")
@pytest.mark.parametrize("inside", ["", f"<upgrade xmlns='{UPGRADE}'>UPGR-SCRAM-SHA-512</upgrade>"])
def test_nobody_is_upgraded_who_did_not_ask_or_for_what_is_not_there(server: XmppServer, inside: str) -> None:
    assert proven(server, inside)[1].name == "success"
    assert proven(server, ASK, name="romeo")[1].name == "success"


@pytest.mark.spec("XEP-0388 §2.6.3")
@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([f"<next xmlns='{SASL2}' task='UPGR-OTHER'/>"], "malformed-request"),
        ([answer(b"x" * 32)], "malformed-request"),
        ([NEXT, NEXT], "malformed-request"),
        ([NEXT, answer(b"x" * 20)], "malformed-request"),
        ([NEXT, answer(b"")], "malformed-request"),
        ([NEXT, f"<task-data xmlns='{SASL2}'/>"], "malformed-request"),
        ([NEXT, f"<task-data xmlns='{SASL2}'><hash xmlns='{SCRAM_UPGRADE}'>?</hash></task-data>"],
         "malformed-request"),
        ([f"<abort xmlns='{SASL2}'/>"], "aborted"),
        ([NEXT, f"<abort xmlns='{SASL2}'/>"], "aborted"),
    ],
)  # fmt: skip
def test_a_task_that_goes_wrong_lets_nobody_in_and_changes_nothing(
    server: XmppServer, steps: list[str], expected: str
) -> None:
    caller, _ = proven(server)
    for step in steps:
        (last,) = caller.say(step)

    assert condition(last) == expected
    mercutio = server.services.accounts.find("mercutio")
    assert mercutio is not None
    assert server.services.accounts.verifier(mercutio, "SCRAM-SHA-256") is None
    assert server.services.devices.of(mercutio) == []
    assert identity(caller.log_in("mercutio")[0]) == "mercutio@localhost"


@pytest.mark.spec("XEP-0388 §4.8")
@pytest.mark.parametrize(
    "intruder",
    ["<presence/>", f"<response xmlns='{SASL2}'>AAAA</response>", f"<authenticate xmlns='{SASL2}'/>"],
)
def test_anything_else_before_the_task_is_done_ends_the_stream(server: XmppServer, intruder: str) -> None:
    caller, _ = proven(server)

    assert stream_error(caller.say(intruder)) == "policy-violation"


def test_a_password_that_changes_meanwhile_wins(server: XmppServer) -> None:
    mercutio = server.services.accounts.find("mercutio")
    assert mercutio is not None
    caller, _ = proven(server)
    (task_data,) = caller.say(NEXT)
    server.services.accounts.set_password(mercutio, "new", lambda: None, _fail)

    (failure,) = caller.say(salted(task_data))

    assert condition(failure) == "not-authorized"
    assert condition(Caller(server).log_in("mercutio")[0]) == "not-authorized"
    assert identity(Caller(server).log_in("mercutio", password="new")[0]) == "mercutio@localhost"


def _fail(refusal: Refusal) -> None:
    raise AssertionError(refusal)
