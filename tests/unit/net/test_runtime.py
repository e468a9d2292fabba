import asyncio

from tests.unit.net.harness import run

from sabir.net.runtime import NetRuntime


class SteppedClock:
    """A clock that moves when told."""

    def __init__(self) -> None:
        self.ms = 1_000_000

    def now_ms(self) -> int:
        return self.ms


def test_the_wheel_turns_by_itself_from_start_to_stop() -> None:
    async def main() -> None:
        clock = SteppedClock()
        runtime = NetRuntime(asyncio.get_running_loop(), clock)
        runtime.start()
        runtime.start()
        called = asyncio.Event()
        runtime.later(3000, called.set)

        clock.ms += 3250
        await called.wait()  # the loop's own timer, a quarter of a second

        runtime.stop()
        runtime.stop()

    run(main())


def test_an_appointment_is_kept_unless_cancelled() -> None:
    async def main() -> None:
        runtime = NetRuntime(asyncio.get_running_loop(), SteppedClock())
        kept: list[str] = []
        runtime.later(100, lambda: kept.append("first"))
        runtime.later(100, lambda: kept.append("cancelled")).cancel()
        runtime.soon(lambda: kept.append("soon"))

        await asyncio.sleep(0)
        runtime.wheel.advance(1_000_250)

        assert kept == ["soon", "first"]

    run(main())


def test_connections_get_numbers_of_their_own() -> None:
    async def main() -> None:
        runtime = NetRuntime(asyncio.get_running_loop(), SteppedClock())

        assert [runtime.next_id() for _ in range(3)] == [1, 2, 3]

    run(main())
