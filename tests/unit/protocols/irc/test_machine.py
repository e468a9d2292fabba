"""The machine of one connection, driven with literals."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.protocols.irc.machine import Limits, Machine, Reply
from sabir.protocols.irc.machine.sasl import chunks
from sabir.protocols.irc.types.capabilities import BITS
from sabir.protocols.irc.types.line import Line
from sabir.protocols.irc.types.reports import (
    Commanded,
    Composed,
    Ended,
    RegistrationAsked,
    SaslAborted,
    SaslAnswered,
    SaslBegun,
)

OFFERED = dict.fromkeys(BITS, "") | {
    "sasl": "PLAIN,SCRAM-SHA-256",
    "draft/multiline": "max-bytes=30,max-lines=3",
}
LIMITS = Limits(max_multiline_bytes=30, max_multiline_lines=3, max_waiting_lines=20, flood_burst_lines=50)


def fresh(limits: Limits = LIMITS) -> Machine:
    return Machine("irc.example", OFFERED, limits, now_ms=0)


def registered(caps: str = "", limits: Limits = LIMITS) -> Machine:
    machine = fresh(limits)
    if caps:
        machine.receive(f"CAP REQ :{caps}\r\nCAP END\r\n".encode(), 0)
    machine.receive(b"NICK ada\r\nUSER ada 0 * :Ada\r\n", 0)
    machine.send_welcome("ada")
    machine.drain()
    return machine


@pytest.mark.spec("Modern IRC §connection-registration")
def test_registration_is_asked_for_when_nick_and_user_are_there() -> None:
    machine = fresh()

    assert machine.receive(b"PASS pw\r\nNICK ada\r\n", 0) == []
    assert machine.receive(b"USER a 0 * :Ada L\r\nJOIN #x\r\n", 0) == [
        RegistrationAsked("ada", "a", "Ada L", "pw")
    ]
    machine.send_welcome("ada")
    assert machine.tick(0) == [Commanded(Line({}, "", "JOIN", ["#x"]), "")]


def test_a_refused_nick_may_be_followed_by_another() -> None:
    machine = fresh()
    machine.receive(b"NICK ada\r\nUSER a 0 * :Ada\r\n", 0)

    machine.send_registration_refused("433", "ada", "Nickname is already in use")

    assert machine.drain() == b":irc.example 433 * ada :Nickname is already in use\r\n"
    assert machine.receive(b"NICK bob\r\n", 0) == [RegistrationAsked("bob", "a", "Ada", "")]


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"JOIN #x\r\n", b"451 * :You have not registered: send NICK and USER first"),
        (b"USER a\r\n", b"461 * USER :Not enough parameters"),
        (b"PASS\r\n", b"461 * PASS :Not enough parameters"),
        (b"NICK\r\n", b"431 * :No nickname given"),
        (b"CAP\r\n", b"461 * CAP :Not enough parameters"),
        (b"CAP FOO\r\n", b"410 * FOO :Invalid CAP command"),
        (b"PING\r\n", b"409 * :No origin specified"),
        (b"AUTHENTICATE\r\n", b"461 * AUTHENTICATE :Not enough parameters"),
        (b"AUTHENTICATE PLAIN\r\n", b"904 * :SASL authentication failed: request the capability first"),
        (b"x" * 600 + b"\r\n", b"417 * :Input line was too long"),
    ],
)
def test_what_cannot_be_done_before_registration_is_answered(sent: bytes, answer: bytes) -> None:
    machine = fresh()

    assert machine.receive(sent, 0) == []
    assert machine.drain() == b":irc.example " + answer + b"\r\n"


@pytest.mark.spec("IRCv3 capability-negotiation")
def test_ls_302_lists_values_in_as_few_lines_as_they_fit() -> None:
    machine = Machine("irc." + "x" * 100 + ".example", OFFERED, LIMITS, now_ms=0)

    machine.receive(b"CAP LS 302\r\nNICK ada\r\nUSER a 0 * :Ada\r\n", 0)

    lines = machine.drain().decode().splitlines()
    assert len(lines) == 2
    assert " CAP * LS * :" in lines[0]
    assert " CAP * LS :" in lines[1]
    assert len(lines[0]) <= 510
    assert "sasl=PLAIN,SCRAM-SHA-256" in " ".join(lines)
    assert machine.caps == BITS["cap-notify"]
    assert machine.receive(b"CAP END\r\n", 0) == [RegistrationAsked("ada", "a", "Ada", "")]


@pytest.mark.spec("IRCv3 capability-negotiation")
def test_ls_without_a_version_lists_names_only() -> None:
    machine = fresh()

    machine.receive(b"CAP LS\r\n", 0)

    assert machine.drain().decode() == ":irc.example CAP * LS :" + " ".join(OFFERED) + "\r\n"


@pytest.mark.parametrize(
    ("asked", "answer", "enabled"),
    [
        (b"batch sasl", b"ACK :batch sasl", {"batch", "sasl"}),
        (b"batch nonsense", b"NAK :batch nonsense", set()),
        (b"batch -batch", b"ACK :batch -batch", set()),
        (b"-setname", b"ACK :-setname", set()),
    ],
)
@pytest.mark.spec("IRCv3 capability-negotiation")
def test_a_request_is_taken_whole_or_not_at_all(asked: bytes, answer: bytes, enabled: set[str]) -> None:
    machine = fresh()

    machine.receive(b"CAP REQ :" + asked + b"\r\n", 0)

    assert machine.drain() == b":irc.example CAP * " + answer + b"\r\n"
    assert machine.caps == sum(BITS[name] for name in enabled)


@pytest.mark.spec("IRCv3 capability-negotiation")
def test_cap_notify_tells_of_changes_and_stays_on_with_302() -> None:
    machine = registered()
    machine.receive(b"CAP LS 302\r\nCAP REQ :-cap-notify\r\n", 0)
    assert b"NAK :-cap-notify" in machine.drain()

    machine.send_offer("sasl", "PLAIN")
    machine.send_offer("sasl", None)

    assert machine.drain() == b":irc.example CAP ada NEW :sasl=PLAIN\r\n:irc.example CAP ada DEL :sasl\r\n"
    machine.receive(b"CAP LIST\r\n", 0)
    assert machine.drain() == b":irc.example CAP ada LIST :cap-notify\r\n"


def test_an_old_client_is_not_told_of_changed_capabilities() -> None:
    machine = registered("batch")

    machine.send_offer("batch", None)

    assert machine.drain() == b""
    assert machine.caps == 0


@pytest.mark.spec("IRCv3 sasl-3.1")
def test_a_sasl_exchange_is_reported_step_by_step_and_nothing_overtakes_it() -> None:
    machine = fresh()
    sent = (
        b"CAP REQ :sasl\r\nNICK ada\r\nUSER a 0 * :Ada\r\n"
        b"AUTHENTICATE PLAIN\r\nAUTHENTICATE AGFkYQBwdw==\r\nCAP END\r\n"
    )

    assert machine.receive(sent, 0) == [SaslBegun("PLAIN")]
    machine.drain()
    machine.send_challenge(b"")
    assert machine.drain() == b"AUTHENTICATE +\r\n"
    assert machine.tick(0) == [SaslAnswered(b"\0ada\0pw")]
    machine.send_logged_in("ada", "ada!~a@sabir")
    assert machine.drain() == (
        b":irc.example 900 * ada!~a@sabir ada :You are now logged in as ada\r\n"
        b":irc.example 903 * :SASL authentication successful\r\n"
    )
    assert machine.tick(0) == [RegistrationAsked("ada", "a", "Ada", "")]
    machine.send_welcome("ada")
    machine.receive(b"AUTHENTICATE PLAIN\r\n", 0)
    assert machine.drain() == b":irc.example 907 ada :You have already authenticated\r\n"


@pytest.mark.parametrize("size", [0, 1, 300, 301, 600])
@pytest.mark.spec("IRCv3 sasl-3.1")
def test_a_response_in_chunks_is_put_together(size: int) -> None:
    machine = fresh()
    machine.receive(b"CAP REQ :sasl\r\nAUTHENTICATE SCRAM-SHA-256\r\n", 0)
    machine.send_challenge(b"")
    data = b"x" * size

    reports = [machine.receive(f"AUTHENTICATE {chunk}\r\n".encode(), 0) for chunk in chunks(data)]

    assert reports[-1] == [SaslAnswered(data)]
    assert all(report == [] for report in reports[:-1])


@pytest.mark.parametrize(
    ("line", "number"),
    [(b"*", b"906"), (b"no!base64", b"904"), (b"A" * 401, b"905"), ("é".encode(), b"904")],
)
@pytest.mark.spec("IRCv3 sasl-3.1")
def test_an_exchange_that_goes_wrong_is_reported(line: bytes, number: bytes) -> None:
    machine = fresh()
    machine.receive(b"CAP REQ :sasl\r\nAUTHENTICATE PLAIN\r\n", 0)
    machine.send_challenge(b"")
    machine.drain()

    assert machine.receive(b"AUTHENTICATE " + line + b"\r\n", 0) == [SaslAborted()]
    assert machine.drain().startswith(b":irc.example " + number)


@pytest.mark.spec("IRCv3 sasl-3.1")
def test_a_response_without_end_is_refused() -> None:
    machine = fresh(Limits(max_sasl_bytes=1000))
    machine.receive(b"CAP REQ :sasl\r\nAUTHENTICATE PLAIN\r\n", 0)
    machine.send_challenge(b"")
    machine.drain()

    machine.receive((b"AUTHENTICATE " + b"A" * 400 + b"\r\n") * 3, 0)

    assert machine.drain() == b":irc.example 905 * :SASL message too long\r\n"


@pytest.mark.spec("IRCv3 sasl-3.1")
def test_registration_without_waiting_for_the_exchange_aborts_it() -> None:
    machine = fresh()
    machine.receive(b"CAP REQ :sasl\r\nNICK ada\r\nUSER a 0 * :Ada\r\nAUTHENTICATE PLAIN\r\n", 0)
    machine.send_challenge(b"")

    assert machine.receive(b"CAP END\r\n", 0) == [SaslAborted(), RegistrationAsked("ada", "a", "Ada", "")]
    assert b" 906 * :" in machine.drain()


@pytest.mark.spec("IRCv3 sasl-3.2")
def test_an_unknown_mechanism_is_answered_with_those_there_are() -> None:
    machine = fresh()
    machine.receive(b"CAP REQ :sasl\r\n", 0)
    machine.drain()

    assert machine.receive(b"AUTHENTICATE GSSAPI\r\n", 0) == []
    assert machine.drain().startswith(b":irc.example 908 * PLAIN,SCRAM-SHA-256 :are available")


@pytest.mark.spec("IRCv3 sasl-3.2")
def test_too_many_failures_end_the_connection() -> None:
    machine = fresh()
    machine.receive(b"CAP REQ :sasl\r\n", 0)

    for _ in range(3):
        machine.send_sasl_failed()

    assert machine.over == "Too many SASL authentication failures"
    assert machine.drain().endswith(b"ERROR :Too many SASL authentication failures\r\n")
    assert machine.receive(b"NICK x\r\n", 0) == []


def test_a_silent_peer_is_pinged_and_then_gone() -> None:
    machine = registered()
    assert machine.next_deadline_ms() == LIMITS.ping_after_ms

    assert machine.tick(LIMITS.ping_after_ms) == []
    assert machine.drain() == b"PING :irc.example\r\n"
    due = machine.next_deadline_ms()
    assert machine.tick(due) == [Ended("Ping timeout: 60 seconds")]
    assert machine.drain() == b"ERROR :Ping timeout: 60 seconds\r\n"


def test_a_peer_that_answers_stays() -> None:
    machine = registered()
    machine.tick(LIMITS.ping_after_ms)

    machine.receive(b"PONG irc.example\r\n", LIMITS.ping_after_ms + 5)

    assert machine.next_deadline_ms() == 2 * LIMITS.ping_after_ms + 5


def test_a_peer_that_never_registers_is_closed() -> None:
    machine = fresh()

    assert machine.tick(machine.next_deadline_ms()) == [Ended("Registration timed out")]


@pytest.mark.spec("Modern IRC §ping")
def test_a_ping_is_answered() -> None:
    machine = registered("batch labeled-response")

    machine.receive(b"PING abc\r\n@label=7 PING :a b\r\n", 0)

    assert machine.drain() == (
        b":irc.example PONG irc.example :abc\r\n@label=7 :irc.example PONG irc.example :a b\r\n"
    )


@pytest.mark.parametrize("sent", [b"QUIT :bye\r\n", b"QUIT bye\r\nJOIN #x\r\n"])
@pytest.mark.spec("Modern IRC §quit")
def test_quit_ends_the_connection_with_error(sent: bytes) -> None:
    machine = registered()

    assert machine.receive(sent, 0) == [Ended("Quit: bye")]
    assert machine.drain() == b"ERROR :Quit: bye\r\n"


def test_quit_before_registration_works_too() -> None:
    assert fresh().receive(b"QUIT\r\n", 0) == [Ended("Quit: ")]


@pytest.mark.parametrize("sent", [b"USER a 0 * :A\r\n", b"PASS x\r\n"])
def test_nobody_registers_twice(sent: bytes) -> None:
    machine = registered()

    machine.receive(sent, 0)

    assert machine.drain() == b":irc.example 462 ada :You may not reregister\r\n"


@pytest.mark.spec("Modern IRC §flood-control")
def test_lines_over_the_allowance_wait_for_their_time() -> None:
    machine = registered(limits=Limits(flood_burst_lines=4, flood_lines_per_s=2))
    sent = b"".join(b"JOIN #%d\r\n" % number for number in range(4))

    first = machine.receive(sent, 0)
    due = machine.next_deadline_ms()
    later = machine.tick(due)

    assert len(first) == 2  # NICK and USER have used two
    assert due == 500
    assert len(later) == 1


def test_a_flood_ends_the_connection() -> None:
    machine = registered(limits=Limits(flood_burst_lines=2, flood_lines_per_s=1, max_waiting_lines=5))

    assert machine.receive(b"JOIN #x\r\n" * 10, 0) == [Ended("Excess Flood")]
    machine = registered(limits=Limits(flood_burst_lines=2, flood_lines_per_s=1, max_waiting_lines=5))
    machine.receive(b"JOIN #x\r\n" * 3, 0)
    assert machine.receive(b"JOIN #x\r\n" * 3, 0) == [Ended("Excess Flood")]


def test_a_rate_of_nothing_is_no_limit() -> None:
    machine = registered(limits=Limits(flood_burst_lines=1, flood_lines_per_s=0))

    assert len(machine.receive(b"JOIN #x\r\n" * 1000, 0)) == 1000


CLIENT_BATCH = "batch message-tags labeled-response draft/multiline"


@pytest.mark.spec("IRCv3 multiline")
def test_a_multiline_batch_becomes_one_message() -> None:
    machine = registered(CLIENT_BATCH)
    sent = (
        b"@label=1;+reply=x;account=eve BATCH +a draft/multiline #x\r\n"
        b"@batch=a PRIVMSG #x :hello\r\n"
        b"PING 1\r\n"
        b"@batch=a privmsg #x :how is \r\n"
        b"@batch=a;draft/multiline-concat PRIVMSG #x :everyone?\r\n"
        b"BATCH -a\r\n"
    )

    assert machine.receive(sent, 0) == [
        Composed(
            "PRIVMSG", "#x", {"+reply": "x"}, (("hello", False), ("how is ", False), ("everyone?", True)), "1"
        )
    ]


@pytest.mark.parametrize(
    ("lines", "answer"),
    [
        (b"BATCH +! draft/multiline #x\r\n", b"INVALID_REFTAG ! :"),
        (b"BATCH +a other #x\r\n", b"UNKNOWN_TYPE a other :"),
        (b"BATCH +a\r\n", b"UNKNOWN_TYPE a * :"),
        (b"BATCH +a draft/multiline\r\n", b"MULTILINE_INVALID :"),
        (b"BATCH +a draft/multiline #x\r\nBATCH -a\r\n", b"MULTILINE_INVALID :"),
        (b"BATCH +a draft/multiline #x\r\n@batch=a PRIVMSG #y :a\r\n", b"MULTILINE_INVALID_TARGET #x #y :"),
        (b"BATCH +a draft/multiline #x\r\n@batch=a JOIN #y\r\n", b"MULTILINE_INVALID :"),
        (
            b"BATCH +a draft/multiline #x\r\n@batch=a PRIVMSG #x :a\r\n@batch=a NOTICE #x :a\r\n",
            b"MULTILINE_INVALID :",
        ),
        (
            b"BATCH +a draft/multiline #x\r\n@batch=a;draft/multiline-concat PRIVMSG #x :\r\n",
            b"MULTILINE_INVALID :",
        ),
        (
            b"BATCH +a draft/multiline #x\r\n@batch=a PRIVMSG #x :" + b"x" * 31 + b"\r\n",
            b"MULTILINE_MAX_BYTES 30 :",
        ),
        (
            b"BATCH +a draft/multiline #x\r\n" + b"@batch=a PRIVMSG #x :a\r\n" * 4,
            b"MULTILINE_MAX_LINES 3 :",
        ),
    ],
)
@pytest.mark.spec("IRCv3 multiline")
def test_a_bad_batch_is_refused_once(lines: bytes, answer: bytes) -> None:
    machine = registered(CLIENT_BATCH)

    assert machine.receive(lines + b"@batch=a PRIVMSG #x :late\r\nBATCH -a\r\n", 0) == []

    assert machine.drain().startswith(b":irc.example FAIL BATCH " + answer)


@pytest.mark.spec("IRCv3 client-batch")
def test_a_batch_that_is_left_open_times_out() -> None:
    machine = registered(CLIENT_BATCH)
    machine.receive(b"@label=q BATCH +a draft/multiline #x\r\n", 0)

    assert machine.tick(machine.next_deadline_ms()) == []

    assert machine.drain().startswith(b"@label=q :irc.example FAIL BATCH TIMEOUT a :")


def test_batches_are_unknown_to_whom_did_not_ask() -> None:
    machine = registered()

    machine.receive(b"BATCH +a draft/multiline #x\r\n", 0)

    assert machine.drain() == b":irc.example 421 ada BATCH :Unknown command\r\n"


@pytest.mark.spec("IRCv3 labeled-response")
def test_labels_are_reported_where_they_are_in_force() -> None:
    long = b"x" * 65
    machine = registered("batch labeled-response")

    reports = machine.receive(b"@label=a\\sb WHO\r\n@label=" + long + b" WHO\r\nWHO\r\n", 0)
    plain = registered("labeled-response").receive(b"@label=a WHO\r\n", 0)

    assert [report.label for report in reports if isinstance(report, Commanded)] == ["a\\sb", "", ""]
    assert [report.label for report in plain if isinstance(report, Commanded)] == [""]


@pytest.mark.spec("IRCv3 labeled-response")
def test_an_answer_is_labelled_as_a_whole() -> None:
    machine = registered("batch labeled-response")
    none, one, two = Reply(machine, "1"), Reply(machine, "2"), Reply(machine, "3")
    plain, echoed, batch = Reply(machine, ""), Reply(machine, "4"), Reply(machine, "5")

    none.end()
    one.line("X", "time=now")
    one.end()
    one.end()
    two.numeric("318", "ada", "End")
    two.fail("REDACT", "UNKNOWN", "x", "No")
    two.end()
    plain.line("Y")
    plain.end()
    echoed.answered()
    echoed.end()
    batch.batch("chathistory", "#x", [("time=now", "A"), ("", "B")])
    batch.end()

    assert machine.drain().decode().splitlines() == [
        "@label=1 :irc.example ACK",
        "@label=2;time=now X",
        "@label=3 :irc.example BATCH +1 labeled-response",
        "@batch=1 :irc.example 318 ada ada :End",
        "@batch=1 :irc.example FAIL REDACT UNKNOWN x :No",
        ":irc.example BATCH -1",
        "Y",
        "@label=5 :irc.example BATCH +2 chathistory #x",
        "@batch=2;time=now A",
        "@batch=2 B",
        ":irc.example BATCH -2",
    ]


def test_a_client_without_batches_gets_the_lines() -> None:
    machine = registered()
    reply = Reply(machine, "")

    reply.batch("chathistory", "#x", [("", "A")])

    assert machine.drain() == b"A\r\n"


@pytest.mark.spec("IRCv3 standard-replies")
def test_a_client_that_negotiated_nothing_gets_a_notice() -> None:
    machine = registered()

    Reply(machine, "").fail("REDACT", "UNKNOWN_MSGID", "#x 1", "No such message")

    assert machine.drain() == b":irc.example NOTICE ada :FAIL REDACT UNKNOWN_MSGID: No such message\r\n"


@pytest.mark.spec("IRCv3 utf8-only")
def test_what_is_not_utf8_is_refused_by_name() -> None:
    machine = registered("standard-replies")

    assert machine.receive(b"PRIVMSG #x :\xff\r\n\0\r\n", 0) == []
    assert machine.drain().startswith(b":irc.example FAIL PRIVMSG INVALID_UTF8 :Message rejected")


def test_a_password_is_not_shown_in_a_report() -> None:
    assert "secret" not in repr(RegistrationAsked("a", "b", "c", "secret"))


@given(st.lists(st.binary(max_size=80), max_size=8), st.booleans())
def test_any_bytes_leave_a_working_machine(chunks_of_bytes: list[bytes], answers: bool) -> None:
    machine = registered(CLIENT_BATCH) if answers else fresh()

    for data in chunks_of_bytes:
        machine.receive(data, 1)
        machine.drain()

    assert machine.over or machine.next_deadline_ms() > 0


@given(
    st.lists(
        st.sampled_from(
            [
                b"CAP LS 302",
                b"CAP REQ :sasl batch",
                b"CAP END",
                b"NICK a",
                b"USER a 0 * :a",
                b"AUTHENTICATE PLAIN",
                b"AUTHENTICATE " + base64.b64encode(b"\0a\0b"),
                b"AUTHENTICATE *",
                b"QUIT",
                b"JOIN #x",
            ]
        ),
        max_size=12,
    )
)
def test_any_order_of_registration_leads_to_one_question_at_a_time(lines: list[bytes]) -> None:
    machine = fresh()
    asked = 0

    reports = machine.receive(b"".join(line + b"\r\n" for line in lines), 0)
    while reports:
        for report in reports:
            if isinstance(report, RegistrationAsked):
                asked += 1
                machine.send_welcome("a")
            elif isinstance(report, SaslBegun):
                machine.send_challenge(b"")
            elif isinstance(report, SaslAnswered):
                machine.send_sasl_failed()
        reports = machine.tick(0)

    assert asked <= 1
