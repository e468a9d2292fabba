"""The control socket: how commands reach a running server.

Whoever may open the socket is the operator: it lies in the data folder, which only its owner can enter.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, cast

import msgspec

from sabir.admin.commands import MAX_LINE_BYTES, Answer, Command, Refused

log = logging.getLogger(__name__)

Execute = Callable[[Command, Callable[[Answer], None]], None]
"""Carries out a command, and answers once, now or later, on the same thread."""

ANSWER_TIMEOUT_S: Final = 60.0


class ControlSocket(asyncio.Protocol):
    """The server's side of one command's connection."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute
        self._decoder = msgspec.json.Decoder(Command)
        self._buffer = bytearray()
        self._waiting = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`; an answer that is still to come has nowhere to go."""
        self._transport = None

    def data_received(self, data: bytes) -> None:
        """Take what the command sent."""
        self._buffer += data
        self._next()

    def _next(self) -> None:
        """Carry out the next command, if it is there and the one before is answered."""
        while not self._waiting and self._transport is not None:
            end = self._buffer.find(b"\n")
            if end < 0 and len(self._buffer) <= MAX_LINE_BYTES:
                return
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._waiting = True
            if end < 0 or len(line) > MAX_LINE_BYTES:
                self._answer(Refused(f"a command of more than {MAX_LINE_BYTES} bytes"))
                self._transport.close()
                return
            try:
                command = self._decoder.decode(line)
            except (msgspec.DecodeError, RecursionError) as error:
                # Also what a command of another version of Sabir is told.
                self._answer(Refused(f"the server does not understand this command: {error}"))
                continue
            log.info("command", extra={"command": command.__struct_config__.tag})
            self._execute(command, self._answer)

    def _answer(self, answer: Answer) -> None:
        self._waiting = False
        if self._transport is not None:
            self._transport.write(msgspec.json.encode(answer) + b"\n")
            asyncio.get_running_loop().call_soon(self._next)


async def listen(path: Path, execute: Execute) -> asyncio.Server:
    """Serve commands at `path`, for the owner of the data folder alone.

    The caller holds the data folder, so a socket that is there was left by a server that was killed.
    """
    return await asyncio.get_running_loop().create_unix_server(
        lambda: ControlSocket(execute), sock=_bound(path)
    )


def _bound(path: Path) -> socket.socket:
    path.unlink(missing_ok=True)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with _short(path) as name:
        bound.bind(name)
    path.chmod(0o600)
    return bound


@contextmanager
def _short(path: Path) -> Iterator[str]:
    """Name the socket so that it fits into the 108 bytes of a socket's address, however deep it lies."""
    folder = os.open(path.parent, os.O_PATH)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


class ControlClient:
    """The command's side. Blocking; one command after the other."""

    def __init__(self, path: Path) -> None:
        """Connect.

        Raises:
            OSError: no server listens there.
        """
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(ANSWER_TIMEOUT_S)
        try:
            with _short(path) as name:
                self._socket.connect(name)
        except OSError:
            self._socket.close()
            raise
        self._lines = self._socket.makefile("rb")

    def ask(self, command: Command) -> Answer:
        """Have `command` carried out, and return the answer.

        Raises:
            OSError: the server went away, or took longer than a minute.
        """
        self._socket.sendall(msgspec.json.encode(command) + b"\n")
        line = self._lines.readline()
        if not line.endswith(b"\n"):
            raise ConnectionResetError("the server closed the control socket")
        answer: Answer = msgspec.json.decode(line, type=Answer)
        return answer

    def close(self) -> None:
        """Let go of the connection."""
        self._lines.close()
        self._socket.close()
