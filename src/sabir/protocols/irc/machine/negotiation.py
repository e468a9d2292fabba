"""Capability negotiation (IRCv3 capability-negotiation): what is offered, asked for, and in force."""

from typing import Final

from sabir.protocols.irc.types.capabilities import BITS, CAP_NOTIFY

_VALUES_SINCE: Final = 302


class Negotiation:
    """The CAP command of one connection; `offered` maps the names that we support to their values."""

    def __init__(self, offered: dict[str, str]) -> None:
        self._offered = offered
        self.enabled = 0
        """The capabilities in force, as bits."""
        self.version = 0
        """The highest version that the client named; it never falls."""
        self.is_open = False
        """Whether the client has to end negotiation before it is registered."""

    def answer(self, params: list[str], is_registered: bool, room_bytes: int) -> list[str] | None:
        """Return the replies to CAP, each from the subcommand on, or None if there is no such subcommand.

        `room_bytes` is what fits a line after the nick. A list that fits one line is sent as one: there are
        clients that take the first of several for the whole (pydle 1.2).
        """
        subcommand = params[0].upper()
        argument = params[1] if len(params) > 1 else ""
        if subcommand == "LS":
            self.is_open = not is_registered
            return self._list_offered(argument, room_bytes)
        if subcommand == "LIST":
            names = [name for name in self._offered if self.enabled & BITS[name]]
            return self._spread("LIST", names, room_bytes)
        if subcommand == "REQ":
            self.is_open = not is_registered
            return [self._request(argument)]
        if subcommand == "END":
            self.is_open = False
            return []
        return None

    def changed(self, name: str, value: str | None) -> str | None:
        """Offer `name` with `value` from now on, or no more; return what to tell the client, if anything."""
        if value is None:
            self._offered = {key: old for key, old in self._offered.items() if key != name}
            self.enabled &= ~BITS[name]
        else:
            self._offered = {**self._offered, name: value}
        if not self.enabled & CAP_NOTIFY:
            return None
        if value is None:
            return f"DEL :{name}"
        return f"NEW :{name}={value}" if value and self.version >= _VALUES_SINCE else f"NEW :{name}"

    def _list_offered(self, argument: str, room_bytes: int) -> list[str]:
        asked = int(argument) if argument.isascii() and argument.isdigit() and len(argument) < 6 else 0
        self.version = max(self.version, asked)
        if asked >= _VALUES_SINCE:
            self.enabled |= CAP_NOTIFY  # implied by 302
        if asked < _VALUES_SINCE:
            return ["LS :" + " ".join(self._offered)]
        names = [f"{name}={value}" if value else name for name, value in self._offered.items()]
        return self._spread("LS", names, room_bytes)

    def _spread(self, subcommand: str, names: list[str], room_bytes: int) -> list[str]:
        """Return the list in as many lines as it needs; all but the last have a "*"."""
        if self.version < _VALUES_SINCE:
            return [f"{subcommand} :{' '.join(names)}"]
        rows: list[list[str]] = [[]]
        size = 0
        for name in names:
            if size + len(name) > room_bytes - len(subcommand) - len(" * :"):
                rows.append([])
                size = 0
            rows[-1].append(name)
            size += len(name) + 1
        return [f"{subcommand} * :{' '.join(row)}" for row in rows[:-1]] + [
            f"{subcommand} :{' '.join(rows[-1])}"
        ]

    def _request(self, argument: str) -> str:
        """All or nothing: the set is acknowledged as a whole or refused as a whole."""
        enabled = self.enabled
        for word in argument.split(" "):
            name = word.removeprefix("-")
            if not name:
                continue
            if name not in self._offered or (
                word != name and name == "cap-notify" and self.version >= _VALUES_SINCE
            ):
                return f"NAK :{argument}"
            if word == name:
                enabled |= BITS[name]
            else:
                enabled &= ~BITS[name]
        self.enabled = enabled
        return f"ACK :{argument}"
