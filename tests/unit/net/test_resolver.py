"""Finding servers: what the DNS says is tried in the order that it says."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
from tests.support.names import NameServer, Records

from sabir.net.resolver import DnsResolver, Target, target_of

T = TypeVar("T")
SERVICES = ("xmpp-server", "xmpps-server")


def ask(records: Records, use: Callable[[DnsResolver], Awaitable[T]], code: int = 3) -> T:
    """Return what `use` makes of a resolver that asks a name server with these records."""

    async def run() -> T:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: NameServer(records, code), local_addr=("127.0.0.1", 0)
        )
        port = transport.get_extra_info("sockname")[1]
        resolver = DnsResolver({"known.example": "tls://192.0.2.1:99"}, [f"127.0.0.1:{port}"])
        try:
            return await use(resolver)
        finally:
            resolver.close()
            transport.close()

    return asyncio.run(run())


@pytest.mark.spec("RFC 6120 §3.2.1")
def test_servers_are_tried_by_priority_with_and_without_direct_tls() -> None:
    records: Records = {
        "_xmpp-server._tcp.a.example": [(20, 0, 5269, "slow.a.example"), (5, 0, 5270, "one.a.example")],
        "_xmpps-server._tcp.a.example": [(10, 0, 443, "tls.a.example")],
    }

    found = ask(records, lambda resolver: resolver.targets("a.example", SERVICES, 5269))

    assert found == [
        Target("one.a.example", 5270),
        Target("tls.a.example", 443, direct=True),
        Target("slow.a.example", 5269),
    ]


@pytest.mark.spec("RFC 6120 §3.2.2")
def test_a_domain_without_records_is_its_own_server() -> None:
    found = ask({}, lambda resolver: resolver.targets("b.example", SERVICES, 5269))

    assert found == (Target("b.example", 5269),)


def test_a_domain_that_says_it_has_no_such_service_is_not_called() -> None:
    records: Records = {"_xmpp-server._tcp.c.example": [(0, 0, 0, ".")]}

    with pytest.raises(OSError, match="no such service"):
        ask(records, lambda resolver: resolver.targets("c.example", SERVICES, 5269))


def test_a_name_server_that_fails_is_not_taken_for_a_domain_without_records() -> None:
    with pytest.raises(OSError, match="DNS"):
        ask({}, lambda resolver: resolver.targets("d.example", SERVICES, 5269), code=2)


def test_the_table_goes_before_the_dns() -> None:
    found = ask({}, lambda resolver: resolver.targets("known.example", SERVICES, 5269))

    assert found == (Target("192.0.2.1", 99, direct=True, chosen=True),)


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:0", "host:x", "host:70000"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        target_of(text)


def test_addresses_of_ipv6_stand_in_brackets() -> None:
    assert target_of("[2001:db8::1]:5269") == Target("2001:db8::1", 5269, chosen=True)
