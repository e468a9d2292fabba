"""Small pictures of big ones, for chats that show many: made when first asked for, kept beside the file.

Decoding what strangers send is done with few formats, within a bound on pixels that is checked before any is
decoded, and one picture at a time. What cannot be made small is not an error: the client gets told and shows the file.
"""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path
from typing import Final

from PIL import GifImagePlugin, ImageFile, ImageOps, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

log = logging.getLogger(__name__)

SIZE: Final = 400
"""The longer side, in pixels."""
MAX_PIXELS: Final = 16_000_000
"""A picture with more is not decoded: this many take 64 MB for a moment."""
MAX_BYTES: Final = 33_554_432
"""Nor is a file that is bigger."""

DECODERS: Final[dict[str, type[ImageFile.ImageFile]]] = {
    "image/gif": GifImagePlugin.GifImageFile,
    "image/jpeg": JpegImagePlugin.JpegImageFile,
    "image/png": PngImagePlugin.PngImageFile,
    "image/webp": WebPImagePlugin.WebPImageFile,
}
"""By type: the one decoder that is tried, whatever the file begins with."""

_QUALITY: Final = 80


class NoThumbnail(Exception):
    """There is none of this file."""


def thumbnail(path: Path, small: Path, mime: str) -> tuple[bytes, str]:
    """Return the small picture of the file at `path`, and its type; kept at `small`, as is that there is none.

    It blocks.

    Raises:
        NoThumbnail: it is no picture, or one that is too big or broken.
        OSError: the disk refuses.
    """
    try:
        data = small.read_bytes()
    except FileNotFoundError:
        try:
            data = shrink(path, mime)
        except NoThumbnail:
            data = b""  # kept too: nobody makes us try again
        _write(small, data)
    if not data:
        raise NoThumbnail
    return data, "image/png" if data.startswith(b"\x89PNG") else "image/jpeg"


def shrink(path: Path, mime: str) -> bytes:
    """Return a small JPEG, or a PNG if something shines through, without what else was in the file.

    Raises:
        NoThumbnail: see `thumbnail`.
        OSError: the file cannot be read.
    """
    decoder = DECODERS.get(mime.partition(";")[0].strip().lower())
    if decoder is None or path.stat().st_size > MAX_BYTES:
        raise NoThumbnail
    data = path.read_bytes()
    try:
        return _shrunk(decoder, data)
    except NoThumbnail:
        raise
    except Exception as error:
        # Decoders fail in more ways than Pillow names, all of them by what is in the file.
        log.info("no thumbnail", extra={"reason": type(error).__name__})
        raise NoThumbnail from error


def _shrunk(decoder: type[ImageFile.ImageFile], data: bytes) -> bytes:
    with decoder(io.BytesIO(data)) as picture:
        if picture.width * picture.height > MAX_PIXELS:
            raise NoThumbnail
        picture.draft("RGB", (2 * SIZE, 2 * SIZE))  # JPEG: decode no more than is needed
        upright = ImageOps.exif_transpose(picture)
        shines = "A" in upright.getbands() or "transparency" in upright.info
        small = upright.convert("RGBA" if shines else "RGB")
    small.thumbnail((SIZE, SIZE))
    out = io.BytesIO()
    if shines:
        small.save(out, "PNG", optimize=True)
    else:
        small.save(out, "JPEG", quality=_QUALITY)
    return out.getvalue()


def _write(path: Path, data: bytes) -> None:
    draft = path.with_name(f"{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    draft.write_bytes(data)
    draft.replace(path)
