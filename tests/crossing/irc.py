"""IRC in the table of crossings: a modern client, and one that knows no capability at all.

The client is a few lines of its own, not the package's: what is under test should not read its own hand.
"""

import asyncio
import base64
import itertools
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.crossing.driver import DEADLINE_S, Inbox, Login, Server
from tests.crossing.words import (
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

MODERN: Final = (
    "batch",
    "draft/chathistory",
    "draft/event-playback",
    "draft/message-redaction",
    "draft/multiline",
    "draft/read-marker",
    "echo-message",
    "extended-join",
    "message-tags",
    "multi-prefix",
    "server-time",
)

EDIT_TAG: Final = "+sabir.im/edit"
_PIECE_BYTES: Final = 350
_UNESCAPED: Final = {":": ";", "s": " ", "r": "\r", "n": "\n", "\\": "\\"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line: tags, who, command, parameters."""

    tags: Mapping[str, str]
    source: str
    command: str
    params: list[str]

    @property
    def nick(self) -> str:
        """Who sent it."""
        return self.source.partition("!")[0]


def parse(text: str) -> Line:
    """Return `text`, which is without its line end, as a line."""
    tags: dict[str, str] = {}
    if text.startswith("@"):
        head, _, text = text[1:].partition(" ")
        for tag in head.split(";"):
            key, _, value = tag.partition("=")
            tags[key] = _unescape(value)
    source = ""
    if text.startswith(":"):
        source, _, text = text[1:].partition(" ")
    middle, trailing, last = text.partition(" :")
    command, *params = middle.split()
    return Line(tags, source, command, [*params, last] if trailing else params)


def _unescape(value: str) -> str:
    plain = iter(value)
    return "".join(
        [_UNESCAPED.get(after := next(plain, ""), after) if sign == "\\" else sign for sign in plain]
    )


def _escape(value: str) -> str:
    escaped = {after: "\\" + sign for sign, after in _UNESCAPED.items()}
    return "".join([escaped.get(sign, sign) for sign in value])


@dataclass(slots=True)
class _Batch:
    opening: Line
    lines: list[Line] = field(default_factory=list)


class _Lines(asyncio.Protocol):
    """Cuts what arrives into lines."""

    def __init__(self, driver: "IrcDriver") -> None:
        self._driver = driver
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._driver.receive(line.rstrip(b"\r").decode())

    def connection_lost(self, exc: Exception | None) -> None:
        self._driver.lost()


class IrcDriver:
    """A client with the capabilities `caps`; without any it is one of 1993."""

    def __init__(self, caps: tuple[str, ...] = MODERN) -> None:
        self.inbox = Inbox()
        self._caps = caps
        self._nick = ""
        self._welcome = False
        self._connected = False
        self._leaving = False
        self._topic = ""
        self._partly_offered = self._offered = ""
        self._acknowledged = False
        self._challenged = False
        self._logged_in = False
        self._numbers = itertools.count(1)
        self._batches: dict[str, _Batch] = {}
        self._found: list[Line] = []
        self._answered = False
        self._present: dict[Where, set[str]] = defaultdict(set)
        self._joined: set[Where] = set()
        self._texts: dict[Where, dict[str, str]] = defaultdict(dict)
        """Text by message id."""
        self._ids: dict[Where, dict[str, str]] = defaultdict(dict)
        """Message id by text."""
        self._times: dict[Where, dict[str, str]] = defaultdict(dict)
        """Text by time."""

    # The connection.

    async def connect(self, server: Server, login: Login) -> None:
        listener = server.listeners["irc"]
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_connection(lambda: _Lines(self), listener.host, listener.port)
        self._connected = True
        self._nick = login.name
        if self._caps:
            await self._negotiate(login)
        else:
            self._send(f"PASS :{login.password}")
        self._send(f"NICK {login.name}")
        self._send(f"USER {login.name} 0 * :{login.name}")
        if self._caps:
            self._send("CAP END")
        await self.inbox.until(lambda: self._welcome, f"the welcome of {login.name}")

    async def _negotiate(self, login: Login) -> None:
        self._send("CAP LS 302")
        await self.inbox.until(lambda: bool(self._offered), "the capabilities")
        offered = {cap.partition("=")[0] for cap in self._offered.split()}
        assert offered >= {*self._caps, "sasl"}, f"not offered: {sorted({*self._caps, 'sasl'} - offered)}"
        self._send(f"CAP REQ :sasl {' '.join(self._caps)}")
        await self.inbox.until(lambda: self._acknowledged, "the agreement on capabilities")
        self._send("AUTHENTICATE PLAIN")
        await self.inbox.until(lambda: self._challenged, "the challenge")
        token = base64.b64encode(f"\0{login.name}\0{login.password}".encode()).decode()
        self._send(f"AUTHENTICATE {token}")
        await self.inbox.until(lambda: self._logged_in, f"the login of {login.name}")

    async def close(self) -> None:
        self._leaving = True
        self._send("QUIT")
        await self.inbox.until(lambda: not self._connected, "the end of the connection")

    def lost(self) -> None:
        self._connected = False
        self.inbox.changed()

    def receive(self, text: str) -> None:
        self.inbox.wire.append(f"S: {text}")
        if text:
            self._route(parse(text))
        self.inbox.changed()

    def _send(self, line: str) -> None:
        self.inbox.wire.append(f"C: {line}")
        self._transport.write(line.encode() + b"\r\n")

    # What is shown.

    def _route(self, line: Line) -> None:
        """Keep what is in a batch until its end."""
        if line.command == "BATCH" and line.params[0].startswith("+"):
            self._batches[line.params[0][1:]] = _Batch(line)
        elif line.command == "BATCH":
            self._unfold(self._batches.pop(line.params[0][1:]))
        elif outer := self._batches.get(line.tags.get("batch", "")):
            outer.lines.append(line)
        else:
            self._handle(line)

    def _unfold(self, batch: _Batch) -> None:
        tags = batch.opening.tags
        match batch.opening.params[1]:
            case "draft/multiline":
                first = batch.lines[0]
                text = first.params[1]
                for piece in batch.lines[1:]:
                    text += ("" if "draft/multiline-concat" in piece.tags else "\n") + piece.params[1]
                whole = Line(tags, first.source, first.command, [first.params[0], text])
                if outer := self._batches.get(tags.get("batch", "")):
                    outer.lines.append(whole)
                else:
                    self._handle(whole)
            case "chathistory":
                self._found, self._answered = batch.lines, True
            case _:
                for line in batch.lines:
                    self._handle(line)

    def _handle(self, line: Line) -> None:
        match line.command, line.params:
            case "PING", [token, *_]:
                self._send(f"PONG :{token}")
            case "CAP", [_, "LS", "*", caps]:
                self._partly_offered += f"{caps} "
            case "CAP", [_, "LS", caps]:
                self._offered = self._partly_offered + caps
            case "CAP", [_, "ACK", _]:
                self._acknowledged = True
            case "AUTHENTICATE", ["+"]:
                self._challenged = True
            case "903", _:
                self._logged_in = True
            case "001", [nick, *_]:
                self._nick = nick
                self._welcome = True
            case (("FAIL" | "ERROR" | "433" | "904"), _) if not self._leaving:
                self.inbox.refuse(str(line))
            case "353", [*_, channel, names]:
                self._present[_where(channel)] |= {
                    name.split("!")[0].lstrip("~&@%+") for name in names.split()
                }
            case "366", [_, channel, *_]:
                self._joined.add(_where(channel))
            case "QUIT", _:
                for where in [where for where, names in self._present.items() if line.nick in names]:
                    self._present[where].discard(line.nick)
                    self.inbox.put(where, Left(line.nick))
            case _:
                for where, observation in self._observations(line):
                    self.inbox.put(where, observation)

    def _observations(self, line: Line) -> list[tuple[Where, Observation]]:
        nick = line.nick
        match line.command, line.params:
            case (("PRIVMSG" | "NOTICE" | "TAGMSG"), [target, *_]) if "!" in line.source:
                where = (
                    _where(target)
                    if target.startswith("#")
                    else direct(target if nick == self._nick else nick)
                )
                return [(where, said) for said in self._message(where, line)]
            case "REDACT", [target, msgid, *_]:
                where = (
                    _where(target)
                    if target.startswith("#")
                    else direct(target if nick == self._nick else nick)
                )
                return [(where, Retracted(nick, self._text(where, msgid)))]
            case "TOPIC", [channel, text]:
                return [(_where(channel), TopicIs(nick, text))]
            case "332", [_, channel, text]:
                self._topic = text
            case "333", [_, channel, setter, *_]:
                return [(_where(channel), TopicIs(setter.partition("!")[0], self._topic))]
            case "INVITE", [_, channel]:
                return [(_where(channel), Invited(nick))]
            case "JOIN", [channel, *_]:
                self._present[_where(channel)].add(nick)
                return [(_where(channel), Joined(nick))] if nick != self._nick else []
            case "PART", [channel, *_]:
                self._gone(_where(channel), nick)
                return [(_where(channel), Left(nick))]
            case "KICK", [channel, name, reason]:
                self._gone(_where(channel), name)
                return [(_where(channel), Kicked(name, nick, reason))]
            case "MODE", [channel, "+b", mask]:
                return [(_where(channel), Banned(mask.rpartition(":")[2].partition("!")[0], nick))]
            case "MARKREAD", [target, timestamp] if timestamp != "*":
                where = _where(target) if target.startswith("#") else direct(target)
                known = self._times[where].get(timestamp.removeprefix("timestamp="))
                return [(where, Read(self._nick, known))] if known else []
        return []

    def _text(self, where: Where, msgid: str) -> str:
        return self._texts[where].get(msgid, f"what is {msgid}?")

    def _gone(self, where: Where, name: str) -> None:
        self._present[where].discard(name)
        if name == self._nick:
            self._joined.discard(where)

    def _message(self, where: Where, line: Line) -> list[Observation]:
        nick, tags = line.nick, line.tags
        target = tags.get("+reply", tags.get("+draft/reply", ""))
        if line.command == "TAGMSG":
            if tags.get("+typing") == "active":
                return [Typing(nick)]
            if emoji := tags.get("+draft/react"):
                return [Reacted(nick, self._text(where, target), emoji)]
            if emoji := tags.get("+draft/unreact"):
                return [Unreacted(nick, self._text(where, target), emoji)]
            return []
        text = line.params[1].replace("\x02", "*")
        if first := tags.get(EDIT_TAG):
            # The signs are for clients that know no edits.
            return [
                Corrected(nick, self._text(where, first), text.removeprefix("* ").removesuffix(" (edited)"))
            ]
        emote = text.startswith("\x01ACTION ")
        if emote:
            text = text[8:].rstrip("\x01")
        if msgid := tags.get("msgid"):
            self._texts[where][msgid] = text
            self._ids[where][text] = msgid
        if time := tags.get("time"):
            self._times[where][time] = text
        return [
            Said(nick, text, self._text(where, target) if target else "", emote, line.command == "NOTICE")
        ]

    # What a person does.

    async def join(self, where: Where) -> None:
        self._send(f"JOIN {_channel(where)}")
        await self.inbox.until(lambda: where in self._joined, f"the names of {where}")

    async def leave(self, where: Where) -> None:
        self._send(f"PART {_channel(where)}")
        await self.inbox.until(lambda: where not in self._joined, f"leaving {where}")

    async def say(self, where: Where, text: str) -> None:
        await self._write(where, text, text, {})

    async def say_strongly(self, where: Where, before: str, strong: str, after: str) -> None:
        await self._write(where, f"{before}\x02{strong}\x02{after}", f"{before}*{strong}*{after}", {})

    async def notify(self, where: Where, text: str) -> None:
        self._send(f"NOTICE {_channel(where)} :{text}")

    async def emote(self, where: Where, text: str) -> None:
        await self._write(where, f"\x01ACTION {text}\x01", text, {})

    async def mention(self, where: Where, name: str, text: str) -> None:
        await self.say(where, f"{name}: {text}")

    async def say_in_thread(self, where: Where, thread: str, text: str) -> None:
        raise NotImplementedError("there are no threads")

    async def share(self, where: Where, url: str) -> None:
        raise NotImplementedError("a link is all there is, and that is text")

    async def reply(self, where: Where, target: str, text: str) -> None:
        await self._write(where, text, text, {"+reply": self._ids[where][target]})

    async def _write(self, where: Where, text: str, shown: str, tags: Mapping[str, str]) -> None:
        pieces = [list(_cut(row)) for row in text.split("\n")]
        if len(pieces) == len(pieces[0]) == 1:
            self._send(f"{_prefixed(tags)}PRIVMSG {_channel(where)} :{text}")
        else:
            reference = f"w{next(self._numbers)}"
            self._send(f"{_prefixed(tags)}BATCH +{reference} draft/multiline {_channel(where)}")
            for row in pieces:
                for number, piece in enumerate(row):
                    concat = ";draft/multiline-concat" if number else ""
                    self._send(f"@batch={reference}{concat} PRIVMSG {_channel(where)} :{piece}")
            self._send(f"BATCH -{reference}")
        if "echo-message" in self._caps:
            await self.inbox.until(lambda: shown in self._ids[where], f"the echo of {shown[:40]!r}")

    async def correct(self, where: Where, target: str, text: str) -> None:
        first = self._ids[where][target]
        self._send(f"{_prefixed({EDIT_TAG: first, '+reply': first})}PRIVMSG {_channel(where)} :{text}")
        await self._shown(where, Corrected(self._nick, target, text))

    async def retract(self, where: Where, target: str) -> None:
        self._send(f"REDACT {_channel(where)} {self._ids[where][target]}")
        await self._shown(where, Retracted(self._nick, target))

    async def remove(self, where: Where, target: str) -> None:
        await self.retract(where, target)

    async def react(self, where: Where, target: str, emoji: str) -> None:
        tags = {"+reply": self._ids[where][target], "+draft/react": emoji}
        self._send(f"{_prefixed(tags)}TAGMSG {_channel(where)}")
        await self._shown(where, Reacted(self._nick, target, emoji))

    async def unreact(self, where: Where, target: str, emoji: str) -> None:
        tags = {"+reply": self._ids[where][target], "+draft/unreact": emoji}
        self._send(f"{_prefixed(tags)}TAGMSG {_channel(where)}")
        await self._shown(where, Unreacted(self._nick, target, emoji))

    async def type(self, where: Where) -> None:
        self._send(f"@+typing=active TAGMSG {_channel(where)}")

    async def mark_read(self, where: Where, target: str) -> None:
        times = {text: time for time, text in self._times[where].items()}
        self._send(f"MARKREAD {_channel(where)} timestamp={times[target]}")
        await self._shown(where, Read(self._nick, target))

    async def set_topic(self, where: Where, text: str) -> None:
        self._send(f"TOPIC {_channel(where)} :{text}")
        await self._shown(where, TopicIs(self._nick, text))

    async def invite(self, where: Where, name: str) -> None:
        self._send(f"INVITE {name} {_channel(where)}")

    async def kick(self, where: Where, name: str, reason: str) -> None:
        self._send(f"KICK {_channel(where)} {name} :{reason}")
        await self._shown(where, Kicked(name, self._nick, reason))

    async def ban(self, where: Where, name: str) -> None:
        self._send(f"MODE {_channel(where)} +b {name}!*@*")
        await self._shown(where, Banned(name, self._nick))

    async def history(self, where: Where, last: Observation) -> list[Observation]:
        if not self._caps:
            # A client without chathistory is given it when it comes in.
            await self._shown(where, last)
            return [one for one in self.inbox.seen(where) if isinstance(one, Said)]
        found: list[Observation] = []
        async with asyncio.timeout(DEADLINE_S):
            while last not in found:
                self._answered = False
                self._send(f"CHATHISTORY LATEST {_channel(where)} * 100")
                await self.inbox.until(lambda: self._answered, f"the history of {where}")
                shown = [one for line in self._found for one in self._observations(line)]
                found = [observation for place, observation in shown if place == where]
        return found

    async def _shown(self, where: Where, observation: Observation) -> None:
        await self.inbox.until(lambda: observation in self.inbox.seen(where), f"the echo of {observation}")


def _where(channel: str) -> Where:
    return Where(channel.removeprefix("#"))


def _channel(where: Where) -> str:
    return where[1:] if where.startswith("@") else f"#{where}"


def _prefixed(tags: Mapping[str, str]) -> str:
    return "@" + ";".join([f"{key}={_escape(value)}" for key, value in tags.items()]) + " " if tags else ""


def _cut(row: str) -> list[str]:
    """Return `row` in pieces that fit a line, cut after a space."""
    pieces, piece = [], ""
    for word in row.split(" "):
        if len(piece.encode()) + len(word.encode()) > _PIECE_BYTES:
            pieces.append(piece)
            piece = ""
        piece += word + " "
    return [*pieces, piece[:-1]]
