"""slixmpp at the pubsub service, and with a blog on the nodes of its account (XEP-0060, XEP-0277)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from xml.etree import ElementTree

import pytest
from slixmpp.exceptions import IqError
from tests.interop.conftest import RunningServer
from tests.interop.test_pep_slixmpp import TIMEOUT_S, Publisher

pytestmark = pytest.mark.filterwarnings("ignore:Accessing plugins through:DeprecationWarning")
SERVICE = "pubsub.localhost"
BLOG = "urn:xmpp:microblog:0"
ATOM = "http://www.w3.org/2005/Atom"


def entry(id: str, title: str, comments: str = "") -> Any:
    """Return an entry of a blog (XEP-0277 §2.2)."""
    found = ElementTree.Element(f"{{{ATOM}}}entry")
    for name, text in (("id", id), ("title", title), ("published", "2026-01-02T03:04:05Z")):
        ElementTree.SubElement(found, f"{{{ATOM}}}{name}").text = text
    if comments:
        link = {"rel": "replies", "title": "comments", "href": comments}
        ElementTree.SubElement(found, f"{{{ATOM}}}link", link)
    return found


def configuration(client: Publisher, **fields: str) -> Any:
    """Return a form that configures a node."""
    form = client.plugin["xep_0004"].make_form("submit")
    form.add_field(var="FORM_TYPE", ftype="hidden", value="http://jabber.org/protocol/pubsub#node_config")
    for name, value in fields.items():
        form.add_field(var=f"pubsub#{name}", value=value)
    return form


def play(running: RunningServer, scene: Callable[[Publisher, Publisher], Awaitable[None]]) -> None:
    """Let two people act."""

    async def main() -> None:
        nurse, paris = Publisher(running, "nurse", "home"), Publisher(running, "paris", "home")
        async with asyncio.timeout(TIMEOUT_S):
            await nurse.begin()
            await paris.begin()
            await scene(nurse, paris)
            await asyncio.gather(nurse.disconnect(), paris.disconnect())

    asyncio.run(main())


@pytest.mark.spec("XEP-0060 §8.1")
@pytest.mark.spec("XEP-0060 §8.9")
def test_a_node_of_the_service_is_made_published_on_and_heard_of(running: RunningServer) -> None:
    async def scene(nurse: Publisher, paris: Publisher) -> None:
        theirs, ours = nurse.plugin["xep_0060"], paris.plugin["xep_0060"]
        await theirs.create_node(
            SERVICE, "gossip", config=configuration(nurse, title="Gossip", max_items="2")
        )
        subscribed = await ours.subscribe(SERVICE, "gossip")
        assert subscribed["pubsub"]["subscription"]["subscription"] == "subscribed"
        await theirs.publish(SERVICE, "gossip", id="one", payload=entry("one", "They met"))
        message = await paris.told("gossip")
        assert message["from"] == SERVICE
        assert message["pubsub_event"]["items"]["item"]["id"] == "one"
        items = await ours.get_items(SERVICE, "gossip")
        assert [item["id"] for item in items["pubsub"]["items"]] == ["one"]
        with pytest.raises(IqError) as refused:
            await ours.publish(SERVICE, "gossip", id="two", payload=entry("two", "No"))
        assert refused.value.condition == "forbidden"
        await theirs.modify_affiliations(SERVICE, "gossip", [(paris.boundjid.bare, "publisher")])
        await ours.publish(SERVICE, "gossip", id="two", payload=entry("two", "Yes"))
        known = await theirs.get_node_affiliations(SERVICE, "gossip")
        assert {item["affiliation"] for item in known["pubsub_owner"]["affiliations"]} == {
            "owner",
            "publisher",
        }
        nodes = await ours.get_nodes(SERVICE)
        assert "gossip" in [node for _, node, _ in nodes["disco_items"]["items"]]
        await ours.unsubscribe(SERVICE, "gossip")
        await theirs.delete_node(SERVICE, "gossip")
        with pytest.raises(IqError):
            await ours.get_items(SERVICE, "gossip")

    play(running, scene)


@pytest.mark.spec("XEP-0277 §2")
@pytest.mark.spec("XEP-0277 §3")
def test_a_blog_is_written_followed_read_and_commented_on(running: RunningServer) -> None:
    async def scene(nurse: Publisher, paris: Publisher) -> None:
        theirs, ours = nurse.plugin["xep_0060"], paris.plugin["xep_0060"]
        blog = nurse.boundjid.bare
        comments = f"{BLOG}:comments/one"
        await theirs.create_node(
            blog, BLOG, config=configuration(nurse, access_model="open", max_items="max")
        )
        await theirs.create_node(
            blog,
            comments,
            config=configuration(nurse, access_model="open", publish_model="open", max_items="max"),
        )
        await ours.subscribe(blog, BLOG)
        await theirs.subscribe(blog, comments)
        link = f"xmpp:{blog}?;node={comments}"
        await theirs.publish(blog, BLOG, id="one", payload=entry("one", "It was the nightingale", link))
        message = await paris.told(BLOG)
        payload = message["pubsub_event"]["items"]["item"]["payload"]
        assert payload.findtext(f"{{{ATOM}}}title") == "It was the nightingale"
        await theirs.publish(blog, BLOG, id="two", payload=entry("two", "And not the lark"))
        read = await ours.get_items(blog, BLOG)
        assert [item["id"] for item in read["pubsub"]["items"]] == ["one", "two"]
        await ours.publish(blog, comments, id="c", payload=entry("c", "It was the lark"))
        message = await nurse.told(comments)
        assert message["pubsub_event"]["items"]["item"]["id"] == "c"
        with pytest.raises(IqError):
            await ours.publish(blog, BLOG, id="three", payload=entry("three", "Not mine"))

    play(running, scene)
