"""The machine of a stream that another server has opened (RFC 6120 §4 to §6, XEP-0220, XEP-0288).

States and rules:

* OPENING: the peer owes an opening. -> NEGOTIATING. STARTTLS and a proof by SASL lead back to OPENING.
* NEGOTIATING: TLS first, unless the policy for the peer lets it do without; then a domain proves itself, by its
  certificate (SASL EXTERNAL) or by a key that its owner confirms (dialback). Further pairs may follow by dialback.
* Stanzas pass once their pair is proven; before, any stanza ends the stream.
* CLOSED: an error or an end was sent or received; nothing more is read.
"""

import base64
import binascii
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
    KeyShown,
    Pair,
    PeerEvent,
    PeerMachine,
    Proven,
    admits,
    check_stanza,
    is_stanza,
    text_of,
    verify_of,
)
from sabir.protocols.xmpp.types import Stanza, StreamClosed, TlsRequested
from sabir.wire.xml import Element, Opening

MAX_PAIRS: Final = 50
"""Pairs on one stream; and keys that wait for their owners."""
MAX_UNPROVEN: Final = 3
"""Keys that wait at a time before anything is proven: for each we call somebody whom a stranger has named."""
MAX_ATTEMPTS: Final = 5
"""Proofs that may fail before one succeeds."""

_DENIED: Final = StanzaError(ErrorType.CANCEL, "not-allowed", "This server does not talk with that domain.")
_TLS_FIRST: Final = StanzaError(ErrorType.CANCEL, "policy-violation", "Use STARTTLS first.")
_CERTIFICATE: Final = StanzaError(
    ErrorType.AUTH, "not-authorized", "Show a certificate of a trusted authority for your domain."
)
_TOO_MANY: Final = StanzaError(ErrorType.WAIT, "resource-constraint", "Too many domains on one stream.")
_UNREACHED: Final = StanzaError(
    ErrorType.CANCEL, "remote-server-not-found", "The server of that domain could not be asked about the key."
)


