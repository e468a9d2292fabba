"""Canonical content of events, derived from their native form once, when somebody first needs it."""

from __future__ import annotations

from sabir.core.model.content import Content, text
from sabir.core.model.event import ENCRYPTED, Event
from sabir.core.ports import Translator


class Contents:
    """Knows the translator of each protocol that has one."""

    def __init__(self) -> None:
        self._translators: dict[str, Translator] = {}

    def register(self, protocol: str, translator: Translator) -> None:
        """Let `translator` derive the content of events that arrived by `protocol`."""
        self._translators[protocol] = translator

    def of(self, event: Event) -> Content:
        """Return the content of `event`.

        An encrypted event has none but a line that says so (ARCHITECTURE 3: never silently broken), an erased
        one is empty.
        """
        content = event.content
        if content is None:
            if event.erased:
                content = text("")
            elif event.flags & ENCRYPTED:
                name = event.protocol.upper()
                content = text(f"[encrypted message: open it in an {name} client that can decrypt it]")
            else:
                content = self._translators[event.protocol].content_of(event)
            event.content = content
        return content
