"""XEP-0156: other ways to connect, told over HTTP."""

from __future__ import annotations

import json

import pytest
from tests.unit.gateway.website import website
from tests.unit.net.harness import run

from sabir.gateway.contract import PublicAddress
from sabir.protocols.xmpp.hostmeta import BOSH, WEBSOCKET, pages
from sabir.wire.xml import parse

PATHS = {WEBSOCKET: "/xmpp-websocket", BOSH: "/http-bind"}


def told(configured: str, host: str, *, needs_tls: bool) -> tuple[str, list[tuple[str, str]]]:
    """Return the head of the answer in JSON, and the links in it, which the one in XML repeats."""
    heads: list[str] = []
    links: list[list[tuple[str, str]]] = []

    async def main() -> None:
        async with website(*pages(PublicAddress(configured), PATHS, needs_tls=needs_tls)) as server:
            for path in ("/.well-known/host-meta.json", "/.well-known/host-meta"):
                ask = f"GET {path} HTTP/1.1\nHost: {host}\nConnection: close\n\n"
                head, _, body = (await server.ask(ask)).partition("\r\n\r\n")
                heads.append(head)
                if path.endswith("json"):
                    links.append([(link["rel"], link["href"]) for link in json.loads(body)["links"]])
                else:
                    xrd = parse(body.partition("?>")[2].encode())
                    assert (xrd.name, xrd.namespace) == ("XRD", "http://docs.oasis-open.org/ns/xri/xrd-1.0")
                    links.append([(link.get("rel") or "", link.get("href") or "") for link in xrd.elements()])

    run(main())
    assert links[0] == links[1]
    assert all("Access-Control-Allow-Origin: *\r\n" in head + "\r\n" for head in heads)
    return heads[1], links[0]


@pytest.mark.spec("XEP-0156 §3.1")
@pytest.mark.spec("XEP-0156 §3.3")
def test_the_configured_address_is_told_in_xml_and_in_json_to_any_web_site() -> None:
    head, links = told("https://chat.example.org/", "localhost", needs_tls=True)

    assert "Content-Type: application/xrd+xml" in head
    assert links == [
        ("urn:xmpp:alt-connections:websocket", "wss://chat.example.org/xmpp-websocket"),
        ("urn:xmpp:alt-connections:xbosh", "https://chat.example.org/http-bind"),
    ]


@pytest.mark.parametrize(
    ("host", "needs_tls", "expected"),
    [
        ("chat.example.org:5443", True, "wss://chat.example.org:5443/xmpp-websocket"),
        ("127.0.0.1:4000", False, "ws://127.0.0.1:4000/xmpp-websocket"),
        ("[::1]:4000", False, "ws://[::1]:4000/xmpp-websocket"),
    ],
)
def test_otherwise_the_address_that_was_asked_is_told(host: str, needs_tls: bool, expected: str) -> None:
    assert (WEBSOCKET, expected) in told("", host, needs_tls=needs_tls)[1]


@pytest.mark.parametrize("host", ["evil'/><Link", "a/b", "user@host", ""])
def test_what_is_no_address_is_not_repeated(host: str) -> None:
    assert told("", host, needs_tls=True)[1] == []
