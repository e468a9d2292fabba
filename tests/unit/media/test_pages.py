"""Files over HTTP: what is put in is what comes out, and nothing else goes in or comes out."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.unit.core.fakes import World
from tests.unit.gateway.website import Website, hear_out, website
from tests.unit.net.harness import run

from sabir.core.services.media import MediaConfig, Slot
from sabir.gateway.files import path_of
from sabir.media.disk import Disk
from sabir.media.downloads import part_of
from sabir.media.pages import pages

JPEG = b"\xff\xd8\xff" + bytes(range(256)) * 8


class Shop:
    """The pages over a folder."""

    def __init__(self, server: Website, world: World, disk: Disk) -> None:
        self.server, self.world, self.disk = server, world, disk
        self.ada = world.account("ada")

    def slot(self, size: int = len(JPEG), name: str = "très cool.jpg", mime: str = "image/jpeg") -> Slot:
        slot = self.world.services.media.ask(self.ada, name, size, mime)
        assert isinstance(slot, Slot)
        return slot

    async def ask(self, request: str, body: bytes = b"") -> tuple[int, str, bytes]:
        """Return the status, head and body of the answer."""
        reader, writer = await self.server.connect()
        writer.write(request.replace("\n", "\r\n").encode() + body)
        answer = await hear_out(reader, writer)
        head, _, rest = answer.partition(b"\r\n\r\n")
        return int(head[9:12]), head.decode(), rest

    async def put(self, slot: Slot, body: bytes = JPEG, headers: str = "", length: int = -1) -> int:
        length = len(body) if length < 0 else length
        request = f"PUT {path_of(slot.token, slot.name)} HTTP/1.1\nHost: a\nConnection: close\n"
        asked = asyncio.ensure_future(self.ask(f"{request}Content-Length: {length}\n{headers}\n", body))
        while not asked.done():
            await asyncio.sleep(0)
            self.world.scheduler.run()
        return (await asked)[0]

    async def get(self, path: str, headers: str = "", method: str = "GET") -> tuple[int, str, bytes]:
        return await self.ask(f"{method} {path} HTTP/1.1\nHost: a\nConnection: close\n{headers}\n")


@asynccontextmanager
async def shop(folder: Path, config: MediaConfig | None = None) -> AsyncIterator[Shop]:
    world = World(media=config)
    disk = Disk(folder / "media", asyncio.get_running_loop().call_soon_threadsafe)
    async with website(*pages(world.services.media, disk)) as server:
        yield Shop(server, world, disk)
    disk.close()


def test_what_was_put_is_got_with_headers_that_run_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with shop(tmp_path) as here:
            slot = here.slot()
            path = path_of(slot.token, slot.name)
            assert path == f"/upload/{slot.token}/tr%C3%A8s%20cool.jpg"
            assert await here.put(slot, headers="Content-Type: image/jpeg\n") == 201

            status, head, body = await here.get(path)

            assert (status, body) == (200, JPEG)
            for line in (
                "Content-Type: image/jpeg",
                f"Content-Length: {len(JPEG)}",
                "X-Content-Type-Options: nosniff",
                "Content-Security-Policy: sandbox; default-src 'none'; frame-ancestors 'none'",
                "Content-Disposition: inline; filename*=UTF-8''tr%C3%A8s%20cool.jpg",
                f'ETag: "{hashlib.sha256(JPEG).hexdigest()}"',
                "Access-Control-Allow-Origin: *",
            ):
                assert line in head.split("\r\n")
            assert (await here.get(path, method="HEAD"))[1:] == (head, b"")
            assert [each.name for each in (tmp_path / "media/new").iterdir()] == []

    run(main())


@pytest.mark.parametrize(
    ("mime", "disposition"),
    [
        ("image/png", "inline"),
        ("video/mp4", "inline"),
        ("audio/ogg; codecs=opus", "inline"),
        ("text/plain", "inline"),
        ("image/svg+xml", "attachment"),
        ("text/html", "attachment"),
        ("application/pdf", "attachment"),
        ("", "attachment"),
        ("nonsense\r\nSet-Cookie: a=b", "attachment"),
    ],
)
def test_only_what_cannot_run_is_shown_in_a_browser(tmp_path: Path, mime: str, disposition: str) -> None:
    async def main() -> None:
        async with shop(tmp_path) as here:
            slot = here.slot(3, "a", mime)
            assert await here.put(slot, b"abc") == 201

            _, head, _ = await here.get(path_of(slot.token, "a"))

            assert f"Content-Disposition: {disposition}; filename*=UTF-8''a\r\n" in head
            assert "Set-Cookie" not in head

    run(main())


@pytest.mark.spec("XEP-0363 §7")
def test_an_upload_of_another_size_or_type_is_refused_and_the_slot_stays(tmp_path: Path) -> None:
    async def main() -> None:
        async with shop(tmp_path) as here:
            slot = here.slot(3)
            assert await here.put(slot, b"abcd") == 413
            assert await here.put(slot, b"ab") == 413
            assert await here.put(slot, b"abc", "Content-Type: text/html\n") == 415
            chunked = f"PUT {path_of(slot.token, slot.name)} HTTP/1.1\nHost: a\nConnection: close\n"
            assert (await here.ask(f"{chunked}Transfer-Encoding: chunked\n\n", b"3\r\nabc\r\n0\r\n\r\n"))[
                0
            ] == 411

            assert await here.put(slot, b"abc") == 201

    run(main())


def test_a_file_is_never_written_over(tmp_path: Path) -> None:
    async def main() -> None:
        async with shop(tmp_path) as here:
            slot = here.slot(3)
            assert await here.put(slot, b"abc") == 201

            assert await here.put(slot, b"xyz") == 409

            assert (await here.get(path_of(slot.token, slot.name)))[2] == b"abc"

    run(main())


def test_two_uploads_into_one_slot_do_not_mix(tmp_path: Path) -> None:
    async def main() -> None:
        async with shop(tmp_path) as here:
            slot = here.slot(6)
            _, first = await here.server.connect()
            head = f"PUT {path_of(slot.token, slot.name)} HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc"
            first.write(head.encode())
            while not slot.is_used:
                await asyncio.sleep(0)

            assert await here.put(slot, b"xyzxyz") == 409
            first.transport.abort()
            while slot.is_used:
                await asyncio.sleep(0)

            assert await here.put(slot, b"xyzxyz") == 201
            assert (await here.get(path_of(slot.token, slot.name)))[2] == b"xyzxyz"

    run(main())


def test_a_slot_that_is_over_or_never_was_takes_nothing(tmp_path: Path) -> None:
    async def main() -> None:
        async with shop(tmp_path) as here:
            slot = here.slot(3)
            wrong = Slot(slot.token, here.ada, "other", 3, "", slot.until_ms)
            assert await here.put(wrong, b"abc") == 404
            here.world.clock.value_ms += 300_000
            assert await here.put(slot, b"abc") == 404
            assert await here.put(Slot("ab", here.ada, "x", 3, "", 0), b"abc") == 404

    run(main())


@pytest.mark.parametrize(
    "path",
    [
        "/upload/..%2f..%2fsecret/a.jpg",
        "/upload/{token}/..%2fa.jpg",
        "/upload/{token}/%2e%2e",
        "/upload/{token}",
        "/upload/{token}/",
        "/upload/{token}/other.jpg",
        "/upload/new/{token}",
        "/upload/{token}%00/a.jpg",
    ],
)
def test_no_trick_with_a_path_gets_anything(tmp_path: Path, path: str) -> None:
    async def main() -> None:
        async with shop(tmp_path) as here:
            slot = here.slot(3, "a.jpg")
            assert await here.put(slot, b"abc") == 201

            assert (await here.get(path.format(token=slot.token)))[0] == 404

    run(main())


@pytest.mark.spec("RFC 9110 §14.2")
def test_a_download_goes_on_where_it_broke_off(tmp_path: Path) -> None:
    async def main() -> None:
        async with shop(tmp_path) as here:
            slot = here.slot()
            path = path_of(slot.token, slot.name)
            assert await here.put(slot) == 201
            tag = hashlib.sha256(JPEG).hexdigest()

            status, head, body = await here.get(path, f'Range: bytes=100-\nIf-Range: "{tag}"\n')
            assert (status, body) == (206, JPEG[100:])
            assert f"Content-Range: bytes 100-{len(JPEG) - 1}/{len(JPEG)}\r\n" in head
            assert (await here.get(path, "Range: bytes=5-9\n"))[2] == JPEG[5:10]
            assert (await here.get(path, "Range: bytes=-4\n"))[2] == JPEG[-4:]
            assert (await here.get(path, 'Range: bytes=5-9\nIf-Range: "other"\n'))[::2] == (200, JPEG)
            status, head, _ = await here.get(path, "Range: bytes=99999-\n")
            assert (status, f"Content-Range: bytes */{len(JPEG)}" in head) == (416, True)
            status, _, body = await here.get(path, f'If-None-Match: "x", W/"{tag}"\n')
            assert (status, body) == (304, b"")

    run(main())


@pytest.mark.parametrize(
    ("wanted", "part"),
    [
        ("", (0, 10)),
        ("bytes=0-", (0, 10)),
        ("bytes=0-99", (0, 10)),
        ("bytes=9-9", (9, 1)),
        ("bytes=-99", (0, 10)),
        ("bytes=-0", None),
        ("bytes=10-", None),
        ("bytes=5-4", (0, 10)),
        ("bytes=-", (0, 10)),
        ("bytes=0-1,3-4", (0, 10)),
        ("lines=0-1", (0, 10)),
    ],
)
@pytest.mark.spec("RFC 9110 §14.1.2")
def test_a_range_is_a_part_the_whole_or_refused(wanted: str, part: tuple[int, int] | None) -> None:
    assert part_of(wanted, 10) == part


def test_a_big_file_passes_through_piece_by_piece(tmp_path: Path) -> None:
    body = b"0123456789abcdef" * 200_000

    async def main() -> None:
        async with shop(tmp_path) as here:
            slot = here.slot(len(body), "big", "")
            assert await here.put(slot, body, "Expect: 100-continue\n") in (100, 201)

            assert (await here.get(path_of(slot.token, "big")))[2] == body

    run(main())


@pytest.mark.logs_errors
def test_a_file_that_is_lost_is_not_found_and_the_operator_is_told(tmp_path: Path) -> None:
    async def main() -> None:
        async with shop(tmp_path) as here:
            slot = here.slot(3)
            assert await here.put(slot, b"abc") == 201
            here.disk.path(slot.token).unlink()

            assert (await here.get(path_of(slot.token, slot.name)))[0] == 404

    run(main())


@pytest.mark.logs_errors
def test_a_disk_that_refuses_is_told_and_the_slot_stays(tmp_path: Path) -> None:
    async def main() -> None:
        async with shop(tmp_path) as here:
            slot = here.slot(3)
            (tmp_path / "media/new").rename(tmp_path / "media/away")
            assert await here.put(slot, b"abc") == 507
            (tmp_path / "media/away").rename(tmp_path / "media/new")
            while slot.is_used:
                await asyncio.sleep(0)

            assert await here.put(slot, b"abc") == 201

    run(main())


def test_what_was_half_written_when_the_server_died_is_swept_away(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new/abc").write_bytes(b"half")

    Disk(tmp_path, lambda callback: None).close()

    assert list((tmp_path / "new").iterdir()) == []
