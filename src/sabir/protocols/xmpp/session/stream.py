"""One connection's stream: bytes in, bytes out, and what the machine makes of them."""

from collections.abc import Callable
from typing import Final, assert_never

from sabir.base.log import BoundLogger
from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.gateway.contract import Counters, Environment
from sabir.net.connection import Connection
from sabir.protocols.xmpp.codec import element_of, encode_error_reply
from sabir.protocols.xmpp.config import XmppConfig
from sabir.protocols.xmpp.errors import (
    JID_MALFORMED,
    ErrorType,
    Refused,
    StanzaError,
    StreamCondition,
    StreamError,
    stanza_error_for,
)
from sabir.protocols.xmpp.features import register
from sabir.protocols.xmpp.features.context import Place
from sabir.protocols.xmpp.jid import Jid, JidSyntaxError, prepare_resource
from sabir.protocols.xmpp.machine import Machine, Management
from sabir.protocols.xmpp.session.client import Client, Link
from sabir.protocols.xmpp.session.logins import Logins
from sabir.protocols.xmpp.types import (
    Acknowledged,
    ActivityChanged,
    BindRequested,
    Event,
    LoggedIn,
    LoginFailed,
    ManagementEnabled,
    ResumeRequested,
    Stanza,
    StreamClosed,
    TlsRequested,
)

_TOO_MANY: Final = StanzaError(ErrorType.WAIT, "resource-constraint", "Too many clients of this account.")
_SLOW: Final = StanzaError(ErrorType.WAIT, "resource-constraint", "Too many attempts: wait a minute.")


class Hub:
    """What the streams of one front end share, and the clients that may come back."""

    def __init__(
        self,
        config: XmppConfig,
        environment: Environment,
        place: Place,
        counters: Counters,
        randomness: Callable[[int], bytes],
        log: BoundLogger,
    ) -> None:
        self.config: Final = config
        self.environment: Final = environment
        self.place: Final = place
        self.counters: Final = counters
        self.randomness: Final = randomness
        self.log: Final = log
        self.secret: Final = environment.secret.reveal().encode()
        self.resumable: dict[str, Client] = {}
        """Clients whose streams may be resumed, by the token of the stream (XEP-0198 §5)."""

    def hibernate(self, client: Client) -> None:
        """Keep a client whose stream broke for a while."""
        client.link = None
        client.absences += 1
        absence = client.absences
        self.environment.services.scheduler.later(
            self.config.resume_s * 1000, lambda: self._give_up(client, absence)
        )

    def _give_up(self, client: Client, absence: int) -> None:
        if client.link is None and client.absences == absence:
            client.leave()


