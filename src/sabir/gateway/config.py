"""Settings of the listeners `http` and `https`."""

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpConfig:
    """Settings under `[http]`: what all protocols share that are spoken over HTTP."""

    public_url: str = ""
    """The address at which clients reach these listeners, such as `https://chat.example.org`, if a proxy stands
    before them or the port is another one. Empty: `https://`, the domain and the port of `https`."""

    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks of proxies, such as `127.0.0.1`, whose `X-Forwarded-For` and `X-Forwarded-Proto`
    are believed. Limits per address do not count for connections from there."""

    allowed_origins: tuple[str, ...] = ("*",)
    """Web pages that may open web sockets, by origin, such as `https://chat.example.org`; `*` = any."""

    def __post_init__(self) -> None:
        """Check what a type cannot say.

        Raises:
            ValueError: names the key and the fix.
        """
        url = urlsplit(self.public_url)
        if self.public_url and (url.scheme not in ("http", "https") or not url.netloc or url.query):
            raise ValueError("public_url: an address such as https://chat.example.org is needed")
        for proxy in self.trusted_proxies:
            try:
                ipaddress.ip_network(proxy, strict=False)
            except ValueError:
                raise ValueError(f"trusted_proxies: {proxy} is no address and no network") from None
