"""What one has read on a device of one protocol is known on one's devices of the other (XEP-0490, MARKREAD)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.crossing.conftest import PASSWORD
from tests.crossing.driver import Login, Server
from tests.crossing.irc import IrcDriver
from tests.crossing.table import READER, WRITER
from tests.crossing.words import Read, direct
from tests.interop.conftest import RunningServer
from tests.interop.test_xmpp_slixmpp import Client

TIMEOUT_S = 30
NODE = "urn:xmpp:mds:displayed:0"
OPTIONS = """<publish-options xmlns='http://jabber.org/protocol/pubsub'><x xmlns='jabber:x:data' type='submit'>
<field var='FORM_TYPE' type='hidden'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>
<field var='pubsub#max_items'><value>max</value></field>
<field var='pubsub#access_model'><value>whitelist</value></field></x></publish-options>"""


def client(server: Server, name: str) -> Client:
    ports = {name: listener.port for name, listener in server.listeners.items()}
    made = Client(RunningServer(server.domain, Path(), server.certificate, ports), name, "xmpp", PASSWORD)
    for plugin in ("xep_0115", "xep_0163"):
        made.register_plugin(plugin)
    return made


def marker(message: Any) -> str:
    """Return the id in a notification of a marker, empty if it is none."""
    found = message.xml.find(f".//{{{NODE}}}displayed/{{urn:xmpp:sid:0}}stanza-id")
    return "" if found is None else found.get("id")


def test_a_marker_moves_on_irc_when_xmpp_moves_it_and_the_other_way_round(server: Server) -> None:
    async def main() -> None:
        writer, reader, irc = client(server, WRITER), client(server, READER), IrcDriver()
        reader.plugin["xep_0163"].add_interest(NODE)
        events: asyncio.Queue[Any] = asyncio.Queue()
        async with asyncio.timeout(TIMEOUT_S):
            reader.add_event_handler("pubsub_publish", events.put_nowait)
            await writer.begin()
            await reader.begin()
            await irc.connect(server, Login(READER, PASSWORD))
            ids = {}
            for text in ("first", "second"):
                writer.send_message(mto=reader.boundjid.bare, mbody=text, mtype="chat")
                heard = await reader.next_message(lambda message: message["body"])
                ids[text] = heard["stanza_id"]["id"]
            where = direct(WRITER)
            await irc.inbox.until(lambda: len(irc.inbox.seen(where)) >= 2, "both messages on IRC")

            await publish(reader, writer.boundjid.bare, ids["first"])
            await irc.inbox.until(lambda: Read(READER, "first") in irc.inbox.seen(where), "the marker on IRC")

            await irc.mark_read(where, "second")
            while marker(message := await events.get()) != ids["second"]:
                pass
            assert message["from"] == reader.boundjid.bare
            await asyncio.gather(writer.disconnect(), reader.disconnect(), irc.close())

    asyncio.run(main())


async def publish(reader: Client, chat: str, id_: str) -> None:
    """Publish how far `reader` has read."""
    iq = reader.make_iq_set()
    item = (
        f"<item id='{chat}'><displayed xmlns='{NODE}'>"
        f"<stanza-id xmlns='urn:xmpp:sid:0' by='{reader.boundjid.bare}' id='{id_}'/></displayed></item>"
    )
    request = (
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'>"
        f"<publish node='{NODE}'>{item}</publish>{OPTIONS}</pubsub>"
    )
    iq.append(ElementTree.fromstring(request))
    await iq.send()
