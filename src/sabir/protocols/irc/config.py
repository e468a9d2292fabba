"""Settings of the IRC front end."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class IrcConfig:
    """Settings under `[irc]`."""

    network: str = "Sabir"
    """Name of the network, as clients show it. No spaces."""

    motd: str = ""
    """Message of the day; empty for none."""

    admin_email: str = ""
    """Shown by ADMIN; empty for none."""

    guests: bool = False
    """Whether people without an account may connect under a nick that no account has."""

    max_channels: int = 200
    """Channels that one account may attend at once."""

    max_monitors: int = 100
    """Nicks that one connection may watch with MONITOR."""

    max_history: int = 200
    """Messages that one CHATHISTORY command may ask for."""

    autoreplay: int = 50
    """Messages that a client without `draft/chathistory` is shown when it joins a channel; 0 for none."""

    max_multiline_bytes: int = 40_000
    """Longest message that a `draft/multiline` client may send, in bytes."""

    max_multiline_lines: int = 200
    """Most lines of such a message."""

    max_fallback_lines: int = 12
    """Lines of a long message that a client without `draft/multiline` is sent; then a note tells."""

    registration_timeout_s: int = 30
    """A connection that has not logged in by then is closed."""

    ping_after_s: int = 90
    """A client that was silent for so long is sent a PING."""

    ping_timeout_s: int = 60
    """A client that does not answer a PING for so long is gone."""

    flood_burst_lines: int = 40
    """Lines that a client may send at once; more are served at `flood_lines_per_s`."""

    flood_lines_per_s: int = 10
    """Lines per second that are served for long; 0 is unlimited."""

    max_waiting_lines: int = 500
    """Lines that may wait to be served; a client that sends more is disconnected."""

    def __post_init__(self) -> None:
        """Refuse what no client could work with.

        Raises:
            ValueError: names the key and the fix.
        """
        if not self.network or not self.network.isprintable() or " " in self.network:
            raise ValueError("network: a name without spaces is needed, such as Sabir")
        for key in ("max_channels", "registration_timeout_s", "ping_after_s", "ping_timeout_s"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1")
        for key in ("flood_burst_lines", "max_waiting_lines", "max_multiline_bytes", "max_multiline_lines"):
            if getattr(self, key) < 1:
                raise ValueError(f"{key}: must be at least 1")
