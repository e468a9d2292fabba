"""Stream management (XEP-0198): what each side has handled of what the other sent.

A stanza of the client counts as handled when its effect is durable. Effects happen in the order sent, so the
count is a prefix: a stanza that waits for the log holds back those after it, even if these are done.
What we send is kept until acknowledged, up to a bound; beyond it the session waits, as for a slow reader.
"""

from collections import deque
from typing import Final

from sabir.protocols.xmpp.errors import STANZA_ERRORS, StreamCondition, StreamError
from sabir.protocols.xmpp.types import ResumeRequested
from sabir.wire.xml import Element

NAMESPACE: Final = "urn:xmpp:sm:3"
REQUEST: Final = b"<r xmlns='urn:xmpp:sm:3'/>"
REQUEST_EVERY: Final = 10
"""Stanzas sent before an acknowledgement is asked for."""

OVERFULL: Final = 4
"""Messages wait beyond the bounds of what is kept; beyond so many times the bounds nothing else is kept either."""

FOREVER_S: Final = 10_000_000
_MODULUS: Final = 0x100000000


class Management:
    """The counters of one managed stream; they outlive its connection if the stream may be resumed."""

    __slots__ = (
        "_asked_at",
        "_max_bytes",
        "_max_stanzas",
        "_queue",
        "_queued_bytes",
        "_unrequested",
        "_waiting",
        "acknowledged",
        "handled",
        "received",
        "requested",
        "resume_s",
        "token",
    )

    def __init__(self, token: str, resume_s: int, max_stanzas: int, max_bytes: int) -> None:
        self.token: str = token
        self.resume_s: int = resume_s
        """Seconds for which it may be resumed when its connection breaks."""
        self.received: int = 0
        """Stanzas that the client has sent."""
        self.handled: int = 0
        """Those of them whose effect is durable."""
        self.acknowledged: int = 0
        """Stanzas that the client says it has handled."""
        self.requested: bool = False
        """We wait for an answer to `<r/>`."""
        self._max_stanzas: int = max_stanzas
        self._max_bytes: int = max_bytes
        self._asked_at: int = -1
        self._waiting: deque[int] = deque()
        self._queue: deque[tuple[bytes, bytes, bytes, int]] = deque()
        self._queued_bytes: int = 0
        self._unrequested: int = 0

    # What the client sends

    def settled(self) -> bytes:
        """Note that the next stanza needed no commit; return the acknowledgement that is due, or nothing."""
        if self._waiting:
            self._waiting[-1] += 1
            return b""
        self.handled += 1
        return self._due()

    def begun(self) -> None:
        """Note that the next stanza waits for its commit; `finished` follows, in the same order."""
        self._waiting.append(1)

    def finished(self) -> bytes:
        """Note that the oldest stanza that waited is durable or refused; return what `settled` does."""
        self.handled += self._waiting.popleft()
        return self._due()

    @property
    def is_settled(self) -> bool:
        """Whether nothing that the client sent waits for a commit."""
        return not self._waiting

    def ask(self) -> bytes:
        """Take `<r/>`: the answer is due when everything sent before it is durable."""
        self._asked_at = self.received
        return self._due()

    def _due(self) -> bytes:
        if self._asked_at < 0 or self.handled < self._asked_at:
            return b""
        self._asked_at = -1
        return b"<a xmlns='urn:xmpp:sm:3' h='%d'/>" % (self.handled % _MODULUS)

    # What the client is sent

    def track(self, before: bytes, between: bytes, after: bytes, seq: int) -> bool:
        """Keep a stanza that is being sent, in three pieces; return whether `REQUEST` should follow it.

        `seq` is its number in the log, 0 for what is not in there.
        """
        self._queue.append((before, between, after, seq))
        self._queued_bytes += len(before) + len(between) + len(after)
        self._unrequested += 1
        if self.requested or self._unrequested < REQUEST_EVERY:
            return False
        return self.request()

    def request(self) -> bool:
        """Return whether an acknowledgement is to be asked for, and take it as asked."""
        if not self._queue or self.requested:
            return False
        self.requested = True
        self._unrequested = 0
        return True

    def acknowledge(self, handled: int) -> int:
        """Forget the stanzas that the client has handled; return the highest log number among them, or 0.

        Raises:
            StreamError: if it claims more than it was sent.
        """
        self.requested = False
        count = (handled - self.acknowledged) % _MODULUS
        if count > len(self._queue):
            # XEP-0198 §4: the counts of the two sides can never agree again.
            sent = (self.acknowledged + len(self._queue)) % _MODULUS
            extra = f"<handled-count-too-high xmlns='{NAMESPACE}' h='{handled}' send-count='{sent}'/>"
            raise StreamError(StreamCondition.UNDEFINED_CONDITION, "You acknowledge too much.", extra)
        highest = 0
        for _ in range(count):
            before, between, after, seq = self._queue.popleft()
            self._queued_bytes -= len(before) + len(between) + len(after)
            highest = max(highest, seq)
        self.acknowledged = (self.acknowledged + count) % _MODULUS
        return highest

    def is_full(self) -> bool:
        """Return whether so much is unacknowledged that nothing more should be sent."""
        return len(self._queue) >= self._max_stanzas or self._queued_bytes >= self._max_bytes

    def is_overfull(self) -> bool:
        """Return whether so much is unacknowledged, with what did not wait, that the stream cannot go on."""
        return (
            len(self._queue) >= OVERFULL * self._max_stanzas
            or self._queued_bytes >= OVERFULL * self._max_bytes
        )

    def latest(self) -> int:
        """Return the highest log number among what the client has not acknowledged, or 0."""
        return max([seq for _, _, _, seq in self._queue], default=0)

    def unacknowledged(self) -> list[bytes]:
        """Return the stanzas that the client has not acknowledged, oldest first."""
        return [before + between + after for before, between, after, _ in self._queue]


