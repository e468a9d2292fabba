"""The machine of a stream that this server opens (RFC 6120 §4 to §6, XEP-0220, XEP-0288).

States and rules:

* OPENING: our opening is sent, the peer's is owed. -> NEGOTIATING, or READY once proven.
* NEGOTIATING: TLS first, where the peer offers it or the policy wants it, which leads back to OPENING; then the peer
  must have proven itself by its certificate if the policy is strict; then we prove our domain, by our certificate
  (SASL EXTERNAL) where the peer offers that, else by a key (dialback).
* READY: stanzas may be sent.
* Questions about keys of the peer's domain need no proof of ours; they go out as soon as the stream is encrypted.
* CLOSED: an error or an end was sent or received; nothing more is read.
"""

import base64
from collections.abc import Callable
from typing import Final

from sabir.protocols.xmpp.codec import element_of
from sabir.protocols.xmpp.config import FederationConfig, Verify
from sabir.protocols.xmpp.errors import ErrorType, StanzaError, StreamCondition, StreamError
from sabir.protocols.xmpp.jid import domain_of
from sabir.protocols.xmpp.machine import dialback
from sabir.protocols.xmpp.machine.peers import (
    BIDI,
    BIDI_FEATURE,
    SASL,
    TLS,
    KeyAnswered,
    Pair,
    PeerEvent,
    PeerMachine,
    Proven,
    Unproven,
    check_stanza,
    is_stanza,
    verify_of,
)
from sabir.protocols.xmpp.types import Stanza, StreamClosed, TlsRequested
from sabir.wire.xml import Element, Opening

_OPENING: Final = 0
_NEGOTIATING: Final = 1
_PROVING: Final = 2
_RESTARTED: Final = 3
_READY: Final = 4

_ELSEWHERE: Final = StanzaError(ErrorType.WAIT, "resource-constraint", "Open a stream of your own.")
_BIDI: Final = f"<bidi xmlns='{BIDI}'/>".encode()


