"""What all connections of one event loop share: flusher, timing wheel with its timer, read buffer."""

import asyncio
from collections.abc import Callable
from typing import Final

from sabir.base.clock import Clock
from sabir.net.connection import READ_BYTES, Flusher
from sabir.net.wheel import Timer, Wheel

_MS_PER_S: Final = 1000
_TICK_S: Final = 0.001


class Appointment:
    """A call that is still to come."""

    __slots__ = ("_callback", "_timer", "_wheel")

    def __init__(self, wheel: Wheel, deadline_ms: int, callback: Callable[[], object]) -> None:
        self._wheel = wheel
        self._callback = callback
        self._timer = Timer(self._due)
        wheel.set(self._timer, deadline_ms)

    def cancel(self) -> None:
        """Make it not come."""
        self._wheel.cancel(self._timer)

    def _due(self, now_ms: int) -> None:
        self._callback()


class NetRuntime:
    """Made once per event loop, before its first listener."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Clock) -> None:
        """Serve `loop`.

        Args:
            loop: the running loop.
            clock: a monotonic one.
        """
        self.loop: Final = loop
        self.clock: Final = clock
        self.wheel: Final = Wheel(clock.now_ms())
        self.flusher: Final = Flusher(loop.call_soon)
        # One buffer is enough for all: its content is copied before the loop goes on. It also spares the
        # 256 KiB that asyncio and TLS transports otherwise allocate, map and unmap for each read.
        self.buffer: Final = memoryview(bytearray(READ_BYTES))
        self._last_id = 0
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start to serve deadlines."""
        if self._handle is None:
            self._arm()

    def stop(self) -> None:
        """Serve no more deadlines."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def soon(self, callback: Callable[[], object]) -> object:
        """Call `callback` in the next turn of the loop."""
        return self.loop.call_soon(callback)

    def shortly(self, callback: Callable[[], object]) -> object:
        """Call `callback` within a millisecond or so: at the next tick of the loop's own clock."""
        return self.loop.call_later(_TICK_S, callback)

    def later(self, delay_ms: int, callback: Callable[[], object]) -> Appointment:
        """Call `callback` after `delay_ms`, or up to a granule of the wheel later."""
        return Appointment(self.wheel, self.clock.now_ms() + delay_ms, callback)

    def next_id(self) -> int:
        """Return the next connection id, unique in this process."""
        self._last_id += 1
        return self._last_id

    def _turn(self) -> None:
        self._arm()  # first: a failure in a deadline must not stop the wheel
        self.wheel.advance(self.clock.now_ms())

    def _arm(self) -> None:
        self._handle = self.loop.call_later(self.wheel.granularity_ms / _MS_PER_S, self._turn)
