"""XMPP as the client speaks it: slixmpp, with what the toolkit needs of it and no more."""

from __future__ import annotations

import logging
import mimetypes
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from xml.etree.ElementTree import Element, SubElement

import aiohttp
from slixmpp import JID, ClientXMPP
from slixmpp.exceptions import IqError, IqTimeout, PresenceError
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath

from sabir.client.model import Link
from sabir.client.stanzas import MAM

log = logging.getLogger(__name__)

PLUGINS: Final = (
    "xep_0030",
    "xep_0045",
    "xep_0060",
    "xep_0115",
    "xep_0198",
    "xep_0199",
    "xep_0280",
    "xep_0363",
)
MessageKind = Literal["chat", "groupchat"]
CLIENT: Final = "{jabber:client}"
RSM: Final = "http://jabber.org/protocol/rsm"
FORMS: Final = "jabber:x:data"
DISCO: Final = "http://jabber.org/protocol/disco#info"
MUC_OWNER: Final = "http://jabber.org/protocol/muc#owner"
PUBSUB: Final = "http://jabber.org/protocol/pubsub"
PUBSUB_EVENT: Final = f"{PUBSUB}#event"
ARCHIVE_PAGE: Final = 100
ANSWER_S: Final = 20.0
JOIN_S: Final = 20.0
ACK_S: Final = 5.0
FILE_MAX: Final = 1 << 30


class Refused(Exception):
    """The server, or another party, said no; the text is for people."""


@dataclass(frozen=True, slots=True)
class Archived:
    """A page of an archive: messages as they were found, the id of the last, and whether it was the last page."""

    messages: list[Element]
    last: str
    complete: bool


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect, if not where DNS says; `certificate` is trusted in place of the system's authorities."""

    host: str = ""
    port: int = 0
    certificate: Path | None = None


