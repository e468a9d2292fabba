"""Which of the hot modules run as machine code here."""

from __future__ import annotations

import importlib.util
from importlib.machinery import EXTENSION_SUFFIXES
from typing import Final

HOT: Final = (
    "sabir.core.log",
    "sabir.core.delivery",
    "sabir.net.connection",
    "sabir.protocols.irc.codec.lines",
    "sabir.protocols.mqtt.codec.decoder",
    "sabir.wire.xml.scanner",
)
"""One module for each group that compiles or not as a whole, and those one would miss most."""


def compiled() -> list[str]:
    """Return those of `HOT` that are compiled."""
    return [name for name in HOT if _origin(name).endswith(tuple(EXTENSION_SUFFIXES))]


def _origin(name: str) -> str:
    try:
        found = importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return ""
    return (found.origin or "") if found else ""
