"""SIGKILL the server under load: every message that reached its recipient is in the log, in order, once."""

from __future__ import annotations

import contextlib
import json
import re
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Final

from tests.support.chronicle import follow
from tests.support.loop import LoadedStore

from sabir.protocols.xmpp.client import ClientStream, Phase

PAIRS: Final = 4
IN_FLIGHT: Final = 16
KILLS: Final = 4
AFTER_MESSAGES: Final = (400, 1500, 50, 900)
PATIENCE_S: Final = 30.0

_SABIR: Final = (sys.executable, "-c", "from sabir.cli import main; main()")
_BODY: Final = re.compile(rb"<body>(\d+):(\d+)</body>")


class Client:
    """A client over a socket."""

    def __init__(self, port: int, name: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setblocking(False)
        self.stream = ClientStream("localhost", name, "secret", resource="r")
        self.heard: list[tuple[int, int]] = []

    def turn(self) -> None:
        """Take what has come, and send what is to be sent."""
        try:
            data = self.socket.recv(65536)
        except BlockingIOError:
            data = b""
        for stanza in self.stream.receive(data) if data else ():
            body = stanza.child_text("body") if stanza.name == "message" else None
            if body and stanza.get("type") != "error":
                pair, number = body.split(":")
                self.heard.append((int(pair), int(number)))
        while out := self.stream.drain():
            self.socket.setblocking(True)
            self.socket.sendall(out)
            self.socket.setblocking(False)


class Load:
    """Pairs of clients over one life of the server. `sent` goes on from life to life, so each text is sent once."""

    def __init__(self, port: int, sent: list[int]) -> None:
        self.sent = sent
        self.senders = [Client(port, f"sender{number}") for number in range(PAIRS)]
        self.receivers = [Client(port, f"receiver{number}") for number in range(PAIRS)]
        self._selector = selectors.DefaultSelector()
        for client in (*self.senders, *self.receivers):
            self._selector.register(client.socket, selectors.EVENT_READ, client)

    def log_in(self) -> None:
        clients = [*self.senders, *self.receivers]
        deadline = time.monotonic() + PATIENCE_S
        while any(client.stream.phase is not Phase.BOUND for client in clients):
            assert time.monotonic() < deadline, [client.stream.phase for client in clients]
            self._turn()
        for client in clients:
            client.stream.send("<presence/>")
            client.turn()

    def run(self, messages: int) -> None:
        """Keep messages under way until so many have arrived."""
        first = list(self.sent)
        deadline = time.monotonic() + PATIENCE_S
        while sum(len(set(client.heard)) for client in self.receivers) < messages:
            assert time.monotonic() < deadline
            for pair, (sender, receiver) in enumerate(zip(self.senders, self.receivers, strict=True)):
                arrived = sum(number > first[pair] for _, number in set(receiver.heard))
                for _ in range(IN_FLIGHT - (self.sent[pair] - first[pair] - arrived)):
                    self.sent[pair] += 1
                    text = f"{pair}:{self.sent[pair]}"
                    sender.stream.send(
                        f"<message to='receiver{pair}@localhost' type='chat' id='{text}'><body>{text}</body></message>"
                    )
                sender.turn()
            self._turn()

    def close(self) -> list[tuple[int, int]]:
        """Take what the kernel still has of a dead server, and return all that arrived."""
        for client in (*self.senders, *self.receivers):
            with contextlib.suppress(OSError):
                client.turn()
            client.socket.close()
        self._selector.close()
        return [message for client in self.receivers for message in client.heard]

    def _turn(self) -> None:
        for client in (*self.senders, *self.receivers):
            if client.stream.phase is not Phase.BOUND:
                client.turn()
        for key, _ in self._selector.select(timeout=0.05):
            key.data.turn()


def one_life(data: Path, log: Path, sent: list[int], messages: int) -> list[tuple[int, int]]:
    """Start the server, kill it after so many messages, and return those that arrived."""
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
    with (
        log.open("ab") as out,
        subprocess.Popen([*_SABIR, "serve", *flags], stdout=out, stderr=out) as process,
    ):
        try:
            deadline = time.monotonic() + PATIENCE_S
            while not ready.exists():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                select_nothing()
            load = Load(json.loads(ready.read_text())["listeners"]["xmpp"]["port"], sent)
            load.log_in()
            load.run(messages)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(timeout=20)
    return load.close()


def select_nothing() -> None:
    """Wait a moment for another process."""
    with selectors.DefaultSelector() as selector:
        selector.select(timeout=0.05)


def test_a_killed_server_has_every_message_that_arrived_in_order_and_once(tmp_path: Path) -> None:
    data, people = tmp_path / "data", tmp_path / "people.csv"
    names = [f"{role}{number}" for role in ("sender", "receiver") for number in range(PAIRS)]
    people.write_text("".join(f"{name},secret\n" for name in names))
    subprocess.run([*_SABIR, "user", "import", str(people), "--data", str(data)], check=True, timeout=60)
    sent = [0] * PAIRS
    arrived: set[tuple[int, int]] = set()

    for messages in AFTER_MESSAGES[:KILLS]:
        arrived |= set(one_life(data, tmp_path / "log", sent, messages))

    opened = LoadedStore(data)
    events = [event for event in follow(opened, 0) if event.protocol == "xmpp"]
    opened.close()
    positions: dict[int, list[int]] = {}
    texts: dict[int, list[tuple[int, int]]] = {}
    for event in events:
        match = _BODY.search(event.native)
        assert match is not None
        positions.setdefault(event.conversation_id, []).append(event.position)
        texts.setdefault(event.conversation_id, []).append((int(match[1]), int(match[2])))
    logged = Counter(text for each in texts.values() for text in each)
    assert len(arrived) > sum(AFTER_MESSAGES) // 2
    assert arrived <= logged.keys()
    assert set(logged.values()) == {1}
    assert len(texts) == PAIRS
    for each in texts.values():
        assert each == sorted(each)
    for numbers in positions.values():
        assert numbers == list(range(1, len(numbers) + 1))
    assert "Traceback" not in (tmp_path / "log").read_text()
