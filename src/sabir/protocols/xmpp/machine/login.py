"""Logging in on an XMPP stream: SASL as in RFC 6120 §6, and as in XEP-0388.

The two differ in their words, and in what follows: after the one the stream begins anew, after the other it goes
on, with whatever else the client asked for in the same breath.
"""

from collections.abc import Mapping
from typing import Protocol

from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.config import XmppConfig
from sabir.protocols.xmpp.errors import StreamCondition, StreamError
from sabir.protocols.xmpp.jid import Jid, JidSyntaxError, jid_of, prepare_local
from sabir.protocols.xmpp.machine import sasl, sasl2
from sabir.protocols.xmpp.types import (
    Authenticated,
    Authentication,
    Event,
    LoggedIn,
    LoginFailed,
    TaskAnswered,
    TaskBegun,
)
from sabir.wire.sasl.types import Challenge, Failure, ServerMechanism, Step, Success
from sabir.wire.xml import Element


class Mechanisms(Protocol):
    """What a connection may log in with."""

    def offered(self, secure: bool, bindings: Mapping[str, bytes], sender: str) -> list[str]:
        """Return the names to offer, strongest first; `sender` is who the client says it is, or empty."""

    def mechanism(
        self, name: str, bindings: Mapping[str, bytes], offered: list[str]
    ) -> ServerMechanism | None:
        """Return the server's side of one of the `offered` mechanisms."""

    def offered_tokens(self, bindings: Mapping[str, bytes]) -> list[str]:
        """Return the names of the mechanisms that take a token, strongest first."""

    def token_mechanism(
        self, name: str, bindings: Mapping[str, bytes], asked: Authentication
    ) -> ServerMechanism:
        """Return the server's side of one of those, for the device that `asked` says."""


