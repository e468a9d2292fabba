"""Commands under way: which form a requester was shown last, and what the forms before said."""

from collections import OrderedDict
from typing import Final

MAX_DIALOGUES: Final = 256
"""Commands under way at the same time; beyond it the oldest are forgotten."""
MAX_PER_REQUESTER: Final = 8
LIFETIME_MS: Final = 600_000
"""How long a form waits to be filled in."""

Fields = dict[str, list[str]]


class Dialogue:
    """One command that one requester is filling in; `answers` are those of the forms before `step`."""

    __slots__ = ("answers", "due_ms", "id", "node", "requester", "step")

    def __init__(self, id: str, requester: str, node: str, due_ms: int) -> None:
        self.id: str = id
        self.requester: str = requester
        self.node: str = node
        self.due_ms: int = due_ms
        self.step: int = 0
        self.answers: list[Fields] = []

    def fields(self) -> Fields:
        """Return what all forms said so far."""
        together: Fields = {}
        for answer in self.answers:
            together.update(answer)
        return together


class Dialogues:
    """All of a server. `prefix` makes their ids differ from those of an earlier run."""

    def __init__(self, prefix: str) -> None:
        self._prefix: str = prefix
        self._made: int = 0
        self._open: OrderedDict[str, Dialogue] = OrderedDict()

    def begin(self, requester: str, node: str, now_ms: int) -> Dialogue:
        """Return a new one."""
        self._made += 1
        dialogue = Dialogue(f"{self._prefix}-{self._made}", requester, node, now_ms + LIFETIME_MS)
        own = [each for each in self._open.values() if each.requester == requester]
        for old in own[: max(0, len(own) + 1 - MAX_PER_REQUESTER)]:
            del self._open[old.id]
        self._open[dialogue.id] = dialogue
        if len(self._open) > MAX_DIALOGUES:
            self._open.popitem(last=False)
        return dialogue

    def find(self, id: str, requester: str) -> Dialogue | None:
        """Return one that is open or has expired, if it is `requester`'s."""
        dialogue = self._open.get(id)
        return dialogue if dialogue is not None and dialogue.requester == requester else None

    def end(self, dialogue: Dialogue) -> None:
        """Forget one."""
        self._open.pop(dialogue.id, None)
