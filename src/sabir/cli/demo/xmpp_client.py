"""The demo's XMPP client: slixmpp, as anybody would use it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from slixmpp import JID, ClientXMPP
from slixmpp.stanza import Message

from sabir.cli.demo.script import Act, Line
from sabir.cli.demo.transcript import Transcript

EXTENSIONS: Final = ("xep_0045", "xep_0308", "xep_0359", "xep_0444", "xep_0461")
LOGIN_S: Final = 15.0


class XmppClient:
    """Logs in over STARTTLS and talks in one room."""

    def __init__(self, jid: str, password: str, room: str, transcript: Transcript) -> None:
        self._room: Final = JID(room)
        self._transcript: Final = transcript
        self._client: Final = ClientXMPP(f"{jid}/demo", password)
        for extension in EXTENSIONS:
            self._client.register_plugin(extension)
        self._client.add_event_handler("groupchat_message", self._heard)
        self._client.add_event_handler("reactions", self._heard_reaction)

    async def start(self, host: str, port: int, certificate: Path) -> None:
        """Log in and join the room.

        Raises:
            TimeoutError: the server did not let the client in.
        """
        client = self._client
        client.ca_certs = certificate
        client.enable_direct_tls = False
        online: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        client.add_event_handler("session_start", lambda _: online.set_result(None), disposable=True)
        _ = client.connect(host, port)
        await asyncio.wait_for(online, LOGIN_S)
        client.send_presence()
        await client.plugin["xep_0045"].join_muc_wait(self._room, client.boundjid.user, timeout=LOGIN_S)

    async def say(self, line: Line) -> None:
        """Say `line` in the room, in XMPP's words."""
        message = self._client.make_message(mto=self._room, mtype="groupchat")
        message["id"] = self._client.new_id()
        stanza_id, own_id = self._transcript.ids_of(line.about) if line.about else ("", "")
        match line.act:
            case Act.TEXT:
                message["body"] = line.text
            case Act.ACTION:
                message["body"] = f"/me {line.text}"  # XEP-0245 §3
            case Act.REPLY:
                message["body"] = line.text
                message["reply"]["id"] = stanza_id  # XEP-0461 §3.1: in a room, the room's id
            case Act.CORRECTION:
                message["body"] = line.text
                message["replace"]["id"] = own_id  # XEP-0308 §3: the id of the message itself
            case Act.REACTION:
                self._client.plugin["xep_0444"].set_reactions(message, stanza_id, [line.text])
        message.send()

    async def stop(self) -> None:
        """Log out."""
        await self._client.disconnect(wait=1.0)

    def _heard(self, message: Message) -> None:
        shown = message["body"]
        if not shown:
            return
        who, text = message["mucnick"], message["reply"].strip_fallback_content()
        ids = (message["stanza_id"]["id"], message["id"])
        if replaced := message["replace"]["id"]:
            self._transcript.add(
                who, Act.CORRECTION, text, about_id=replaced, ids=ids, shown=shown, form="<replace> XEP-0308"
            )
        elif replied := message["reply"]["id"]:
            self._transcript.add(
                who, Act.REPLY, text, about_id=replied, ids=ids, shown=text, form="<reply> XEP-0461"
            )
        elif text.startswith("/me "):
            self._transcript.add(who, Act.ACTION, text[4:], ids=ids, shown=shown, form="/me XEP-0245")
        else:
            self._transcript.add(who, Act.TEXT, text, ids=ids, shown=shown, form="<body>")

    def _heard_reaction(self, message: Message) -> None:
        reactions = message["reactions"]
        for emoji in sorted(reactions["values"]):
            self._transcript.add(
                message["mucnick"],
                Act.REACTION,
                emoji,
                about_id=reactions["id"],
                shown=emoji,
                form="<reactions> XEP-0444",
            )
