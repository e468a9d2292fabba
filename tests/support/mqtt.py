"""An MQTT front end on a core in memory, and clients that talk to its sessions without sockets."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TypeVar, cast

from tests.support.loop import START_MS, OpenStore, TestLoop
from tests.unit.core.fakes import World

from sabir.app.passwords import Passwords
from sabir.base.ids import EventIds
from sabir.base.secret import Secret
from sabir.core.model.actor import Account
from sabir.core.services import Services, assemble
from sabir.gateway.contract import Environment, PublicAddress
from sabir.net.config import LimitsConfig
from sabir.net.connection import Connection
from sabir.net.limits import LoginLimits
from sabir.protocols.mqtt.codec.decoder import Decoder, Names
from sabir.protocols.mqtt.codec.encoder import encode
from sabir.protocols.mqtt.config import MqttConfig
from sabir.protocols.mqtt.server import MqttFrontEnd, front_end
from sabir.protocols.mqtt.session import MqttSession
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import NONE, Properties

PASSWORD = "correct horse"
V311, V5 = p.V311, p.V5

_made: dict[str, list[tuple[str, bytes]]] = {}

Kind = TypeVar("Kind", bound=p.Packet)


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
        self.now_ms = 0
        self.sent = b""

    def put(self, data: bytes) -> None:
        """See `Connection.put`."""
        if not self.closing:
            self.sent += data

    def put3(self, before: bytes, between: bytes, after: bytes) -> None:
        """See `Connection.put3`."""
        self.put(before + between + after)

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
    """One client."""

    def __init__(self, net: Net, wire: Wire, session: MqttSession, version: int) -> None:
        self.net = net
        self.wire = wire
        self.session = session
        self.version = version
        self.connack = p.Connack(False, 0)
        self.after: list[p.Packet] = []
        """What came with CONNACK."""
        self._decoder = Decoder(268_435_455, Names(), version)

    @property
    def is_out(self) -> bool:
        """Whether the server has ended the connection."""
        return self.wire.closing

    def send(self, *packets: p.Packet | bytes) -> list[p.Packet]:
        """Send packets in one go, and return what came back."""
        data = b"".join(
            packet if isinstance(packet, bytes) else encode(packet, self.version) for packet in packets
        )
        self.session.receive(data)
        self.net.run()
        return self.took()

    def took(self) -> list[p.Packet]:
        """Return the packets that came since the last call."""
        data, self.wire.sent = self.wire.sent, b""
        self._decoder.feed(data)
        found = []
        while (packet := self._decoder.next()) is not None:
            found.append(packet)
        return found

    def one(self, kind: type[Kind], packets: list[p.Packet] | None = None) -> Kind:
        """Return the only packet that came, which is of a kind."""
        found = self.took() if packets is None else packets
        assert [type(each) for each in found] == [kind]
        return cast(Kind, found[0])

    def messages(self) -> list[p.Publish]:
        """Return the messages that came since the last call."""
        return [packet for packet in self.took() if isinstance(packet, p.Publish)]

    def subscribe(self, name: str, qos: int = 0, **options: int) -> list[p.Packet]:
        """Subscribe, and return what came back."""
        return self.send(p.Subscribe(1, [p.Filter(name, qos, **options)]))  # type: ignore[arg-type]  # bools

    def publish(
        self, topic: str, payload: bytes = b"x", qos: int = 0, *, retain: bool = False, packet_id: int = 1,
        properties: Properties = NONE,
    ) -> list[p.Packet]:  # fmt: skip
        """Publish, and return what came back."""
        number = packet_id if qos else 0
        return self.send(p.Publish(topic, payload, qos, retain, False, number, properties))

    def close(self) -> None:
        """Let the connection break."""
        self.wire.closing = True
        self.session.closed("closed by peer")
        self.net.run()


class Net:
    """An MQTT front end on a core: in memory, or on the store in a folder."""

    def __init__(
        self,
        config: MqttConfig | None = None,
        *,
        plain_logins: bool = True,
        folder: Path | None = None,
        now_ms: int = START_MS,
    ) -> None:
        self.opened = OpenStore(folder, TestLoop(now_ms)) if folder is not None else None
        self.world = World()
        self.services = self.world.services if self.opened is None else _services(self.opened)
        self.front_end: MqttFrontEnd = front_end(
            config or MqttConfig(anonymous=True),
            Environment(
                services=self.services,
                domain="mqtt.example",
                rooms_domain="rooms.mqtt.example",
                plain_logins=plain_logins,
                logins=LoginLimits(LimitsConfig()),
                secret=Secret("00" * 32),
                version="1.0",
                started_ms=self.services.clock.now_ms(),
                public=PublicAddress(""),
                limited=False,
            ),
        )
        self.broker = self.front_end.broker
        self._connections = 0
        self.run()

    def run(self) -> None:
        """Let the core do all it has to do."""
        if self.opened is None:
            self.world.scheduler.run()
        else:
            self.opened.loop.run()

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        if self.opened is None:
            self.world.scheduler.pass_ms(int(seconds * 1000))
        else:
            self.opened.loop.advance(int(seconds * 1000))

    def killed(self, folder: Path, now_ms: int = START_MS) -> Net:
        """Return the server that is started after this one was killed: with what is on the disk now.

        Its clock begins at `now_ms`.
        """
        assert self.opened is not None
        shutil.copytree(self.opened.directory, folder)
        (folder / "sabir.lock").unlink(missing_ok=True)
        return Net(folder=folder, now_ms=now_ms)

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

    def open(self, version: int = V5, *, secure: bool = False) -> Peer:
        """Connect without CONNECT."""
        self._connections += 1
        wire = Wire(self._connections)
        wire.secure = secure
        handler = self.front_end.connect(cast(Connection, wire), self.front_end.doors()[0])
        return Peer(self, wire, cast(MqttSession, handler), version)

    def connect(
        self,
        client_id: str = "",
        version: int = V5,
        *,
        clean_start: bool = True,
        will: p.Will | None = None,
        properties: Properties = NONE,
        keep_alive_s: int = 0,
        login: str = "",
    ) -> Peer:
        """Connect a client that is let in; what came with CONNACK is in `took`."""
        peer = self.open(version)
        if login:
            self.account(login)
        connect = p.Connect(
            version,
            client_id,
            clean_start=clean_start,
            keep_alive_s=keep_alive_s,
            will=will,
            username=login or None,
            password=PASSWORD.encode() if login else None,
            properties=properties if version == V5 else NONE,
        )
        answers = peer.send(connect)
        assert isinstance(answers[0], p.Connack), answers
        assert answers[0].reason == 0, answers[0].reason
        peer.connack = answers[0]
        peer.after = answers[1:]
        return peer


def numbers(**values: int) -> Properties:
    """Return properties that are numbers, by the names that `types.properties` gives them."""
    made = Properties()
    for name, value in values.items():
        made.numbers[getattr(ids, name.upper())] = value
    return made


def _services(opened: OpenStore) -> Services:
    return assemble(
        opened.store,
        opened.loop,
        opened.loop,
        lambda last_ms: EventIds(os.urandom, max(last_ms, START_MS)),
        os.urandom,
        Passwords(),
        bytes(32),
        limited=False,
    )


def _fail(refusal: object) -> None:
    raise AssertionError(f"refused: {refusal}")
