"""Bridges, live: between two of our servers, and to mosquitto where it is installed; either side is killed."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from sabir.protocols.mqtt.codec.decoder import Decoder, Names
from sabir.protocols.mqtt.codec.encoder import encode
from sabir.protocols.mqtt.types import packets as p

PATIENCE_S: Final = 40.0
_SABIR: Final = (sys.executable, "-c", "from sabir.cli import main; main()")
_MOSQUITTO: Final = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Client:
    """A client that subscribes, publishes at QoS 1, and acknowledges."""

    def __init__(self, port: int, name: str, version: int = p.V5) -> None:
        self.heard: list[tuple[str, bytes, bool]] = []
        self.acknowledged: set[int] = set()
        self._version = version
        self._ready = 0
        self._last_id = 0
        self._decoder = Decoder(1 << 20, Names(), version)
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._send(p.Connect(version, name))
        self.until(lambda: self._ready == 1)

    def subscribe(self, name: str) -> None:
        self._send(p.Subscribe(1, [p.Filter(name, 1)]))
        self.until(lambda: self._ready == 2)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish, and wait for PUBACK."""
        self._last_id += 1
        number = self._last_id
        self._send(p.Publish(topic, payload, 1, retain, packet_id=number))
        self.until(lambda: number in self.acknowledged)

    def until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._socket, selectors.EVENT_READ)
            while not is_so():
                assert time.monotonic() < deadline, self.heard
                if selector.select(timeout=0.1):
                    self._turn()

    def close(self) -> None:
        self._socket.close()

    def _turn(self) -> None:
        data = self._socket.recv(65_536)
        assert data, "the server has gone"
        self._decoder.feed(data)
        while (packet := self._decoder.next()) is not None:
            if isinstance(packet, p.Publish):
                self.heard.append((packet.topic, packet.payload, packet.retain))
                if packet.qos:
                    self._send(p.Ack(p.PUBACK, packet.packet_id))
            elif isinstance(packet, p.Ack):
                self.acknowledged.add(packet.packet_id)
            elif packet.kind in (p.CONNACK, p.SUBACK):
                self._ready += 1

    def _send(self, packet: p.Packet) -> None:
        self._socket.sendall(encode(packet, self._version))


class Server:
    """A server of ours, on a folder; started and killed as often as a test likes."""

    def __init__(self, folder: Path, *settings: str) -> None:
        folder.mkdir()
        self._folder = folder
        self.port = 0
        self._settings = ["mqtt.anonymous=true", "limits.enabled=false", *settings]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> int:
        """Start it; return the port of its broker."""
        ready = self._folder / "ready.json"
        ready.unlink(missing_ok=True)
        flags = ["--data", str(self._folder / "data"), "--ports", "auto", "--ready-file", str(ready)]
        for setting in self._settings:
            flags += ["--set", setting]
        with (self._folder / "log").open("ab") as out:
            self._process = subprocess.Popen([*_SABIR, "serve", *flags], stdout=out, stderr=out)
        deadline = time.monotonic() + PATIENCE_S
        while not ready.exists():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            with selectors.DefaultSelector() as selector:
                selector.select(timeout=0.05)
        self.port = int(json.loads(ready.read_text())["listeners"]["mqtt"]["port"])
        return self.port

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=20)
            self._process = None

    def log(self) -> str:
        return (self._folder / "log").read_text()


class Gate:
    """A port that stays the same while the server behind it changes: forwards nothing, only names one."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]


@pytest.fixture
def servers() -> Iterator[list[Server]]:
    started: list[Server] = []
    yield started
    for server in started:
        server.kill()


Connect = Callable[..., Client]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Returns what makes a client, closed in the end."""
    made: list[Client] = []

    def one(port: int, name: str, version: int = p.V5) -> Client:
        made.append(Client(port, name, version))
        return made[-1]

    yield one
    for client in made:
        client.close()


def bridge(address: str, topics: str, **more: str) -> str:
    further = "".join(f', {key} = "{value}"' for key, value in more.items())
    return f'mqtt.bridges=[{{ name = "b", address = "{address}", topics = [{topics}]{further} }}]'


BOTH = '{ filter = "#", direction = "both", qos = 1, local = "far/", remote = "near/" }'


