"""PUT: one file into its slot (XEP-0363 §7), piece by piece as it comes, no faster than the disk."""

from __future__ import annotations

import logging
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.services.media import Media, Slot
from sabir.gateway.web import Exchange
from sabir.media.disk import Disk, Draft
from sabir.wire.http.types import HttpResponse

log = logging.getLogger(__name__)

FULL_BYTES: Final = 1_048_576
"""Bytes that may wait for the disk; the client is held back beyond."""


def put(media: Media, disk: Disk, exchange: Exchange) -> None:
    """Take the file, or say why not."""
    refused = _refused(media, exchange)
    if refused is not None:
        exchange.respond(refused)
        return
    slot = media.slot(exchange.parameters["token"])
    assert slot is not None  # it would have been refused
    slot.is_used = True
    exchange.take_body(_Upload(media, disk, exchange, slot))


def _refused(media: Media, exchange: Exchange) -> HttpResponse | None:
    headers = exchange.request.headers
    token, name = exchange.parameters["token"], exchange.parameters["name"]
    slot = media.slot(token)
    if slot is None or slot.name != name:
        if media.find(token) is not None:
            return HttpResponse(status=409, body=b"there is a file already\n")
        return HttpResponse(status=404, body=b"no such slot; it may be over\n")
    if slot.is_used:
        return HttpResponse(status=409, body=b"this slot is in use\n")
    length = headers.get("content-length", "")
    if not length:
        return HttpResponse(status=411, body=b"Content-Length is missing\n")
    if length != str(slot.size):
        # XEP-0363 §7: the size is the one of the request, exactly.
        return HttpResponse(status=413, body=b"this is not the size that the slot was made for\n")
    wanted = slot.mime.partition(";")[0].strip().lower()
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    if wanted and given and wanted != given:
        return HttpResponse(status=415, body=b"this is not the type that the slot was made for\n")
    return None


class _Upload:
    """See `web.Sink`. One job at a time is with the disk; what comes meanwhile waits, up to a bound."""

    def __init__(self, media: Media, disk: Disk, exchange: Exchange, slot: Slot) -> None:
        self._media: Final = media
        self._disk: Final = disk
        self._exchange: Final = exchange
        self._slot: Final = slot
        self._draft: Final = Draft(disk, slot.token)
        self._pieces: list[bytes] = []
        self._waiting_bytes = 0
        self._is_busy = False
        self._is_complete = False
        self._is_broken = False

    def piece(self, data: bytes) -> None:
        """See `Sink.piece`."""
        if self._is_broken:
            return
        self._pieces.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > FULL_BYTES:
            self._exchange.pause_body()
        self._go_on()

    def end(self) -> None:
        """See `Sink.end`."""
        self._is_complete = True
        self._go_on()

    def broken(self) -> None:
        """See `Sink.broken`: the slot may be used again, from the beginning."""
        self._is_broken = True
        self._go_on()

    def _go_on(self) -> None:
        if self._is_busy:
            return
        if self._is_broken:
            self._is_busy = True
            self._disk.run(self._draft.drop, self._dropped)
        elif self._pieces:
            self._is_busy = True
            pieces, self._pieces = self._pieces, []
            self._waiting_bytes = 0
            self._disk.run(lambda: self._draft.write(pieces), self._written)
        elif self._is_complete:
            self._is_busy = True
            self._disk.run(self._draft.finish, self._finished)

    def _written(self, answer: OSError | None) -> None:
        self._is_busy = False
        if isinstance(answer, OSError):
            self._fail(answer)
            return
        self._exchange.resume_body()
        self._go_on()

    def _finished(self, answer: bytes | OSError) -> None:
        if isinstance(answer, OSError):
            self._is_busy = False
            self._fail(answer)
            return
        self._media.keep(self._slot, answer, self._kept, self._refused)

    def _kept(self) -> None:
        self._exchange.respond(HttpResponse(status=201))

    def _refused(self, refusal: Refusal) -> None:
        self._disk.delete([self._slot.token])
        self._media.release(self._slot)
        self._exchange.respond(HttpResponse(status=503, body=f"{refusal.value}\n".encode()))

    def _fail(self, error: OSError) -> None:
        log.error("a file cannot be written", exc_info=error)
        self._is_broken = True
        self._exchange.respond(HttpResponse(status=507, body=b"the disk refuses\n"))
        self._go_on()

    def _dropped(self, answer: object) -> None:
        self._media.release(self._slot)
