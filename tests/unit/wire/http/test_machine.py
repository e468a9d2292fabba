import pytest

from sabir.wire.http.machine import (
    BODY_BYTES_PER_WINDOW,
    BODY_WINDOW_MS,
    IDLE_TIMEOUT_MS,
    REQUEST_TIMEOUT_MS,
    Machine,
)
from sabir.wire.http.types import BodyBroken, BodyPiece, BodyPlan, Event, HttpRequest, HttpResponse

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n"
OK = HttpResponse(status=200, body=b"ok")


def requests(events: list[Event]) -> list[HttpRequest]:
    return [event for event in events if isinstance(event, HttpRequest)]


def taking_pieces() -> tuple[Machine, HttpRequest]:
    """Return a machine in the middle of a body that is passed on in pieces."""
    machine = Machine(0, lambda request: BodyPlan(max_bytes=1_000_000, in_pieces=True))
    (request,) = requests(machine.receive(POST, 0))
    return machine, request


@pytest.mark.spec("RFC 9112 §9.3.2")
def test_pipelined_requests_are_answered_in_order() -> None:
    machine = Machine(0)
    first, second = requests(machine.receive(GET + GET.replace(b"GET", b"HEAD"), 0))

    machine.send_response(first, OK, 0)
    machine.send_response(second, OK, 0)

    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\n"
    assert machine.drain() == head + b"ok" + head
    assert machine.drain() == b""
    assert not machine.is_over


@pytest.mark.spec("RFC 9112 §9.6")
def test_after_the_last_request_nothing_is_read_and_nothing_sent() -> None:
    machine = Machine(0)
    (last,) = requests(machine.receive(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET, 0))

    machine.send_response(last, OK, 0)

    assert machine.is_over
    assert machine.receive(GET, 0) == []
    assert b"Connection: close" in machine.drain()
    machine.send_response(last, OK, 0)
    assert machine.drain() == b""


def test_nonsense_is_answered_and_is_the_end() -> None:
    machine = Machine(0)

    assert machine.receive(b"nonsense\r\n\r\n", 0) == []

    assert machine.drain().startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert machine.is_over
    assert machine.next_deadline_ms() == 0


def test_nonsense_behind_a_request_is_answered_after_it() -> None:
    machine = Machine(0)

    (request,) = requests(machine.receive(GET + b"nonsense\r\n\r\n", 0))
    machine.send_response(request, OK, 0)

    ok, refused = machine.drain().split(b"HTTP/1.1 ")[1:]
    assert (ok[:3], refused[:3]) == (b"200", b"400")
    assert machine.is_over


def test_a_peer_that_waits_is_told_to_go_on() -> None:
    machine = Machine(0)

    machine.receive(GET.replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\n"), 0)

    assert machine.drain() == b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.spec("RFC 9112 §9.5")
def test_an_idle_connection_ends_without_a_word() -> None:
    machine = Machine(0)
    machine.send_response(requests(machine.receive(GET, 500))[0], OK, 500)
    machine.drain()
    assert machine.next_deadline_ms() == 500 + IDLE_TIMEOUT_MS

    machine.tick(499 + IDLE_TIMEOUT_MS)
    assert not machine.is_over
    machine.tick(500 + IDLE_TIMEOUT_MS)

    assert (machine.is_over, machine.drain()) == (True, b"")


def test_a_request_that_trickles_in_is_told_that_it_took_too_long() -> None:
    machine = Machine(0)
    for at_ms in range(0, REQUEST_TIMEOUT_MS, 1000):
        machine.receive(b"GET / HTTP/1.1\r\n"[at_ms // 1000 :][:1], at_ms)

    machine.tick(REQUEST_TIMEOUT_MS)

    assert machine.drain().startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert machine.is_over


def test_while_an_answer_is_due_nothing_is_late() -> None:
    machine = Machine(0)
    (request,) = requests(machine.receive(GET, 0))
    assert machine.next_deadline_ms() == 0
    machine.tick(10 * IDLE_TIMEOUT_MS)

    machine.send_response(request, OK, 10 * IDLE_TIMEOUT_MS)

    assert machine.next_deadline_ms() == 11 * IDLE_TIMEOUT_MS


def test_a_body_that_trickles_in_is_given_up_and_one_that_flows_is_not() -> None:
    machine, request = taking_pieces()
    machine.receive(b"x" * BODY_BYTES_PER_WINDOW, 1)

    assert machine.tick(BODY_WINDOW_MS) == []
    machine.receive(b"x", BODY_WINDOW_MS + 1)
    (broken,) = machine.tick(2 * BODY_WINDOW_MS)
    assert isinstance(broken, BodyBroken)
    machine.send_response(request, HttpResponse(status=broken.status), 2 * BODY_WINDOW_MS)

    assert machine.drain().count(b"HTTP/1.1 408") == 1
    assert machine.is_over


def test_a_body_that_we_hold_back_is_not_late() -> None:
    machine, _ = taking_pieces()
    machine.is_held = True

    assert machine.tick(BODY_WINDOW_MS) == []
    assert machine.next_deadline_ms() == 2 * BODY_WINDOW_MS


@pytest.mark.spec("RFC 9112 §9.6")
def test_an_answer_before_the_end_of_the_body_ends_the_connection() -> None:
    machine, request = taking_pieces()

    machine.send_response(request, OK, 0)

    assert b"Connection: close" in machine.drain()
    assert machine.receive(b"x", 0) == []
    assert machine.is_over


def test_a_body_that_is_held_back_by_an_expectation_comes_after_the_go_ahead() -> None:
    machine = Machine(0, lambda request: BodyPlan(max_bytes=1_000_000, in_pieces=True))
    (request,) = requests(machine.receive(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"), 0))
    assert machine.drain() == b""

    machine.send_continue(request)

    assert machine.drain() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert machine.receive(b"abc", 0) == [BodyPiece(b"abc")]


def test_an_answer_in_pieces_is_complete_when_the_last_is_sent() -> None:
    machine = Machine(0)
    (request,) = requests(machine.receive(GET, 0))

    machine.send_response(request, HttpResponse(status=200, later_bytes=4), 0)
    machine.send_piece(b"ab", 0)
    assert machine.is_answering
    machine.send_piece(b"cd", 0)

    assert not machine.is_answering
    assert machine.drain().endswith(b"Content-Length: 4\r\n\r\nabcd")


def test_the_answer_to_head_needs_no_pieces() -> None:
    machine = Machine(0)
    (request,) = requests(machine.receive(GET.replace(b"GET", b"HEAD"), 0))

    machine.send_response(request, HttpResponse(status=200, later_bytes=4), 0)

    assert not machine.is_answering
    assert machine.drain().endswith(b"Content-Length: 4\r\n\r\n")


@pytest.mark.spec("RFC 9110 §7.8")
def test_after_a_switch_of_protocols_nothing_is_read() -> None:
    machine = Machine(0)
    wish = b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    (request,) = requests(machine.receive(GET.replace(b"\r\n\r\n", wish) + b"rest", 0))

    assert machine.switch(request, (("Upgrade", "websocket"),)) == b"rest"

    assert machine.drain() == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    )
    assert machine.receive(GET, 0) == []
