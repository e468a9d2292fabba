from sabir.base.clock import Clock, MonotonicClock, SystemClock


def test_the_system_clock_counts_milliseconds_since_1970() -> None:
    clock: Clock = SystemClock()

    assert 1_700_000_000_000 < clock.now_ms() < 10_000_000_000_000


def test_the_monotonic_clock_does_not_step_back() -> None:
    clock: Clock = MonotonicClock()

    assert clock.now_ms() <= clock.now_ms()
