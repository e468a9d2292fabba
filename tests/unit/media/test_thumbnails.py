"""Small pictures of big ones, and none of what is no picture."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image
from tests.unit.media.test_pages import shop
from tests.unit.net.harness import run

from sabir.gateway.files import path_of
from sabir.media.thumbnails import MAX_PIXELS, SIZE, NoThumbnail, shrink, thumbnail


def picture(
    kind: str = "JPEG", size: tuple[int, int] = (1600, 800), mode: str = "RGB", **more: object
) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, "teal").save(out, kind, **more)
    return out.getvalue()


def bomb() -> bytes:
    """Return a PNG of a few bytes that says that it has 100,000 by 100,000 pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


def shrunk(folder: Path, data: bytes, mime: str) -> Image.Image:
    path = folder / "file"
    path.write_bytes(data)
    return Image.open(io.BytesIO(shrink(path, mime)))


@pytest.mark.parametrize(
    ("kind", "mime"),
    [("JPEG", "image/jpeg"), ("PNG", "image/png"), ("GIF", "image/gif"), ("WEBP", "image/webp")],
)
def test_a_picture_is_made_small_and_keeps_its_shape(tmp_path: Path, kind: str, mime: str) -> None:
    small = shrunk(tmp_path, picture(kind), mime)

    assert small.size == (SIZE, SIZE // 2)
    assert small.format == "JPEG"


def test_what_shines_through_still_does(tmp_path: Path) -> None:
    small = shrunk(tmp_path, picture("PNG", mode="RGBA"), "image/png")

    assert (small.format, small.mode) == ("PNG", "RGBA")


def test_a_picture_is_turned_upright_and_says_no_more_where_it_was_taken(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x010F] = "maker"
    small = shrunk(tmp_path, picture(exif=exif), "image/jpeg")

    assert small.size == (SIZE // 2, SIZE)
    assert dict(small.getexif()) == {}


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (picture(), "image/png"),  # another than it says
        (picture()[:200], "image/jpeg"),
        (b"", "image/jpeg"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "image/jpeg"),
        (bomb(), "image/png"),
        (picture("TIFF"), "image/tiff"),
        (b"text", "text/plain"),
    ],
    ids=["other type", "cut", "empty", "svg", "postscript", "bomb", "tiff", "text"],
)
def test_there_is_none_of_what_is_no_picture_or_too_big_a_one(tmp_path: Path, data: bytes, mime: str) -> None:
    with pytest.raises(NoThumbnail):
        shrunk(tmp_path, data, mime)


def test_it_is_got_by_the_address_of_the_file_and_goes_with_it(tmp_path: Path) -> None:
    async def main() -> None:
        data = picture()
        async with shop(tmp_path) as here:
            slot = here.slot(len(data), "a.jpg")
            assert await here.put(slot, data) == 201
            address = path_of(slot.token, "a.jpg") + "?thumbnail"

            for _ in range(2):  # made, then kept
                status, head, body = await here.get(address)
                assert status == 200
                assert "Content-Type: image/jpeg\r\n" in head
                assert "Content-Security-Policy: sandbox" in head
                assert Image.open(io.BytesIO(body)).size == (SIZE, SIZE // 2)
            small = here.disk.small(slot.token)
            assert small.exists()
            here.disk.delete([slot.token])
            here.disk.close()
            assert not small.exists()

    run(main())


def test_a_picture_of_too_many_pixels_is_not_decoded(tmp_path: Path) -> None:
    assert MAX_PIXELS == 16_000_000
    with pytest.raises(NoThumbnail):
        shrunk(tmp_path, picture("PNG", (4_001, 4_000), "L"), "image/png")


def test_what_could_not_be_made_small_is_not_tried_again(tmp_path: Path) -> None:
    path, small = tmp_path / "file", tmp_path / "small"
    path.write_bytes(picture()[:200])
    with pytest.raises(NoThumbnail):
        thumbnail(path, small, "image/jpeg")
    path.unlink()

    with pytest.raises(NoThumbnail):
        thumbnail(path, small, "image/jpeg")


def test_a_file_that_is_no_picture_has_none(tmp_path: Path) -> None:
    async def main() -> None:
        async with shop(tmp_path) as here:
            slot = here.slot(3, "a.txt", "text/plain")
            assert await here.put(slot, b"abc") == 201

            assert (await here.get(path_of(slot.token, "a.txt") + "?thumbnail"))[0] == 404
            assert (await here.get(path_of(slot.token, "a.txt")))[0] == 200

    run(main())
