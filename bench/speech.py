"""What a load client says in each protocol: login, join, messages with a mark, a barrier."""

import base64
import re
from dataclasses import dataclass
from typing import Final, Protocol

from bench.wire import Dialogue, LoadError

PASSWORD: Final = "bench-password"
MARK: Final = re.compile(rb"#(\d{10})#")
"""A message's mark: two digits of its sender, eight of its number. It stands once in a message."""

FILLER: Final = (
    b"The quick brown fox jumps over the lazy dog while the five boxing wizards jump quickly. " * 40
)


@dataclass(frozen=True, slots=True)
class Message:
    """A message with `slots` places for its eight-digit number, ready for bytes formatting."""

    template: bytes
    slots: int


class Speech(Protocol):
    """One protocol, as the load speaks it."""

    @property
    def name(self) -> str:
        """The protocol's name."""

    def login(self, account: str) -> Dialogue:
        """Log in and become able to receive."""

    def join(self, room: str, account: str) -> Dialogue:
        """Enter `room`, creating it if need be."""

    def to_account(self, sender: int, account: str, size: int) -> Message:
        """Return a message of about `size` bytes of text from sender number `sender` to an account."""

    def to_room(self, sender: int, room: str, size: int) -> Message:
        """Return a message of about `size` bytes of text from sender number `sender` to a room."""

    def keepalive(self, data: bytes) -> bytes:
        """Return the answer to a server's ping in `data`, or nothing."""

    def barrier(self) -> Dialogue:
        """Wait until the server has worked off everything sent before."""


def _plain(account: str) -> bytes:
    """Return the initial response of SASL PLAIN, RFC 4616 §2."""
    return base64.b64encode(b"\0" + account.encode() + b"\0" + PASSWORD.encode())


@dataclass(frozen=True, slots=True)
class Xmpp:
    """XMPP clients on a plain-text stream."""

    domain: str = "localhost"
    rooms: str = "rooms.localhost"
    name: str = "xmpp"

    def login(self, account: str) -> Dialogue:
        """RFC 6120 §4-7: stream, SASL PLAIN, stream, bind; RFC 6121 §4.2: presence."""
        opening = (
            f"<?xml version='1.0'?><stream:stream to='{self.domain}' version='1.0' xml:lang='en' "
            "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>"
        ).encode()
        features = re.compile(rb"</stream:features>")
        offered = yield opening, features
        if b">PLAIN<" not in offered:
            raise LoadError(f"{account}: the server offers no PLAIN: {offered[-600:]!r}")
        auth = (
            b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>"
            + _plain(account)
            + b"</auth>"
        )
        answer = yield auth, re.compile(rb"<success|<failure.*?>.*?</failure>", re.DOTALL)
        if b"<success" not in answer:
            raise LoadError(f"{account}: login refused: {answer!r}")
        yield opening, features
        bind = b"<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>bench</resource></bind>"
        yield b"<iq type='set' id='bind'>" + bind + b"</iq>", re.compile(rb"</jid>\s*</bind>\s*</iq>")
        session = b"<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>"
        yield session, re.compile(rb"id=['\"]roster['\"]")
        yield b"<presence/>", re.compile(rb"<presence[^>]*>")

    def join(self, room: str, account: str) -> Dialogue:
        """XEP-0045 §7.2, and §10.1.2 for the first occupant, who gets an instant room."""
        address = f"{room}@{self.rooms}"
        heard = yield (
            (
                f"<presence to='{address}/{account}'><x xmlns='http://jabber.org/protocol/muc'>"
                "<history maxstanzas='0'/></x></presence>"
            ).encode(),
            re.compile(rb"<subject|type=['\"]error['\"].*</presence>", re.DOTALL),
        )
        if b"<subject" not in heard:
            raise LoadError(f"{account}: could not join {room}: {heard[-600:]!r}")
        if b"code='201'" in heard or b'code="201"' in heard:
            yield (
                (
                    f"<iq type='set' id='room' to='{address}'><query xmlns='http://jabber.org/protocol/muc#owner'>"
                    "<x xmlns='jabber:x:data' type='submit'/></query></iq>"
                ).encode(),
                re.compile(rb"id=['\"]room['\"]"),
            )

    def to_account(self, sender: int, account: str, size: int) -> Message:
        """Return a chat message as current clients send it: chat state, receipt request, origin-id."""
        return Message(
            f"<message type='chat' to='{account}@{self.domain}' id='m{sender:02d}-%b'>".encode()
            + _body(sender, size)
            + b"<active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/>"
            + f"<origin-id xmlns='urn:xmpp:sid:0' id='m{sender:02d}-%b'/></message>".encode(),
            3,
        )

    def to_room(self, sender: int, room: str, size: int) -> Message:
        """Return a groupchat message as current clients send it."""
        return Message(
            f"<message type='groupchat' to='{room}@{self.rooms}' id='m{sender:02d}-%b'>".encode()
            + _body(sender, size)
            + b"<active xmlns='http://jabber.org/protocol/chatstates'/>"
            + f"<origin-id xmlns='urn:xmpp:sid:0' id='m{sender:02d}-%b'/></message>".encode(),
            3,
        )

    def keepalive(self, data: bytes) -> bytes:
        """Servers here ping only streams that are idle for longer than a run."""
        return b""

    def barrier(self) -> Dialogue:
        """XEP-0199: stanzas of one stream are processed in order, RFC 6120 §10.1."""
        ping = f"<iq type='get' id='barrier' to='{self.domain}'><ping xmlns='urn:xmpp:ping'/></iq>"
        yield ping.encode(), re.compile(rb"id=['\"]barrier['\"]")


