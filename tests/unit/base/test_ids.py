import itertools
import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sabir.base.ids import EventIds, milliseconds

NOW_MS = 1_767_225_600_000


def constant(byte: int) -> Callable[[int], bytes]:
    return lambda size: bytes([byte]) * size


@pytest.mark.spec("RFC 9562 §5.7")
def test_an_id_has_the_time_the_version_and_the_variant_of_a_version_7_uuid() -> None:
    event_id = EventIds(constant(0)).next(0x0123456789AB)

    assert event_id.hex() == "0123456789ab" + "7000" + "8000000000000000"


@pytest.mark.spec("RFC 9562 §5.7")
def test_random_bits_do_not_disturb_version_and_variant() -> None:
    event_id = EventIds(constant(0xFF)).next(1)

    assert event_id.hex() == "000000000001" + "77ff" + "bfffffffffffffff"


@given(st.lists(st.integers(0, 2**47), min_size=2, max_size=50))
def test_ids_increase_whatever_the_clock_does(times: list[int]) -> None:
    ids = EventIds(os.urandom)

    made = [ids.next(now_ms) for now_ms in times]

    assert all(one < other for one, other in itertools.pairwise(made))


@pytest.mark.spec("RFC 9562 §6.2")
def test_a_full_counter_runs_ahead_of_the_clock() -> None:
    ids = EventIds(os.urandom)

    made = [ids.next(NOW_MS) for _ in range(10_000)]

    assert made == sorted(set(made))
    assert NOW_MS < milliseconds(made[-1]) <= NOW_MS + 3


def test_a_new_process_continues_after_the_last_id_of_the_old_one() -> None:
    last = EventIds(os.urandom).next(NOW_MS)

    again = EventIds(os.urandom, last_ms=milliseconds(last)).next(NOW_MS - 5_000)

    assert again > last
