"""The scenarios: what is done to a server, and what Sabir is held to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bench.load import Pair, Room, pace_pairs, pump_pairs, pump_room
from bench.memory import connect, idle, slow_reader
from bench.process import Process
from bench.servers.contract import Door
from bench.wire import Peer, converse

PAIRS: Final = 20
OCCUPANTS: Final = 50
TALKERS: Final = 8
IDLE: Final = 2000
IDLE_WARM: Final = 50
TEXT_BYTES: Final = 100
RATE: Final = 200.0

SENDERS: Final = tuple(f"ann{at:02d}" for at in range(PAIRS))
RECEIVERS: Final = tuple(f"bob{at:02d}" for at in range(PAIRS))
GUESTS: Final = tuple(f"guest{at:02d}" for at in range(OCCUPANTS))
SLEEPERS: Final = ("fast", "slow")


@dataclass(frozen=True, slots=True)
class Effort:
    """How long a run takes, and how much of it."""

    warm_s: float
    run_s: float
    paced_s: float
    idle: int


FULL: Final = Effort(warm_s=2.0, run_s=6.0, paced_s=15.0, idle=IDLE)
QUICK: Final = Effort(warm_s=0.5, run_s=1.5, paced_s=4.0, idle=500)

Run = Callable[[Door, Process, Effort], dict[str, float]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing that is measured."""

    name: str
    protocol: str
    title: str
    run: Run
    alone: bool
    """Whether it needs a server that has done nothing yet."""
    targets: Mapping[str, float]
    """Upper bounds for Sabir, by figure."""


def accounts_for(effort: Effort) -> list[str]:
    """Return the names of every account that some scenario uses."""
    return [*SENDERS, *RECEIVERS, *GUESTS, *SLEEPERS, *idlers(effort)]


def idlers(effort: Effort) -> list[str]:
    """Return the names of the accounts that only sit there."""
    return [f"idle{at:04d}" for at in range(effort.idle + IDLE_WARM)]


def _peers(door: Door, names: Sequence[str]) -> list[Peer]:
    peers = [connect(door.port, name) for name in names]
    converse((peer, door.speech.login(peer.name)) for peer in peers)
    return peers


def _pairs(in_flight: int) -> Run:
    def run(door: Door, process: Process, effort: Effort) -> dict[str, float]:
        senders, receivers = _peers(door, SENDERS), _peers(door, RECEIVERS)
        pairs = [
            Pair(door.speech, at, *both, size=TEXT_BYTES)
            for at, both in enumerate(zip(senders, receivers, strict=True))
        ]
        pump_pairs(pairs, process, in_flight=in_flight, seconds=effort.warm_s)
        figures = pump_pairs(pairs, process, in_flight=in_flight, seconds=effort.run_s).figures()
        _leave(senders, receivers)
        return figures

    return run


def _paced(door: Door, process: Process, effort: Effort) -> dict[str, float]:
    senders, receivers = _peers(door, SENDERS), _peers(door, RECEIVERS)
    pairs = [
        Pair(door.speech, at, *both, size=TEXT_BYTES)
        for at, both in enumerate(zip(senders, receivers, strict=True))
    ]
    pace_pairs(pairs, process, rate=RATE, seconds=effort.warm_s)
    figures = pace_pairs(pairs, process, rate=RATE, seconds=effort.paced_s).figures()
    _leave(senders, receivers)
    return figures


def _room(door: Door, process: Process, effort: Effort) -> dict[str, float]:
    guests = _peers(door, GUESTS)
    room_name = f"bench-{door.speech.name}"  # of its own: one room has one history, from any protocol
    for guest in guests:
        converse([(guest, door.speech.join(room_name, guest.name))])
    room = Room(door.speech, room_name, guests, talkers=TALKERS, echoes=door.echoes_room, size=TEXT_BYTES)
    pump_room(room, process, in_flight=TALKERS, seconds=effort.warm_s)
    figures = pump_room(room, process, in_flight=TALKERS, seconds=effort.run_s).figures()
    _leave(guests)
    return figures


def _idle(door: Door, process: Process, effort: Effort) -> dict[str, float]:
    return idle(door.speech, door.port, idlers(effort), process, warm=IDLE_WARM)


def _slow(door: Door, process: Process, effort: Effort) -> dict[str, float]:
    return slow_reader(door.speech, door.port, SLEEPERS, process)


def _leave(*groups: Sequence[Peer]) -> None:
    for group in groups:
        for peer in group:
            peer.close()


def _both(protocol: str, word: str, one: float, sixteen: float, room: float) -> list[Scenario]:
    paced = {"p50_ms": 3.0, "p99_ms": 10.0}
    return [
        Scenario(
            f"{protocol}-pairs-1", protocol, f"{PAIRS} pairs, 1 in flight", _pairs(1), False, {"cpu_us": one}
        ),
        Scenario(
            f"{protocol}-pairs-16",
            protocol,
            f"{PAIRS} pairs, 16 in flight",
            _pairs(16),
            False,
            {"cpu_us": sixteen},
        ),
        Scenario(f"{protocol}-rate-200", protocol, f"{PAIRS} pairs, 200 messages/s", _paced, False, paced),
        Scenario(
            f"{protocol}-room-50", protocol, f"{word} of 50, {TALKERS} talk", _room, False, {"cpu_us": room}
        ),
        Scenario(f"{protocol}-idle", protocol, "idle connections", _idle, True, {"kib_per_connection": 16.0}),
        Scenario(
            f"{protocol}-slow", protocol, "reader sleeps through 36 MB", _slow, True, {"rss_growth_mib": 24.0}
        ),
    ]


def _topics() -> list[Scenario]:
    """Those of a broker; at QoS 0 a reader that sleeps is owed nothing."""
    held = _both("mqtt", "topic", 16.0, 3.0, 1.5)
    return [each for each in held if each.name not in ("mqtt-slow", "mqtt-idle")] + [
        Scenario("mqtt-idle", "mqtt", "idle connections", _idle, True, {"kib_per_connection": 6.0})
    ]


SCENARIOS: Final = (
    *_both("xmpp", "room", 60.0, 30.0, 3.0),
    *_both("irc", "channel", 40.0, 12.0, 2.0),
    *_topics(),
)
