"""Non-blocking clients on one epoll: dialogues for set-up, raw sends and receives for the load."""

import re
import select
import socket
import time
from collections.abc import Callable, Generator, Iterable
from typing import Final

Dialogue = Generator[tuple[bytes, "re.Pattern[bytes]"], bytes, None]
"""A scripted exchange: yields what to send and what to await, is sent what had arrived by then."""

RECEIVE_BYTES: Final = 262_144
DIALOGUES_AT_ONCE: Final = 64


class LoadError(Exception):
    """The server answered something that the protocol or the scenario does not allow."""


class Peer:
    """One client connection."""

    def __init__(self, port: int, *, receive_buffer_bytes: int = 0, send_buffer_bytes: int = 0) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if send_buffer_bytes:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
        if receive_buffer_bytes:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setblocking(False)
        self.fd = self.sock.fileno()
        self.name = ""
        self.unsent = b""

    def send(self, data: bytes) -> None:
        """Send `data`, keeping what the socket does not take for `flush`."""
        if self.unsent:
            self.unsent += data
            return
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        if sent != len(data):
            self.unsent = data[sent:]

    def flush(self) -> bool:
        """Send what is waiting; return whether nothing is left."""
        data, self.unsent = self.unsent, b""
        if data:
            self.send(data)
        return not self.unsent

    def receive(self) -> bytes:
        """Return what has arrived, possibly nothing.

        Raises:
            LoadError: the server closed the connection.
        """
        try:
            data = self.sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return b""
        except ConnectionError as error:
            raise LoadError(f"{self.name}: the server dropped the connection ({error})") from error
        if not data:
            raise LoadError(f"{self.name}: the server closed the connection")
        return data

    def close(self) -> None:
        """Close the connection."""
        self.sock.close()


def converse(tasks: Iterable[tuple[Peer, Dialogue]], *, timeout_s: float = 60.0) -> None:
    """Run the dialogues to their ends, many at a time.

    Raises:
        LoadError: one took longer than `timeout_s`; the text shows what it waited for and had heard.
    """
    waiting = iter(tasks)
    running: dict[int, _Running] = {}
    poll = select.epoll()
    exhausted = False
    while True:
        while not exhausted and len(running) < DIALOGUES_AT_ONCE:
            entry = next(waiting, None)
            if entry is None:
                exhausted = True
            elif not (started := _Running(*entry, time.monotonic() + timeout_s)).done:
                running[started.peer.fd] = started
                poll.register(started.peer.fd, select.EPOLLIN)
        if not running:
            poll.close()
            return
        for fd, _ in poll.poll(1.0):
            running[fd].hear()
            if running[fd].done:
                poll.unregister(fd)
                del running[fd]
        now = time.monotonic()
        for task in running.values():
            if now > task.deadline:
                raise LoadError(f"{task.peer.name}: no {task.awaited.pattern!r}, heard {task.heard[-600:]!r}")


class _Running:
    """A dialogue that waits for an answer."""

    def __init__(self, peer: Peer, dialogue: Dialogue, deadline: float) -> None:
        self.peer = peer
        self.dialogue = dialogue
        self.deadline = deadline
        self.heard = b""
        self.done = False
        self._step(lambda: next(dialogue))

    def hear(self) -> None:
        """Take what arrived, and go on if it was awaited."""
        self.heard += self.peer.receive()
        if self.awaited.search(self.heard):
            heard, self.heard = self.heard, b""
            self._step(lambda: self.dialogue.send(heard))

    def _step(self, advance: "Callable[[], tuple[bytes, re.Pattern[bytes]]]") -> None:
        try:
            data, self.awaited = advance()
        except StopIteration:
            self.done = True
            return
        self.peer.send(data)
