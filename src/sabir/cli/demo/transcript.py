"""What one client has heard, and the ids by which it can speak about it."""

from __future__ import annotations

from collections.abc import Callable

from sabir.cli.demo.script import Act, Heard, Line


class Transcript:
    """The lines of a room as one client got them."""

    def __init__(self, changed: Callable[[Heard], None]) -> None:
        self.heard: list[Heard] = []
        self._changed = changed
        self._texts: dict[str, str] = {}
        self._ids: dict[str, tuple[str, ...]] = {}

    def add(
        self,
        who: str,
        act: Act,
        text: str,
        *,
        about_id: str = "",
        ids: tuple[str, ...] = (),
        shown: str,
        form: str,
    ) -> None:
        """Note a line. `ids` are the names by which others may speak of it, `about_id` what it speaks of."""
        about = self._texts.get(about_id, "")
        if act is Act.CORRECTION:
            ids = self._ids.pop(about, ids)  # Later lines speak of the first version's id.
        if text and act is not Act.REACTION:
            self._ids[text] = ids
            self._texts.update(dict.fromkeys(ids, text))
        heard = Heard(Line(who, act, text, about), shown, form)
        self.heard.append(heard)
        self._changed(heard)

    def ids_of(self, text: str) -> tuple[str, ...]:
        """Return the ids of the line that now reads `text`.

        Raises:
            KeyError: this client has not heard such a line.
        """
        return self._ids[text]

    def find(self, line: Line) -> Heard | None:
        """Return how `line` came, or None."""
        return next((heard for heard in self.heard if heard.line == line), None)
