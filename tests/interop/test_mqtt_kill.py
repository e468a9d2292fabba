"""SIGKILL the broker under load: nothing acknowledged is lost, and QoS 2 arrives once."""

from __future__ import annotations

import contextlib
import json
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

from sabir.protocols.mqtt.codec.decoder import Decoder, Names
from sabir.protocols.mqtt.codec.encoder import encode
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import Properties

AFTER_MESSAGES: Final = (300, 40, 900, 500)
IN_FLIGHT: Final = 16
PATIENCE_S: Final = 60.0

_SABIR: Final = (sys.executable, "-c", "from sabir.cli import main; main()")


class Client:
    """A client that keeps its side of the session across connections, as on a disk."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard: list[tuple[int, int]] = []
        """(QoS, number) of each message that was handed to the application."""
        self.acknowledged: set[tuple[int, int]] = set()
        self.under_way: dict[int, tuple[int, int]] = {}
        """Sent, by packet identifier: acknowledged neither by PUBACK nor by PUBREC."""
        self.releasing: dict[int, None] = {}
        """Packet identifiers for which PUBREL was sent."""
        self._received: set[int] = set()
        self._last_id = 0
        self._socket = socket.socket()
        self._decoder = Decoder(1 << 20, Names(), p.V5)
        self.is_ready = False

    def connect(self, port: int) -> None:
        """Connect, and send again what was not acknowledged."""
        self._socket.close()
        self._socket = socket.create_connection(("127.0.0.1", port))
        self._socket.setblocking(False)
        self._decoder = Decoder(1 << 20, Names(), p.V5)
        self.is_ready = False
        kept = Properties()
        kept.numbers[ids.SESSION_EXPIRY] = 3600
        self._send(p.Connect(p.V5, self.name, clean_start=False, properties=kept))
        if self.name == "reader":
            self._send(p.Subscribe(1, [p.Filter("load/#", 2)]))
        for packet_id, (qos, number) in self.under_way.items():
            self._send(p.Publish(f"load/{qos}", b"%d" % number, qos, dup=True, packet_id=packet_id))
        for packet_id in self.releasing:
            self._send(p.Ack(p.PUBREL, packet_id))

    def publish(self, qos: int, number: int) -> None:
        """Publish a message of its own."""
        self._last_id = self._last_id % 60_000 + 1
        self.under_way[self._last_id] = (qos, number)
        self._send(p.Publish(f"load/{qos}", b"%d" % number, qos, packet_id=self._last_id))

    def turn(self) -> None:
        """Take what has come."""
        data = b""
        with contextlib.suppress(BlockingIOError):
            data = self._socket.recv(65_536)
        self._decoder.feed(data)
        while (packet := self._decoder.next()) is not None:
            self._take(packet)

    def close(self) -> None:
        """Take what the kernel still has of a dead server, and close."""
        with contextlib.suppress(OSError):
            self.turn()
        self._socket.close()

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def _take(self, packet: p.Packet) -> None:
        if isinstance(packet, p.Publish):
            is_new = packet.qos == 1 or packet.packet_id not in self._received
            if is_new:
                self.heard.append((int(packet.topic[-1]), int(packet.payload)))
            if packet.qos == 2:
                self._received.add(packet.packet_id)
            self._send(p.Ack(p.PUBACK if packet.qos == 1 else p.PUBREC, packet.packet_id))
        elif isinstance(packet, p.Ack):
            if packet.kind in (p.PUBACK, p.PUBREC):
                message = self.under_way.pop(packet.packet_id, None)
                if message is not None:
                    self.acknowledged.add(message)
                if packet.kind == p.PUBREC:
                    self.releasing[packet.packet_id] = None
                    self._send(p.Ack(p.PUBREL, packet.packet_id))
            elif packet.kind == p.PUBREL:
                self._received.discard(packet.packet_id)
                self._send(p.Ack(p.PUBCOMP, packet.packet_id))
            else:
                self.releasing.pop(packet.packet_id, None)
        elif packet.kind == (p.SUBACK if self.name == "reader" else p.CONNACK):
            self.is_ready = True

    def _send(self, packet: p.Packet) -> None:
        with contextlib.suppress(OSError):
            self._socket.setblocking(True)
            self._socket.sendall(encode(packet, p.V5))
            self._socket.setblocking(False)


def play(clients: list[Client], sent: int, wanted: int) -> int:
    """Publish until `wanted` more messages were heard, or for 0 until nothing is under way.

    Returns how many were sent.
    """
    reader, writer = clients
    heard_before = len(reader.heard)
    deadline = time.monotonic() + PATIENCE_S
    with selectors.DefaultSelector() as selector:
        for client in clients:
            selector.register(client, selectors.EVENT_READ, client)
        while True:
            assert time.monotonic() < deadline, (
                len(reader.heard),
                len(writer.acknowledged),
                writer.under_way,
            )
            if wanted and len(reader.heard) - heard_before >= wanted:
                return sent
            if not wanted and len(set(reader.heard)) >= sent and not writer.under_way:
                return sent
            while wanted and reader.is_ready and len(writer.under_way) + len(writer.releasing) < IN_FLIGHT:
                sent += 1
                writer.publish(1 + sent % 2, sent)
            for key, _ in selector.select(timeout=0.05):
                key.data.turn()


def one_life(data: Path, log: Path, clients: list[Client], sent: int, wanted: int) -> int:
    """Start the server, and kill it after so many messages."""
    ready = data.parent / "ready.json"
    ready.unlink(missing_ok=True)
    flags = [
        "--data",
        str(data),
        "--ports",
        "auto",
        "--ready-file",
        str(ready),
        "--set",
        "limits.enabled=false",
    ]
    flags += ["--set", "mqtt.anonymous=true"]
    with (
        log.open("ab") as out,
        subprocess.Popen([*_SABIR, "serve", *flags], stdout=out, stderr=out) as process,
    ):
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not ready.exists():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                with selectors.DefaultSelector() as selector:
                    selector.select(timeout=0.05)
            for client in clients:
                client.connect(json.loads(ready.read_text())["listeners"]["mqtt"]["port"])
            return play(clients, sent, wanted)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=20)
            for client in clients:
                client.close()


def test_a_killed_broker_loses_nothing_acknowledged_and_sends_qos_2_once(tmp_path: Path) -> None:
    clients, sent = [Client("reader"), Client("writer")], 0

    for wanted in (*AFTER_MESSAGES, 0):
        sent = one_life(tmp_path / "data", tmp_path / "log", clients, sent, wanted)

    reader, writer = clients
    heard = Counter(reader.heard)
    assert sent > sum(AFTER_MESSAGES) // 2
    assert {number for _, number in writer.acknowledged} == set(range(1, sent + 1))
    assert writer.acknowledged <= heard.keys()
    assert {count for (qos, _), count in heard.items() if qos == 2} == {1}
    for qos in (1, 2):
        first = list(dict.fromkeys(number for of, number in reader.heard if of == qos))
        assert first == sorted(first)  # [MQTT-4.6.0-6]
    assert "Traceback" not in (tmp_path / "log").read_text()
