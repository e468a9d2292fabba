"""The examples of docs/protocols/mqtt.md, as they stand there but for names: a person on IRC is in the room."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

import pytest
from tests.interop.conftest import PASSWORD, RunningServer
from tests.interop.test_xmpp_js import installed as installed  # the Node libraries, as a fixture

TIMEOUT_S: Final = 30
DOCS: Final = Path(__file__).parents[2] / "docs/protocols/mqtt.md"


def examples(language: str) -> list[str]:
    """Return the examples in a language that are about rooms."""
    found = re.findall(rf"^```{language}\n(.*?)^```$", DOCS.read_text(), re.MULTILINE | re.DOTALL)
    return [each for each in found if "chat/v1/r/lobby" in each]


def here(example: str, running: RunningServer, room: str) -> str:
    """Return an example with this server in the place of the one that it names."""
    for old, new in (
        ("--capath /etc/ssl/certs", f"--cafile {running.certificate}"),
        ('"tls": {}', f'"tls": {{"ca_certs": {str(running.certificate)!r}}}'),
        ("wss://chat.example.org:5443", f"ws://127.0.0.1:{running.ports['http']}"),
        ("chat.example.org", running.domain),
        ("8883", str(running.ports["mqtt-tls"])),
        ("lobby", room),
        ("-u lamp -P secret", f"-u tybalt -P {shlex.quote(PASSWORD)}"),
        ('"lamp"', '"tybalt"'),
        ('"secret"', f'"{PASSWORD}"'),
    ):
        example = example.replace(old, new)
    return example


class Person:
    """Somebody on IRC."""

    def __init__(self, running: RunningServer, lines: BinaryIO, connection: socket.socket) -> None:
        self._lines = lines
        self._connection = connection
        self.send(f"PASS {PASSWORD}", "NICK paris", "USER paris 0 * :Paris")
        self.until(b" 001 ")

    def send(self, *lines: str) -> None:
        """Send lines."""
        self._connection.sendall("".join(f"{line}\r\n" for line in lines).encode())

    def until(self, wanted: bytes) -> bytes:
        """Return the first line that has `wanted` in it."""
        return next(line for line in self._lines if wanted in line)


@pytest.fixture
def person(running: RunningServer) -> Iterator[Person]:
    with (
        socket.create_connection(("127.0.0.1", running.ports["irc"]), timeout=TIMEOUT_S) as connection,
        connection.makefile("rb") as lines,
    ):
        yield Person(running, lines, connection)


def talk(person: Person, room: str, hear: list[str], say: list[str]) -> str:
    """Let one program hear what the person says, the other one say something; return what the first one printed."""
    person.send(f"JOIN #{room}")
    person.until(b" 366 ")
    with subprocess.Popen(hear, stdout=subprocess.PIPE, text=True) as hearing:
        try:
            person.until(b"JOIN")
            person.send(f"PRIVMSG #{room} :is the lamp on?")
            assert hearing.stdout is not None
            heard = hearing.stdout.readline()
        finally:
            hearing.terminate()
    subprocess.run(say, check=True, timeout=TIMEOUT_S)
    assert person.until(b"PRIVMSG").startswith(b":tybalt!")
    return heard


def test_mosquitto(running: RunningServer, person: Person) -> None:
    if shutil.which("mosquitto_sub") is None:
        pytest.skip("no mosquitto_pub and mosquitto_sub here: apt-get install mosquitto-clients")
    (example,) = examples("sh")
    hear, say = [shlex.split(line) for line in here(example, running, "mosquitto").splitlines()]

    assert talk(person, "mosquitto", hear, say) == "is the lamp on?\n"


def test_paho(running: RunningServer, person: Person) -> None:
    hear, say = [[sys.executable, "-c", here(each, running, "paho")] for each in examples("python")]

    assert talk(person, "paho", hear, say) == "b'is the lamp on?'\n"


def test_node(running: RunningServer, person: Person, installed: Path) -> None:
    (example,) = examples("js")
    script = installed / "example.mjs"
    script.write_text(here(example, running, "node"))
    person.send("JOIN #node")
    person.until(b" 366 ")
    with subprocess.Popen(["node", str(script)], cwd=installed, stdout=subprocess.PIPE, text=True) as node:
        try:
            said = person.until(b"PRIVMSG")
            assert node.stdout is not None
            heard = node.stdout.readline()
        finally:
            node.terminate()

    assert said.endswith(b" PRIVMSG #node :it is on\r\n")
    assert heard == "it is on\n"
