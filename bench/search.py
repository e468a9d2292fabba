"""What a search costs (XEP-0431), and making its index, over a folder that `bench.preload` filled.

    python -m bench.search DIR

The folder is changed: its index is made. The server runs as it is installed here.
"""

import argparse
import json
import os
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.storage_append import word_of
from sabir.protocols.xmpp.client import ClientStream, Phase
from sabir.wire.xml import Element

PASSWORD = "bench-password"
SEARCHES = 50
SABIR = (sys.executable, "-c", "from sabir.cli import main; main()")
ASKED = {"the most frequent word": 1, "the 100th": 100, "the 5,000th": 5_000, "two words": 0}
QUERY = (
    "<iq type='set' id='{id}'><query xmlns='urn:xmpp:mam:2'><x xmlns='jabber:x:data' type='submit'>"
    "<field var='FORM_TYPE'><value>urn:xmpp:mam:2</value></field>"
    "<field var='{{urn:xmpp:fulltext:0}}fulltext'><value>{words}</value></field></x>"
    "<set xmlns='http://jabber.org/protocol/rsm'><max>20</max><before/></set></query></iq>"
)


class Client:
    """A client that asks and waits."""

    def __init__(self, port: int, name: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._stream = ClientStream("localhost", name, PASSWORD, resource="r", mechanism="PLAIN")
        while self._stream.phase is not Phase.BOUND:
            self._go()

    def search(self, words: str, id_: str) -> int:
        """Return how many messages were found, at most a page."""
        self._stream.send(QUERY.format(id=id_, words=words))
        count = 0
        while True:
            for stanza in self._go():
                count += stanza.name == "message"
                if stanza.name == "iq":
                    assert stanza.get("type") == "result", stanza
                    return count

    def _go(self) -> list[Element]:
        if data := self._stream.drain():
            self._socket.sendall(data)
        return self._stream.receive(self._socket.recv(65_536))


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def indexed_seq(data: Path) -> int:
    """Return up to where the index is made."""
    if not (data / "search.db").exists():
        return 0
    connection = sqlite3.connect(f"file:{data}/search.db?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT seq FROM state").fetchone()[0])
    except (sqlite3.OperationalError, TypeError):
        return 0
    finally:
        connection.close()


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(prog="python -m bench.search", description=__doc__)
    parser.add_argument("data", type=Path, metavar="DIR")
    data = parser.parse_args().data
    passwd = [*SABIR, "user", "passwd", "user1", "--password", PASSWORD, "--data", str(data)]
    subprocess.run(passwd, check=True, stdout=subprocess.DEVNULL)
    connection = sqlite3.connect(f"file:{data}/sabir.db?mode=ro", uri=True)
    head = connection.execute("SELECT max(seq), count(*) FROM events").fetchone()
    connection.close()
    with tempfile.TemporaryDirectory() as folder:
        ready = Path(folder) / "ready.json"
        command = [*SABIR, "serve", "--data", str(data), "--ports", "auto", "--ready-file", str(ready)]
        server = subprocess.Popen([*command, "--set", "limits.enabled=false"], stderr=subprocess.DEVNULL)
        try:
            while not ready.exists():
                time.sleep(0.1)
            begun, before, at = time.monotonic(), cpu_s(server.pid), indexed_seq(data)
            while (seq := indexed_seq(data)) < head[0]:
                time.sleep(1)
            took, used = time.monotonic() - begun, cpu_s(server.pid) - before
            print(
                f"indexed {head[1]:,} messages from {at:,} to {seq:,} in {took:.0f} s, {used:.0f} s of CPU;"
            )
            sizes = [(data / name).stat().st_size >> 20 for name in ("search.db", "sabir.db")]
            print(f"index {sizes[0]} MiB, log {sizes[1]} MiB")
            port = json.loads(ready.read_text())["listeners"]["xmpp"]["port"]
            client = Client(port, "user1")
            for what, number in ASKED.items():
                words = (
                    word_of(number).decode() if number else f"{word_of(3).decode()} {word_of(40).decode()}"
                )
                found, times = client.search(words, "warm"), []
                before = cpu_s(server.pid)
                for turn in range(SEARCHES):
                    begun = time.perf_counter()
                    client.search(words, f"q{turn}")
                    times.append((time.perf_counter() - begun) * 1000)
                used_ms = (cpu_s(server.pid) - before) * 1000 / SEARCHES
                print(f"| {what} | {found} | {used_ms:.1f} | {statistics.median(times):.1f} |", flush=True)
        finally:
            server.terminate()
            server.wait(30)


if __name__ == "__main__":
    main()
