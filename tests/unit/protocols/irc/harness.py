"""A network on a core in memory, and peers that talk to its sessions without sockets."""

from __future__ import annotations

import base64
from typing import cast

from tests.unit.core.fakes import World

from sabir.app.passwords import Passwords
from sabir.base.clock import MonotonicClock
from sabir.base.secret import Secret
from sabir.core.model.actor import Account
from sabir.core.policy import PolicyConfig
from sabir.gateway.contract import Door, Environment, PublicAddress
from sabir.net.config import LimitsConfig
from sabir.net.connection import Connection
from sabir.net.limits import LoginLimits
from sabir.net.listener import Tls
from sabir.protocols.irc.codec.lines import parse_line
from sabir.protocols.irc.config import IrcConfig
from sabir.protocols.irc.server import IrcFrontEnd, front_end
from sabir.protocols.irc.session import IrcSession
from sabir.protocols.irc.types.line import Line

PASSWORD = "correct horse"
DOOR = Door(name="irc", port=6667, tls=Tls.NONE)
MODERN = (
    "batch draft/chathistory draft/event-playback draft/message-redaction draft/multiline draft/read-marker "
    "echo-message extended-join labeled-response message-tags multi-prefix server-time standard-replies"
)
_made: dict[str, list[tuple[str, bytes]]] = {}


class Wire:
    """What a session puts; stands for `net.connection.Connection`."""

    def __init__(self, number: int) -> None:
        self.id = number
        self.peer = "192.0.2.1"
        self.secure = False
        self.lagging = False
        self.closing = False
        self.reading = True
        self.frames_in = 0
        self.sent = b""

    def put(self, data: bytes) -> None:
        """See `Connection.put`."""
        if not self.closing:
            self.sent += data

    def close(self, grace_ms: int = 0) -> None:
        """See `Connection.close`."""
        self.closing = True

    def pause_reading(self) -> None:
        """See `Connection.pause_reading`."""
        self.reading = False

    def resume_reading(self) -> None:
        """See `Connection.resume_reading`."""
        self.reading = True


class Peer:
    """One client, as a person at a terminal."""

    def __init__(self, net: Net, wire: Wire, session: IrcSession) -> None:
        self.net = net
        self.wire = wire
        self.session = session

    def send(self, *lines: str) -> list[str]:
        """Send lines at once, and return what came back."""
        self.session.receive("".join(f"{line}\r\n" for line in lines).encode())
        self.net.run()
        return self.took()

    def took(self) -> list[str]:
        """Return the lines that came since the last call."""
        data, self.wire.sent = self.wire.sent, b""
        return data.decode().split("\r\n")[:-1]

    def lines(self) -> list[Line]:
        """Return the same, parsed."""
        return [line for text in self.took() if (line := parse_line(text)) is not None]

    def close(self) -> None:
        """Let the connection break."""
        self.wire.closing = True
        self.session.closed("closed by peer")
        self.net.run()


class Net:
    """An IRC front end on a core in memory."""

    def __init__(
        self,
        config: IrcConfig | None = None,
        *,
        plain_logins: bool = True,
        policy: PolicyConfig | None = None,
    ) -> None:
        self.world = World(policy)
        self.services = self.world.services
        self.front_end: IrcFrontEnd = front_end(
            config or IrcConfig(),
            Environment(
                services=self.services,
                domain="irc.example",
                rooms_domain="rooms.irc.example",
                plain_logins=plain_logins,
                logins=LoginLimits(LimitsConfig()),
                secret=Secret("00" * 32),
                version="1.0",
                started_ms=self.world.clock.value_ms,
                public=PublicAddress(""),
                limited=False,
            ),
        )
        self._connections = 0

    def run(self) -> None:
        """Let the core do all it has to do."""
        self.world.scheduler.run()

    def account(self, name: str) -> Account:
        """Make an account, or return it."""
        found = self.services.accounts.find(name)
        if found is None:
            if PASSWORD not in _made:  # hashing is slow, and the salt does not matter here
                _made[PASSWORD] = list(Passwords().make(PASSWORD))
            self.services.accounts.create_with(name, _made[PASSWORD], lambda account: None, _fail)
            self.run()
            found = self.services.accounts.find(name)
        assert found is not None
        return found

    def connect(self, *, secure: bool = False) -> Peer:
        """Connect without logging in."""
        self._connections += 1
        wire = Wire(self._connections)
        wire.secure = secure
        handler = self.front_end.connect(cast(Connection, wire), DOOR)
        return Peer(self, wire, cast(IrcSession, handler))

    def login(self, name: str, caps: str = "") -> Peer:
        """Log in with PASS, or with SASL where capabilities are asked for."""
        self.account(name)
        peer = self.connect()
        if caps:
            token = base64.b64encode(f"\0{name}\0{PASSWORD}".encode()).decode()
            peer.send(
                "CAP LS 302",
                f"CAP REQ :sasl {caps}",
                "AUTHENTICATE PLAIN",
                f"AUTHENTICATE {token}",
                f"NICK {name}",
                f"USER {name} 0 * :{name.title()}",
                "CAP END",
            )
        else:
            peer.send(f"PASS {PASSWORD}", f"NICK {name}", f"USER {name} 0 * :{name.title()}")
        assert not peer.wire.closing, peer.took()
        return peer

    def pair(self, caps: str = "", room: str = "#lobby") -> tuple[Peer, Peer]:
        """Return ada, who made the room, and bob, both on it."""
        ada, bob = self.login("ada", caps), self.login("bob", caps)
        ada.send(f"JOIN {room}")
        bob.send(f"JOIN {room}")
        ada.took()
        return ada, bob


def _fail(refusal: object) -> None:
    raise AssertionError(f"refused: {refusal}")


def monotonic_ms() -> int:
    """Return the time that sessions go by."""
    return MonotonicClock().now_ms()
