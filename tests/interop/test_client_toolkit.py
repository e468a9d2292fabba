"""The client toolkit with the real server: what two people do with it, and what they find afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.interop.conftest import PASSWORD, RunningServer

from sabir.client.archive import Archive
from sabir.client.client import Client
from sabir.client.connection import Server
from sabir.client.model import (
    Change,
    Encryption,
    Link,
    LinkChanged,
    Message,
    MessageChanged,
    Notice,
    Standing,
)

TIMEOUT_S = 60


class Person:
    """Somebody with the toolkit; keeps what it tells."""

    def __init__(self, running: RunningServer, name: str, folder: Path) -> None:
        self.told: asyncio.Queue[Change] = asyncio.Queue()
        self.archive = Archive(folder / name)
        server = Server("127.0.0.1", running.ports["xmpp"], running.certificate)
        jid = f"{name}@{running.domain}"
        self.client = Client(jid, PASSWORD, self.archive, self.told.put_nowait, server)

    async def begin(self) -> None:
        """Connect, and wait until what was missed is there."""
        self.client.start()
        await self.until(lambda change: change == LinkChanged(Link.ONLINE))
        await self.client.synced()
        while not self.told.empty():  # what other tests said to these people
            self.told.get_nowait()

    async def until(self, wanted: Callable[[Change], bool]) -> Change:
        """Return the next change that is `wanted`."""
        while not wanted(change := await self.told.get()):
            assert not (isinstance(change, Notice) and change.serious), change
        return change

    async def hears(self, wanted: Callable[[Message], bool]) -> Message:
        """Return the next message that is `wanted`, as it stands then."""
        change = await self.until(lambda one: isinstance(one, MessageChanged) and wanted(one.message))
        assert isinstance(change, MessageChanged)
        return change.message

    async def told_of_failure(self) -> Notice:
        """Return the next serious notice."""
        while not (isinstance(change := await self.told.get(), Notice) and change.serious):
            pass
        return change

    async def end(self) -> None:
        """Log out."""
        await self.client.stop()
        self.archive.close()


def play(running: RunningServer, folder: Path, scene: Callable[[Person, Person], Awaitable[None]]) -> None:
    """Let Romeo and Juliet act."""

    async def main() -> None:
        romeo, juliet = Person(running, "romeo", folder), Person(running, "juliet", folder)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await romeo.begin()
                await juliet.begin()
                await scene(romeo, juliet)
        finally:
            await romeo.end()
            await juliet.end()

    asyncio.run(main())


def test_a_message_is_sent_received_and_read(running: RunningServer, tmp_path: Path) -> None:
    async def scene(romeo: Person, juliet: Person) -> None:
        said = romeo.client.say(juliet.client.jid, "But soft!")
        assert said.standing is Standing.WAITING
        heard = await juliet.hears(lambda one: one.text == "But soft!")
        assert (heard.sender, heard.mine) == (romeo.client.jid, False)
        await romeo.hears(lambda one: one.standing is Standing.RECEIVED)
        assert juliet.client.chat(romeo.client.jid).unread == 1
        juliet.client.seen(romeo.client.jid)
        await romeo.hears(lambda one: one.standing is Standing.READ)
        assert juliet.client.chat(romeo.client.jid).unread == 0

    play(running, tmp_path, scene)


@pytest.mark.parametrize("encryption", [Encryption.NONE, Encryption.OMEMO])
def test_replies_corrections_reactions_and_retractions_arrive(
    running: RunningServer, tmp_path: Path, encryption: Encryption
) -> None:
    async def scene(romeo: Person, juliet: Person) -> None:
        await romeo.client.encrypt(juliet.client.jid, encryption)
        await juliet.client.encrypt(romeo.client.jid, encryption)
        romeo.client.say(juliet.client.jid, "What light through yonder window brakes?")
        heard = await juliet.hears(lambda one: one.text.startswith("What light"))
        assert heard.encryption is encryption
        juliet.client.say(romeo.client.jid, "breaks", reply_to=heard)
        answer = await romeo.hears(lambda one: one.text == "breaks")
        asked = romeo.archive.message(answer.reply_to or 0)
        assert asked.text.endswith("brakes?")
        romeo.client.correct(asked, "What light through yonder window breaks?")
        corrected = await juliet.hears(lambda one: one.corrected)
        assert corrected.text == "What light through yonder window breaks?"
        juliet.client.react(corrected, "❤️")
        loved = await romeo.hears(lambda one: bool(one.reactions))
        assert loved.reactions == (("❤️", (juliet.client.jid,)),)
        romeo.client.retract(loved)
        gone = await juliet.hears(lambda one: one.retracted)
        assert gone.text == ""

    play(running, tmp_path, scene)


def test_what_is_said_without_a_connection_goes_out_in_order_later_and_once(
    running: RunningServer, tmp_path: Path
) -> None:
    async def scene(romeo: Person, juliet: Person) -> None:
        await romeo.client.connection.stop()
        for text in ("one", "two", "three"):
            assert romeo.client.say(juliet.client.jid, text).standing is Standing.WAITING
        romeo.client.connection.start()
        heard = [(await juliet.hears(lambda one: not one.mine)).text for _ in range(3)]
        assert heard == ["one", "two", "three"]
        await romeo.hears(lambda one: one.text == "three" and one.standing >= Standing.RECEIVED)
        assert romeo.archive.waiting() == []

    play(running, tmp_path, scene)


def test_a_room_is_joined_again_at_the_next_start_and_what_was_missed_is_read(
    running: RunningServer, tmp_path: Path
) -> None:
    async def scene(romeo: Person, juliet: Person) -> None:
        room = f"orchard-{tmp_path.name}@rooms.{running.domain}"
        await romeo.client.join(room)
        await juliet.client.join(room)
        romeo.client.say(room, "Lady, by yonder blessed moon I vow")
        heard = await juliet.hears(lambda one: one.chat == room)
        assert (heard.sender, heard.mine, heard.stanza_id != "") == ("romeo", False, True)
        sent = await romeo.hears(lambda one: one.chat == room and one.standing is Standing.SENT)
        assert sent.stanza_id == heard.stanza_id
        await juliet.end()
        romeo.client.say(room, "That tips with silver all these fruit-tree tops")
        await romeo.hears(lambda one: one.chat == room and one.standing is Standing.SENT)
        again = Person(running, "juliet", tmp_path)
        await again.begin()
        assert [one.text for one in again.archive.page(room)][-1].startswith("That tips")
        again.client.say(room, "O, swear not by the moon", reply_to=again.archive.page(room)[-1])
        answer = await romeo.hears(lambda one: one.sender == "juliet")
        assert romeo.archive.message(answer.reply_to or 0).text.startswith("That tips")
        juliet.client, juliet.archive = again.client, again.archive

    play(running, tmp_path, scene)


def test_a_room_whose_people_are_known_talks_in_secret(running: RunningServer, tmp_path: Path) -> None:
    async def scene(romeo: Person, juliet: Person) -> None:
        room = f"vault-{tmp_path.name}@rooms.{running.domain}"
        await romeo.client.join(room)
        await romeo.client.encrypt(room, Encryption.OMEMO)
        await juliet.client.join(room)
        romeo.client.say(room, "Here's to my love!")
        heard = await juliet.hears(lambda one: one.chat == room)
        assert (heard.text, heard.encryption) == ("Here's to my love!", Encryption.OMEMO)
        assert heard.device

    play(running, tmp_path, scene)
