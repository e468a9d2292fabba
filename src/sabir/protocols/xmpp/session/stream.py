"""One connection's stream: bytes in, bytes out, and what the machine makes of them."""

from typing import Final, assert_never

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.core.services.vouchers import Voucher
from sabir.net.connection import Connection
from sabir.protocols.xmpp.codec import element_of, encode_error_reply
from sabir.protocols.xmpp.errors import (
    ErrorType,
    Refused,
    StanzaError,
    StreamCondition,
    StreamError,
    stanza_error_for,
)
from sabir.protocols.xmpp.features import onboarding, register
from sabir.protocols.xmpp.machine import Machine
from sabir.protocols.xmpp.session.arrival import Arrival
from sabir.protocols.xmpp.session.client import Client
from sabir.protocols.xmpp.session.hub import Hub
from sabir.protocols.xmpp.session.logins import Logins
from sabir.protocols.xmpp.types import (
    Acknowledged,
    ActivityChanged,
    Authenticated,
    BindRequested,
    Event,
    LoggedIn,
    LoginFailed,
    ManagementEnabled,
    ResumeRequested,
    Stanza,
    StreamClosed,
    TaskAnswered,
    TaskBegun,
    TlsRequested,
)

_SLOW: Final = StanzaError(
    ErrorType.WAIT, "resource-constraint", "Too many new accounts: try again in an hour."
)


