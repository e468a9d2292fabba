"""Settings of the listeners `http` and `https`."""

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """Settings under `[http]`: what all protocols share that are spoken over HTTP."""

    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies, such as `127.0.0.1`, whose `X-Forwarded-For` and `X-Forwarded-Proto`
    are believed."""

    allowed_origins: tuple[str, ...] = ("*",)
    """Web pages that may open web sockets, by origin, such as `https://chat.example.org`; `*` = any."""

    def __post_init__(self) -> None:
        """Check what a type cannot say.

        Raises:
            ValueError: names the key and the fix.
        """
        for proxy in self.trusted_proxies:
            try:
                ipaddress.ip_network(proxy, strict=False)
            except ValueError:
                raise ValueError(f"trusted_proxies: {proxy} is no address and no network") from None
