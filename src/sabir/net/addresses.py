"""Which addresses are public: what strangers name is called there only, never in the networks around the server."""

import asyncio
import ipaddress
import socket
from typing import Final

MOST_TRIED: Final = 4
"""Addresses of one host that are tried."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1


def is_public(address: str) -> bool:
    """Return whether an IP address is one of the public internet, also where it stands for an IPv4 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFF_FFFF)
        if found.teredo is not None:
            inner = found.teredo[1]
        if inner is not None:
            return inner.is_global and not inner.is_multicast
    return found.is_global and not found.is_multicast


async def public_addresses(host: str, port: int) -> list[str]:
    """Look a host up, and return its public addresses in the order to try.

    Raises:
        OSError: it has none.
    """
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = dict.fromkeys(str(address[0]) for *_, address in found)
    public = [address for address in addresses if is_public(address)]
    if not public:
        raise OSError("its address is not public")
    return public[:MOST_TRIED]
