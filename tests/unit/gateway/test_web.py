import pytest
from tests.unit.gateway.harness import EchoFrontEnd

from sabir.gateway.web import Exchange, Page, Site, Socket, path_of
from sabir.net.connection import Unanswered


def serve(exchange: Exchange) -> None:
    raise AssertionError


SITE = Site(
    (
        Page(path="/upload/{token}/{name}", serve=serve, methods=("PUT", "GET")),
        Page(path="/upload/{token}/{name}", serve=serve, methods=("DELETE",)),
        Page(path="/plain", serve=serve),
    )
)


def test_names_in_a_path_are_given_decoded() -> None:
    found, parameters = SITE.find("/upload/abc/tr%C3%A8s%20jolie.jpg")

    assert parameters == {"token": "abc", "name": "très jolie.jpg"}
    assert found is not None
    assert found.methods == "DELETE, GET, HEAD, PUT"


@pytest.mark.parametrize(
    "path",
    [
        "/upload/abc",
        "/upload/abc/",
        "/upload/abc/d/e",
        "/upload/../plain/x",
        "/upload/abc/..",
        "/upload/abc/%2e%2e",
        "/upload/abc/..%2f..%2fetc",
        "/upload/abc/..%5cetc",
        "/upload/abc/a%00b",
        "/upload/abc/%ff",
        "//plain",
        "/plain/",
        "/%70lain/..",
        "plain",
        "*",
        "",
        "ftp://host/plain",
    ],
)
def test_no_trick_with_a_path_finds_anything(path: str) -> None:
    assert SITE.find(path)[0] is None


@pytest.mark.spec("RFC 9112 §3.2.2")
def test_a_target_in_full_is_the_page_that_it_names() -> None:
    assert path_of("http://chat.example.org/plain") == "/plain"
    assert SITE.find("HTTPS://chat.example.org/plain")[0] is not None


def test_two_pages_for_the_same_requests_are_a_mistake() -> None:
    front_end = EchoFrontEnd()
    socket = Socket(path="/ws", protocol="echo", front_end=front_end, connect=lambda _: Unanswered())
    site = Site((Page(path="/a", serve=serve), socket))

    with pytest.raises(ValueError, match="two pages for GET /a"):
        site.add(Page(path="/a", serve=serve, methods=("GET",)))
    with pytest.raises(ValueError, match="two sockets for echo"):
        site.add(Socket(path="/ws", protocol="echo", front_end=front_end, connect=lambda _: Unanswered()))
