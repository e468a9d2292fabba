from sabir.net.wheel import Timer, Wheel

START_MS = 1_000_000


def wheel_and_log() -> tuple[Wheel, list[int]]:
    return Wheel(START_MS), []


def test_a_deadline_is_served_when_it_has_passed_and_not_before() -> None:
    wheel, served = wheel_and_log()
    wheel.set(Timer(served.append), START_MS + 1000)

    wheel.advance(START_MS + 999)
    assert served == []
    wheel.advance(START_MS + 1000)
    wheel.advance(START_MS + 2000)

    assert served == [START_MS + 1000]


def test_a_deadline_of_the_past_is_served_at_the_next_tick() -> None:
    wheel, served = wheel_and_log()
    wheel.set(Timer(served.append), START_MS - 5000)

    wheel.advance(START_MS + 250)

    assert served == [START_MS + 250]


def test_a_postponed_deadline_is_served_once_and_late() -> None:
    wheel, served = wheel_and_log()
    timer = Timer(served.append)
    wheel.set(timer, START_MS + 1000)
    wheel.set(timer, START_MS + 5000)

    for now_ms in range(START_MS, START_MS + 8000, 250):
        wheel.advance(now_ms)

    assert served == [START_MS + 5000]


def test_a_deadline_can_be_brought_forward() -> None:
    wheel, served = wheel_and_log()
    timer = Timer(served.append)
    wheel.set(timer, START_MS + 60_000)
    wheel.set(timer, START_MS + 500)

    for now_ms in range(START_MS, START_MS + 90_000, 250):
        wheel.advance(now_ms)

    assert served == [START_MS + 500]


def test_a_deadline_beyond_a_turn_of_the_wheel_waits_for_its_time() -> None:
    wheel, served = wheel_and_log()
    wheel.set(Timer(served.append), START_MS + 3_600_000)

    for now_ms in range(START_MS, START_MS + 3_700_000, 250):
        wheel.advance(now_ms)

    assert served == [START_MS + 3_600_000]


def test_after_a_long_pause_everything_due_is_served() -> None:
    wheel, served = wheel_and_log()
    for delay_ms in (100, 10_000, 50_000, 10_000_000):
        wheel.set(Timer(served.append), START_MS + delay_ms)

    wheel.advance(START_MS + 1_000_000)

    assert served == [START_MS + 1_000_000] * 3


def test_a_cancelled_deadline_is_not_served() -> None:
    wheel, served = wheel_and_log()
    timer = Timer(served.append)
    wheel.set(timer, START_MS + 500)
    wheel.cancel(timer)
    wheel.cancel(timer)

    wheel.advance(START_MS + 1000)

    assert served == []


def test_one_that_is_due_may_cancel_another_and_set_itself_again() -> None:
    wheel, served = wheel_and_log()
    timers: list[Timer] = []

    def due(now_ms: int) -> None:
        served.append(now_ms)
        for other in timers:
            wheel.cancel(other)
        wheel.set(timers[0], now_ms + 1000)

    timers += [Timer(due), Timer(due)]
    for timer in timers:
        wheel.set(timer, START_MS + 250)

    for now_ms in range(START_MS, START_MS + 1500, 250):
        wheel.advance(now_ms)

    assert served == [START_MS + 250, START_MS + 1250]
