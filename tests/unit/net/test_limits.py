import pytest

from sabir.net.admission import Admission
from sabir.net.config import LimitsConfig, NetConfig, TlsConfig
from sabir.net.limits import KeyedBuckets, LoginLimits, Rate, TokenBucket, peer_key


def test_a_proxy_may_connect_for_as_many_as_there_are() -> None:
    admission = Admission(
        NetConfig(max_connections=5, max_connections_per_peer=2), LimitsConfig(), ("10.0.0.0/8", "::1")
    )

    assert [admission.admit("10.1.2.3", 0) for _ in range(4)] == [""] * 4
    assert admission.admit("192.0.2.1", 0) == ""
    assert admission.admit("::1", 0) == "too many connections"


def test_a_bucket_allows_its_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(Rate(per_s=2, burst=3), now_ms=0)

    assert [bucket.allow(now_ms=0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.allow(now_ms=500), bucket.allow(now_ms=500)] == [True, False]
    assert [bucket.allow(now_ms=60_000) for _ in range(4)] == [True, True, True, False]


def test_a_charge_goes_into_debt_and_says_how_long_to_wait() -> None:
    bucket = TokenBucket(Rate(per_s=1000, burst=1000), now_ms=0)

    assert bucket.charge(now_ms=0, amount=1000) == 0
    assert bucket.charge(now_ms=0, amount=500) == 501
    assert bucket.has(now_ms=500, amount=1) is False
    assert bucket.has(now_ms=501, amount=1) is True


def test_a_clock_that_stands_still_or_steps_back_gives_nothing() -> None:
    bucket = TokenBucket(Rate(per_s=1, burst=1), now_ms=1000)

    assert bucket.allow(now_ms=1000)
    assert not bucket.allow(now_ms=0)


def test_the_key_used_longest_ago_is_forgotten_first() -> None:
    buckets = KeyedBuckets(Rate(per_s=0.001, burst=1), max_keys=2)

    for key in ("a", "b", "a", "c"):
        buckets.allow(key, now_ms=0)

    assert [buckets.has(key, now_ms=0) for key in ("a", "b", "c")] == [False, True, False]


@pytest.mark.parametrize(
    ("peer", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("", ""),
    ],
)
def test_an_ipv6_peer_is_its_64_bit_network(peer: str, key: str) -> None:
    assert peer_key(peer) == key


def test_failed_logins_are_limited_per_peer_and_per_account() -> None:
    limits = LoginLimits(LimitsConfig(failed_logins_burst=2, failed_logins_per_minute_per_peer=1))

    for _ in range(2):
        limits.failed("192.0.2.1", "ada", now_ms=0)

    assert not limits.may_try("192.0.2.1", "bob", now_ms=0)
    assert not limits.may_try("192.0.2.2", "ada", now_ms=0)
    assert limits.may_try("192.0.2.2", "bob", now_ms=0)
    assert limits.may_try("192.0.2.1", "bob", now_ms=61_000)


def test_nobody_is_kept_out_for_long_by_the_failures_of_others() -> None:
    limits = LoginLimits(LimitsConfig())

    for peer in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        for _ in range(1000):
            limits.failed(peer, "ada", now_ms=0)

    assert not limits.may_try("192.0.2.9", "ada", now_ms=0)
    assert limits.may_try("192.0.2.9", "ada", now_ms=4_000)


def test_a_peer_that_failed_a_thousand_times_is_heard_again_after_five_minutes() -> None:
    limits = LoginLimits(LimitsConfig())

    for _ in range(1000):
        limits.failed("192.0.2.1", "ada", now_ms=0)

    assert not limits.may_try("192.0.2.1", "bob", now_ms=299_000)
    assert limits.may_try("192.0.2.1", "bob", now_ms=307_000)


def test_no_login_is_limited_when_limits_are_off() -> None:
    limits = LoginLimits(LimitsConfig(enabled=False, failed_logins_burst=1))

    for _ in range(9):
        limits.failed("192.0.2.1", "ada", now_ms=0)

    assert limits.may_try("192.0.2.1", "ada", now_ms=0)


def test_connections_are_counted_in_all_and_per_peer() -> None:
    admission = Admission(NetConfig(max_connections=3, max_connections_per_peer=2), LimitsConfig())

    reasons = [admission.admit(peer, now_ms=0) for peer in ("::1", "::2", "::3", "192.0.2.1", "192.0.2.2")]
    admission.left("::2")

    assert reasons == ["", "", "too many connections from peer", "", "too many connections"]
    assert admission.admit("::3", now_ms=0) == ""
    assert admission.connected == 3
    assert admission.refused == {"too many connections from peer": 1, "too many connections": 1}


def test_connecting_too_fast_is_refused_unless_limits_are_off() -> None:
    limits = LimitsConfig(burst_connects_per_peer=1, connects_per_s_per_peer=1)

    strict, lax = (Admission(NetConfig(), each) for each in (limits, LimitsConfig(enabled=False)))

    assert [strict.admit("::1", now_ms=at) for at in (0, 1, 2000)] == ["", "connects too fast", ""]
    assert [lax.admit("::1", now_ms=0) for _ in range(600)] == [""] * 600


@pytest.mark.parametrize(
    ("section", "values", "key"),
    [
        (NetConfig, {"low_water_bytes": 9, "high_water_bytes": 9}, "low_water_bytes"),
        (NetConfig, {"backlog": 0}, "backlog"),
        (TlsConfig, {"certificate": "a.pem"}, "key"),
        (LimitsConfig, {"bytes_per_s": 0}, "bytes_per_s"),
    ],
)
def test_an_impossible_setting_is_refused_with_its_name(
    section: type[object], values: dict[str, object], key: str
) -> None:
    with pytest.raises(ValueError, match=f"^{key}: "):
        section(**values)


def test_a_peer_makes_only_so_many_accounts_and_all_of_them_no_more_than_that() -> None:
    limits = LoginLimits(LimitsConfig(registrations_per_hour_per_peer=2, registrations_per_hour=3))

    mine = [limits.may_register("192.0.2.1", 0) for _ in range(9)]
    others = [limits.may_register(f"198.51.100.{number}", 0) for number in range(3)]

    assert mine == [True, True, *[False] * 7]
    assert others == [True, False, False], "what the first one tried in vain takes nothing from the others"
    assert limits.may_register("192.0.2.1", 3_600_000)


def test_registrations_of_one_network_count_together() -> None:
    limits = LoginLimits(LimitsConfig(registrations_per_hour_per_peer=1))

    assert limits.may_register("2001:db8::1", 0)
    assert not limits.may_register("2001:db8::ffff", 0)
