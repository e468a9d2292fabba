"""XMPP in the table of crossings, on slixmpp, which logs in and frames; the stanzas are written here."""

import asyncio
import itertools
from collections import defaultdict
from typing import Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from slixmpp import ClientXMPP
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath
from tests.crossing.driver import DEADLINE_S, Inbox, Login, Server
from tests.crossing.words import (
    GONE,
    Banned,
    Corrected,
    Invited,
    Joined,
    Kicked,
    Left,
    Observation,
    Reacted,
    Read,
    Retracted,
    Said,
    TopicIs,
    Typing,
    Unreacted,
    Where,
    direct,
)

CARBONS: Final = "{urn:xmpp:carbons:2}"
CLIENT: Final = "{jabber:client}"
CORRECT: Final = "{urn:xmpp:message-correct:0}"
FALLBACK: Final = "{urn:xmpp:fallback:0}"
FORWARD: Final = "{urn:xmpp:forward:0}"
MAM: Final = "{urn:xmpp:mam:2}"
MARKERS: Final = "{urn:xmpp:chat-markers:0}"
MENTIONS: Final = "{urn:xmpp:mentions:0}"
OOB: Final = "{jabber:x:oob}"
OCCUPANT: Final = "{urn:xmpp:occupant-id:0}"
MODERATE: Final = "{urn:xmpp:message-moderate:1}"
MUC_USER: Final = "{http://jabber.org/protocol/muc#user}"
REACTIONS: Final = "{urn:xmpp:reactions:0}"
REPLY: Final = "{urn:xmpp:reply:0}"
RETRACT: Final = "{urn:xmpp:message-retract:1}"
SID: Final = "{urn:xmpp:sid:0}"
STORE: Final = "<store xmlns='urn:xmpp:hints'/>"
STATES: Final = "{http://jabber.org/protocol/chatstates}"


class Reader:
    """Reads message stanzas in order, and says what a client would show."""

    def __init__(self, me: str, domain: str) -> None:
        self.me = me
        self._domain = domain
        self._texts: dict[tuple[Where, str], str] = {}
        self.message_ids: dict[tuple[Where, str], str] = {}
        self.stanza_ids: dict[tuple[Where, str], str] = {}
        self._reactions: dict[tuple[Where, str, str], set[str]] = defaultdict(set)
        self.occupants: dict[tuple[Where, str], str] = {}

    def place(self, message: ET.Element) -> tuple[Where, str]:
        """Return the conversation of `message` and the name of its author."""
        sender, receiver = message.get("from", ""), message.get("to", "")
        bare, _, resource = sender.partition("/")
        if bare.endswith(f"@rooms.{self._domain}"):
            return Where(bare.partition("@")[0]), resource
        author = bare.partition("@")[0]
        return direct(receiver.partition("@")[0] if author == self.me else author), author

    def read(self, message: ET.Element, archive_id: str = "") -> list[Observation]:
        """Return what `message` shows; `archive_id` is its id in the archive it came from."""
        where, author = self.place(message)
        body = message.findtext(f"{CLIENT}body")
        subject = message.find(f"{CLIENT}subject")
        if subject is not None and body is None:
            return [TopicIs(author, subject.text or "")] if author and subject.text else []
        if (invite := message.find(f"{MUC_USER}x/{MUC_USER}invite")) is not None:
            return [Invited(invite.get("from", "").partition("@")[0])]
        if (retract := message.find(f"{RETRACT}retract")) is not None:
            # XEP-0425 §4: the room says so, and who had it do that.
            if (moderated := retract.find(f"{MODERATE}moderated")) is not None:
                author = moderated.get("by", "").partition("/")[2]
            return [Retracted(author, self._text(where, retract))]
        if message.find(f"{RETRACT}retracted") is not None:
            self._texts[where, archive_id] = self._texts[where, message.get("id", "")] = GONE
            return []
        if (replace := message.find(f"{CORRECT}replace")) is not None:
            return [Corrected(author, self._text(where, replace), body or "")]
        if (reactions := message.find(f"{REACTIONS}reactions")) is not None:
            return self._differences(where, author, reactions)
        if (displayed := message.find(f"{MARKERS}displayed")) is not None:
            return [Read(author, self._text(where, displayed))]
        if body is not None:
            return [self._said(where, author, message, body, archive_id)]
        if message.find(f"{STATES}composing") is not None:
            return [Typing(author)]
        return []

    def _text(self, where: Where, reference: ET.Element) -> str:
        name = reference.get("id", "")
        return self._texts.get((where, name), f"what is {name}?")

    def _said(self, where: Where, author: str, message: ET.Element, body: str, archive_id: str) -> Said:
        target = ""
        if (reply := message.find(f"{REPLY}reply")) is not None:
            target = self._text(where, reply)
            body = _without_fallback(message, body)
        emote = body.startswith("/me ")
        text = body.removeprefix("/me ")
        ids = {archive_id, message.get("id", "")}
        self.message_ids[where, text] = message.get("id", "")
        for stanza_id in message.iter(f"{SID}stanza-id"):
            ids.add(stanza_id.get("id", ""))
            self.stanza_ids[where, text] = stanza_id.get("id", "")
        for one in ids - {""}:
            self._texts[where, one] = text
        notice = message.get("type") == "headline"
        thread = message.findtext(f"{CLIENT}thread") or ""
        file = message.findtext(f"{OOB}x/{OOB}url") or ""
        return Said(author, text, target, emote, notice, self._mentions(where, message), thread, file)

    def _mentions(self, where: Where, message: ET.Element) -> tuple[str, ...]:
        body = message.findtext(f"{CLIENT}body") or ""
        names: list[str] = []
        for mention in message.iter(f"{MENTIONS}mention"):
            name = self.occupants.get((where, mention.get("occupantid", "")), "?")
            assert body[int(mention.get("begin", "")) : int(mention.get("end", ""))] == name
            names.append(name)
        return tuple(names)

    def _differences(self, where: Where, author: str, reactions: ET.Element) -> list[Observation]:
        target = reactions.get("id", "")
        before = self._reactions[where, author, target]
        # XEP-0444 §4: the set replaces the former one.
        now = {emoji.text or "" for emoji in reactions.iter(f"{REACTIONS}reaction")}
        self._reactions[where, author, target] = now
        text = self._text(where, reactions)
        added = [Reacted(author, text, emoji) for emoji in sorted(now - before)]
        return [*added, *[Unreacted(author, text, emoji) for emoji in sorted(before - now)]]


