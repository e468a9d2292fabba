"""The machine of one stream; see the package for its states."""

from collections.abc import Callable, Mapping
from typing import Final

from sabir.protocols.xmpp.codec import (
    CLIENT,
    END,
    STREAMS,
    Decoder,
    StreamEnd,
    element_of,
    encode_error,
    encode_opening,
    encode_stanza_error,
)
from sabir.protocols.xmpp.config import XmppConfig
from sabir.protocols.xmpp.errors import StanzaError, StreamCondition, StreamError
from sabir.protocols.xmpp.framing import CLOSE, FramedDecoder, encode_open
from sabir.protocols.xmpp.jid import Jid, JidSyntaxError, domain_of, parse_jid_bytes
from sabir.protocols.xmpp.machine import sasl, sasl2
from sabir.protocols.xmpp.machine.login import Login, Mechanisms
from sabir.protocols.xmpp.machine.management import NAMESPACE as MANAGEMENT
from sabir.protocols.xmpp.machine.management import (
    REQUEST,
    Management,
    count_in,
    encode_enabled,
    encode_failed,
    encode_resumed,
    resume_s_in,
    resumption_in,
)
from sabir.protocols.xmpp.types import (
    Acknowledged,
    ActivityChanged,
    BindRequested,
    Event,
    ManagementEnabled,
    Stanza,
    StreamClosed,
    TlsRequested,
)
from sabir.wire.xml import Element, Opening, escape_attribute, escape_text

TLS: Final = "urn:ietf:params:xml:ns:xmpp-tls"
BIND: Final = "urn:ietf:params:xml:ns:xmpp-bind"
ACTIVITY: Final = "urn:xmpp:csi:0"
REGISTER: Final = "jabber:iq:register"
PREAUTH: Final = "urn:xmpp:pars:0"
PING: Final = b"<iq type='get' id='sabir-ping'><ping xmlns='urn:xmpp:ping'/></iq>"

_OPENING: Final = 0
_NEGOTIATING: Final = 1
_BINDING: Final = 2
_BOUND: Final = 3
_CLOSED: Final = 4

_FEATURES_WHEN_MANAGED: Final = (
    "<csi xmlns='urn:xmpp:csi:0'/><sub xmlns='urn:xmpp:features:pre-approval'/>"
    "<ver xmlns='urn:xmpp:features:rosterver'/>"
)
_FEATURES_WHEN_BOUND: Final = "<sm xmlns='urn:xmpp:sm:3'/>" + _FEATURES_WHEN_MANAGED
_FEATURES_WHEN_LOGGED_IN: Final = (
    "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>"
    "<session xmlns='urn:ietf:params:xml:ns:xmpp-session'><optional/></session>" + _FEATURES_WHEN_BOUND
)