class Stream:
    """The handler of one connection."""

    def __init__(self, hub: Hub, connection: Connection) -> None:
        self._hub: Hub = hub
        self._connection: Connection = connection
        self._logins: Logins = Logins(hub.config, hub.environment, hub.secret, connection.peer)
        self._machine: Machine = Machine(
            hub.place.domain, hub.config, self._logins, hub.randomness, connection.now_ms
        )
        self._account: Account | None = None
        self._client: Client | None = None
        if connection.secure:
            self._machine.secured(self._bindings())

    # From the net: see `net.connection.Handler`

    def receive(self, data: bytes) -> None:
        """See `Handler.receive`."""
        events = self._machine.receive(data)
        while events:
            for event in events:
                self._on(event)
            self._flush()
            events = self._machine.receive(b"")
        self._flush()

    def lag(self) -> None:
        """See `Handler.lag`."""
        if self._client is not None:
            self._client.lag()

    def catch_up(self) -> None:
        """See `Handler.catch_up`."""
        if self._client is not None:
            self._client.catch_up()

    def tick(self, now_ms: int) -> None:
        """See `Handler.tick`."""
        for event in self._machine.tick(now_ms):
            self._on(event)
        self._flush()

    def next_deadline_ms(self) -> int:
        """See `Handler.next_deadline_ms`."""
        return self._machine.next_deadline_ms()

    def shutdown(self) -> None:
        """See `Handler.shutdown`."""
        self.fail(StreamError(StreamCondition.SYSTEM_SHUTDOWN))  # RFC 6120 §4.9.3.19
        self._leave()

    def closed(self, reason: str) -> None:
        """See `Handler.closed`: a client whose stream may be resumed stays."""
        client, self._client = self._client, None
        if client is None or not client.is_carried_by(self._connection):
            return
        management = client.management
        if management is not None and management.token and not self._machine.is_closed:
            self._hub.hibernate(client)
        else:
            client.leave()

    def fail(self, error: StreamError) -> None:
        """End the stream with `error`."""
        self._machine.fail(error)
        self._flush()
        self._connection.close()

    # What the machine tells

    def _on(self, event: Event) -> None:
        match event:
            case Stanza():
                self._stanza(event)
            case StreamClosed():
                self._closed(event)
            case TlsRequested():
                self._flush()
                self._connection.start_tls(self._secured)
            case LoginFailed():
                self._logins.failed()
                self._hub.counters.refused(Refusal.LOGIN_FAILED)
                self._log("login refused")
            case LoggedIn():
                self._account = self._hub.environment.services.accounts.find(event.name)
                self._hub.counters.logins += 1
                self._log("logged in")
            case BindRequested():
                self._bind(event)
            case ManagementEnabled():
                self._manage(event)
            case ResumeRequested():
                self._resume(event)
            case Acknowledged():
                if self._client is not None:
                    self._client.acknowledged(event.seq)
            case ActivityChanged():
                if self._client is not None:
                    self._client.set_active(event.active)
            case _:
                assert_never(event)

    def _stanza(self, stanza: Stanza) -> None:
        self._connection.frames_in += 1
        client = self._client
        if client is None:
            self._register(stanza)
            return
        if client.is_over:
            return  # it came with what ended the client
        if stanza.name == b"message":
            self._hub.counters.messages_in += 1
        client.take(stanza)

    def _closed(self, event: StreamClosed) -> None:
        if event.error is not None:
            self._log("stream refused", reason=event.error.condition.value)
        self._flush()
        self._leave()
        if event.error is None:
            self._connection.close(grace_ms=0)
        else:
            self._connection.close()

    def _secured(self) -> None:
        self._machine.secured(self._bindings())
        self._flush()

    def _bindings(self) -> dict[str, bytes]:
        info = self._connection.tls_info()
        return {} if info is None else {name: data for name, data in info.bindings.items() if data}

    # Binding and resuming

    def _bind(self, request: BindRequested) -> None:
        account = self._account
        services = self._hub.environment.services
        if account is None or services.accounts.may_log_in(account) is not None:
            self.fail(StreamError(StreamCondition.NOT_AUTHORIZED))
            return
        try:
            # RFC 6120 §7.6: the server makes a resource for a client that names none.
            resource = (
                prepare_resource(request.resource) if request.resource else self._hub.randomness(6).hex()
            )
        except JidSyntaxError:
            self._machine.send_bind_error(request, JID_MALFORMED)
            return
        others = services.devices.of(account)
        if services.devices.named(account, resource) is None:
            if len(others) >= self._hub.config.max_sessions_per_account:
                self._machine.send_bind_error(request, _TOO_MANY)  # RFC 6120 §7.6.2.1
                return
        jid = Jid(account.name, self._hub.place.domain, resource)
        client = Client(self._hub.place, self._hub.counters, account, jid, Link(self._connection, self.fail))
        client.language = self._machine.language
        self._client = client
        services.devices.log_in(client)  # RFC 6120 §7.7.2.2: the newer client has the resource
        self._machine.send_bound(request, jid, self._connection.now_ms)
        self._flush()

    def _manage(self, event: ManagementEnabled) -> None:
        client = self._client
        if client is not None:
            client.management = self._machine.management
            if event.token:
                resumable, token = self._hub.resumable, event.token
                resumable[token] = client
                client.forgotten = lambda: resumable.pop(token, None)

    def _resume(self, request: ResumeRequested) -> None:
        client = self._hub.resumable.get(request.token)
        if client is None or client.account is not self._account or client.management is None:
            self._machine.send_resume_failed(None)
            return
        management = client.management
        if not management.is_settled:
            # What it sent last waits for the log: say how much is handled when that is known.
            client.when_settled(lambda: self._resume_again(request))
            return
        self._take_over(client, management, request)

    def _resume_again(self, request: ResumeRequested) -> None:
        if not self._connection.closing:
            self._resume(request)
            self.receive(b"")

    def _take_over(self, client: Client, management: Management, request: ResumeRequested) -> None:
        try:
            seq = management.acknowledge(request.handled)
        except StreamError as error:
            self.fail(error)
            return
        old = client.link
        link = client.link = Link(self._connection, self.fail)
        if old is not None and old.connection is not self._connection:
            old.fail(StreamError(StreamCondition.CONFLICT, "The stream was resumed elsewhere."))
        self._client = client
        client.language = self._machine.language
        self._machine.resume(management, client.jid, self._connection.now_ms)
        self._flush()
        client.attach(link)
        client.acknowledged(seq)
        self._log("stream resumed")

    def _leave(self) -> None:
        client, self._client = self._client, None
        if client is not None and client.is_carried_by(self._connection):
            client.leave()

    # Registration before login

    def _register(self, stanza: Stanza) -> None:
        """Take a request of somebody who has no account yet (XEP-0077 §3.1)."""
        if stanza.type == b"get":
            self._connection.put(register.encode_answer(stanza.id, register.FORM))
            return
        environment = self._hub.environment
        now_ms = environment.services.clock.now_ms()
        if not environment.logins.may_try(self._connection.peer, "", now_ms):
            self._refuse(stanza, _SLOW)
            return
        try:
            name, password = register.wanted(
                element_of(stanza).find("query", register.NAMESPACE) or element_of(stanza)
            )
        except Refused as refused:
            self._refuse(stanza, refused.error)
            return
        environment.logins.failed(self._connection.peer, "", now_ms)
        environment.services.accounts.create(
            name,
            password,
            lambda account: self._connection.put(register.encode_answer(stanza.id, "")),
            lambda refusal: self._refuse(stanza, stanza_error_for(refusal)),
        )

    def _refuse(self, stanza: Stanza, error: StanzaError) -> None:
        self._connection.put(encode_error_reply(stanza, error, ""))

    def _flush(self) -> None:
        data = self._machine.drain()
        if data:
            self._connection.put(data)

    def _log(self, text: str, reason: str = "") -> None:
        account = self._account.name if self._account is not None else self._logins.tried
        fields = {"conn": self._connection.id, "peer": self._connection.peer, "account": account}
        if reason:
            fields["reason"] = reason
        self._hub.log.info(text, extra=fields)