class Incoming(PeerMachine):
    """One stream, the side that was called."""

    def __init__(
        self,
        config: FederationConfig,
        serves: Callable[[str], bool],
        secret: bytes,
        stream_id: Callable[[], str],
        now_ms: int,
    ) -> None:
        """Begin.

        Args:
            config: limits and policy.
            serves: says whether a domain is one of ours.
            secret: keys dialback.
            stream_id: makes a new id that nobody can guess.
            now_ms: the time.
        """
        super().__init__(config, now_ms)
        self.pairs: set[Pair] = set()
        self.remote: str = ""
        """The domain that the peer says it is."""
        self._serves: Final = serves
        self._secret: Final = secret
        self._new_id: Final = stream_id
        self._local: str = ""
        self._proves: Callable[[str], bool] = _proves_nothing
        self._waiting: set[Pair] = set()
        self._attempts: int = 0

    # See `PeerMachine`

    def tick(self, now_ms: int) -> list[PeerEvent]:
        """Do what is due: keep the stream alive, or end it when nobody proves anything or says anything."""
        if self._flow.closed or now_ms < self.next_deadline_ms():
            return []
        if not self.pairs:
            error = StreamError(StreamCondition.CONNECTION_TIMEOUT, "Nobody has proven who it is.")
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
        return self._flow.next_tick_ms() if self.pairs else self._deadline_ms

    # What the handler tells

    def secured(self, proves: Callable[[str], bool]) -> None:
        """Note that the stream is encrypted; `proves` says for which domains the peer's certificate is good."""
        self._proves = proves
        self._flow.secured()

    def answer_key(self, pair: Pair, outcome: str) -> list[PeerEvent]:
        """Say what the owner of a key said: `valid`, `invalid`, or `error` where it was not reached."""
        if pair not in self._waiting or self._flow.closed:
            return []
        self._waiting.discard(pair)
        return self._settle(pair, outcome, _UNREACHED if outcome == "error" else None)

    def fail(self, error: StreamError) -> None:
        """End the stream with an error."""
        if not self._flow.closed and not self._flow.opened:
            self._flow.open(self._new_id(), self._local, self.remote)
        self._flow.fail(error, self._local)

    # The stream

    def _open(self, opening: Opening) -> None:
        element = opening.element
        to, sender = domain_of(element.get("to") or ""), domain_of(element.get("from") or "")
        self._id = self._new_id()
        self._flow.open(self._id, to if self._serves(to) else "", sender)
        self._flow.check_opening(opening)
        if not to:
            raise StreamError(StreamCondition.IMPROPER_ADDRESSING, "Say to which domain.")
        if not self._serves(to):
            raise StreamError(StreamCondition.HOST_UNKNOWN)  # RFC 6120 §4.9.3.6
        if self.pairs and (to, sender) != (self._local, self.remote):
            raise StreamError(StreamCondition.INVALID_FROM)  # RFC 6120 §4.9.3.9: restarted as somebody else
        if sender and not admits(self._config, sender):
            raise StreamError(StreamCondition.POLICY_VIOLATION, "This server does not talk with that domain.")
        self._local, self.remote = to, sender
        version = (element.get("version") or "0.9").partition(".")[0]
        if version.isdecimal() and int(version[:4]) >= 1:
            # RFC 6120 §4.7.5: who says no version 1.0 is sent no features.
            self._flow.out.append(f"<stream:features>{self._features()}</stream:features>".encode())

    def _features(self) -> str:
        features = ""
        tls_first = self._needs_tls(self.remote)
        if not self._flow.secure:
            features = f"<starttls xmlns='{TLS}'>{'<required/>' if tls_first else ''}</starttls>"
        if tls_first:
            return features
        if self.remote and not self.pairs and self._proves(self.remote):
            features += f"<mechanisms xmlns='{SASL}'><mechanism>EXTERNAL</mechanism></mechanisms>"
        features += f"<dialback xmlns='{dialback.FEATURE}'><errors/></dialback>"
        return features + f"<bidi xmlns='{BIDI_FEATURE}'/>"

    def _needs_tls(self, remote: str) -> bool:
        return not self._flow.secure and verify_of(self._config, remote) is not Verify.INSECURE_TEST

    def _take(self, stanza: Stanza, events: list[PeerEvent]) -> None:
        if is_stanza(stanza):
            if not self.pairs:
                raise StreamError(StreamCondition.NOT_AUTHORIZED)  # RFC 6120 §4.9.3.12
            check_stanza(stanza, self.pairs)
            self._flow.idle_since_ms = self._now_ms
            events.append(stanza)
            return
        namespace = stanza.namespace.decode()
        if namespace == TLS and stanza.name == b"starttls" and not self._flow.secure:
            self._flow.out.append(f"<proceed xmlns='{TLS}'/>".encode())
            self._flow.stopped = True
            events.append(TlsRequested())
        elif namespace == SASL:
            self._log_in(element_of(stanza), events)
        elif namespace == BIDI and stanza.name == b"bidi" and not self.pairs:
            self.bidi = True  # XEP-0288 §2.1: before the proof
        elif namespace == dialback.NAMESPACE and stanza.name == b"result":
            self._key(element_of(stanza), events)
        elif namespace == dialback.NAMESPACE and stanza.name == b"verify":
            self._question(element_of(stanza))
        else:
            raise StreamError(StreamCondition.UNSUPPORTED_STANZA_TYPE)  # RFC 6120 §4.9.3.24

    # SASL EXTERNAL

    def _log_in(self, element: Element, events: list[PeerEvent]) -> None:
        if element.name != "auth" or element.get("mechanism") != "EXTERNAL":
            self._refuse_login("invalid-mechanism")
        elif self._needs_tls(self.remote):
            self._refuse_login("encryption-required")
        elif self.pairs or not self.remote or not self._proves(self.remote):
            self._refuse_login("not-authorized")  # XEP-0178 §3
        else:
            claimed = _decoded(element.text().strip())
            if claimed is None:
                self._refuse_login("incorrect-encoding")
            elif claimed and domain_of(claimed) != self.remote:
                self._refuse_login("invalid-authzid")  # RFC 6120 §6.3.8: nobody acts for another domain
            else:
                self._flow.out.append(f"<success xmlns='{SASL}'/>".encode())
                self._flow.restart()
                self._prove(Pair(self._local, self.remote), events)

    def _refuse_login(self, condition: str) -> None:
        self._flow.out.append(f"<failure xmlns='{SASL}'><{condition}/></failure>".encode())
        self._count_attempt()

    def _count_attempt(self) -> None:
        self._attempts += 1
        if self._attempts >= MAX_ATTEMPTS:
            raise _too_often()

    # Dialback: as the receiving server (XEP-0220 §2.1), and as the authoritative one (§2.2)

    def _key(self, result: Element, events: list[PeerEvent]) -> None:
        local, remote = domain_of(result.get("to") or ""), domain_of(result.get("from") or "")
        if not local or not remote or result.get("type") is not None:
            raise StreamError(StreamCondition.IMPROPER_ADDRESSING)
        pair = Pair(local, remote)
        if pair in self.pairs:
            events.extend(self._settle(pair, "valid"))
        elif not self._serves(local):
            events.extend(self._settle(pair, "error", dialback.UNKNOWN))
        elif self._serves(remote) or not admits(self._config, remote):
            events.extend(self._settle(pair, "error", _DENIED))
        elif self._needs_tls(remote):
            events.extend(self._settle(pair, "error", _TLS_FIRST))
        elif len(self.pairs) + len(self._waiting) >= (MAX_PAIRS if self.pairs else MAX_UNPROVEN):
            events.extend(self._settle(pair, "error", _TOO_MANY))
        elif self._proves(remote):
            events.extend(self._settle(pair, "valid"))  # XEP-0344 §2.1: the certificate has said it already
        elif verify_of(self._config, remote) is Verify.STRICT:
            events.extend(self._settle(pair, "error", _CERTIFICATE))
        elif pair not in self._waiting:
            self._waiting.add(pair)
            events.append(KeyShown(pair, self._id, text_of(result, dialback.MAX_KEY_CHARS)))

    def _settle(self, pair: Pair, outcome: str, error: StanzaError | None = None) -> list[PeerEvent]:
        events: list[PeerEvent] = []
        answer = dialback.encode_answer("result", pair.local, pair.remote, "", outcome, error)
        self._flow.out.append(answer)
        if outcome == "valid":
            self._prove(pair, events)
        elif not self.pairs and outcome == "invalid":
            # XEP-0220 §2.1.2: whoever showed a forged key is not listened to any more.
            failed = StreamError(StreamCondition.NOT_AUTHORIZED, "The key is not one of that domain.")
            self.fail(failed)
            events.append(StreamClosed(failed))
        elif not self.pairs:
            self._attempts += 1
            if self._attempts >= MAX_ATTEMPTS:
                over = _too_often()
                self.fail(over)
                events.append(StreamClosed(over))
        return events

    def _prove(self, pair: Pair, events: list[PeerEvent]) -> None:
        self.pairs.add(pair)
        self._flow.decoder.max_bytes = self._config.max_stanza_bytes
        self._flow.put_at_ms = self._flow.idle_since_ms = self._now_ms
        events.append(Proven(pair))

    def _question(self, verify: Element) -> None:
        answered = dialback.answer_question(verify, self._serves, self._secret)
        if answered is None:
            raise StreamError(StreamCondition.IMPROPER_ADDRESSING)
        answer, forged = answered
        self._flow.out.append(answer)
        if forged:
            self._count_attempt()


def _too_often() -> StreamError:
    return StreamError(StreamCondition.POLICY_VIOLATION, "Too many failed proofs.")


def _decoded(text: str) -> str | None:
    """Return what base64 says, empty for none; None if it is not base64 of text."""
    if text in ("", "="):
        return ""
    try:
        return base64.b64decode(text.encode(), validate=True).decode()
    except (binascii.Error, ValueError):
        return None


def _proves_nothing(domain: str) -> bool:
    return False