@dataclass(frozen=True, slots=True)
class Irc:
    """IRC clients on a plain-text connection."""

    sasl: bool = True
    name: str = "irc"

    def login(self, account: str) -> Dialogue:
        """Modern IRC §Connection Registration, IRCv3 sasl-3.1."""
        end = re.compile(rb" (?:376|422) |ERROR |:[^ ]+ 43[23] ")
        hello = f"NICK {account}\r\nUSER {account} 0 * :{account}\r\n".encode()
        if not self.sasl:
            heard = yield hello, end
        else:
            yield b"CAP LS 302\r\n" + hello, re.compile(rb"CAP \S+ LS (?!\*)[^\r\n]*\r\n")
            answer = yield b"CAP REQ :sasl\r\n", re.compile(rb"CAP \S+ (?:ACK|NAK) [^\r\n]*\r\n")
            if b" ACK " not in answer:
                raise LoadError(f"{account}: no SASL: {answer!r}")
            yield b"AUTHENTICATE PLAIN\r\n", re.compile(rb"AUTHENTICATE \+\r\n")
            answer = yield b"AUTHENTICATE " + _plain(account) + b"\r\n", re.compile(rb" 90[3-7] [^\r\n]*\r\n")
            if b" 903 " not in answer:
                raise LoadError(f"{account}: login refused: {answer!r}")
            heard = yield b"CAP END\r\n", end
        while (ping := self.keepalive(heard)) and b" 001 " not in heard:  # a cookie before registration
            heard = yield ping, end
        if b" 001 " not in heard:
            raise LoadError(f"{account}: registration refused: {heard[-600:]!r}")

    def join(self, room: str, account: str) -> Dialogue:
        """Modern IRC §JOIN: the reply ends with RPL_ENDOFNAMES."""
        heard = yield f"JOIN #{room}\r\n".encode(), re.compile(rb" (?:366|403|471|473|474|475) [^\r\n]*\r\n")
        if b" 366 " not in heard:
            raise LoadError(f"{account}: could not join #{room}: {heard[-600:]!r}")

    def to_account(self, sender: int, account: str, size: int) -> Message:
        """Return a private message."""
        return Message(f"PRIVMSG {account} :".encode() + _text(sender, size) + b"\r\n", 1)

    def to_room(self, sender: int, room: str, size: int) -> Message:
        """Return a channel message."""
        return Message(f"PRIVMSG #{room} :".encode() + _text(sender, size) + b"\r\n", 1)

    def keepalive(self, data: bytes) -> bytes:
        """Modern IRC §PING."""
        ping = re.search(rb"(?:^|\n)(?::\S+ )?PING ([^\r\n]*)", data)
        return b"PONG " + ping[1] + b"\r\n" if ping else b""

    def barrier(self) -> Dialogue:
        """Modern IRC §PING, from the client."""
        yield b"PING barrier\r\n", re.compile(rb"PONG [^\r\n]*barrier\r\n")


@dataclass(frozen=True, slots=True)
class Mqtt:
    """MQTT 3.1.1 clients at QoS 0: a topic for each account, and one for each room."""

    name: str = "mqtt"

    def login(self, account: str) -> Dialogue:
        """MQTT 3.1.1 §3.1, §3.8: connect, and subscribe to the account's own topic."""
        flags, keep_alive = b"\xc2", b"\0\0"
        fields = b"".join(_field(each.encode()) for each in (f"bench-{account}", account, PASSWORD))
        connect = _packet(0x10, _field(b"MQTT") + b"\x04" + flags + keep_alive + fields)
        answer = yield connect, re.compile(rb"\x20\x02..", re.DOTALL)
        if answer[:4] != b"\x20\x02\0\0":
            raise LoadError(f"{account}: login refused: {answer!r}")
        yield from self._subscribe(account, f"to/{account}")

    def join(self, room: str, account: str) -> Dialogue:
        """Subscribe to the topic of the room."""
        yield from self._subscribe(account, f"room/{room}")

    def _subscribe(self, account: str, topic: str) -> Dialogue:
        subscribe = _packet(0x82, b"\0\1" + _field(topic.encode()) + b"\0")
        answer = yield subscribe, re.compile(rb"\x90\x03\x00\x01.", re.DOTALL)
        if not answer.endswith(b"\0"):
            raise LoadError(f"{account}: may not subscribe to {topic}: {answer!r}")

    def to_account(self, sender: int, account: str, size: int) -> Message:
        """Return a message on the topic of an account."""
        return _publish(f"to/{account}", sender, size)

    def to_room(self, sender: int, room: str, size: int) -> Message:
        """Return a message on the topic of a room."""
        return _publish(f"room/{room}", sender, size)

    def keepalive(self, data: bytes) -> bytes:
        """No server pings an MQTT client."""
        return b""

    def barrier(self) -> Dialogue:
        """MQTT 3.1.1 §3.12: packets of one client are processed in order."""
        yield b"\xc0\0", re.compile(rb"\xd0\x00")


def _publish(topic: str, sender: int, size: int) -> Message:
    text = _text(sender, size)
    head = _packet(0x30, _field(topic.encode()) + text % b"00000000")[: -len(text % b"00000000")]
    return Message(head.replace(b"%", b"%%") + text, 1)


def _packet(first: int, body: bytes) -> bytes:
    length, rest = b"", len(body)
    while rest > 0x7F:
        length, rest = length + bytes((rest & 0x7F | 0x80,)), rest >> 7
    return bytes((first,)) + length + bytes((rest,)) + body


def _field(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


def _text(sender: int, size: int) -> bytes:
    return b"#%02d%%b# " % sender + FILLER[:size]


def _body(sender: int, size: int) -> bytes:
    return b"<body>" + _text(sender, size) + b"</body>"
