"""slixmpp, with its own plugins for what people publish: nodes, pictures, bookmarks, how far one has read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from slixmpp.exceptions import IqError
from slixmpp.plugins.xep_0048 import Bookmarks
from tests.interop.conftest import RunningServer
from tests.interop.test_xmpp_slixmpp import Client

TIMEOUT_S = 30
# One plugin of slixmpp still asks for others as older versions wanted it.
pytestmark = pytest.mark.filterwarnings("ignore:Accessing plugins through:DeprecationWarning")
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(200))
READY = "urn:test:ready"
METADATA = "urn:xmpp:avatar:metadata"


class Publisher(Client):
    """A client that publishes, and may want to be told."""

    def __init__(self, running: RunningServer, name: str, resource: str, *wanted: str) -> None:
        super().__init__(running, name, resource)
        for plugin in ("0048", "0049", "0060", "0084", "0115", "0163", "0172", "0402", "0490"):
            self.register_plugin(f"xep_{plugin}")
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.add_event_handler("pubsub_publish", self.events.put_nowait)
        for node in wanted:
            self.plugin["xep_0163"].add_interest(node)

    async def told(self, node: str) -> Any:
        """Return the next notification of a node."""
        while (message := await self.events.get())["pubsub_event"]["items"]["node"] != node:
            pass
        return message


def play(
    running: RunningServer, name: str, wanted: str, scene: Callable[[Publisher, Publisher], Awaitable[None]]
) -> None:
    """Let two devices of one account act; the second wants to be told of a node."""

    async def main() -> None:
        first, second = Publisher(running, name, "first"), Publisher(running, name, "second", wanted, READY)
        async with asyncio.timeout(TIMEOUT_S):
            await first.begin()
            ready = ElementTree.Element(f"{{{READY}}}ready")
            await first.plugin["xep_0060"].publish(first.boundjid.bare, READY, id="one", payload=ready)
            await second.begin()
            await second.told(READY)  # so the server knows by now what it wants to be told of
            await scene(first, second)
            await asyncio.gather(first.disconnect(), second.disconnect())

    asyncio.run(main())


@pytest.mark.spec("XEP-0084 §3.1")
def test_a_picture_is_published_told_and_in_the_card(running: RunningServer) -> None:
    async def scene(first: Publisher, second: Publisher) -> None:
        avatar = first.plugin["xep_0084"]
        id_ = avatar.generate_id(PICTURE)
        await avatar.publish_avatar(PICTURE)
        await avatar.publish_avatar_metadata([{"id": id_, "type": "image/png", "bytes": len(PICTURE)}])

        message = await second.told(METADATA)
        assert message["pubsub_event"]["items"]["item"]["id"] == id_
        found = await second.plugin["xep_0084"].retrieve_avatar(first.boundjid.bare, id_)
        assert found["pubsub"]["items"]["item"]["avatar_data"]["value"] == PICTURE
        card = await second.plugin["xep_0054"].get_vcard(first.boundjid.bare)
        assert card["vcard_temp"]["PHOTO"]["BINVAL"] == PICTURE

    play(running, "romeo", METADATA, scene)


@pytest.mark.spec("XEP-0402 §5.3.1")
def test_bookmarks_are_the_same_in_all_three_places(running: RunningServer) -> None:
    async def scene(first: Publisher, second: Publisher) -> None:
        room = f"play@rooms.{running.domain}"
        bookmarks = Bookmarks()
        bookmarks.add_conference(room, "juliet", name="The Play", autojoin=True)
        await first.plugin["xep_0048"].set_bookmarks(bookmarks, method="xep_0049")

        message = await second.told("urn:xmpp:bookmarks:1")
        assert message["pubsub_event"]["items"]["item"]["id"] == room
        items = await second.plugin["xep_0060"].get_items(second.boundjid.bare, "urn:xmpp:bookmarks:1")
        (item,) = items["pubsub"]["items"]
        assert (item["id"], item["conference"]["name"], item["conference"]["autojoin"]) == (
            room,
            "The Play",
            True,
        )
        for method in ("xep_0049", "xep_0223"):
            answered = await second.plugin["xep_0048"].get_bookmarks(method=method)
            shown = ElementTree.tostring(answered.xml, encoding="unicode")
            assert room in shown
            assert "The Play" in shown

    play(running, "juliet", "urn:xmpp:bookmarks:1", scene)


@pytest.mark.spec("XEP-0060 §8.1")
@pytest.mark.spec("XEP-0060 §8.2")
def test_a_node_is_made_configured_filled_and_removed(running: RunningServer) -> None:
    async def scene(first: Publisher, second: Publisher) -> None:
        pubsub, me = first.plugin["xep_0060"], first.boundjid.bare
        await pubsub.create_node(me, "urn:test:diary")
        form = (await pubsub.get_node_config(me, "urn:test:diary"))["pubsub_owner"]["configure"]["form"]
        assert form.get_values()["pubsub#access_model"] == "presence"
        changed = first.plugin["xep_0004"].make_form("submit")
        changed.add_field("FORM_TYPE", "hidden", value="http://jabber.org/protocol/pubsub#node_config")
        changed.add_field("pubsub#max_items", value="max")
        await pubsub.set_node_config(me, "urn:test:diary", changed)
        for id_ in ("monday", "tuesday"):
            await pubsub.publish(me, "urn:test:diary", id=id_, payload=ElementTree.Element("{urn:test}entry"))
        assert (await second.told("urn:test:diary"))["pubsub_event"]["items"]["item"]["id"] == "monday"
        ids = await pubsub.get_items(me, "urn:test:diary")
        assert [item["id"] for item in ids["pubsub"]["items"]] == ["monday", "tuesday"]
        await pubsub.retract(me, "urn:test:diary", "monday", notify=True)
        nodes = await pubsub.get_nodes(me)
        assert any(item[1] == "urn:test:diary" for item in nodes["disco_items"]["items"])
        await pubsub.delete_node(me, "urn:test:diary")
        with pytest.raises(IqError) as refused:
            await pubsub.get_items(me, "urn:test:diary")
        assert refused.value.condition == "item-not-found"

    play(running, "nurse", "urn:test:diary", scene)


@pytest.mark.spec("XEP-0490 §4.4")
def test_how_far_one_has_read_is_there_for_the_next_device(running: RunningServer) -> None:
    async def scene(first: Publisher, second: Publisher) -> None:
        await first.plugin["xep_0490"].flag_chat(f"romeo@{running.domain}", "0" * 32)
        await second.told("urn:xmpp:mds:displayed:0")

        found = await second.plugin["xep_0490"].catch_up()

        (item,) = found["pubsub"]["items"]
        assert item["id"] == f"romeo@{running.domain}"
        assert item["displayed"]["stanza_id"]["id"] == "0" * 32

    play(running, "mercutio", "urn:xmpp:mds:displayed:0", scene)
