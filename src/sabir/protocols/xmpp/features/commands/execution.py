"""What a command is: the forms that it needs, and what it does with them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from sabir.core.errors import Refusal
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import ErrorType, Refused, StanzaError
from sabir.protocols.xmpp.features.context import Context, Iq, Ticket
from sabir.protocols.xmpp.features.dialogues import Fields
from sabir.wire.xml import escape_text

NAMESPACE: Final = "http://jabber.org/protocol/commands"

Step = Callable[[Context, Fields], str]
"""Returns a form (XEP-0004) to be filled in; what the forms before said is given."""


def wrong_payload(text: str) -> Refused:
    """Return the error that says which field of a form is wrong (XEP-0050 §4.4)."""
    extra = f"<bad-payload xmlns='{NAMESPACE}'/>"
    return Refused(StanzaError(ErrorType.MODIFY, "bad-request", text, extra))


class Execution:
    """A command that has all that it asked for, to be completed or refused, once, now or later."""

    __slots__ = ("_id", "_iq", "_ticket", "context", "fields")

    def __init__(self, context: Context, iq: Iq, id: str, fields: Fields, ticket: Ticket) -> None:
        self.context: Context = context
        self.fields: Fields = fields
        self._iq: Iq = iq
        self._id: str = id
        self._ticket: Ticket = ticket

    def value(self, name: str) -> str:
        """Return the one value of a field.

        Raises:
            Refused: it is not there, or empty.
        """
        values = self.fields.get(name)
        if not values or not values[0]:
            raise wrong_payload(f"{name} is needed.")
        return values[0]

    def values(self, name: str) -> list[str]:
        """Return all values of a field.

        Raises:
            Refused: there are none.
        """
        values = [value for value in self.fields.get(name, []) if value]
        if not values:
            raise wrong_payload(f"{name} is needed.")
        return values

    def complete(self, payload: str = "", note: str = "") -> None:
        """Say that it is done; `payload` is a form of type `result`, `note` a line for people."""
        if note:
            payload += f"<note type='info'>{escape_text(note)}</note>"
        self.context.reply(
            self._iq.stanza, command(self._iq.payload.get("node") or "", self._id, "completed", payload)
        )
        self._ticket.finish()

    def fail(self, text: str) -> None:
        """Say that it was carried out, but not wholly (XEP-0050 §3.6)."""
        note = f"<note type='error'>{escape_text(text)}</note>"
        self.context.reply(
            self._iq.stanza, command(self._iq.payload.get("node") or "", self._id, "completed", note)
        )
        self._ticket.finish()

    def refused(self, refusal: Refusal) -> None:
        """Tell a refusal of the core."""
        self.context.refused_by(self._iq.stanza, self._ticket)(refusal)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command: `steps` are its forms, `run` what it does; it may raise `Refused` before it queues anything."""

    node: str
    name: str
    steps: tuple[Step, ...] = ()
    run: Callable[[Execution], None]
    is_open: Callable[[Context], bool]
    """Whether a client may use it."""


def command(node: str, id: str, status: str, payload: str) -> str:
    """Return `<command/>` as a client is sent it (XEP-0050 §4.1)."""
    attributes = attribute("node", node) + attribute("sessionid", id) + f" status='{status}'"
    return f"<command xmlns='{NAMESPACE}'{attributes}>{payload}</command>"
