"""slixmpp uploads a file as it does for its users, and the other one downloads what it was sent the address of."""

from __future__ import annotations

import asyncio
import urllib.request
from pathlib import Path

from tests.interop.conftest import RunningServer
from tests.interop.test_xmpp_slixmpp import Client, play


def test_a_file_is_uploaded_and_its_address_leads_to_it(running: RunningServer, tmp_path: Path) -> None:
    picture = tmp_path / "Verona à midi.png"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100_000))

    async def scene(romeo: Client, juliet: Client) -> None:
        romeo.register_plugin("xep_0066")
        romeo.register_plugin("xep_0363")
        url = await romeo.plugin["xep_0363"].upload_file(picture, domain=running.domain, timeout=10)
        message = romeo.make_message(mto=juliet.boundjid.bare, mbody=url, mtype="chat")
        message["oob"]["url"] = url
        message.send()

        heard = await juliet.next_message(lambda each: each["body"].startswith("http"))
        with await asyncio.to_thread(urllib.request.urlopen, heard["body"]) as answer:
            assert answer.read() == picture.read_bytes()
            assert answer.headers["Content-Type"] == "image/png"
            assert answer.headers["Content-Disposition"].startswith("inline;")

    play(running, scene)
