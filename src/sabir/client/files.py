"""Files: uploaded and fetched over HTTP, encrypted on the way where the chat is."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import aiohttp

from sabir.client.connection import Connection, Refused, size_of
from sabir.client.encryption import files

FETCH_MAX: Final = 256 << 20
SEALED_MAX: Final = 64 << 20
NAME_MAX: Final = 120


class Files:
    """The files of an account."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection

    async def put(self, path: Path, secret: bool) -> str:
        """Upload a file; return the link to send.

        Raises:
            Refused: there is no such file, it is too large, or the server does not take it.
        """
        if not secret:
            return await self._connection.upload(path)
        _ = size_of(path, SEALED_MAX)
        sealed, fragment = files.seal(await asyncio.to_thread(path.read_bytes))
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "file"
            copy.write_bytes(sealed)
            return files.link(await self._connection.upload(copy), fragment)

    async def get(self, url: str, folder: Path) -> Path:
        """Fetch a file into `folder`, under a name that no file there has.

        Raises:
            Refused: it is not there, is too large, or is not what was sent.
        """
        scheme, opener = urlsplit(url).scheme, b""
        if scheme == files.SCHEME:
            try:
                url, opener = files.address(url)
            except ValueError as error:
                raise Refused(str(error)) from None
        elif scheme not in ("http", "https"):
            raise Refused(f"{url}: not a file to fetch")
        content = await self._fetch(url)
        if opener:
            try:
                content = files.unseal(content, opener)
            except ValueError as error:
                raise Refused(str(error)) from None
        return await asyncio.to_thread(
            _saved, content, folder, unquote(urlsplit(url).path.rpartition("/")[2])
        )

    async def _fetch(self, url: str) -> bytes:
        content = bytearray()
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.get(url, ssl=self._connection.tls, allow_redirects=False) as response,
            ):
                if response.status != 200:
                    raise Refused(f"the server answers {response.status}")
                async for chunk in response.content.iter_chunked(65_536):
                    content += chunk
                    if len(content) > FETCH_MAX:
                        raise Refused(f"more than {FETCH_MAX >> 20} MiB")
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise Refused(str(error) or type(error).__name__) from None
        return bytes(content)


def _saved(content: bytes, folder: Path, name: str) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = _free(folder, name)
        with path.open("xb") as file:
            file.write(content)
    except OSError as error:
        raise Refused(f"it cannot be saved: {error}") from None
    return path


def _free(folder: Path, name: str) -> Path:
    clean = "".join(char for char in name if char.isprintable() and char not in '/\\:*?"<>|')[
        -NAME_MAX:
    ].lstrip(".")
    path = folder / (clean or "file")
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{Path(clean or 'file').stem}-{number}{Path(clean).suffix}"
    return path
