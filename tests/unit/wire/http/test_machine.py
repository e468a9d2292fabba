import pytest

from sabir.wire.http.machine import IDLE_TIMEOUT_MS, REQUEST_TIMEOUT_MS, Machine
from sabir.wire.http.types import HttpResponse

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
OK = HttpResponse(status=200, body=b"ok")


@pytest.mark.spec("RFC 9112 §9.3.2")
def test_pipelined_requests_are_answered_in_order() -> None:
    machine = Machine(0)
    first, second = machine.receive(GET + GET.replace(b"GET", b"HEAD"), 0)

    machine.send_response(first, OK)
    machine.send_response(second, OK)

    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\n"
    assert machine.drain() == head + b"ok" + head
    assert machine.drain() == b""
    assert not machine.is_over


@pytest.mark.spec("RFC 9112 §9.6")
def test_after_the_last_request_nothing_is_read_and_nothing_sent() -> None:
    machine = Machine(0)
    (last,) = machine.receive(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET, 0)

    machine.send_response(last, OK)

    assert machine.is_over
    assert machine.receive(GET, 0) == []
    assert b"Connection: close" in machine.drain()
    machine.send_response(last, OK)
    assert machine.drain() == b""


def test_nonsense_is_answered_and_is_the_end() -> None:
    machine = Machine(0)

    assert machine.receive(b"nonsense\r\n\r\n", 0) == []

    assert machine.drain().startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert machine.is_over
    assert machine.next_deadline_ms() == 0


def test_nonsense_behind_a_request_is_answered_after_it() -> None:
    machine = Machine(0)

    (request,) = machine.receive(GET + b"nonsense\r\n\r\n", 0)
    machine.send_response(request, OK)

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
    machine.send_response(machine.receive(GET, 500)[0], OK)
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