class Login:
    """The tries of one stream to log in; what it has to say goes to `out`, what it has found out to `events`.

    At rest, until `<auth/>` or `<authenticate/>` begins an exchange, which ends in success or failure. After a
    success of XEP-0388 the session has the word: the login waits for `succeed` or `refuse`.
    """

    __slots__ = (
        "_asked",
        "_attempts",
        "_config",
        "_data",
        "_domain",
        "_exchange",
        "_mechanisms",
        "_offered",
        "_offered_tokens",
        "_out",
        "_task",
        "_task_has_begun",
        "bindings",
        "name",
        "sender",
    )

    def __init__(self, domain: str, config: XmppConfig, mechanisms: Mechanisms, out: list[bytes]) -> None:
        self.bindings: Mapping[str, bytes] = {}
        """The channel binding data of the connection, by type."""
        self.sender: str = ""
        """Who the client says it is, in its opening."""
        self.name: str = ""
        """The account, once it has proven that."""
        self._domain: str = domain
        self._config: XmppConfig = config
        self._mechanisms: Mechanisms = mechanisms
        self._out: list[bytes] = out
        self._offered: list[str] = []
        self._offered_tokens: list[str] = []
        self._exchange: sasl.Exchange | None = None
        self._asked: Authentication | None = None
        """Of the exchange under way, if it is one of XEP-0388."""
        self._data: bytes = b""
        self._task: str = ""
        """What the client has to do before it is let in, empty for nothing."""
        self._task_has_begun: bool = False
        self._attempts: int = 0

    @property
    def is_busy(self) -> bool:
        """Whether an exchange of XEP-0388 is under way: nothing but its elements may come."""
        return self._asked is not None

    def features(self, secure: bool) -> str:
        """Return what the client may log in with."""
        self._offered = self._mechanisms.offered(secure, self.bindings, self.sender)
        names = sasl2.encode_mechanisms(self._offered)
        features = f"<mechanisms xmlns='{sasl.NAMESPACE}'>{names}</mechanisms>"
        if secure:
            # XEP-0388 §3: offered under TLS only.
            self._offered_tokens = self._mechanisms.offered_tokens(self.bindings)
            features += sasl2.encode_feature(self._offered, self._offered_tokens)
        if self.bindings:
            types = "".join([f"<channel-binding{attribute('type', type_)}/>" for type_ in self.bindings])
            features += f"<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>{types}</sasl-channel-binding>"
        return features

    # As in RFC 6120

    def take(self, element: Element, secure: bool, events: list[Event]) -> None:
        """Take an element of RFC 6120 §6."""
        if element.name == "abort":
            self._fail("aborted", "", events)  # RFC 6120 §6.5.1
        elif element.name == "auth":
            mechanism = self._mechanism(element, secure, events)
            if mechanism is not None:
                self._exchange = sasl.Exchange(mechanism)
                text = element.text()
                # No text is no initial response here, "=" an empty one (RFC 6120 §6.4.2).
                self._step(self._exchange.begin(sasl.unpadded(text) if text else None), events)
        elif element.name == "response" and self._exchange is not None:
            self._step(self._exchange.respond(sasl.unpadded(element.text())), events)
        else:
            self._fail("malformed-request", "", events)

    # As in XEP-0388

    def take_extensible(self, element: Element, secure: bool, events: list[Event]) -> None:
        """Take an element of XEP-0388."""
        if element.name == "authenticate" and self._asked is None and secure:
            self._begin(element, secure, events)
        elif element.name == "response" and self._exchange is not None and self._asked is not None:
            self._step(self._exchange.respond(element.text()), events)
        elif element.name == "abort" and self._asked is not None:
            self._fail("aborted", "", events)  # XEP-0388 §4.5
        elif element.name in ("next", "task-data") and self._task:
            self._go_on_with_task(element, events)
        else:
            raise StreamError(StreamCondition.POLICY_VIOLATION, "This is not the time for that.")

    def send_task(self, task: str) -> None:
        """Have a client that has proven who it is do something more (XEP-0388 §2.6.3)."""
        self._out.append(sasl2.encode_continue(self._data, task))
        self._data = b""
        self._task = task
        self._task_has_begun = False

    def _go_on_with_task(self, element: Element, events: list[Event]) -> None:
        answer = element.find("hash", sasl2.SCRAM_UPGRADE)
        if element.name == "next" and not self._task_has_begun and element.get("task") == self._task:
            self._task_has_begun = True
            events.append(TaskBegun())
        elif element.name == "task-data" and self._task_has_begun and answer is not None:
            self._task = ""
            events.append(TaskAnswered(sasl.decode(answer.text()) or b""))
        else:
            self._fail("malformed-request", "", events)

    def succeed(self, jid: Jid, results: str) -> None:
        """Tell the client that it is logged in as `jid`, and what became of the rest that it asked for."""
        self._out.append(sasl2.encode_success(self._data, str(jid), results))
        self._asked = None
        self._data = b""

    def refuse(self, condition: str, text: str) -> None:
        """Refuse a client that has proven who it is: it may not log in all the same."""
        self.name = ""
        self._out.append(sasl2.encode_failure(condition, text))
        self._asked = None
        self._task = ""
        self._data = b""

    def _begin(self, element: Element, secure: bool, events: list[Event]) -> None:
        self._exchange = None
        self._asked = Authentication()
        asked = sasl2.asked_in(element, self._offered_tokens)
        if asked is None:
            self._fail("malformed-request", "", events)
            return
        self._asked = asked
        mechanism = self._mechanism(element, secure, events)
        if mechanism is not None:
            self._exchange = sasl.Exchange(mechanism)
            initial = element.find("initial-response", sasl2.NAMESPACE)
            self._step(self._exchange.begin(None if initial is None else initial.text()), events)

    # As in both

    def _mechanism(self, element: Element, secure: bool, events: list[Event]) -> ServerMechanism | None:
        self._exchange = None
        if self._config.require_tls and not secure:
            self._fail("encryption-required", "Use STARTTLS first.", events)  # RFC 6120 §6.5.4
            return None
        name = (element.get("mechanism") or "")[:40]
        mechanism: ServerMechanism | None = None
        if name in self._offered:
            mechanism = self._mechanisms.mechanism(name, self.bindings, self._offered)
        elif self._asked is not None and name in self._offered_tokens:
            mechanism = self._mechanisms.token_mechanism(name, self.bindings, self._asked)
        if mechanism is None:
            self._fail("invalid-mechanism", "", events)  # RFC 6120 §6.5.7
        return mechanism

    def _step(self, step: Step, events: list[Event]) -> None:
        if isinstance(step, Failure):
            condition, text = sasl.condition_for(step.reason)
            self._fail(condition, text, events)
        elif isinstance(step, Challenge):
            encode = sasl.encode_challenge if self._asked is None else sasl2.encode_challenge
            self._out.append(encode(step.data))
        else:
            self._succeed(step, events)

    def _succeed(self, success: Success, events: list[Event]) -> None:
        try:
            own = Jid(prepare_local(success.authcid), self._domain)
        except JidSyntaxError:
            self._fail("not-authorized", "", events)
            return
        if success.authzid and not self._may_act_as(success.authzid, own):
            self._fail("invalid-authzid", "Nobody may act for another here.", events)  # RFC 6120 §6.5.6
            return
        self._exchange = None
        self.name = own.local
        if self._asked is not None:
            self._data = success.data
            events.append(Authenticated(own.local, self._asked))
        else:
            self._out.append(sasl.encode_success(success.data))
            events.append(LoggedIn(own.local))

    def _may_act_as(self, authzid: str, own: Jid) -> bool:
        wanted = jid_of(authzid)
        if wanted != own:
            return False
        # XEP-0388 §4.4: it must fit what the stream said.
        return self._asked is None or not self.sender or jid_of(self.sender) == own

    def _fail(self, condition: str, text: str, events: list[Event]) -> None:
        encode = sasl.encode_failure if self._asked is None else sasl2.encode_failure
        self._out.append(encode(condition, text))
        self._exchange = None
        self._asked = None
        self._data = b""
        self._task = ""
        self.name = ""
        self._attempts += 1
        events.append(LoginFailed())
        if self._attempts >= self._config.login_attempts:
            # RFC 6120 §6.4.5: a few attempts are allowed, then the stream ends.
            raise StreamError(StreamCondition.POLICY_VIOLATION, "Too many failed logins.")