def _without_fallback(message: ET.Element, body: str) -> str:
    for fallback in message.iter(f"{FALLBACK}fallback"):
        part = fallback.find(f"{FALLBACK}body")
        if fallback.get("for") == REPLY[1:-1] and part is not None and part.get("start"):
            return body[: int(part.get("start", ""))] + body[int(part.get("end", "")) :]
    return body


class XmppDriver:
    """A client with the extensions that the rows of the table need."""

    def __init__(self) -> None:
        self.inbox = Inbox()
        self._numbers = itertools.count(1)
        self._names: dict[Where, set[str]] = defaultdict(set)
        self._new: set[Where] = set()
        self._mine: dict[tuple[Where, str], set[str]] = defaultdict(set)
        self._answers: dict[str, ET.Element] = {}
        self._archived: dict[str, list[ET.Element]] = defaultdict(list)

    # The connection.

    async def connect(self, server: Server, login: Login) -> None:
        listener = server.listeners["xmpp"]
        self._me, self._domain = login.name, server.domain
        self._reader = Reader(login.name, server.domain)
        self._started = self._ended = False
        self._client = ClientXMPP(f"{login.name}@{server.domain}/crossing{next(_resources)}", login.password)
        self._client.enable_direct_tls = False
        self._client.ca_certs = server.certificate
        self._client.add_event_handler("session_start", self._start)
        self._client.add_event_handler("disconnected", self._end)
        for name in ("message", "presence", "iq"):
            handler = Callback(f"crossing {name}", MatchXPath(f"{CLIENT}{name}"), self._receive)
            self._client.register_handler(handler)
        await self._client.connect(listener.host, listener.port)
        await self.inbox.until(lambda: self._started, f"the session of {login.name}")
        await self._ask("set", "", "<enable xmlns='urn:xmpp:carbons:2'/>")
        self._send("<presence/>")

    async def close(self) -> None:
        await self._client.disconnect(wait=1.0)
        await self.inbox.until(lambda: self._ended, "the end of the stream")
        # slixmpp cancels its sending task and forgets it, which asyncio may complain about.
        if self._client._run_out_filters is not None:
            self._client._run_out_filters.cancel()
            await asyncio.wait([self._client._run_out_filters])

    def _start(self, _: object) -> None:
        self._started = True
        self.inbox.changed()

    def _end(self, _: object) -> None:
        self._ended = True
        self._client.cancel_connection_attempt()
        self.inbox.changed()

    def _send(self, stanza: str) -> None:
        self.inbox.wire.append(f"C: {stanza}")
        self._client.send_raw(stanza)

    async def _ask(self, kind: str, to: str, payload: str) -> ET.Element:
        """Send a request and return the answer; an error fails the test."""
        number = f"q{next(self._numbers)}"
        address = f" to={quoteattr(to)}" if to else ""
        self._send(f"<iq type='{kind}' id='{number}'{address}>{payload}</iq>")
        await self.inbox.until(lambda: number in self._answers, f"the answer to {payload}")
        answer = self._answers.pop(number)
        assert answer.get("type") == "result", ET.tostring(answer, "unicode")
        return answer

    # What is shown.

    def _receive(self, stanza: object) -> None:
        xml: ET.Element = stanza.xml  # type: ignore[attr-defined]  # slixmpp is not typed here
        self.inbox.wire.append(f"S: {ET.tostring(xml, 'unicode')}")
        if xml.get("type") == "error" and xml.tag != f"{CLIENT}iq":
            self.inbox.refuse(ET.tostring(xml, "unicode"))
        elif xml.tag == f"{CLIENT}presence":
            self._presence(xml)
        elif xml.tag == f"{CLIENT}iq":
            if xml.get("type") in ("result", "error"):
                self._answers[xml.get("id", "")] = xml
        elif (result := xml.find(f"{MAM}result")) is not None:
            self._archived[result.get("queryid", "")].append(result)
        else:
            carbon = xml.find(f"{CARBONS}sent")
            if carbon is None:
                carbon = xml.find(f"{CARBONS}received")
            message = xml if carbon is None else carbon.find(f"{FORWARD}forwarded/{CLIENT}message")
            assert message is not None, "a carbon without a message"
            where, _ = self._reader.place(message)
            for observation in self._reader.read(message):
                self.inbox.put(where, observation)
        self.inbox.changed()

    def _presence(self, presence: ET.Element) -> None:
        bare, _, nick = presence.get("from", "").partition("/")
        if not bare.endswith(f"@rooms.{self._domain}"):
            return
        where = Where(bare.partition("@")[0])
        codes = {status.get("code") for status in presence.iter(f"{MUC_USER}status")}
        if (occupant := presence.find(f"{OCCUPANT}occupant-id")) is not None:
            self._reader.occupants[where, occupant.get("id", "")] = nick
        if presence.get("type") == "unavailable":
            self._names[where].discard(nick)
            self.inbox.put(where, _farewell(presence, nick, codes))
        elif nick not in self._names[where]:
            entered = self._me in self._names[where]
            self._names[where].add(nick)
            if "201" in codes:
                self._new.add(where)
            # XEP-0045 §7.2.2: the others come first, one's own presence last.
            if entered:
                self.inbox.put(where, Joined(nick))

    # What a person does.

    async def join(self, where: Where) -> None:
        muc = "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>"
        self._send(f"<presence to={quoteattr(self._address(where, self._me))}>{muc}</presence>")
        await self.inbox.until(lambda: self._me in self._names[where], f"coming into {where}")
        if where in self._new:
            form = "<x xmlns='jabber:x:data' type='submit'/>"
            owner = f"<query xmlns='http://jabber.org/protocol/muc#owner'>{form}</query>"
            await self._ask("set", self._address(where), owner)

    async def leave(self, where: Where) -> None:
        self._send(f"<presence to={quoteattr(self._address(where, self._me))} type='unavailable'/>")
        await self.inbox.until(lambda: self._me not in self._names[where], f"leaving {where}")

    async def say(self, where: Where, text: str) -> None:
        await self._write(where, text, text)

    async def say_strongly(self, where: Where, before: str, strong: str, after: str) -> None:
        await self.say(where, f"{before}*{strong}*{after}")  # XEP-0393 §5.1.2

    async def notify(self, where: Where, text: str) -> None:
        raise NotImplementedError("a headline goes to one person, and is not kept")

    async def emote(self, where: Where, text: str) -> None:
        await self._write(where, f"/me {text}", text)

    async def mention(self, where: Where, name: str, text: str) -> None:
        ids = [id_ for (place, id_), nick in self._reader.occupants.items() if (place, nick) == (where, name)]
        mark = f"<mention xmlns='urn:xmpp:mentions:0' begin='0' end='{len(name)}' occupantid='{ids[0]}'/>"
        await self._write(where, f"{name}: {text}", f"{name}: {text}", mark)

    async def say_in_thread(self, where: Where, thread: str, text: str) -> None:
        await self._write(where, text, text, f"<thread>{thread}</thread>")

    async def share(self, where: Where, url: str) -> None:
        shared = f"<x xmlns='jabber:x:oob'><url>{escape(url)}</url></x>"
        shared += (
            "<file-sharing xmlns='urn:xmpp:sfs:0' disposition='inline'><file xmlns='urn:xmpp:file:metadata:0'>"
            "<media-type>image/png</media-type><name>cat.png</name></file><sources>"
            f"<url-data xmlns='http://jabber.org/protocol/url-data' target={quoteattr(url)}/></sources></file-sharing>"
        )
        await self._write(where, url, url, shared)

    async def reply(self, where: Where, target: str, text: str) -> None:
        # XEP-0461 §3.1: the quote is for clients that know no replies, and is marked as such.
        quote = f"> {target}\n"
        span = f"<body start='0' end='{len(quote)}'/>"
        marked = f"<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:reply:0'>{span}</fallback>"
        name = quoteattr(self._name(where, target))
        await self._write(where, quote + text, text, f"<reply xmlns='urn:xmpp:reply:0' id={name}/>{marked}")

    async def _write(self, where: Where, body: str, shown: str, more: str = "") -> None:
        number = self._message(where, f"<body>{escape(body)}</body>{more}")
        if where.startswith("@"):
            self._reader.message_ids[where, shown] = number
            self._reader.read(self._own(where, number, body, more))
        else:
            await self.inbox.until(
                lambda: (where, shown) in self._reader.stanza_ids, f"the echo of {shown[:40]!r}"
            )

    def _own(self, where: Where, number: str, body: str, more: str) -> ET.Element:
        """Return one's own direct message, which no server sends back, as it would look."""
        sender, receiver = f"{self._me}@{self._domain}", self._address(where)
        text = f"<message xmlns='jabber:client' id='{number}' from='{sender}' to='{receiver}'>"
        return ET.fromstring(f"{text}<body>{escape(body)}</body>{more}</message>")

    async def correct(self, where: Where, target: str, text: str) -> None:
        first = quoteattr(self._reader.message_ids[where, target])
        self._message(
            where, f"<body>{escape(text)}</body><replace xmlns='urn:xmpp:message-correct:0' id={first}/>"
        )
        await self._echoed(where, Corrected(self._me, target, text))

    async def retract(self, where: Where, target: str) -> None:
        retract = f"<retract xmlns='urn:xmpp:message-retract:1' id={quoteattr(self._name(where, target))}/>"
        fallback = "<fallback xmlns='urn:xmpp:fallback:0' for='urn:xmpp:message-retract:1'/>"
        self._message(where, f"{retract}{fallback}<body>(taken back)</body>{STORE}")
        await self._echoed(where, Retracted(self._me, target))

    async def remove(self, where: Where, target: str) -> None:
        name = quoteattr(self._name(where, target))
        retract = "<retract xmlns='urn:xmpp:message-retract:1'/>"
        moderate = f"<moderate xmlns='urn:xmpp:message-moderate:1' id={name}>{retract}</moderate>"
        await self._ask("set", self._address(where), moderate)

    async def react(self, where: Where, target: str, emoji: str) -> None:
        self._mine[where, target].add(emoji)
        self._send_reactions(where, target)
        await self._echoed(where, Reacted(self._me, target, emoji))

    async def unreact(self, where: Where, target: str, emoji: str) -> None:
        self._mine[where, target].discard(emoji)
        self._send_reactions(where, target)
        await self._echoed(where, Unreacted(self._me, target, emoji))

    def _send_reactions(self, where: Where, target: str) -> None:
        name = quoteattr(self._name(where, target))
        reactions = [f"<reaction>{escape(emoji)}</reaction>" for emoji in sorted(self._mine[where, target])]
        body = f"<reactions xmlns='urn:xmpp:reactions:0' id={name}>{''.join(reactions)}</reactions>"
        self._message(where, body + STORE)

    async def type(self, where: Where) -> None:
        self._message(where, "<composing xmlns='http://jabber.org/protocol/chatstates'/>")

    async def mark_read(self, where: Where, target: str) -> None:
        name = quoteattr(self._name(where, target))
        self._message(
            where, f"<displayed xmlns='urn:xmpp:chat-markers:0' id={name}/><store xmlns='urn:xmpp:hints'/>"
        )
        await self._echoed(where, Read(self._me, target))

    async def set_topic(self, where: Where, text: str) -> None:
        self._message(where, f"<subject>{escape(text)}</subject>")
        await self._echoed(where, TopicIs(self._me, text))

    async def invite(self, where: Where, name: str) -> None:
        invite = f"<invite to={quoteattr(f'{name}@{self._domain}')}/>"
        payload = f"<x xmlns='http://jabber.org/protocol/muc#user'>{invite}</x>"
        self._send(f"<message to={quoteattr(self._address(where))}>{payload}</message>")

    async def kick(self, where: Where, name: str, reason: str) -> None:
        await self._moderate(where, f"nick={quoteattr(name)} role='none'", reason)
        await self._echoed(where, Kicked(name, self._me, reason))

    async def ban(self, where: Where, name: str) -> None:
        await self._moderate(where, f"jid={quoteattr(f'{name}@{self._domain}')} affiliation='outcast'", "")
        await self._echoed(where, Banned(name, self._me))

    async def _moderate(self, where: Where, change: str, reason: str) -> None:
        item = f"<item {change}><reason>{escape(reason)}</reason></item>"
        query = f"<query xmlns='http://jabber.org/protocol/muc#admin'>{item}</query>"
        await self._ask("set", self._address(where), query)

    async def history(self, where: Where, last: Observation) -> list[Observation]:
        found: list[Observation] = []
        async with asyncio.timeout(DEADLINE_S):
            while last not in found:
                found = await self._archive(where)
        return found

    async def _archive(self, where: Where) -> list[Observation]:
        query = f"h{next(self._numbers)}"
        peer = (
            f"<field var='with'><value>{self._address(where)}</value></field>"
            if where.startswith("@")
            else ""
        )
        kind = "<field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>"
        form = f"<x xmlns='jabber:x:data' type='submit'>{kind}{peer}</x>"
        newest = "<set xmlns='http://jabber.org/protocol/rsm'><max>100</max><before/></set>"
        archive = "" if where.startswith("@") else self._address(where)
        await self._ask(
            "set", archive, f"<query xmlns='urn:xmpp:mam:2' queryid='{query}'>{form}{newest}</query>"
        )
        reader = Reader(self._me, self._domain)
        shown: list[Observation] = []
        for result in self._archived.pop(query, []):
            message = result.find(f"{FORWARD}forwarded/{CLIENT}message")
            assert message is not None, "an archived item without a message"
            shown += reader.read(message, result.get("id", ""))
        return shown

    # Names and addresses.

    def _message(self, where: Where, payload: str) -> str:
        number = f"m{self._me}{next(_messages)}"
        kind = "chat" if where.startswith("@") else "groupchat"
        self._send(
            f"<message to={quoteattr(self._address(where))} type='{kind}' id='{number}'>{payload}</message>"
        )
        return number

    def _name(self, where: Where, target: str) -> str:
        """Return the id of `target` for a reply, reaction or retraction.

        XEP-0461 §3, XEP-0444 §4.1, XEP-0424 §3: the id that the room gave, or else that of its sender.
        """
        ids = self._reader.message_ids if where.startswith("@") else self._reader.stanza_ids
        return ids[where, target]

    def _address(self, where: Where, nick: str = "") -> str:
        if where.startswith("@"):
            return f"{where[1:]}@{self._domain}"
        return f"{where}@rooms.{self._domain}" + (f"/{nick}" if nick else "")

    async def _echoed(self, where: Where, observation: Observation) -> None:
        """Wait until a room has sent back what one did in it; a direct conversation does not."""
        if not where.startswith("@"):
            await self.inbox.until(
                lambda: observation in self.inbox.seen(where), f"the echo of {observation}"
            )


_resources: Final = itertools.count(1)
_messages: Final = itertools.count(1)


def _farewell(presence: ET.Element, nick: str, codes: set[str | None]) -> Observation:
    item = presence.find(f"{MUC_USER}x/{MUC_USER}item")
    actor = None if item is None else item.find(f"{MUC_USER}actor")
    by = "" if actor is None else actor.get("nick", "")
    if "301" in codes:
        return Banned(nick, by)
    if "307" in codes:
        reason = "" if item is None else item.findtext(f"{MUC_USER}reason", "")
        return Kicked(nick, by, reason)
    return Left(nick)
