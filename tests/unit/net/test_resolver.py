"""Finding servers: what the DNS says is tried in the order that it says."""

import asyncio
import struct
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from sabir.net.resolver import DnsResolver, Target, target_of

T = TypeVar("T")
SERVICES = ("xmpp-server", "xmpps-server")
Records = dict[str, list[tuple[int, int, int, str]]]
"""By name: (priority, weight, port, target)."""


class NameServer(asyncio.DatagramProtocol):
    """Answers questions for SRV records from a table; a name that is not there does not exist."""

    def __init__(self, records: Records, code: int = 3) -> None:
        self._records = records
        self._code = code
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # as asyncio has it
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1 : at + 1 + data[at]].decode())
            at += 1 + data[at]
        found = self._records.get(".".join(labels).lower())
        question = data[12 : at + 5]
        answers = b"".join(
            b"\xc0\x0c\x00\x21\x00\x01\x00\x00\x00\x3c" + struct.pack("!H", len(rdata)) + rdata
            for rdata in (struct.pack("!HHH", *each[:3]) + encoded(each[3]) for each in found or ())
        )
        flags = 0x8180 if found else 0x8180 | self._code
        header = data[:2] + struct.pack("!HHHHH", flags, 1, len(found or ()), 0, 0)
        assert self._transport is not None
        self._transport.sendto(header + question + answers, addr)


def encoded(name: str) -> bytes:
    labels = [label for label in name.split(".") if label]
    return b"".join(bytes((len(label),)) + label.encode() for label in labels) + b"\0"


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

    assert found == (Target("192.0.2.1", 99, direct=True),)


@pytest.mark.parametrize("text", ["", "host", "host:", ":1", "host:0", "host:x", "host:70000"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="host:port"):
        target_of(text)


def test_addresses_of_ipv6_stand_in_brackets() -> None:
    assert target_of("[2001:db8::1]:5269") == Target("2001:db8::1", 5269)
