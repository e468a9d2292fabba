import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.wire.http.codec import Decoder, HttpLimits, encode
from sabir.wire.http.types import (
    BodyBroken,
    BodyEnd,
    BodyPiece,
    BodyPlan,
    Event,
    HttpRequest,
    HttpResponse,
)

LIMITS = HttpLimits(target_bytes=100, header_bytes=200, header_count=5)
COLLECTED = BodyPlan(max_bytes=10)
IN_PIECES = BodyPlan(max_bytes=10, in_pieces=True)
GET = b"GET /metrics?a=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
POST = b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


def decoder(plan: BodyPlan = COLLECTED) -> Decoder:
    return Decoder(LIMITS, lambda request: plan, lambda: None)


def requests(events: list[Event]) -> list[HttpRequest]:
    return [event for event in events if isinstance(event, HttpRequest)]


def test_a_request_is_read() -> None:
    assert decoder().feed(GET) == [
        HttpRequest(method="GET", path="/metrics", query="a=1", headers={"host": "localhost"})
    ]


@given(st.integers(1, len(GET + POST)))
def test_requests_survive_any_chunking(size: int) -> None:
    data = GET + POST
    reader = decoder()

    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    found = [request for piece in pieces for request in requests(reader.feed(piece))]

    assert [(request.method, request.body) for request in found] == [("GET", b""), ("POST", b"hello")]
    assert reader.is_idle


@given(st.binary(max_size=300))
def test_any_bytes_are_requests_or_a_syntax_error(data: bytes) -> None:
    reader = decoder()

    for event in reader.feed(data):
        assert isinstance(event, HttpRequest)
    assert reader.error is None or 400 <= reader.error.status < 600


