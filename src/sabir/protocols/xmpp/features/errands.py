"""Requests that the server itself makes, and who waits for the answers (RFC 6120 §8.2.3)."""

from collections.abc import Callable
from typing import Final

from sabir.core.model.signals import Relayed
from sabir.core.ports import Handle
from sabir.core.services import Services
from sabir.protocols.xmpp.codec import attribute, element_of
from sabir.protocols.xmpp.errors import ErrorType, StanzaError
from sabir.protocols.xmpp.features.abroad import Abroad
from sabir.protocols.xmpp.jid import Jid
from sabir.protocols.xmpp.types import Stanza
from sabir.wire.xml import Element

MAX_WAITING: Final = 1_000
"""Answers waited for at the same time."""
TIMEOUT_MS: Final = 60_000

PROTOCOL: Final = "xmpp"

TIMED_OUT: Final = StanzaError(ErrorType.WAIT, "remote-server-timeout")
ABSENT: Final = StanzaError(ErrorType.WAIT, "recipient-unavailable")
_BUSY: Final = StanzaError(ErrorType.WAIT, "resource-constraint")

Then = Callable[[StanzaError | None], None]
"""Told that it was done (None), or why not."""
Answered = Callable[[Element | StanzaError], None]
"""Told what was answered, or why not: the payload of the answer, or an element without children."""


class _Errand:
    """One request under way."""

    __slots__ = ("asked", "then", "timer")

    def __init__(self, asked: str, then: Answered) -> None:
        self.asked: str = asked
        self.then: Answered = then
        self.timer: Handle | None = None


class Errands:
    """All of a server. `prefix` makes their ids differ from those of an earlier run."""

    def __init__(self, services: Services, abroad: Abroad, prefix: str) -> None:
        self._services: Final = services
        self._abroad: Final = abroad
        self._prefix: Final = prefix
        self._made = 0
        self._waiting: Final[dict[str, _Errand]] = {}

    def ask(self, to: Jid, payload: str, then: Then) -> None:
        """Send a request of type set; `then` is called once, maybe before this returns."""
        self._send(
            to, "set", payload, lambda answer: then(answer if isinstance(answer, StanzaError) else None)
        )

    def fetch(self, to: Jid, payload: str, then: Answered) -> None:
        """Send a request of type get; `then` is called once, maybe before this returns."""
        self._send(to, "get", payload, then)

    def _send(self, to: Jid, type_: str, payload: str, then: Answered) -> None:
        if len(self._waiting) >= MAX_WAITING:
            then(_BUSY)
            return
        self._made += 1
        id_ = f"{self._prefix}-{self._made}"
        errand = self._waiting[id_] = _Errand(str(to), then)
        errand.timer = self._services.scheduler.later(TIMEOUT_MS, lambda: self._end(id_, TIMED_OUT))
        domain = self._services.domain
        start = f"<iq type='{type_}'{attribute('id', id_)}{attribute('from', domain)}"
        if to.domain == domain:
            self._to_device(to, f"{start}>{payload}</iq>".encode(), id_)
        else:
            stanza = f"{start}{attribute('to', str(to))}>{payload}</iq>".encode()
            self._abroad.send(domain, to.domain, stanza, lambda error: self._end(id_, error))

    def answered(self, sender: Jid, stanza: Stanza) -> bool:
        """Take an answer to the server; returns whether it was waited for, from that sender."""
        id_ = stanza.id.decode("utf-8", "replace")
        errand = self._waiting.get(id_)
        if errand is None or errand.asked != str(sender):
            return False
        if stanza.type == b"error":
            self._end(id_, _error(stanza))
        else:
            payloads = element_of(stanza).elements()
            self._end(id_, payloads[0] if payloads else Element("nothing", ""))
        return True

    def _to_device(self, to: Jid, stanza: bytes, id_: str) -> None:
        account = self._services.accounts.find(to.local) if to.local else None
        device = None if account is None else self._services.devices.named(account, to.resource)
        if account is None or device is None or device.protocol != PROTOCOL:
            self._end(id_, ABSENT)
        else:
            device.signal(Relayed(PROTOCOL, stanza, account.actor))

    def _end(self, id_: str, answer: Element | StanzaError) -> None:
        errand = self._waiting.pop(id_, None)
        if errand is not None:
            if errand.timer is not None:
                errand.timer.cancel()
            errand.then(answer)


def _error(stanza: Stanza) -> StanzaError:
    element = element_of(stanza).find("error")
    if element is None:
        return StanzaError(ErrorType.CANCEL, "undefined-condition")
    kinds = {each.value: each for each in ErrorType}
    conditions = [each.name for each in element.elements() if each.name != "text"]
    return StanzaError(
        kinds.get(element.get("type") or "", ErrorType.CANCEL),
        conditions[0] if conditions else "undefined-condition",
    )