class Connection:
    """One connection, made again when it breaks.

    Args:
        jid: The account, with a resource.
        password: Its password.
        server: Where to connect.
        on_link: Told of each change of the connection, with the reason.
        on_message: Given each message as it came.
        on_presence: Told who is how.
        on_request: Told who asks to see our presence.
        on_node: Given events of nodes (XEP-0060 §7.1): publisher, node, items.
        on_acked: Told the id of each message that the server has (XEP-0198).
    """

    def __init__(
        self,
        jid: str,
        password: str,
        server: Server,
        on_link: Callable[[Link, str], None],
        on_message: Callable[[Element], None],
        on_presence: Callable[[str, str], None],
        on_request: Callable[[str], None],
        on_node: Callable[[str, str, Element], None],
        on_acked: Callable[[str], None],
    ) -> None:
        self._server: Final = server
        self._on_link: Final = on_link
        self._on_message: Final = on_message
        self._on_presence: Final = on_presence
        self._on_request: Final = on_request
        self._on_node: Final = on_node
        self._on_acked: Final = on_acked
        self._pages: Final[dict[str, list[Element]]] = {}
        self._wanted = False
        # How the server's HTTP port proves who it is: as its XMPP port does.
        self.tls: Final[ssl.SSLContext | bool] = (
            ssl.create_default_context(cafile=server.certificate) if server.certificate else True
        )
        xmpp = self.xmpp = ClientXMPP(jid, password)
        for name in PLUGINS:
            xmpp.register_plugin(name, {"keepalive": True, "interval": 60} if name == "xep_0199" else None)
        if server.certificate is not None:
            xmpp.ca_certs = server.certificate
        xmpp.enable_direct_tls = not server.host
        # Who sees our presence is asked, not granted (RFC 6121 §3.1.3).
        xmpp.auto_authorize = None
        xmpp.auto_subscribe = False
        xmpp.add_event_handler("connecting", lambda _: on_link(Link.CONNECTING, ""))
        xmpp.add_event_handler("session_start", self._started)
        xmpp.add_event_handler("session_resumed", lambda _: on_link(Link.ONLINE, "resumed"))
        xmpp.add_event_handler("disconnected", self._disconnected)
        xmpp.add_event_handler("failed_all_auth", self._failed)
        xmpp.add_event_handler("presence", self._presence)
        xmpp.add_event_handler("stanza_acked", self._acked)
        xmpp.register_handler(Callback("Message", MatchXPath(f"{CLIENT}message"), self._message))

    @property
    def jid(self) -> str:
        """The account's bare address."""
        return str(self.xmpp.boundjid.bare)

    @property
    def online(self) -> bool:
        """Whether stanzas may be sent."""
        return bool(self.xmpp.is_connected() and self.xmpp.authenticated and self.xmpp.sessionstarted)

    def start(self) -> None:
        """Connect, and again after each loss."""
        self._wanted = True
        if self._server.host:
            _ = self.xmpp.connect(self._server.host, self._server.port)
        else:
            _ = self.xmpp.connect()

    async def stop(self) -> None:
        """Say goodbye."""
        self._wanted = False
        await self.xmpp.disconnect(wait=2.0)

    def send(self, kind: MessageKind, to: str, ident: str, payload: list[Element]) -> None:
        """Send a message, and ask the server to confirm that it has it."""
        message = self.xmpp.make_message(mto=JID(to), mtype=kind)
        message["id"] = ident
        for element in payload:
            message.xml.append(element)
        message.send()
        self.xmpp.plugin["xep_0198"].request_ack()  # type: ignore[no-untyped-call]  # slixmpp is typed in part

    async def query(self, payload: Element, to: str = "", kind: Literal["get", "set"] = "get") -> Element:
        """Ask something; return the answer's payload.

        Raises:
            Refused: the answer was an error, or none came.
        """
        iq = self.xmpp.make_iq(ito=JID(to) if to else None, itype=kind)
        iq.xml.append(payload)
        try:
            answer: Any = await iq.send(timeout=ANSWER_S)  # type: ignore[no-untyped-call]  # slixmpp is typed in part
        except IqError as error:
            condition = error.iq["error"]["condition"]
            raise Refused(error.iq["error"]["text"] or condition.replace("-", " ")) from None
        except IqTimeout:
            raise Refused("no answer") from None
        found: Element = answer.xml
        return found

    async def archive(
        self, of: str, after: str = "", before: str | None = None, page: int = ARCHIVE_PAGE
    ) -> Archived:
        """Return a page of the archive of a room, or of the account if `of` is empty (XEP-0313 §4).

        Args:
            of: The room, or empty.
            after: Only what comes after this id.
            before: Only what comes before this id; empty asks for the end of the archive.
            page: How many messages at the most.

        Raises:
            Refused: as `query`.
        """
        ident = str(self.xmpp.new_id())
        query = Element(f"{{{MAM}}}query", {"queryid": ident})
        page_asked = SubElement(query, f"{{{RSM}}}set")
        SubElement(page_asked, f"{{{RSM}}}max").text = str(page)
        if before is not None:
            SubElement(page_asked, f"{{{RSM}}}before").text = before
        if after:
            SubElement(page_asked, f"{{{RSM}}}after").text = after
        found = self._pages[ident] = []
        try:
            answer = await self.query(query, of, "set")
        finally:
            del self._pages[ident]
        finished = answer.find(f"{{{MAM}}}fin")
        if finished is None:
            raise Refused("the archive answered in a way that nobody understands")
        # XEP-0313 §4.1.2: what somebody else sends is no part of the archive.
        asked = of or self.jid
        messages = [message for message in found if JID(message.get("from") or self.jid).bare == asked]
        last = finished.findtext(f"{{{RSM}}}set/{{{RSM}}}last", "")
        return Archived(messages, last, finished.get("complete") == "true" or not messages)

    async def is_room(self, address: str) -> bool:
        """Return whether an address is in a service of rooms: what its domain says of itself (XEP-0045 §6.1).

        Raises:
            Refused: there is no such service.
        """
        asked = Element(f"{{{DISCO}}}query")
        answer = await self.query(asked, JID(address).domain)
        return any(
            found.get("category") == "conference"
            for found in answer.iter()
            if found.tag.endswith("}identity")
        )

    async def is_open(self, room: str) -> bool:
        """Return whether everybody in a room sees who the others are (XEP-0045 §15.6.2, `muc_nonanonymous`).

        Raises:
            Refused: as `query`.
        """
        answer = await self.query(Element(f"{{{DISCO}}}query"), room)
        return any(found.get("var") == "muc_nonanonymous" for found in answer.iter(f"{{{DISCO}}}feature"))

    async def open_room(self, room: str) -> None:
        """Let everybody in a room of ours see who the others are (XEP-0045 §10.2).

        Raises:
            Refused: it is not ours to decide.
        """
        query = Element(f"{{{MUC_OWNER}}}query")
        form = SubElement(query, f"{{{FORMS}}}x", {"type": "submit"})
        fill(form, "http://jabber.org/protocol/muc#roomconfig", {"muc#roomconfig_whois": "anyone"})
        _ = await self.query(query, room, "set")

    def set_subject(self, room: str, subject: str) -> None:
        """Name what a room is about (XEP-0045 §8.1)."""
        self.xmpp.plugin["xep_0045"].set_subject(JID(room), subject)

    async def join(self, room: str, nick: str) -> None:
        """Enter a room, which is made if there is none.

        Raises:
            Refused: the room does not let us in.
        """
        try:
            joined = await self.xmpp.plugin["xep_0045"].join_muc_wait(
                JID(room), nick, maxstanzas=0, timeout=JOIN_S
            )
        except PresenceError as error:
            raise Refused(f"{room}: {error.text or error.condition.replace('-', ' ')}") from None
        except TimeoutError:
            raise Refused(f"{room}: no answer") from None
        # XEP-0045 §10.1.2: a new room is locked until its owner has accepted how it is.
        if 201 in joined[0]["muc"]["status_codes"]:
            form = Element(f"{{{MUC_OWNER}}}query")
            SubElement(form, f"{{{FORMS}}}x", {"type": "submit"})
            _ = await self.query(form, room, "set")

    def leave(self, room: str, nick: str) -> None:
        """Leave a room."""
        self.xmpp.plugin["xep_0045"].leave_muc(JID(room), nick)

    def occupants(self, room: str) -> list[str]:
        """Return the nicks in a room."""
        return sorted(self.xmpp.plugin["xep_0045"].get_roster(JID(room)) or ())

    def owner(self, room: str, nick: str) -> str:
        """Return the bare address of who has a nick in a room; empty if the room hides it (XEP-0045 §7.2.3)."""
        jid = self.xmpp.plugin["xep_0045"].get_jid_property(JID(room), nick, "jid")
        return JID(jid).bare if jid else ""

    async def members(self, room: str) -> set[str]:
        """Return the bare addresses of who reads what is said in a room: who is there, and who may come back.

        Raises:
            Refused: the room hides who somebody is.
        """
        people = {self.owner(room, nick) for nick in self.occupants(room)}
        if "" in people or not people or not await self.is_open(room):
            raise Refused(f"{room} hides who is in it, hence nobody can encrypt for them")
        admin = "http://jabber.org/protocol/muc#admin"
        for affiliation in ("owner", "admin", "member"):
            query = Element(f"{{{admin}}}query")
            SubElement(query, f"{{{admin}}}item", {"affiliation": affiliation})
            try:
                answer = await self.query(query, room)
            except Refused:
                continue  # XEP-0045 §9.5: not everybody may ask
            people |= {
                JID(item.get("jid")).bare for item in answer.iter(f"{{{admin}}}item") if item.get("jid")
            }
        return people

    def contacts(self) -> dict[str, str]:
        """Return the roster: addresses and names."""
        roster = self.xmpp.client_roster
        return {
            jid: roster[jid]["name"] or jid
            for jid in roster
            if roster[jid]["subscription"] != "remove" and jid != self.jid
        }

    def befriend(self, jid: str) -> None:
        """Let somebody see our presence, and ask to see theirs."""
        for kind in ("subscribed", "subscribe"):
            self.xmpp.send_presence(pto=JID(jid), ptype=kind)

    async def upload(self, path: Path) -> str:
        """Upload a file (XEP-0363); return where it lies.

        Raises:
            Refused: there is no such file, nowhere to put it, or the server refuses it.
        """
        size = size_of(path, FILE_MAX)
        plugin = self.xmpp.plugin["xep_0363"]
        found = await plugin.find_upload_service(timeout=ANSWER_S)
        if found is None:
            raise Refused("this server takes no files")
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        slot = Element(
            "{urn:xmpp:http:upload:0}request",
            {"filename": path.name, "size": str(size), "content-type": kind},
        )
        answer = await self.query(slot, str(found["from"]))
        put = answer.find(".//{urn:xmpp:http:upload:0}put")
        get = answer.find(".//{urn:xmpp:http:upload:0}get")
        if put is None or get is None:
            raise Refused("the upload service answered in a way that nobody understands")
        headers = {header.get("name", ""): header.text or "" for header in put}
        await self._put(
            put.get("url", ""), path, {**headers, "Content-Type": kind, "Content-Length": str(size)}
        )
        return get.get("url", "")

    async def _put(self, url: str, path: Path, headers: dict[str, str]) -> None:
        try:
            async with aiohttp.ClientSession() as session:
                with path.open("rb") as file:
                    async with session.put(url, data=file, headers=headers, ssl=self.tls) as response:
                        if response.status != 201:
                            raise Refused(f"the upload was answered with {response.status}")
        except aiohttp.ClientError as error:
            raise Refused(f"the upload failed: {error}") from None

    async def _started(self, _: object) -> None:
        try:
            await self.xmpp.get_roster(timeout=ANSWER_S)
            await self.xmpp.plugin["xep_0280"].enable(timeout=ANSWER_S)
        except (IqError, IqTimeout) as error:
            log.info("a feature of the server is missing", extra={"error": str(error)})
        self.xmpp.send_presence()
        self._on_link(Link.ONLINE, "")

    def _disconnected(self, reason: object) -> None:
        self._on_link(Link.OFFLINE, str(reason or ""))
        if self._wanted:
            self.start()

    def _failed(self, _: object) -> None:
        self._wanted = False
        self._on_link(Link.REFUSED, "The server does not accept this name and password.")

    def _message(self, message: Any) -> None:
        element: Element = message.xml
        if (result := element.find(f"{{{MAM}}}result")) is not None:
            if (page := self._pages.get(result.get("queryid", ""))) is not None:
                page.append(element)
            return
        for items in element.findall(f"{{{PUBSUB_EVENT}}}event/{{{PUBSUB_EVENT}}}items"):
            self._on_node(JID(element.get("from") or self.jid).bare, items.get("node", ""), items)
        self._on_message(element)

    def _presence(self, presence: Any) -> None:
        kind = presence["type"]
        if kind == "subscribe":
            self._on_request(JID(presence["from"]).bare)
        if kind in ("error", "subscribe", "subscribed", "unsubscribe", "unsubscribed"):
            return
        self._on_presence(
            str(presence["from"]), "offline" if kind == "unavailable" else presence["show"] or "online"
        )

    def _acked(self, stanza: Any) -> None:
        if stanza.name == "message":
            self._on_acked(stanza["id"])


def size_of(path: Path, most: int) -> int:
    """Return the size of a file, in bytes.

    Raises:
        Refused: there is no such file, it is empty, or has more than `most` bytes.
    """
    if not path.is_file():
        raise Refused(f"{path}: no such file")
    size = path.stat().st_size
    if not 0 < size <= most:
        raise Refused(f"{path}: empty, or more than {most >> 20} MiB")
    return size


def fill(form: Element, form_type: str, values: dict[str, str]) -> None:
    """Fill a form in, for a request of `form_type` (XEP-0004, XEP-0068)."""
    for name, value in {"FORM_TYPE": form_type, **values}.items():
        field = SubElement(form, f"{{{FORMS}}}field", {"var": name})
        SubElement(field, f"{{{FORMS}}}value").text = value
    form[0].set("type", "hidden")
