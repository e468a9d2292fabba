"""Settings of the server as a whole, and of its log lines."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from sabir.base.log import LogStyle

CONTACT_ROLES = ("abuse", "admin", "feedback", "sales", "security", "status", "support")
"""XEP-0157 §3."""
URI = re.compile(r"[a-z][a-z0-9+.-]*:[^\s<>\"{}|\\^`]+")
DOMAIN = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """The server as a whole."""

    domain: str = "localhost"
    """The part of every address after the @. Rooms are at `rooms.` and this. Once accounts exist, changing
    it changes everybody's address."""

    listen: tuple[str, ...] = ("127.0.0.1", "::1")
    """Addresses to listen on with `--ports default`: the loopback ones, unless you say more. `0.0.0.0` and
    `::` stand for every address of this machine."""

    operators: tuple[str, ...] = ()
    """Accounts that may administer the server from their client (names without the domain)."""

    contacts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Whom to write to, for everybody to see: for each of `abuse`, `admin`, `feedback`, `sales`, `security`, `status`
    and `support` a list of addresses, such as `mailto:abuse@example.org` or `xmpp:ada@example.org`."""

    def __post_init__(self) -> None:
        """Check what a type cannot say."""
        for role, addresses in self.contacts.items():
            if role not in CONTACT_ROLES:
                raise ValueError(f"contacts: {role} is none of {', '.join(CONTACT_ROLES)}")
            for address in addresses:
                if not URI.fullmatch(address):
                    raise ValueError(
                        f"contacts: {address} is no URI; write mailto:, xmpp: or https: before it"
                    )
        if len(self.domain) > 253 or not DOMAIN.fullmatch(self.domain):
            raise ValueError("domain: a domain name in small letters is needed, such as chat.example.org")
        if not self.listen:
            raise ValueError('listen: name at least one address, such as "127.0.0.1"')


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """What the server writes to standard error. Texts of messages and passwords are in it at no level."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """`error`: you must act; `warning`: you may want to; `info`: sessions opened, closed and refused;
    `debug`: one line for each frame."""

    style: LogStyle = LogStyle.HUMAN
    """Lines for people, or one JSON object a line for a log collector."""
