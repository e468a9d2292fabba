"""Health, readiness and metrics over HTTP, for whoever watches the server from the same machine.

Without login, and therefore for loopback peers only; anybody else is told 403.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_LATEST

from sabir.gateway.web import Exchange, Page
from sabir.wire.http.types import HttpResponse


@dataclass(frozen=True, slots=True)
class Probes:
    """What the pages show."""

    objection: Callable[[], str]
    """Why the server cannot do its work now, e.g. that the log cannot be written; empty = it can."""
    metrics: Callable[[], bytes]
    """All metrics, in the text format of Prometheus."""


def pages(probes: Probes) -> Sequence[Page]:
    """Return the pages."""

    def health(exchange: Exchange) -> None:
        exchange.respond(HttpResponse(status=200, body=b"ok\n"))

    def readiness(exchange: Exchange) -> None:
        objection = probes.objection()
        if objection:
            exchange.respond(HttpResponse(status=503, body=f"{objection}\n".encode()))
        else:
            exchange.respond(HttpResponse(status=200, body=b"ready\n"))

    def metrics(exchange: Exchange) -> None:
        exchange.respond(HttpResponse(status=200, body=probes.metrics(), content_type=CONTENT_TYPE_LATEST))

    return (
        Page(path="/healthz", serve=health, for_anyone=False),
        Page(path="/readyz", serve=readiness, for_anyone=False),
        Page(path="/metrics", serve=metrics, for_anyone=False),
    )
