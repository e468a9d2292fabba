"""Where else XMPP is spoken, told over HTTP for clients that cannot ask the DNS (XEP-0156 §3)."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from sabir.gateway.contract import PublicAddress
from sabir.gateway.web import Exchange, Page
from sabir.protocols.xmpp.codec import attribute
from sabir.wire.http.types import HttpResponse

WEBSOCKET: Final = "urn:xmpp:alt-connections:websocket"
BOSH: Final = "urn:xmpp:alt-connections:xbosh"

_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:[0-9]{1,5})?")


def pages(public: PublicAddress, paths: Mapping[str, str], *, needs_tls: bool) -> Sequence[Page]:
    """Return the pages.

    Args:
        public: what the operator says of our address; if that is nothing, the one that was asked is told.
        paths: of the ways to connect, by their link relation.
        needs_tls: nobody may log in without TLS, so no address without it is told (XEP-0156 §3.1).
    """

    def links(exchange: Exchange) -> list[tuple[str, str]]:
        base = public.configured or _asked(exchange, needs_tls=needs_tls)
        if needs_tls:
            base = base.replace("http://", "https://", 1)
        return [
            (relation, (base.replace("http", "ws", 1) if relation == WEBSOCKET else base) + path)
            for relation, path in paths.items()
            if base
        ]

    def xrd(exchange: Exchange) -> None:
        listed = "".join(
            f"<Link{attribute('rel', relation)}{attribute('href', url)}/>"
            for relation, url in links(exchange)
        )
        document = (
            "<?xml version='1.0' encoding='utf-8'?>"
            f"<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>{listed}</XRD>"
        )
        exchange.respond(
            HttpResponse(
                status=200, body=document.encode(), content_type="application/xrd+xml; charset=utf-8"
            )
        )

    def jrd(exchange: Exchange) -> None:
        document = {"links": [{"rel": relation, "href": url} for relation, url in links(exchange)]}
        exchange.respond(
            HttpResponse(status=200, body=json.dumps(document).encode(), content_type="application/json")
        )

    return (
        Page(path="/.well-known/host-meta", serve=xrd, cors=True),  # XEP-0156 §3.4
        Page(path="/.well-known/host-meta.json", serve=jrd, cors=True),
    )


def _asked(exchange: Exchange, *, needs_tls: bool) -> str:
    """Return the address that the client used itself; nothing if what it says of that is not one."""
    host = exchange.request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        return ""
    return f"{'https' if exchange.secure or needs_tls else 'http'}://{host}"
