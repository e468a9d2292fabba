"""GET: a file, or a part of it (RFC 9110 §14), with headers under which no browser runs what is in it."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

from sabir.core.model.changes import MediaRow
from sabir.core.services.media import Media
from sabir.gateway.web import Exchange
from sabir.media.disk import Disk, Reader
from sabir.media.thumbnails import NoThumbnail, thumbnail
from sabir.wire.http.types import HttpResponse

log = logging.getLogger(__name__)

_TYPE: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{0,60}/[a-z0-9][a-z0-9.+-]{0,80}")
_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
# Shown by browsers without running anything. What may hold scripts (SVG, HTML, XML, PDF) is not here.
_SHOWN: Final = frozenset(
    {
        "image/avif",
        "image/bmp",
        "image/gif",
        "image/heic",
        "image/jpeg",
        "image/jxl",
        "image/png",
        "image/webp",
        "text/plain",
    }
)
_SAFE: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "sandbox; default-src 'none'; frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "cross-origin"),
    ("Referrer-Policy", "no-referrer"),
)


def get(media: Media, disk: Disk, exchange: Exchange) -> None:
    """Send the file."""
    row = media.find(exchange.parameters["token"])
    if row is None or row.name != exchange.parameters["name"]:
        exchange.respond(HttpResponse(status=404, body=b"no such file; it may be over\n"))
        return
    if exchange.request.query == "thumbnail":
        _thumbnail(disk, exchange, row)
        return
    tag = f'"{row.sha256.hex()}"'
    headers: tuple[tuple[str, str], ...] = (
        *_SAFE,
        ("ETag", tag),
        ("Accept-Ranges", "bytes"),
        # The name holds a secret of its own, so no cache may pass it on to others.
        ("Cache-Control", f"private, max-age={86_400}, immutable"),
        ("Content-Disposition", _disposition(row)),
    )
    asked = exchange.request.headers
    if tag in [each.strip().removeprefix("W/") for each in asked.get("if-none-match", "").split(",")]:
        exchange.respond(HttpResponse(status=304, headers=headers))  # RFC 9110 §13.1.2
        return
    wanted = asked.get("range", "")
    if asked.get("if-range", tag) != tag:
        wanted = ""  # RFC 9110 §13.1.5: it is another file by now
    part = part_of(wanted, row.size)
    if part is None:
        # RFC 9110 §15.5.17
        refused = (("Content-Range", f"bytes */{row.size}"), *headers)
        exchange.respond(HttpResponse(status=416, body=b"there is no such part\n", headers=refused))
        return
    start, size = part
    status = 200
    if wanted and size != row.size:
        status = 206
        headers = (("Content-Range", f"bytes {start}-{start + size - 1}/{row.size}"), *headers)
    response = HttpResponse(status=status, content_type=content_type(row), headers=headers, later_bytes=size)
    send(disk, exchange, disk.path(row.store_key), start, response)


def part_of(wanted: str, size: int) -> tuple[int, int] | None:
    """Return the start and size of the part that a Range field asks for; None if there is no such part.

    Whatever else it asks for, such as several parts, is answered with the whole (RFC 9110 §14.2).
    """
    found = _RANGE.fullmatch(wanted)
    if found is None or not (found[1] or found[2]):
        return 0, size
    if not found[1]:  # the last so many bytes
        length = min(int(found[2]), size)
        return (size - length, length) if length else None
    start = int(found[1])
    end = min(int(found[2]), size - 1) if found[2] else size - 1
    if found[2] and int(found[2]) < start:
        return 0, size
    return (start, end - start + 1) if start < size else None


def content_type(row: MediaRow) -> str:
    """Return the type of a file, if it is written as one."""
    mime = row.mime.partition(";")[0].strip().lower()
    if mime == "text/plain":
        return "text/plain; charset=utf-8"
    return mime if _TYPE.fullmatch(mime) else "application/octet-stream"


def _thumbnail(disk: Disk, exchange: Exchange, row: MediaRow) -> None:
    """Send the small picture of a big one."""
    tag = f'"{row.sha256.hex()}-small"'
    headers = (*_SAFE, ("ETag", tag), ("Cache-Control", "private, max-age=86400, immutable"))
    if exchange.request.headers.get("if-none-match") == tag:
        exchange.respond(HttpResponse(status=304, headers=headers))
        return

    def made(answer: tuple[bytes, str] | OSError | None) -> None:
        if answer is None or isinstance(answer, OSError):
            exchange.respond(HttpResponse(status=404, body=b"there is no small picture of this\n"))
            return
        data, kind = answer
        exchange.respond(HttpResponse(status=200, body=data, content_type=kind, headers=headers))

    def make() -> tuple[bytes, str] | None:
        try:
            return thumbnail(disk.path(row.store_key), disk.small(row.store_key), row.mime)
        except NoThumbnail:
            return None

    if not disk.run_alone(make, made):
        exchange.respond(HttpResponse(status=503, body=b"too many want pictures\n"))


def _disposition(row: MediaRow) -> str:
    mime = row.mime.partition(";")[0].strip().lower()
    shown = mime in _SHOWN or mime.startswith(("audio/", "video/"))
    return f"{'inline' if shown else 'attachment'}; filename*=UTF-8''{quote(row.name, safe='')}"


def send(disk: Disk, exchange: Exchange, path: Path, start: int, response: HttpResponse) -> None:
    """Answer with `response` and so much of the file at `path` as it announces, no faster than the client reads."""
    if exchange.request.method == "HEAD":
        exchange.respond(response)
        return
    _Download(disk, exchange, Reader(path, start, response.later_bytes), response).begin()


class _Download:
    """One answer under way. The response begins when the first piece is there: until then it may be an error."""

    def __init__(self, disk: Disk, exchange: Exchange, reader: Reader, response: HttpResponse) -> None:
        self._disk: Final = disk
        self._exchange: Final = exchange
        self._reader: Final = reader
        self._response: HttpResponse | None = response
        self._is_reading = False

    def begin(self) -> None:
        """Read the first piece."""
        self._exchange.when_room = self._go_on
        self._exchange.when_gone = self._go_on
        self._go_on()

    def _go_on(self) -> None:
        if self._is_reading:
            return
        if self._exchange.is_over:
            self._end()
        elif self._exchange.has_room:
            self._is_reading = True
            self._disk.run(self._reader.read, self._read)

    def _read(self, answer: bytes | OSError) -> None:
        self._is_reading = False
        exchange = self._exchange
        response, self._response = self._response, None
        if isinstance(answer, OSError):
            log.error("a file cannot be read", exc_info=answer)
            if response is not None:
                exchange.respond(HttpResponse(status=404, body=b"the file is lost\n"))
            else:
                exchange.cut_off()
            self._end()
            return
        if response is not None:
            exchange.respond(response)
        exchange.respond_piece(answer)
        self._go_on()

    def _end(self) -> None:
        close: Callable[[], None] = self._reader.close
        self._disk.run(close, _nothing)


def _nothing(answer: object) -> None:
    """Nobody waits for it."""