class Machine:
    """One stream of a client, the server's side of it. Its bytes to send are got by `drain`."""

    __slots__ = (
        "_config",
        "_deadline_ms",
        "_decoder",
        "_domain",
        "_framed",
        "_heard",
        "_login",
        "_opened",
        "_out",
        "_pinged",
        "_randomness",
        "_state",
        "_stopped",
        "invited",
        "jid",
        "jid_bytes",
        "language",
        "management",
        "secure",
    )

    def __init__(
        self,
        domain: str,
        config: XmppConfig,
        mechanisms: Mechanisms,
        randomness: Callable[[int], bytes],
        now_ms: int,
        *,
        framed: bool = False,
    ) -> None:
        """Begin.

        Args:
            domain: of the server.
            config: limits, and what is demanded.
            mechanisms: what the client may log in with.
            randomness: returns so many random bytes.
            now_ms: the time, of any monotonic clock; that of all calls.
            framed: each `receive` is one message, and so is each piece that is sent (RFC 7395).
        """
        self.secure: bool = False
        self.invited: bool = False
        """The client has shown that it may make an account (XEP-0445 §4)."""
        self.jid: Jid | None = None
        """The full address, once a resource is bound."""
        self.jid_bytes: bytes = b""
        self.language: bytes = b""
        """The language that the client gave its stream, for stanzas that do not say theirs."""
        self.management: Management | None = None
        self._domain: str = domain
        self._config: XmppConfig = config
        self._randomness: Callable[[int], bytes] = randomness
        self._framed: bool = framed
        self._decoder: Decoder
        if framed:
            self._decoder = FramedDecoder(config.max_stanza_bytes_before_login)
        else:
            self._decoder = Decoder(config.max_stanza_bytes_before_login)
        self._state: int = _OPENING
        self._stopped: bool = False
        self._opened: bool = False
        self._out: list[bytes] = []
        self._login: Login = Login(domain, config, mechanisms, self._out)
        self._heard: bool = False
        self._pinged: bool = False
        self._deadline_ms: int = now_ms + config.negotiation_timeout_s * 1000

    # The verbs

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes from the client and return what they mean, as far as it can be told now."""
        events: list[Event] = []
        if self._state == _CLOSED:
            return events
        self._heard = True
        decoder = self._decoder
        if data:
            decoder.feed(data)
        try:
            while not self._stopped and self._state != _CLOSED:
                frame = decoder.next()
                if frame is None:
                    break
                if isinstance(frame, Stanza):
                    if self._state == _BOUND and not frame.namespace:
                        self._check(frame)
                        events.append(frame)
                    else:
                        self._element(frame, events)
                elif isinstance(frame, StreamEnd):
                    self._end(events)
                else:
                    self._open(frame)
        except StreamError as error:
            self.fail(error)
            events.append(StreamClosed(error))
        return events

    def tick(self, now_ms: int) -> list[Event]:
        """Do what is due: ask a silent client whether it is there, give one up that does not answer."""
        if self._state == _CLOSED or now_ms < self._deadline_ms:
            return []
        if self._state != _BOUND:
            return self._give_up("The login took too long.")
        if self._heard:
            self._heard = False
            self._pinged = False
            self._deadline_ms = now_ms + self._config.ping_after_s * 1000
            if self.management is not None and self.management.request():
                self._out.append(REQUEST)
            return []
        if self._pinged:
            return self._give_up("No answer.")
        self._pinged = True
        self._deadline_ms = now_ms + self._config.ping_timeout_s * 1000
        if self.management is None:
            self._out.append(PING)
        else:
            self.management.requested = True
            self._out.append(REQUEST)
        return []

    def next_deadline_ms(self) -> int:
        """Return when `tick` is to be called; 0 for never."""
        return 0 if self._state == _CLOSED else self._deadline_ms

    def drain(self) -> bytes:
        """Return the bytes to send, once."""
        if not self._out:
            return b""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def drain_pieces(self) -> list[bytes]:
        """Return the same piece by piece: each a message where these are framed."""
        if not self._out:
            return []
        pieces = [piece for piece in self._out if piece]
        self._out.clear()
        return pieces

    # What the session tells

    @property
    def is_closed(self) -> bool:
        """Whether the stream has ended."""
        return self._state == _CLOSED

    def secured(self, bindings: Mapping[str, bytes]) -> None:
        """Note that the connection is encrypted; `bindings` is its channel binding data by type."""
        self.secure = True
        self._login.bindings = bindings
        self._decoder.clear()
        self._decoder.restart()
        self._state = _OPENING
        self._opened = False
        self._stopped = False

    def send_bound(self, request: BindRequested, jid: Jid, now_ms: int) -> None:
        """Answer a request for a resource with the full address (RFC 6120 §7.6.1)."""
        id_ = escape_attribute(request.id.decode())
        bind = f"<bind xmlns='{BIND}'><jid>{escape_text(str(jid))}</jid></bind>"
        self._out.append(f"<iq type='result' id='{id_}'>{bind}</iq>".encode())
        self._bind(jid, now_ms)

    def send_bind_error(self, request: BindRequested, error: StanzaError) -> None:
        """Refuse a resource; the client may ask for another (RFC 6120 §7.6.2.1)."""
        id_ = escape_attribute(request.id.decode())
        self._out.append(f"<iq type='error' id='{id_}'>{encode_stanza_error(error)}</iq>".encode())
        self._stopped = False

    def manage(self, resume_s: int) -> str:
        """Turn management on, resumable for at most `resume_s` seconds; return what tells the client so."""
        resume_s = min(resume_s, self._config.resume_s)
        self.management = Management(
            self._token() if resume_s else "",
            resume_s,
            self._config.max_unacknowledged,
            self._config.max_unacknowledged_bytes,
        )
        return encode_enabled(self.management.token, resume_s)

    def send_task(self, task: str) -> None:
        """Have a client that has proven who it is do something more before it is let in (XEP-0388 §2.6.3)."""
        self._login.send_task(task)
        self._stopped = False

    def send_task_data(self, salt: bytes, iterations: int) -> None:
        """Tell it what it needs for that; see `TaskBegun`."""
        self._out.append(sasl2.encode_salt(salt, iterations))
        self._stopped = False

    def succeed(self, jid: Jid, results: str, now_ms: int) -> None:
        """Let a client in by XEP-0388: with a resource that came with its login, or without one yet.

        `results` tell what became of the rest that it asked for.
        """
        self._login.succeed(jid, results)
        self._decoder.max_bytes = self._config.max_stanza_bytes
        self._stopped = False
        if jid.resource:
            # What is on already is not offered: @xmpp/client 0.14 would try to resume what it just began.
            managed = self.management is not None
            self._out.append(self._features(_FEATURES_WHEN_MANAGED if managed else _FEATURES_WHEN_BOUND))
            self._bind(jid, now_ms)
        else:
            self._out.append(self._features(_FEATURES_WHEN_LOGGED_IN))
            self._state = _BINDING

    def succeed_resumed(self, management: Management, jid: Jid, results: str, now_ms: int) -> None:
        """Let a client in by XEP-0388 that goes on with an earlier stream (XEP-0198 §9.2)."""
        self._login.succeed(jid, encode_resumed(management) + results)
        self._decoder.max_bytes = self._config.max_stanza_bytes
        self._go_on(management, jid, now_ms)

    def refuse(self, condition: str, text: str) -> None:
        """Refuse a login whose proof was good; see `Authenticated`."""
        self._login.refuse(condition, text)
        self._stopped = False

    def resume(self, management: Management, jid: Jid, now_ms: int) -> None:
        """Go on with an earlier stream: what its client has not handled is sent again (XEP-0198 §5).

        The session has told `management` what the client says it has handled.
        """
        self._out.append(encode_resumed(management).encode())
        self._go_on(management, jid, now_ms)

    def send_resume_failed(self, handled: int | None) -> None:
        """Refuse to resume: the stream is unknown or over; the client may bind a resource instead."""
        self._out.append(encode_failed("item-not-found", handled).encode())
        self._stopped = False

    def fail(self, error: StreamError) -> None:
        """End the stream with an error; our opening goes first if it has not yet (RFC 6120 §4.9.1.2)."""
        if self._state == _CLOSED:
            return
        if not self._opened:
            self._send_opening("")
        self._out.append(encode_error(error))
        self._out.append(CLOSE if self._framed else END)
        self._state = _CLOSED

    def close(self) -> None:
        """End the stream without an error (RFC 6120 §4.4)."""
        if self._state != _CLOSED:
            self._out.append(CLOSE if self._framed else END)
            self._state = _CLOSED

    # The stream itself

    def _open(self, opening: Opening) -> None:
        element = opening.element
        to = element.get("to")
        sender = element.get("from") or ""
        self._send_opening(sender)
        self._opened = True
        if element.name != "stream" or element.namespace != STREAMS:
            raise StreamError(StreamCondition.INVALID_NAMESPACE)  # RFC 6120 §4.9.3.10
        if opening.default_namespace != CLIENT:
            raise StreamError(StreamCondition.INVALID_NAMESPACE, f"Clients speak {CLIENT} here.")
        if to is None:
            raise StreamError(
                StreamCondition.IMPROPER_ADDRESSING, "Say to which domain."
            )  # RFC 6120 §4.9.3.7
        if domain_of(to) != self._domain:
            raise StreamError(StreamCondition.HOST_UNKNOWN)  # RFC 6120 §4.9.3.6
        if sender and domain_of(sender) != self._domain:
            raise StreamError(StreamCondition.INVALID_FROM)  # RFC 6120 §4.9.3.9, XEP-0388 §2.1
        version = (element.get("version") or "0.9").partition(".")[0]
        if not version.isdecimal() or int(version[:4]) < 1:
            raise StreamError(StreamCondition.UNSUPPORTED_VERSION)  # RFC 6120 §4.9.3.25
        self.language = (element.get("xml:lang") or "").encode()[:35]
        if self._login.name:
            self._state = _BINDING
            self._out.append(self._features(_FEATURES_WHEN_LOGGED_IN))
        else:
            self._state = _NEGOTIATING
            self._login.sender = sender
            self._out.append(self._features(self._features_before_login()))

    def _send_opening(self, to: str) -> None:
        encode = encode_open if self._framed else encode_opening
        self._out.append(encode(self._domain, self._token(), to))

    def _features(self, content: str) -> bytes:
        """Return `<stream:features/>`, with the limits of the stream as it is now (XEP-0478 §3.1)."""
        config = self._config
        limits = (
            f"<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>{self._decoder.max_bytes}</max-bytes>"
            f"<idle-seconds>{config.ping_after_s}</idle-seconds></limits>"
        )
        return f"<stream:features>{content}{limits}</stream:features>".encode()

    def _features_before_login(self) -> str:
        tls_required = self._config.require_tls and not self.secure
        if self._framed and tls_required:
            # RFC 7395 §3.9: TLS is below the WebSocket, so it is too late for it.
            raise StreamError(
                StreamCondition.POLICY_VIOLATION, "Use an encrypted connection (wss: or https:)."
            )
        features = ""
        if not self.secure and not self._framed:
            features = f"<starttls xmlns='{TLS}'>{'<required/>' if tls_required else ''}</starttls>"
        if not tls_required:
            features += self._login.features(self.secure)
            features += "<register xmlns='urn:xmpp:ibr-token:0'/>"  # XEP-0445 §3
            if self._config.registration:
                features += "<register xmlns='http://jabber.org/features/iq-register'/>"
        return features

    def _end(self, events: list[Event]) -> None:
        self.close()
        events.append(StreamClosed())

    def _give_up(self, text: str) -> list[Event]:
        error = StreamError(StreamCondition.CONNECTION_TIMEOUT, text)  # RFC 6120 §4.9.3.4
        self.fail(error)
        return [StreamClosed(error)]

    def _go_on(self, management: Management, jid: Jid, now_ms: int) -> None:
        self._out.extend(management.unacknowledged())
        self.management = management
        self._bind(jid, now_ms)

    def _bind(self, jid: Jid, now_ms: int) -> None:
        self.jid = jid
        self.jid_bytes = str(jid).encode()
        self._state = _BOUND
        self._stopped = False
        self._heard = False
        self._deadline_ms = now_ms + self._config.ping_after_s * 1000

    def _token(self) -> str:
        return self._randomness(16).hex()

    # Elements

    def _check(self, stanza: Stanza) -> None:
        """Count a stanza and check what only the stream can know."""
        if stanza.name not in (b"message", b"iq", b"presence"):
            raise StreamError(StreamCondition.UNSUPPORTED_STANZA_TYPE)  # RFC 6120 §4.9.3.24
        if stanza.sender is not None and stanza.sender != self.jid_bytes:
            self._check_sender(stanza.sender)
        if self.management is not None:
            self.management.received += 1

    def _check_sender(self, sender: bytes) -> None:
        """RFC 6120 §8.1.2.1: the sender is the client itself, or the stream ends."""
        jid = self.jid
        try:
            claimed = parse_jid_bytes(sender)
        except JidSyntaxError:
            raise StreamError(StreamCondition.INVALID_FROM) from None
        if jid is None or claimed not in (jid, jid.bare):
            raise StreamError(StreamCondition.INVALID_FROM)  # RFC 6120 §4.9.3.9

    def _element(self, stanza: Stanza, events: list[Event]) -> None:
        namespace = stanza.namespace.decode()
        if namespace == MANAGEMENT and self._state in (_BINDING, _BOUND):
            self._manage(stanza, events)
        elif namespace == ACTIVITY and self._state == _BOUND:
            if stanza.name in (b"active", b"inactive"):
                events.append(ActivityChanged(stanza.name == b"active"))  # XEP-0352 §4
        elif namespace == TLS and self._state == _NEGOTIATING:
            self._start_tls(stanza, events)
        elif namespace == sasl2.NAMESPACE and self._state == _NEGOTIATING:
            self._authenticate(element_of(stanza), events)
        elif self._login.is_busy and self._state == _NEGOTIATING:
            # XEP-0388 §2.4: nothing else may come until the login has its outcome.
            raise StreamError(StreamCondition.POLICY_VIOLATION, "First finish the login.")
        elif namespace == sasl.NAMESPACE and self._state == _NEGOTIATING:
            self._log_in(element_of(stanza), events)
        elif namespace or stanza.name not in (b"message", b"iq", b"presence"):
            raise StreamError(StreamCondition.UNSUPPORTED_STANZA_TYPE)
        elif stanza.name == b"iq":
            self._negotiate(stanza, events)
        else:
            raise StreamError(StreamCondition.NOT_AUTHORIZED)  # RFC 6120 §4.9.3.12

    def _negotiate(self, stanza: Stanza, events: list[Event]) -> None:
        """Take an IQ before a resource is bound: only binding and registration are possible."""
        iq = element_of(stanza)
        bind = iq.find("bind", BIND)
        if self._state == _BINDING and bind is not None and stanza.type == b"set":
            self._stopped = True
            events.append(BindRequested(stanza.id, bind.child_text("resource") or ""))
        elif self._state == _NEGOTIATING and self._may_ask_for_account(iq):
            events.append(stanza)
        else:
            raise StreamError(
                StreamCondition.NOT_AUTHORIZED, "Log in and bind a resource first."
            )  # RFC 6120 §7.1

    def _may_ask_for_account(self, iq: Element) -> bool:
        if self._config.require_tls and not self.secure:
            return False
        if iq.find("preauth", PREAUTH) is not None:
            return True
        may_register = self._config.registration or self.invited
        return may_register and iq.find("query", REGISTER) is not None

    def _start_tls(self, stanza: Stanza, events: list[Event]) -> None:
        if stanza.name != b"starttls" or self.secure:
            self._out.append(f"<failure xmlns='{TLS}'/>".encode())  # RFC 6120 §5.4.2.2
            self._end(events)
            return
        self._out.append(f"<proceed xmlns='{TLS}'/>".encode())
        self._stopped = True
        events.append(TlsRequested())

    # Login

    def _log_in(self, element: Element, events: list[Event]) -> None:
        self._login.take(element, self.secure, events)
        if self._login.name:
            # RFC 6120 §6.4.6: both sides open their streams again, on the same connection.
            self._decoder.restart()
            self._decoder.max_bytes = self._config.max_stanza_bytes
            self._state = _OPENING
            self._opened = False

    def _authenticate(self, element: Element, events: list[Event]) -> None:
        self._login.take_extensible(element, self.secure, events)
        if self._login.name:
            self._stopped = True

    # Stream management

    def _manage(self, stanza: Stanza, events: list[Event]) -> None:
        name = stanza.name
        management = self.management
        if management is not None and name == b"r":
            self._out.append(management.ask())
        elif management is not None and name == b"a":
            events.append(Acknowledged(management.acknowledge(count_in(element_of(stanza)))))
        elif name == b"enable" and management is None and self._state == _BOUND:
            self._out.append(self.manage(resume_s_in(element_of(stanza))).encode())
            events.append(ManagementEnabled())
        elif name == b"resume" and self._state == _BINDING:
            self._stopped = True
            events.append(resumption_in(element_of(stanza)))
        else:
            self._out.append(encode_failed("unexpected-request").encode())  # XEP-0198 §3: in the wrong order