def test_a_chunked_body_is_put_together() -> None:
    head = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

    (request,) = requests(decoder().feed(head + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"))

    assert request.body == b"abcde"


@pytest.mark.spec("RFC 9110 §5.3")
def test_values_of_a_repeated_field_are_joined() -> None:
    (request,) = requests(decoder().feed(b"GET / HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a: 2\r\n\r\n"))

    assert request.headers["x-a"] == "1, 2"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, xyz\r\n\r\n", 400),
        (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3, 3\r\n\r\nabc", 400),
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: a\n\n", 400),
        (b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /" + b"x" * 100 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 200 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 400, 431),
        (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 5 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", 413),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890\r\n", 413),
    ],
)
@pytest.mark.spec("RFC 9112 §3.2")
def test_what_is_wrong_or_too_big_is_a_syntax_error_with_its_status(data: bytes, status: int) -> None:
    reader = decoder()

    assert reader.feed(data) == []
    assert reader.error is not None
    assert reader.error.status == status


def test_a_head_that_never_ends_is_an_error_however_small_its_pieces() -> None:
    reader = decoder()
    reader.feed(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")

    for _ in range(300 - 28):
        reader.feed(b"x")
    assert reader.error is None
    reader.feed(b"x")

    assert reader.error is not None
    assert reader.error.status == 431


@pytest.mark.spec("RFC 9110 §10.1.1")
def test_a_peer_that_waits_for_a_go_ahead_is_noticed() -> None:
    heard: list[str] = []
    reader = Decoder(LIMITS, lambda request: COLLECTED, lambda: heard.append("continue"))

    reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")

    assert heard == ["continue"]
    assert [request.body for request in requests(reader.feed(b"ok"))] == [b"ok"]


@pytest.mark.spec("RFC 9110 §7.8")
def test_a_wish_for_another_protocol_is_noted_and_what_follows_is_kept() -> None:
    data = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x00"

    reader = decoder()
    (request,) = requests(reader.feed(data))

    assert (request.path, request.keeps_alive, request.upgrades) == ("/", False, True)
    assert reader.rest == b"\x81\x00"


@pytest.mark.spec("RFC 9112 §9.3")
@pytest.mark.parametrize(
    ("head", "keeps_alive"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
    ],
)
def test_a_connection_stays_unless_the_peer_wants_otherwise(head: bytes, keeps_alive: bool) -> None:
    assert [request.keeps_alive for request in requests(decoder().feed(head))] == [keeps_alive]


def test_a_response_is_written_with_its_length() -> None:
    response = HttpResponse(status=200, body=b"ok\n", headers=(("X-A", "1"),))

    assert encode(response, date="now", with_body=True, keeps_alive=False) == (
        b"HTTP/1.1 200 OK\r\nDate: now\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 3\r\nX-A: 1\r\nConnection: close\r\n\r\nok\n"
    )


@pytest.mark.spec("RFC 9110 §15.3.5")
def test_no_content_has_neither_body_nor_length() -> None:
    assert encode(HttpResponse(status=204), date="", with_body=True, keeps_alive=True) == (
        b"HTTP/1.1 204 No Content\r\n\r\n"
    )


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_body_in_pieces_is_passed_on_as_it_comes(size: int) -> None:
    reader = decoder(IN_PIECES)

    events = [event for at in range(0, len(POST), size) for event in reader.feed(POST[at : at + size])]

    assert isinstance(events[0], HttpRequest)
    assert b"".join(event.data for event in events if isinstance(event, BodyPiece)) == b"hello"
    assert (events[-1], reader.in_pieces, reader.is_idle) == (BodyEnd(), False, True)


@pytest.mark.parametrize(
    ("body", "status"), [(b"b\r\n01234567890\r\n", 413), (b"3\r\nabcd\r\n", 400), (b"zz\r\n", 400)]
)
def test_what_breaks_a_body_in_pieces_is_told_behind_its_head(body: bytes, status: int) -> None:
    reader = decoder(IN_PIECES)

    events = reader.feed(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body)

    assert isinstance(events[0], HttpRequest)
    assert isinstance(events[-1], BodyBroken)
    assert events[-1].status == status


CHUNKED = b"POST /a HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 192.0.2.1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.spec("RFC 9110 §6.5.1")
def test_fields_behind_a_body_change_nothing_of_the_head() -> None:
    reader = decoder()

    (request,) = requests(
        reader.feed(CHUNKED + b"1\r\nx\r\n0\r\nX-Forwarded-For: 127.0.0.1\r\nAuthorization: me\r\n\r\n")
    )

    assert request.body == b"x"
    assert request.headers["x-forwarded-for"] == "192.0.2.1"
    assert "authorization" not in request.headers


@pytest.mark.parametrize("begun", [b"0\r\nA: ", b"0\r\nA", b"5;", b"5;a=", b"1\r\nx\r\n0\r\nA: "])
def test_what_comes_with_a_body_and_never_ends_is_an_error(begun: bytes) -> None:
    reader = decoder()
    reader.feed(CHUNKED + begun)

    fed = 0
    while reader.error is None and fed < 1_000_000:
        reader.feed(b"x" * 1_000)
        fed += 1_000

    assert fed < 50_000
    assert reader.error is not None


def test_a_body_in_many_pieces_is_no_such_thing() -> None:
    reader = decoder(BodyPlan(max_bytes=1_000_000))
    reader.feed(CHUNKED)
    for _ in range(100):
        reader.feed(b"3e8\r\n" + b"x" * 500)
        reader.feed(b"x" * 500 + b"\r\n")

    (request,) = requests(reader.feed(b"0\r\n\r\n"))

    assert len(request.body) == 100_000


@pytest.mark.spec("RFC 9112 §6.3")
@pytest.mark.parametrize(
    "fields",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        b"Content-Length: 5\r\nContent-Length: 5",
        b"Content-Length: 5, 5",
        b"Content-Length: +5",
        b"Content-Length: 5 5",
        b"Content-Length : 5",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: gzip, chunked",
        b"Transfer-Encoding: \x0bchunked",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
        b"A: b\nContent-Length: 5",
        b"A: b\rContent-Length: 5",
        b"A: b\r\n Content-Length: 5",
        b"Content-Length: " + b"9" * 5_000,
    ],
)
def test_a_body_of_two_lengths_is_never_guessed_at(fields: bytes) -> None:
    reader = decoder()

    assert reader.feed(b"POST /a HTTP/1.1\r\nHost: h\r\n" + fields + b"\r\n\r\n0\r\n\r\n") == []
    assert reader.error is not None


@pytest.mark.parametrize(
    "line", [b"5\n", b"0x5\r\n", b"5 \r\n", b"5;a\n", b"-5\r\n", b"fffffffffffffffff\r\n"]
)
def test_a_chunk_whose_size_could_be_read_in_two_ways_is_an_error(line: bytes) -> None:
    reader = decoder()

    reader.feed(CHUNKED + line + b"abcde\r\n0\r\n\r\n")

    assert reader.error is not None


def test_a_length_with_many_zeros_is_still_one() -> None:
    reader = Decoder(HttpLimits(), lambda request: COLLECTED, lambda: None)

    (request,) = requests(
        reader.feed(b"POST /a HTTP/1.1\r\nHost: h\r\nContent-Length: " + b"0" * 5_000 + b"5\r\n\r\nabcde")
    )

    assert request.body == b"abcde"