def test_topics_pass_between_two_servers_and_do_not_come_back(
    tmp_path: Path, servers: list[Server], connect: Connect
) -> None:
    hub = Server(tmp_path / "hub")
    servers.append(hub)
    port = hub.start()
    leaf = Server(tmp_path / "leaf", bridge(f"127.0.0.1:{port}", BOTH))
    servers.append(leaf)
    there, here = connect(port, "there"), connect(leaf.start(), "here")
    here.subscribe("far/#")
    state = connect(leaf.port, "state")
    state.subscribe("$SYS/broker/connection/b/state")
    state.until(lambda: bool(state.heard) and state.heard[-1][1] == b"1")
    there.subscribe("near/#")

    here.publish("far/a", b"out")
    there.publish("near/b", b"in", retain=True)
    there.until(lambda: len(there.heard) == 2)
    here.until(lambda: len(here.heard) == 2)
    here.publish("far/end", b"")
    here.until(lambda: len(here.heard) == 3)

    assert [each[:2] for each in there.heard[:2]] == [("near/a", b"out"), ("near/b", b"in")]
    assert [each[:2] for each in here.heard] == [("far/a", b"out"), ("far/b", b"in"), ("far/end", b"")]
    late = connect(leaf.port, "late")
    late.subscribe("far/b")
    late.until(lambda: late.heard == [("far/b", b"in", True)])


def test_what_waits_for_the_other_broker_survives_both_being_killed(
    tmp_path: Path, servers: list[Server], connect: Connect
) -> None:
    relay = Gate()
    leaf = Server(
        tmp_path / "leaf",
        bridge(f"127.0.0.1:{relay.port}", '{ filter = "t/#", direction = "out", qos = 2 }'),
    )
    servers.append(leaf)
    writer = connect(leaf.start(), "w")
    for number in range(20):
        writer.publish("t/a", b"%d" % number)
    leaf.kill()
    writer.close()

    hub = Server(tmp_path / "hub")
    servers.append(hub)
    reader = connect(hub.start(), "r")
    reader.subscribe("t/#")
    with forwarding(relay.port, hub.port):
        leaf.start()
        reader.until(lambda: len(reader.heard) >= 20)

    assert [payload for _, payload, _ in reader.heard] == [b"%d" % number for number in range(20)]


@contextlib.contextmanager
def forwarding(port: int, to: int) -> Iterator[None]:
    """Forward a port in a process of its own, as another machine would."""
    code = (
        "import asyncio,sys\n"
        "async def pipe(r,w):\n"
        "  while data := await r.read(65536):\n"
        "    w.write(data); await w.drain()\n"
        "  w.close()\n"
        "async def serve(r,w):\n"
        f"  r2,w2 = await asyncio.open_connection('127.0.0.1',{to})\n"
        "  await asyncio.gather(pipe(r,w2),pipe(r2,w),return_exceptions=True)\n"
        "async def main():\n"
        f"  s = await asyncio.start_server(serve,'127.0.0.1',{port})\n"
        "  await s.serve_forever()\n"
        "asyncio.run(main())\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        yield
    finally:
        process.kill()
        process.wait(timeout=20)


@pytest.mark.skipif(_MOSQUITTO is None, reason="mosquitto is not installed")
@pytest.mark.parametrize("version", ["5.0", "3.1.1"])
def test_a_bridge_to_mosquitto_goes_on_after_either_side_was_restarted(
    tmp_path: Path, servers: list[Server], connect: Connect, version: str
) -> None:
    port = Gate().port
    config = tmp_path / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\n"
        f"persistence_location {tmp_path}/\nautosave_on_changes true\nautosave_interval 1\nuser root\n"
    )
    topics = (
        '{ filter = "up/#", direction = "out", qos = 2, remote = "leaf/" }, '
        '{ filter = "down/#", direction = "in", qos = 2, local = "hub/" }'
    )
    leaf = Server(tmp_path / "leaf", bridge(f"127.0.0.1:{port}", topics, version=version))
    servers.append(leaf)
    with mosquitto(config, port):
        here = connect(leaf.start(), "here")
        there = connect(port, "there", p.V311)
        there.subscribe("leaf/#")
        here.subscribe("hub/#")
        here.publish("up/a", b"1")
        there.until(lambda: [each[:2] for each in there.heard] == [("leaf/up/a", b"1")])
        there.publish("down/a", b"2")
        here.until(lambda: [each[:2] for each in here.heard] == [("hub/down/a", b"2")])
        there.close()
    here.publish("up/b", b"3")  # while the other broker is away
    leaf.kill()
    here.close()
    leaf.start()
    with mosquitto(config, port):
        there = connect(port, "there", p.V311)
        there.subscribe("leaf/#")
        there.until(lambda: ("leaf/up/b", b"3") in [each[:2] for each in there.heard])
        assert [each[:2] for each in there.heard] == [("leaf/up/b", b"3")]
    assert "Traceback" not in leaf.log()


@contextlib.contextmanager
def mosquitto(config: Path, port: int) -> Iterator[None]:
    assert _MOSQUITTO is not None
    process = subprocess.Popen(
        [_MOSQUITTO, "-c", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None
            assert time.monotonic() < deadline
            with selectors.DefaultSelector() as selector:
                selector.select(timeout=0.05)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)
