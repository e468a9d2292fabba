"""What idle connections and a sleeping reader cost the server in resident memory."""

import select
import time
from collections.abc import Iterator, Sequence
from typing import Final

from bench.load import STALL_S, fill
from bench.process import Process
from bench.speech import MARK, Speech
from bench.wire import Dialogue, LoadError, Peer, converse

SETTLE_S: Final = 2.0
SETTLE_ROUNDS: Final = 15
SLOW_BYTES: Final = 36_000_000
SLOW_BURST: Final = 16


def idle(
    speech: Speech, port: int, accounts: Sequence[str], process: Process, *, warm: int
) -> dict[str, float]:
    """Log `accounts` in and leave them alone; return what each connection after the first `warm` costs."""
    peers = [_login(speech, port, accounts[:warm])]
    before = _settled(process)
    started = time.perf_counter()
    peers.append(_login(speech, port, accounts[warm:]))
    took_s = time.perf_counter() - started
    grown = _settled(process) - before
    process.alive()
    count = len(accounts) - warm
    for peer in [*peers[0], *peers[1]]:
        peer.close()
    return {
        "connections": count,
        "kib_per_connection": round(grown / count / 1024, 2),
        "logins_per_second": round(count / took_s),
    }


def _settled(process: Process) -> int:
    """Return the resident memory once it has stopped falling: garbage of the logins is not a connection's."""
    last = process.rss_bytes()
    for _ in range(SETTLE_ROUNDS):
        time.sleep(SETTLE_S)
        now = process.rss_bytes()
        if now > last * 0.998:
            return now
        last = now
    return last


def _login(speech: Speech, port: int, accounts: Sequence[str]) -> list[Peer]:
    peers: list[Peer] = []

    def arrivals() -> Iterator[tuple[Peer, Dialogue]]:
        for account in accounts:
            peers.append(connect(port, account))
            yield peers[-1], speech.login(account)

    converse(arrivals())
    return peers


def connect(port: int, account: str, *, receive_buffer_bytes: int = 0, send_buffer_bytes: int = 0) -> Peer:
    """Open a connection for `account`."""
    peer = Peer(port, receive_buffer_bytes=receive_buffer_bytes, send_buffer_bytes=send_buffer_bytes)
    peer.name = account
    return peer


def slow_reader(speech: Speech, port: int, accounts: tuple[str, str], process: Process) -> dict[str, float]:
    """Send 36 MB to a reader that sleeps, wake it, and count what it gets.

    Returns the growth of the server's memory at its highest, how many messages it took from the sender (a server
    may stop reading a sender whose reader sleeps) and how many of those the reader got (a server may have
    dropped it, or thrown messages away).
    """
    # A full send buffer on the loopback overruns the server's first receive buffer and waits for retransmits.
    sender = connect(port, accounts[0], send_buffer_bytes=32_768)
    reader = connect(port, accounts[1], receive_buffer_bytes=65_536)
    converse((peer, speech.login(peer.name)) for peer in (sender, reader))
    message = speech.to_account(0, reader.name, 1000 if speech.name == "xmpp" else 350)
    count = SLOW_BYTES // len(fill(message.template, message.slots, 0, 1))
    time.sleep(SETTLE_S)
    before = process.rss_bytes()
    sent, highest = _flood(sender, message.template, message.slots, count, process)
    if sent == count:
        converse([(sender, speech.barrier())], timeout_s=120.0)
    highest = max(highest, process.rss_bytes())
    time.sleep(SETTLE_S)
    highest = max(highest, process.rss_bytes())
    got, in_order = _wake(reader, speech, sent)
    highest = max(highest, process.rss_bytes())
    sender.close()
    reader.close()
    if not in_order:
        raise LoadError(f"{reader.name}: woke to messages doubled or out of order")
    return {
        "offered": count,
        "sent": sent,
        "received": got,
        "rss_growth_mib": round((highest - before) / 2**20, 1),
    }


def _flood(sender: Peer, template: bytes, slots: int, count: int, process: Process) -> tuple[int, int]:
    """Send as fast as the server reads; return how many it took and the highest resident memory seen."""
    highest, sent, sample_at = 0, 0, 0.0
    moved_at = time.monotonic()
    poll = select.epoll()
    poll.register(sender.fd, select.EPOLLIN | select.EPOLLOUT)
    while sent < count or sender.unsent:
        for _, events in poll.poll(1.0):
            if events & select.EPOLLIN:
                sender.receive()
            if events & select.EPOLLOUT:
                moved_at = time.monotonic()
                if sender.flush() and sent < count:
                    burst = min(SLOW_BURST, count - sent)
                    sender.send(fill(template, slots, sent, sent + burst))
                    sent += burst
        if (now := time.monotonic()) > sample_at:
            highest, sample_at = max(highest, process.rss_bytes()), now + 0.1
            process.alive()
        if now - moved_at > STALL_S / 2:
            break
    poll.close()
    return sent, highest


def _wake(reader: Peer, speech: Speech, count: int) -> tuple[int, bool]:
    """Read until everything is there or the server has nothing more; return the count, and if in order."""
    marks: list[bytes] = []
    tail = b""
    poll = select.epoll()
    poll.register(reader.fd, select.EPOLLIN)
    while len(marks) < count and poll.poll(STALL_S / 2):
        try:
            data = tail + reader.receive()
        except LoadError:
            break
        tail = data[-11:]
        marks += MARK.findall(data)
        if answer := speech.keepalive(data):
            reader.send(answer)
    poll.close()
    return len(marks), marks == sorted(set(marks))
