"""The load itself: pairs and rooms, closed loop or at a fixed rate, every delivery checked.

A closed loop keeps a fixed number of messages in flight and sends the next one when one has arrived. The open
loop sends on a timetable whatever the server does, and counts latency from the timetable, so that a server
that stalls is charged for everything that had to wait.

The loops below are long and flat because the load must stay cheaper than any server: one receive, one regular
expression and one send for a whole batch of messages.
"""

import gc
import re
import select
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bench.process import Process
from bench.speech import MARK, Message, Speech
from bench.wire import LoadError, Peer

STALL_S: Final = 20.0
MARK_BYTES: Final = 12


@dataclass(slots=True)
class Measured:
    """What one run cost and how it felt."""

    delivered: int
    wall_s: float
    server_cpu_s: float
    load_cpu_s: float
    latencies_s: list[float] = field(repr=False)

    def figures(self) -> dict[str, float]:
        """Return the figures that are reported: per second, us, ms, shares of one core."""
        waits = sorted(self.latencies_s)
        return {
            "delivered": self.delivered,
            "per_second": round(self.delivered / self.wall_s),
            "cpu_us": round(1e6 * self.server_cpu_s / self.delivered, 2),
            "p50_ms": round(1e3 * waits[len(waits) // 2], 3),
            "p99_ms": round(1e3 * waits[len(waits) * 99 // 100], 3),
            "server_share": round(self.server_cpu_s / self.wall_s, 3),
            "load_share": round(self.load_cpu_s / self.wall_s, 3),
        }


class Numbers:
    """The numbers 0, 1, 2... as eight digits, made once."""

    def __init__(self) -> None:
        self._made: list[bytes] = []

    def part(self, start: int, stop: int) -> list[bytes]:
        """Return the digits of the numbers from `start` up to `stop`."""
        if stop > len(self._made):
            self._made.extend(b"%08d" % number for number in range(len(self._made), stop + 65_536))
        return self._made[start:stop]


NUMBERS: Final = Numbers()


class Pair:
    """A sender and a receiver."""

    def __init__(self, speech: Speech, index: int, sender: Peer, receiver: Peer, *, size: int) -> None:
        self.sender = sender
        self.receiver = receiver
        self.keepalive = speech.keepalive
        message = speech.to_account(index, receiver.name, size)
        self._template = message.template
        self._slots = message.slots
        self._mark = re.compile(rb"#%02d(\d{8})#" % index)
        self._tail = b""
        self.sent_at: list[float] = []
        self.received = 0

    def send(self, count: int, at: float) -> None:
        """Send the next `count` messages and note `at` as their time."""
        first = len(self.sent_at)
        self.sent_at += [at] * count
        self.sender.send(fill(self._template, self._slots, first, first + count))

    def receive(self, latencies: list[float]) -> int:
        """Take what arrived; return the number of messages in it.

        Raises:
            LoadError: a message is missing, doubled or out of order.
        """
        data = self._tail + self.receiver.receive()
        self._tail = data[1 - MARK_BYTES :]
        found = self._mark.findall(data)
        if not found:
            if answer := self.keepalive(data):
                self.receiver.send(answer)
            return 0
        first, count = self.received, len(found)
        if found != NUMBERS.part(first, first + count):
            raise LoadError(f"{self.receiver.name}: expected message {first}, got {found[:3]!r} (of {count})")
        now = time.perf_counter()
        latencies += [now - at for at in self.sent_at[first : first + count]]
        self.received = first + count
        return count


def fill(template: bytes, slots: int, start: int, stop: int) -> bytes:
    """Return the messages from `start` up to `stop`."""
    numbers = NUMBERS.part(start, stop)
    if slots > 1:
        numbers = [number for number in numbers for _ in range(slots)]
    return template * (stop - start) % tuple(numbers)


def pump_pairs(pairs: Sequence[Pair], process: Process, *, in_flight: int, seconds: float) -> Measured:
    """Keep `in_flight` messages under way in every pair for `seconds`, then let all arrive."""
    by_fd = {pair.receiver.fd: pair for pair in pairs}
    latencies: list[float] = []
    clock = _Clock(process)
    stop_at = clock.started + seconds
    delivered, sent = 0, len(pairs) * in_flight
    with _Ears(by_fd) as poll:
        for pair in pairs:
            pair.send(in_flight, time.perf_counter())
        while delivered < sent:
            events = poll.poll(STALL_S)
            if not events:
                raise LoadError(_stalled(sent - delivered, pairs))
            for fd, _ in events:
                pair = by_fd[fd]
                count = pair.receive(latencies)
                delivered += count
                if count and (now := time.perf_counter()) < stop_at:
                    pair.send(count, now)
                    sent += count
    return clock.stop(delivered, latencies)


def pace_pairs(pairs: Sequence[Pair], process: Process, *, rate: float, seconds: float) -> Measured:
    """Send `rate` messages a second, over all pairs in turn, for `seconds`."""
    by_fd = {pair.receiver.fd: pair for pair in pairs}
    latencies: list[float] = []
    clock = _Clock(process)
    delivered, sent, total = 0, 0, int(rate * seconds)
    with _Ears(by_fd) as poll:
        while delivered < total:
            now = time.perf_counter()
            while sent < total and (due := clock.started + sent / rate) <= now:
                pairs[sent % len(pairs)].send(1, due)
                sent += 1
            if now > clock.started + seconds + STALL_S:
                raise LoadError(_stalled(total - delivered, pairs))
            # epoll sleeps in whole milliseconds: sleep short of the next one, then look without sleeping.
            wait_s = clock.started + sent / rate - now if sent < total else 0.05
            for fd, _ in poll.poll(max(0.0, wait_s - 0.001)):
                delivered += by_fd[fd].receive(latencies)
    return clock.stop(delivered, latencies)


def _stalled(missing: int, pairs: Sequence[Pair]) -> str:
    said = b"".join(pair.sender.receive() for pair in pairs)
    return f"{missing} messages did not arrive within {STALL_S:.0f} s; the senders heard {said[-300:]!r}"


class Room:
    """A room whose occupants hear each other; the first `talkers` of them talk in turn."""

    def __init__(
        self, speech: Speech, name: str, occupants: Sequence[Peer], *, talkers: int, echoes: bool, size: int
    ) -> None:
        self.occupants = occupants
        self.hearers_per_message = len(occupants) if echoes else len(occupants) - 1
        self.keepalive = speech.keepalive
        self._echoes = echoes
        self._messages: list[Message] = [speech.to_room(index, name, size) for index in range(talkers)]
        self._sent = [0] * talkers
        self._turn = 0
        self.sent_at: dict[bytes, float] = {}
        self.heard: dict[int, list[bytes]] = {peer.fd: [] for peer in occupants}
        self._tails = dict.fromkeys(self.heard, b"")
        self._by_fd = {peer.fd: peer for peer in occupants}

    def send(self, at: float) -> None:
        """Let the next talker say one message."""
        talker = self._turn
        self._turn = (talker + 1) % len(self._messages)
        message, number = self._messages[talker], self._sent[talker]
        self._sent[talker] = number + 1
        self.sent_at[b"%02d%08d" % (talker, number)] = at
        self.occupants[talker].send(fill(message.template, message.slots, number, number + 1))

    def receive(self, fd: int, latencies: list[float]) -> int:
        """Take what arrived for one occupant; return the number of messages in it."""
        peer = self._by_fd[fd]
        data = self._tails[fd] + peer.receive()
        self._tails[fd] = data[1 - MARK_BYTES :]
        found = MARK.findall(data)
        if not found:
            if answer := self.keepalive(data):
                peer.send(answer)
            return 0
        now, sent_at = time.perf_counter(), self.sent_at
        try:
            latencies += [now - sent_at[mark] for mark in found]
        except KeyError as error:
            raise LoadError(f"{peer.name}: message {error} was not sent in this run") from error
        self.heard[fd] += found
        return len(found)

    def check(self) -> None:
        """Raise `LoadError` unless every occupant heard every message once, each talker's in order."""
        for at, peer in enumerate(self.occupants):
            for talker, sent in enumerate(self._sent):
                prefix = b"%02d" % talker
                got = [mark[2:] for mark in self.heard[peer.fd] if mark.startswith(prefix)]
                expected = [] if talker == at and not self._echoes else NUMBERS.part(0, sent)
                if got != expected:
                    raise LoadError(f"{peer.name}: {len(got)} messages of talker {talker} instead of {sent}")


def pump_room(room: Room, process: Process, *, in_flight: int, seconds: float) -> Measured:
    """Keep about `in_flight` messages under way for `seconds`, then let all arrive; then check them."""
    latencies: list[float] = []
    fan = room.hearers_per_message
    clock = _Clock(process)
    stop_at = clock.started + seconds
    delivered, expected = 0, 0
    with _Ears(room.heard) as poll:
        while True:
            if (now := time.perf_counter()) < stop_at:
                while expected - delivered <= (in_flight - 1) * fan:
                    room.send(now)
                    expected += fan
            elif delivered == expected:
                break
            events = poll.poll(STALL_S)
            if not events:
                raise LoadError(f"{expected - delivered} deliveries did not happen within {STALL_S:.0f} s")
            for fd, _ in events:
                delivered += room.receive(fd, latencies)
    measured = clock.stop(delivered, latencies)
    room.check()
    return measured


class _Clock:
    """Takes the time and the CPU of both sides over one run."""

    def __init__(self, process: Process) -> None:
        process.alive()
        gc.collect()
        gc.disable()
        self._process = process
        self._server_cpu_s = process.cpu_s()
        self._load_cpu_s = time.process_time()
        self.started = time.perf_counter()

    def stop(self, delivered: int, latencies: list[float]) -> Measured:
        """Return what was measured since the start."""
        wall_s = time.perf_counter() - self.started
        load_cpu_s = time.process_time() - self._load_cpu_s
        server_cpu_s = self._process.cpu_s() - self._server_cpu_s
        gc.enable()
        return Measured(delivered, wall_s, server_cpu_s, load_cpu_s, latencies)


class _Ears:
    """An epoll that listens to these descriptors, for a `with`."""

    def __init__(self, descriptors: "dict[int, Pair] | dict[int, list[bytes]]") -> None:
        self._poll = select.epoll()
        for fd in descriptors:
            self._poll.register(fd, select.EPOLLIN)

    def __enter__(self) -> select.epoll:
        return self._poll

    def __exit__(self, *_: object) -> None:
        self._poll.close()
