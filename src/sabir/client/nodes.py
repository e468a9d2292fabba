"""Nodes of the account and of others (XEP-0060, XEP-0163): what devices publish for each other."""

from __future__ import annotations

from typing import Final
from xml.etree.ElementTree import Element, SubElement

from sabir.client.connection import FORMS, PUBSUB, Connection, Refused, fill

PUBSUB_OWNER: Final = f"{PUBSUB}#owner"
BOOKMARKS: Final = "urn:xmpp:bookmarks:1"
# XEP-0402 §4.1
BOOKMARK_OPTIONS: Final = {
    "pubsub#persist_items": "true",
    "pubsub#max_items": "max",
    "pubsub#send_last_published_item": "never",
    "pubsub#access_model": "whitelist",
}


class Nodes:
    """Reads and writes nodes over a connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection: Final = connection

    async def bookmarks(self) -> dict[str, tuple[str, str]]:
        """Return the rooms to join (XEP-0402): addresses to names and nicks."""
        node = Element(f"{{{PUBSUB}}}pubsub")
        SubElement(node, f"{{{PUBSUB}}}items", {"node": BOOKMARKS})
        try:
            answer = await self._connection.query(node)
        except Refused:
            return {}
        found: dict[str, tuple[str, str]] = {}
        for item in answer.iter(f"{{{PUBSUB}}}item"):
            conference = item.find(f"{{{BOOKMARKS}}}conference")
            if conference is not None and conference.get("autojoin") in ("1", "true"):
                nick = conference.findtext(f"{{{BOOKMARKS}}}nick") or ""
                room = item.get("id", "")
                found[room] = (conference.get("name") or room, nick)
        return found

    async def bookmark(self, room: str, name: str, nick: str) -> None:
        """Have all devices of the account join a room (XEP-0402 §4.2)."""
        conference = Element(f"{{{BOOKMARKS}}}conference", {"autojoin": "true", "name": name})
        SubElement(conference, f"{{{BOOKMARKS}}}nick").text = nick
        options = {
            "pubsub#persist_items": "true",
            "pubsub#max_items": "max",
            "pubsub#send_last_published_item": "never",
        }
        await self.publish(BOOKMARKS, room, conference, {**options, "pubsub#access_model": "whitelist"})

    async def publish(self, node: str, item: str, payload: Element, options: dict[str, str]) -> None:
        """Publish to a node of ours, made with these options if there is none (XEP-0060 §7.1.5).

        A node that has other options is given these, and what was to be published is published again.

        Raises:
            Refused: as `query`.
        """

        def request() -> Element:
            element = Element(f"{{{PUBSUB}}}pubsub")
            published = SubElement(element, f"{{{PUBSUB}}}publish", {"node": node})
            SubElement(published, f"{{{PUBSUB}}}item", {"id": item}).append(payload)
            form = SubElement(
                SubElement(element, f"{{{PUBSUB}}}publish-options"), f"{{{FORMS}}}x", {"type": "submit"}
            )
            fill(form, f"{PUBSUB}#publish-options", options)
            return element

        try:
            _ = await self._connection.query(request(), kind="set")
        except Refused:
            element = Element(f"{{{PUBSUB_OWNER}}}pubsub")
            form = SubElement(
                SubElement(element, f"{{{PUBSUB_OWNER}}}configure", {"node": node}),
                f"{{{FORMS}}}x",
                {"type": "submit"},
            )
            fill(form, f"{PUBSUB}#node_config", options)
            _ = await self._connection.query(element, kind="set")
            _ = await self._connection.query(request(), kind="set")

    async def retract(self, node: str, item: str) -> None:
        """Remove an item from a node of ours (XEP-0060 §7.2).

        Raises:
            Refused: as `query`.
        """
        element = Element(f"{{{PUBSUB}}}pubsub")
        SubElement(
            SubElement(element, f"{{{PUBSUB}}}retract", {"node": node}), f"{{{PUBSUB}}}item", {"id": item}
        )
        _ = await self._connection.query(element, kind="set")

    async def delete_node(self, node: str) -> None:
        """Delete a node of ours (XEP-0060 §8.4).

        Raises:
            Refused: as `query`.
        """
        element = Element(f"{{{PUBSUB_OWNER}}}pubsub")
        SubElement(element, f"{{{PUBSUB_OWNER}}}delete", {"node": node})
        _ = await self._connection.query(element, kind="set")

    async def items(self, of: str, node: str, item: str = "") -> list[Element]:
        """Return the payloads of a node, or of one of its items.

        Raises:
            Refused: as `query`.
        """
        element = Element(f"{{{PUBSUB}}}pubsub")
        asked = SubElement(element, f"{{{PUBSUB}}}items", {"node": node})
        if item:
            SubElement(asked, f"{{{PUBSUB}}}item", {"id": item})
        answer = await self._connection.query(element, "" if of == self._connection.jid else of)
        return [payload for found in answer.iter(f"{{{PUBSUB}}}item") for payload in found]