def resumption_in(resume: Element) -> ResumeRequested:
    """Return what `<resume/>` asks for.

    Raises:
        StreamError: if it has no count.
    """
    return ResumeRequested(resume.get("previd") or "", count_in(resume))


def count_in(element: Element) -> int:
    """Return the count `h` of an element.

    Raises:
        StreamError: if there is none.
    """
    return number(element.get("h") or "")


def number(text: str) -> int:
    """Return the number that `text` is.

    Raises:
        StreamError: if it is none, or a longer one than counts are.
    """
    if not text.isdecimal() or len(text) > 10:
        raise StreamError(StreamCondition.BAD_FORMAT, "A count is missing.")
    return int(text)


def resume_s_in(element: Element) -> int:
    """Return for how many seconds the client of an `<enable/>` wants its stream kept; 0 for not at all.

    As long as the server likes if it does not say (XEP-0198 §3).
    """
    if element.get("resume") not in ("true", "1"):
        return 0
    wanted = element.get("max") or ""
    return max(1, int(wanted)) if wanted.isascii() and wanted.isdecimal() and len(wanted) < 8 else FOREVER_S


def encode_enabled(token: str, resume_s: int) -> str:
    """Return `<enabled/>`; `token` is empty if the stream cannot be resumed (XEP-0198 §3)."""
    how = f" id='{token}' resume='true' max='{resume_s}'" if token else ""
    return f"<enabled xmlns='{NAMESPACE}'{how}/>"


def encode_resumed(management: Management) -> str:
    """Return `<resumed/>` (XEP-0198 §5)."""
    h = management.handled % _MODULUS
    return f"<resumed xmlns='{NAMESPACE}' previd='{management.token}' h='{h}'/>"


def encode_failed(condition: str, handled: int | None = None) -> str:
    """Return `<failed/>` with a condition of RFC 6120 §8.3.3."""
    h = "" if handled is None else f" h='{handled % _MODULUS}'"
    return f"<failed xmlns='{NAMESPACE}'{h}><{condition} xmlns='{STANZA_ERRORS}'/></failed>"