class Stream:
    """The handler of one connection."""

    def __init__(self, hub: Hub, connection: Connection, *, framed: bool = False) -> None:
        self.hub: Hub = hub
        self.connection: Connection = connection
        self._logins: Logins = Logins(hub.config, hub.environment, hub.secret, connection.peer)
        self.machine: Machine = Machine(
            hub.place.domain,
            hub.config,
            self._logins,
            hub.randomness,
            connection.now_ms,
            framed=framed,
        )
        self._arrival: Arrival = Arrival(self, self._logins)
        self._client: Client | None = None
        self._voucher: Voucher | None = None
        """What the client was invited by, if it has shown that and has no account yet."""
        if connection.secure:
            self.machine.secured(self._bindings())

    # From the net: see `net.connection.Handler`

    def receive(self, data: bytes) -> None:
        """See `Handler.receive`."""
        events = self.machine.receive(data)
        while events:
            for event in events:
                self._on(event)
            self.flush()
            events = self.machine.receive(b"")
        self.flush()

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
        for event in self.machine.tick(now_ms):
            self._on(event)
        self.flush()

    def next_deadline_ms(self) -> int:
        """See `Handler.next_deadline_ms`."""
        return self.machine.next_deadline_ms()

    def shutdown(self) -> None:
        """See `Handler.shutdown`."""
        self.fail(StreamError(StreamCondition.SYSTEM_SHUTDOWN))  # RFC 6120 §4.9.3.19
        self._leave()

    def closed(self, reason: str) -> None:
        """See `Handler.closed`: a client whose stream may be resumed stays."""
        client, self._client = self._client, None
        self._logins.end_guest()
        if client is None or not client.is_carried_by(self.connection):
            return
        management = client.management
        if management is not None and management.token and not self.machine.is_closed:
            self.hub.hibernate(client)
        else:
            client.leave()

    def fail(self, error: StreamError) -> None:
        """End the stream with `error`."""
        self.machine.fail(error)
        self.flush()
        self.connection.close()

    # What the machine tells

    def _on(self, event: Event) -> None:
        match event:
            case Stanza():
                self._stanza(event)
            case StreamClosed():
                self._closed(event)
            case TlsRequested():
                self.flush()
                self.connection.start_tls(self._secured)
            case LoginFailed():
                self._logins.failed()
                self.hub.counters.refused(Refusal.LOGIN_FAILED)
                self.log("login refused")
            case LoggedIn():
                self._arrival.log_in(event.name)
            case Authenticated():
                self._arrival.authenticate(event)
            case TaskBegun():
                self._arrival.begin_task()
            case TaskAnswered():
                self._arrival.finish_task(event.salted_password)
            case BindRequested():
                self._arrival.bind(event)
            case ManagementEnabled():
                if self._client is not None:
                    self._arrival.manage(self._client)
            case ResumeRequested():
                self._arrival.resume(event)
            case Acknowledged():
                if self._client is not None:
                    self._client.acknowledged(event.seq)
            case ActivityChanged():
                if self._client is not None:
                    self._client.set_active(event.active)
            case _:
                assert_never(event)

    def _stanza(self, stanza: Stanza) -> None:
        self.connection.frames_in += 1
        client = self._client
        if client is None:
            self._register(stanza)
            return
        if client.is_over:
            return  # it came with what ended the client
        if stanza.name == b"message":
            self.hub.counters.messages_in += 1
        client.take(stanza)

    def _closed(self, event: StreamClosed) -> None:
        if event.error is not None:
            self.log("stream refused", reason=event.error.condition.value)
        self.flush()
        self._leave()
        if event.error is None:
            self.connection.close(grace_ms=0)
        else:
            self.connection.close()

    def _secured(self) -> None:
        self.machine.secured(self._bindings())
        self.flush()

    def _bindings(self) -> dict[str, bytes]:
        info = self.connection.tls_info()
        if info is not None and self.hub.config.client_certificates:
            self._logins.shown = info.peer_certificate or b""
        return {} if info is None else {name: data for name, data in info.bindings.items() if data}

    # From an arrival: see `arrival.Carrier`

    def carry(self, client: Client) -> None:
        """See `Carrier.carry`."""
        self._client = client

    def flush(self) -> None:
        """See `Carrier.flush`."""
        for piece in self.machine.drain_pieces():
            self.connection.put(piece)

    def log(self, text: str, reason: str = "") -> None:
        """See `Carrier.log`."""
        account = self._arrival.account
        name = account.name if account is not None else self._logins.tried
        fields = {"conn": self.connection.id, "peer": self.connection.peer, "account": name}
        if reason:
            fields["reason"] = reason
        self.hub.log.info(text, extra=fields)

    def _leave(self) -> None:
        client, self._client = self._client, None
        if client is not None and client.is_carried_by(self.connection):
            client.leave()

    # Registration before login

    def _register(self, stanza: Stanza) -> None:
        """Take a request of somebody who has no account yet (XEP-0077 §3.1)."""
        voucher = self._voucher
        if stanza.type == b"get":
            form = register.form("" if voucher is None else voucher.name)
            self.connection.put(register.encode_answer(stanza.id, form))
            return
        environment = self.hub.environment
        now_ms = environment.services.clock.now_ms()
        preauth = element_of(stanza).find("preauth", onboarding.NAMESPACE)
        if preauth is not None:
            self._show_voucher(stanza, preauth.get("token") or "")
            return
        try:
            name, password = register.wanted(
                element_of(stanza).find("query", register.NAMESPACE) or element_of(stanza)
            )
        except Refused as refused:
            self._refuse(stanza, refused.error)
            return
        if not environment.logins.may_register(self.connection.peer, now_ms):
            self._refuse(stanza, _SLOW)
            return
        if name in environment.operators and not onboarding.is_from_operator(
            voucher, name, environment.operators
        ):
            # Who has that name rules the server: it is for nobody who merely asks first.
            self._refuse(stanza, stanza_error_for(Refusal.ACCOUNT_EXISTS))
            return

        def done(account: Account) -> None:
            self.connection.put(register.encode_answer(stanza.id, ""))

        def refused_by(refusal: Refusal) -> None:
            self._refuse(stanza, stanza_error_for(refusal))

        if voucher is not None:
            environment.services.vouchers.register(voucher, name, password, done, refused_by)
        else:
            environment.services.accounts.create(name, password, done, refused_by)

    def _show_voucher(self, stanza: Stanza, secret: str) -> None:
        """Let somebody who has an invitation make an account (XEP-0445 §4)."""
        services, logins = self.hub.environment.services, self.hub.environment.logins
        now_ms = services.clock.now_ms()
        if not logins.may_try(self.connection.peer, "", now_ms):
            self._refuse(stanza, _SLOW)
            return
        voucher = services.vouchers.find(secret)
        if voucher is None or not voucher.registers:
            logins.failed(self.connection.peer, "", now_ms)
            self._refuse(stanza, onboarding.NOT_VALID)
            return
        self._voucher = voucher
        self.machine.invited = True
        self.connection.put(register.encode_answer(stanza.id, ""))

    def _refuse(self, stanza: Stanza, error: StanzaError) -> None:
        self.connection.put(encode_error_reply(stanza, error, ""))
