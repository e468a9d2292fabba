"""Where the servers of a domain are: SRV records (RFC 2782), or a table in the settings."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import aiodns
import pycares

_TIMEOUT_S: Final = 5.0
_TRIES: Final = 2
_MOST: Final = 8
"""Addresses of one domain that are tried."""


@dataclass(frozen=True, slots=True)
class Target:
    """One address to try."""

    host: str
    port: int
    direct: bool = False
    """With TLS from the first byte."""
    chosen: bool = False
    """Named by the operator, who may mean any address."""


class Resolver(Protocol):
    """Finds servers."""

    async def targets(self, domain: str, services: tuple[str, str], default_port: int) -> Sequence[Target]:
        """Return what to try, in order.

        Raises:
            OSError: the domain says that it has no such service, or cannot be looked up.
        """

    def close(self) -> None:
        """Look up nothing more."""


class DnsResolver:
    """Asks the DNS, but for what the table says."""

    def __init__(self, table: Mapping[str, str], servers: Sequence[str]) -> None:
        """Prepare; needs a running loop.

        Args:
            table: by domain `host:port`; `tls://host:port` for TLS from the first byte.
            servers: name servers, `address` or `address:port`; none = those of the system.
        """
        self._table: Final = {domain: target_of(text) for domain, text in table.items()}
        self._servers: Final = list(servers)
        self._dns: aiodns.DNSResolver | None = None

    async def targets(self, domain: str, services: tuple[str, str], default_port: int) -> Sequence[Target]:
        """See `Resolver.targets`."""
        known = self._table.get(domain)
        if known is not None:
            return (known,)
        ascii_domain = domain.encode("idna").decode() if not domain.isascii() else domain
        found: list[tuple[int, float, Target]] = []
        denied = False
        for service, direct in zip(services, (False, True), strict=True):
            for priority, weight, host, port in await self._srv(f"_{service}._tcp.{ascii_domain}"):
                if host in ("", "."):
                    denied = True  # RFC 2782: the service is decidedly not available
                    continue
                # RFC 2782: the order among equals is drawn, heavier ones first more often.
                drawn = random.random() ** (1 / (weight + 0.01))
                found.append((priority, -drawn, Target(host, port, direct)))
        if not found:
            if denied:
                raise OSError("the domain has no such service")
            return (Target(ascii_domain, default_port),)  # RFC 6120 §3.2.2
        found.sort(key=lambda each: each[:2])
        return [target for _, _, target in found[:_MOST]]

    def close(self) -> None:
        """See `Resolver.close`."""
        if self._dns is not None:
            self._dns.cancel()

    async def _srv(self, name: str) -> list[tuple[int, int, str, int]]:
        if self._dns is None:
            self._dns = aiodns.DNSResolver(self._servers or None, timeout=_TIMEOUT_S, tries=_TRIES)
        try:
            answer = await self._dns.query_dns(name, "SRV")
        except aiodns.error.DNSError as error:
            if error.args and error.args[0] in (pycares.errno.ARES_ENOTFOUND, pycares.errno.ARES_ENODATA):
                return []
            raise OSError(f"DNS: {error.args[-1] if error.args else error}") from error
        records = [record.data for record in answer.answer if isinstance(record.data, pycares.SRVRecordData)]
        return [(each.priority, each.weight, each.target.rstrip("."), each.port) for each in records]


class FixedResolver:
    """Knows one address, whatever it is asked."""

    def __init__(self, target: Target) -> None:
        self._target: Final = target

    async def targets(self, domain: str, services: tuple[str, str], default_port: int) -> Sequence[Target]:
        """See `Resolver.targets`."""
        return (self._target,)

    def close(self) -> None:
        """See `Resolver.close`."""


def target_of(text: str) -> Target:
    """Return what `host:port` or `tls://host:port` says.

    Raises:
        ValueError: it says nothing of the kind.
    """
    rest = text.removeprefix("tls://")
    host, colon, port = rest.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise ValueError(f"{text}: write it as host:port")
    return Target(host.removeprefix("[").removesuffix("]"), int(port), rest != text, chosen=True)
