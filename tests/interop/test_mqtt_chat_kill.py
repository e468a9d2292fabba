"""SIGKILL the server while a room is talking: a session that is kept gets all of it, from the log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.interop.test_mqtt_kill import Client, one_life

from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import Properties

AFTER_MESSAGES: Final = (200, 30, 300)
PASSWORD: Final = "correct horse"
TOPIC: Final = "chat/v1/r/load/text"

_SABIR: Final = (sys.executable, "-c", "from sabir.cli import main; main()")


class Talker(Client):
    """A client with an account, whose messages are said in a room."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.lives: list[list[bytes]] = []
        """Ids of the messages that came, by the life of the server."""

    def connect(self, port: int) -> None:
        """Connect, and send again what was not acknowledged."""
        self.lives.append([])
        super().connect(port)

    def publish(self, qos: int, number: int) -> None:
        """Say a message of its own."""
        self._last_id = self._last_id % 60_000 + 1
        self.under_way[self._last_id] = (1, number)
        self._send(self._packet(number, self._last_id))

    def _packet(self, number: int, packet_id: int, *, dup: bool = False) -> p.Publish:
        return p.Publish(TOPIC, b"%d" % number, 1, dup=dup, packet_id=packet_id)

    def _send(self, packet: p.Packet) -> None:
        if isinstance(packet, p.Connect):
            kept = Properties()
            kept.numbers[ids.SESSION_EXPIRY] = 3600
            packet = p.Connect(
                p.V5,
                self.name,
                clean_start=False,
                username=self.name,
                password=PASSWORD.encode(),
                properties=kept,
            )
        elif isinstance(packet, p.Subscribe):
            packet = p.Subscribe(1, [p.Filter(TOPIC, 1)])
        elif isinstance(packet, p.Publish):
            packet = self._packet(int(packet.payload), packet.packet_id, dup=packet.dup)
        super()._send(packet)

    def _take(self, packet: p.Packet) -> None:
        if isinstance(packet, p.Publish):
            self.heard.append((1, int(packet.payload)))
            self.lives[-1].append(packet.properties.data[ids.CORRELATION_DATA])
            self._send(p.Ack(p.PUBACK, packet.packet_id))
        else:
            super()._take(packet)


def test_a_killed_server_keeps_all_that_was_said_for_those_who_come_back(tmp_path: Path) -> None:
    people, data = tmp_path / "people.csv", tmp_path / "data"
    people.write_text(f"reader,{PASSWORD}\nwriter,{PASSWORD}\n")
    subprocess.run([*_SABIR, "user", "import", str(people), "--data", str(data)], check=True, timeout=60)
    clients, sent = [Talker("reader"), Talker("writer")], 0

    for wanted in (*AFTER_MESSAGES, 0):
        sent = one_life(data, tmp_path / "log", list(clients), sent, wanted)

    reader, writer = clients
    assert sent > sum(AFTER_MESSAGES) // 2
    assert {number for _, number in writer.acknowledged} == set(range(1, sent + 1))
    assert writer.acknowledged <= set(reader.heard)
    for life in reader.lives:
        assert life == sorted(set(life))  # once, and in order
    again = len([id_ for life in reader.lives for id_ in life]) - len(
        {id_ for life in reader.lives for id_ in life}
    )
    assert again <= 32 * len(
        AFTER_MESSAGES
    )  # of what was acknowledged at the very end, the server had no time to note it
    assert "Traceback" not in (tmp_path / "log").read_text()