class Outgoing(PeerMachine):
    """One stream, the side that called."""

    def __init__(self, config: FederationConfig, pair: Pair, secret: bytes, now_ms: int) -> None:
        """Begin.

        Args:
            config: limits and policy.
            pair: our domain, and that of the peer.
            secret: keys dialback.
            now_ms: the time.
        """
        super().__init__(config, now_ms)
        self.pair: Final = pair
        self.is_wanted: bool = False
        """There are stanzas to send: we have to prove ourselves. Set by `want`."""
        self._secret: Final = secret
        self._state: int = _OPENING
        self._proves: Callable[[str], bool] | None = None
        self._questions: list[tuple[Pair, str, str]] = []
        self._asked: set[tuple[Pair, str]] = set()
        self._external: bool = False
        self._external_failed: bool = False
        self._offers_bidi: bool = False
        self._flow.open("", pair.local, pair.remote)

    # See `PeerMachine`

    def tick(self, now_ms: int) -> list[PeerEvent]:
        """Do what is due: keep the stream alive, or end it when it does not get ready or is idle."""
        if self._flow.closed or now_ms < self.next_deadline_ms():
            return []
        if self._state != _READY and (self.is_wanted or self._state != _NEGOTIATING or self._asked):
            error = StreamError(StreamCondition.CONNECTION_TIMEOUT)
            self.fail(error)
            return [StreamClosed(error)]
        if self._flow.keep_alive(now_ms):
            self.close()
            return [StreamClosed()]
        return []

    def next_deadline_ms(self) -> int:
        """Return when `tick` is to be called; 0 for never."""
        if self._flow.closed:
            return 0
        if self._state != _READY and (self.is_wanted or self._state != _NEGOTIATING or self._asked):
            return self._deadline_ms
        return self._flow.next_tick_ms()

    # What the handler tells

    @property
    def is_ready(self) -> bool:
        """Whether stanzas may be sent."""
        return self._state == _READY and not self._flow.closed

    def secured(self, proves: Callable[[str], bool]) -> None:
        """Note that the stream is encrypted; `proves` says for which domains the peer's certificate is good."""
        self._proves = proves
        fresh = self._flow.opened and not self._id
        self._flow.secured()
        self._state = _OPENING
        if fresh and self._flow.out:
            self._flow.opened = True  # TLS from the first byte: our opening has not been sent yet
        else:
            self._flow.open("", self.pair.local, self.pair.remote)

    def want(self, now_ms: int) -> list[PeerEvent]:
        """Prove ourselves: there is something to send."""
        events: list[PeerEvent] = []
        if not self.is_wanted:
            self.is_wanted = True
            self._deadline_ms = now_ms + self._config.negotiation_timeout_s * 1000
            try:
                self._go_on(events)
            except StreamError as error:
                self.fail(error)
                events.append(StreamClosed(error))
        return events

    def ask(self, pair: Pair, stream_id: str, key: str, now_ms: int) -> None:
        """Ask the peer whether a key is one of its own (XEP-0220 §2.2.1); `KeyAnswered` follows."""
        self._asked.add((pair, stream_id))
        self._deadline_ms = now_ms + self._config.negotiation_timeout_s * 1000
        self._questions.append((pair, stream_id, key))
        if self._state >= _NEGOTIATING:
            self._send_questions()

    def fail(self, error: StreamError) -> None:
        """End the stream with an error."""
        self._flow.fail(error, self.pair.local)

    # The stream

    def _open(self, opening: Opening) -> None:
        self._flow.check_opening(opening)
        element = opening.element
        self._id = element.get("id") or ""
        version = (element.get("version") or "0.9").partition(".")[0]
        if not version.isdecimal() or int(version[:4]) < 1:
            # XEP-0220 §2.1: a server of before RFC 3920 sends no features; dialback is all that it knows.
            self._features(Element("features", "", {}, []), [])

    def _take(self, stanza: Stanza, events: list[PeerEvent]) -> None:
        if is_stanza(stanza):
            self._stanza(stanza, events)
            return
        element = element_of(stanza)
        match element.namespace, element.name:
            case "http://etherx.jabber.org/streams", "features":
                self._features(element, events)
            case "http://etherx.jabber.org/streams", "error":
                self._flow.close()
                events.append(StreamClosed(_error_of(element)))
            case namespace, "proceed" if namespace == TLS and not self._flow.secure:
                self._flow.stopped = True
                events.append(TlsRequested())
            case namespace, "success" if namespace == SASL and self._state == _PROVING:
                # RFC 6120 §6.4.6: both sides open their streams again.
                self._flow.restart()
                self._flow.open("", self.pair.local, self.pair.remote)
                self._state = _RESTARTED
            case namespace, "failure" if namespace == SASL and self._state == _PROVING:
                self._external_failed = True
                self._state = _NEGOTIATING
                self._go_on(events)  # XEP-0178 §3: dialback may still do
            case dialback.NAMESPACE, "result":
                self._result(element, events)
            case dialback.NAMESPACE, "verify":
                self._verified(element, events)
            case _:
                raise StreamError(StreamCondition.UNSUPPORTED_STANZA_TYPE)

    def _stanza(self, stanza: Stanza, events: list[PeerEvent]) -> None:
        if self._state != _READY or not self.bidi:
            # Only who called may send, unless both agreed on XEP-0288.
            raise StreamError(StreamCondition.NOT_AUTHORIZED, "Open a stream of your own.")
        check_stanza(stanza, {self.pair})
        self._flow.idle_since_ms = self._now_ms
        events.append(stanza)

    def _features(self, features: Element, events: list[PeerEvent]) -> None:
        if self._state == _RESTARTED:
            self._prove(events)
        if self._state == _READY:
            return
        policy = verify_of(self._config, self.pair.remote)
        if not self._flow.secure:
            if features.find("starttls", TLS) is not None:
                self._flow.out.append(f"<starttls xmlns='{TLS}'/>".encode())
                return
            if policy is not Verify.INSECURE_TEST:
                raise StreamError(StreamCondition.POLICY_VIOLATION, "Encryption is needed.")
        elif policy is Verify.STRICT and (self._proves is None or not self._proves(self.pair.remote)):
            raise StreamError(
                StreamCondition.POLICY_VIOLATION, "Your certificate is not one for your domain."
            )
        mechanisms = features.find("mechanisms", SASL)
        names = [] if mechanisms is None else [each.text() for each in mechanisms.find_all("mechanism")]
        self._external = "EXTERNAL" in names and self._flow.secure
        self._offers_bidi = features.find("bidi", BIDI_FEATURE) is not None
        self._state = _NEGOTIATING
        self._send_questions()
        self._go_on(events)

    def _go_on(self, events: list[PeerEvent]) -> None:
        """Prove our domain, if it is time."""
        if self._state != _NEGOTIATING or not self.is_wanted:
            return
        self._state = _PROVING
        if self._offers_bidi and not self.bidi:
            self.bidi = True
            self._flow.out.append(_BIDI)
        if self._external and not self._external_failed:
            name = base64.b64encode(self.pair.local.encode()).decode()
            self._flow.out.append(f"<auth xmlns='{SASL}' mechanism='EXTERNAL'>{name}</auth>".encode())
        elif not self._id:
            raise StreamError(StreamCondition.BAD_FORMAT, "A stream needs an id.")
        else:
            key = dialback.key_for(self._secret, self.pair.remote, self.pair.local, self._id)
            self._flow.out.append(dialback.encode_key(self.pair.local, self.pair.remote, key))

    def _result(self, result: Element, events: list[PeerEvent]) -> None:
        pair = Pair(domain_of(result.get("to") or ""), domain_of(result.get("from") or ""))
        if result.get("type") is None:
            # XEP-0288 §2.2 lets the peer prove further domains here; it has streams of its own for that.
            answer = dialback.encode_answer("result", pair.local, pair.remote, "", "error", _ELSEWHERE)
            self._flow.out.append(answer)
            return
        if pair != self.pair or self._state != _PROVING:
            raise StreamError(StreamCondition.INVALID_FROM, "No such proof was under way.")
        if result.get("type") == "valid":
            self._prove(events)
            return
        self._state = _NEGOTIATING
        self.is_wanted = False
        error = result.find("error")
        said = "" if error is None else error.child_text("text", "urn:ietf:params:xml:ns:xmpp-stanzas") or ""
        events.append(
            Unproven(pair, said or f"dialback: {result.get('type')}", result.get("type") == "invalid")
        )

    def _prove(self, events: list[PeerEvent]) -> None:
        self._state = _READY
        self._flow.decoder.max_bytes = self._config.max_stanza_bytes
        self._flow.put_at_ms = self._flow.idle_since_ms = self._now_ms
        events.append(Proven(self.pair))

    def _send_questions(self) -> None:
        for pair, stream_id, key in self._questions:
            self._flow.out.append(dialback.encode_question(pair.local, pair.remote, stream_id, key))
        self._questions.clear()

    def _verified(self, verify: Element, events: list[PeerEvent]) -> None:
        pair = Pair(domain_of(verify.get("to") or ""), domain_of(verify.get("from") or ""))
        stream_id = verify.get("id") or ""
        if verify.get("type") is None:
            answered = dialback.answer_question(verify, self.pair.local.__eq__, self._secret)
            if answered is None or answered[1]:
                raise StreamError(StreamCondition.IMPROPER_ADDRESSING, "No such key.")
            self._flow.out.append(answered[0])
            return
        if (pair, stream_id) not in self._asked:
            raise StreamError(StreamCondition.INVALID_FROM, "Nobody asked about that key.")
        self._asked.discard((pair, stream_id))
        outcome = verify.get("type") or ""
        events.append(KeyAnswered(pair, stream_id, outcome if outcome in ("valid", "invalid") else "error"))


def _error_of(element: Element) -> StreamError:
    """Return the error by which the peer ended the stream."""
    said = next((child.name for child in element.elements()), "")
    known = {each.value: each for each in StreamCondition}
    text = element.child_text("text", "urn:ietf:params:xml:ns:xmpp-streams") or ""
    return StreamError(known.get(said, StreamCondition.UNDEFINED_CONDITION), text or said)
