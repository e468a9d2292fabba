"""slixmpp without an account: it says nobody's name, enters a room, talks and is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
import slixmpp
from tests.interop.conftest import RunningServer, serving
from tests.interop.test_xmpp_slixmpp import TIMEOUT_S, Client

ROOM = slixmpp.JID("garden@rooms.localhost")


class Guest(Client):
    """A client without an account."""

    def __init__(self, running: RunningServer) -> None:
        super().__init__(running, "nobody", "anywhere", "")
        self.requested_jid = slixmpp.JID(running.domain)


@pytest.fixture(scope="module")
def open_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with serving(tmp_path_factory.mktemp("anonymous"), "xmpp.anonymous=true") as server:
        yield server


async def enter(client: Client, nick: str) -> None:
    """Enter the room."""
    client.register_plugin("xep_0045")
    entered = asyncio.get_running_loop().create_future()
    client.add_event_handler(f"muc::{ROOM}::presence", lambda _: entered.done() or entered.set_result(None))
    client.plugin["xep_0045"].join_muc(ROOM, nick)
    await entered


@pytest.mark.spec("XEP-0175 §2")
def test_somebody_without_an_account_enters_a_room_and_talks(open_server: RunningServer) -> None:
    async def main() -> None:
        juliet, guest = Client(open_server, "juliet", "balcony"), Guest(open_server)
        async with asyncio.timeout(TIMEOUT_S):
            await juliet.begin()
            await enter(juliet, "juliet")
            await guest.begin()
            address = guest.boundjid.bare
            assert address.startswith("guest_")
            await enter(guest, "stranger")
            guest.send_message(mto=ROOM, mbody="May I listen?", mtype="groupchat")
            await juliet.next_message(lambda message: message["body"] == "May I listen?")
            juliet.send_message(mto=address, mbody="Do.", mtype="chat")
            await guest.next_message(lambda message: message["body"] == "Do.")
            juliet.add_event_handler("message_error", juliet.messages.put_nowait)
            await guest.disconnect()
            juliet.send_message(mto=address, mbody="Still there?", mtype="chat")
            answer = await juliet.next_message(lambda message: message["type"] == "error")
            assert answer["error"]["condition"] == "service-unavailable"
            await juliet.disconnect()

    asyncio.run(main())
