"""Which addresses strangers may have us call."""

from __future__ import annotations

import pytest
from tests.unit.net.harness import run

from sabir.net.addresses import is_public, public_addresses


@pytest.mark.parametrize("address", ["198.41.0.4", "2001:500:9f::42", "::ffff:198.41.0.4", "64:ff9b::c629:4"])
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "2001:0:a00:1::f5ff:fffe",
        "example.org",
        "",
    ],
)
def test_an_address_of_a_network_around_us_is_not_nor_one_that_stands_for_it(address: str) -> None:
    assert not is_public(address)


def test_a_host_of_no_public_address_has_none() -> None:
    async def main() -> None:
        for host in ("localhost", "127.0.0.1", "::1"):
            with pytest.raises(OSError, match="not public"):
                await public_addresses(host, 443)
        assert await public_addresses("198.41.0.4", 443) == ["198.41.0.4"]

    run(main())
