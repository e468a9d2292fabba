"""How the client of a stream gets in: from the proof of who it is to a new client, or to one that comes back."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.core.services.tokens import Token, Use
from sabir.net.connection import Connection
from sabir.protocols.xmpp.errors import JID_MALFORMED, ErrorType, StanzaError, StreamCondition, StreamError
from sabir.protocols.xmpp.features.anonymous import is_anonymous
from sabir.protocols.xmpp.features.mam import describe
from sabir.protocols.xmpp.jid import Jid, JidSyntaxError, prepare_resource
from sabir.protocols.xmpp.machine import Machine, Management
from sabir.protocols.xmpp.machine.management import encode_failed
from sabir.protocols.xmpp.machine.sasl2 import UPGRADES, encode_bound, encode_token
from sabir.protocols.xmpp.session.client import Client
from sabir.protocols.xmpp.session.hub import Hub
from sabir.protocols.xmpp.session.link import Link
from sabir.protocols.xmpp.session.logins import Logins
from sabir.protocols.xmpp.translate import timestamp
from sabir.protocols.xmpp.types import (
    Authenticated,
    Authentication,
    Binding,
    BindRequested,
    ResumeRequested,
)
from sabir.wire.sasl.credentials import DEFAULT_ITERATIONS, HASHES, SALT_BYTES, from_salted, to_bytes

_TOO_MANY: Final = StanzaError(ErrorType.WAIT, "resource-constraint", "Too many clients of this account.")
_RESOURCE_BYTES: Final = 9


class Carrier(Protocol):
    """The stream that a client arrives on."""

    hub: Hub
    connection: Connection
    machine: Machine

    def carry(self, client: Client) -> None:
        """Give what the stream brings to `client` from now on."""

    def receive(self, data: bytes) -> None:
        """Go on with what has arrived meanwhile, and `data`."""

    def flush(self) -> None:
        """Send what the machine has to say."""

    def fail(self, error: StreamError) -> None:
        """End the stream."""

    def log(self, text: str) -> None:
        """Note what happened."""


Resumed = Callable[[Client, Management], None]


class Arrival:
    """The way of one stream's client into the server."""

    def __init__(self, stream: Carrier, logins: Logins) -> None:
        self.account: Account | None = None
        """Who has proven to be there."""
        self._stream: Final = stream
        self._logins: Final = logins
        self._proven: Account | None = None
        """Who has proven to be there by XEP-0388, and is not in yet."""
        self._asked: Authentication = Authentication()
        self._tasks: list[str] = []
        """What the client is to do before it is let in."""
        self._salt: bytes = b""
        self._in_turn: bool = False
        """The machine waits for what is done now, and is asked for more afterwards."""

    # As in RFC 6120 §6 and §7

    def log_in(self, name: str) -> None:
        """Note who the client is."""
        hub = self._stream.hub
        self.account = hub.environment.services.accounts.find(name)
        hub.counters.logins += 1
        self._stream.log("logged in")

    def bind(self, request: BindRequested) -> None:
        """Give the client a resource."""
        stream = self._stream
        account = self.account
        services = stream.hub.environment.services
        if (
            account is None
            or services.accounts.may_log_in(account) is not None
            or account.secrets_no != self._logins.proven_at
        ):
            stream.fail(StreamError(StreamCondition.NOT_AUTHORIZED))
            return
        try:
            # RFC 6120 §7.6: the server makes a resource for a client that names none.
            resource = (
                prepare_resource(request.resource) if request.resource else stream.hub.randomness(6).hex()
            )
        except JidSyntaxError:
            stream.machine.send_bind_error(request, JID_MALFORMED)
            return
        if self._has_too_many(account, resource):
            stream.machine.send_bind_error(request, _TOO_MANY)  # RFC 6120 §7.6.2.1
            return
        client = self._enter(account, resource)
        stream.machine.send_bound(request, client.jid, stream.connection.now_ms)
        stream.flush()

    def manage(self, client: Client) -> None:
        """Note that the stream of `client` is managed: it may be resumed if the machine gave it a token."""
        management = client.management = self._stream.machine.management
        if management is not None and management.token:
            resumable, token = self._stream.hub.resumable, management.token
            resumable[token] = client
            client.forgotten = lambda: resumable.pop(token, None)

    def resume(self, request: ResumeRequested) -> None:
        """Let the client go on with an earlier stream (XEP-0198 §5)."""
        machine, connection = self._stream.machine, self._stream.connection
        self._find(
            request,
            lambda client, management: machine.resume(management, client.jid, connection.now_ms),
            lambda: machine.send_resume_failed(None),
        )

    def _find(self, request: ResumeRequested, found: Resumed, lost: Callable[[], None]) -> None:
        client = self._stream.hub.resumable.get(request.token)
        if client is None or client.management is None or not self._may_be(client.account):
            lost()
            return
        management = client.management
        if not management.is_settled:
            # What it sent last waits for the log: say how much is handled when that is known.
            client.when_settled(lambda: self._find_again(request, found, lost))
            return
        self._take_over(client, management, request, found)

    def _may_be(self, account: Account) -> bool:
        """Return whether whoever is there may go on as `account`.

        Somebody without a name gets another account with each login: that they know the token is all they can show.
        """
        if account is self.account:
            return True
        return self.account is self._logins.guest is not None and is_anonymous(account.actor)

    def _find_again(self, request: ResumeRequested, found: Resumed, lost: Callable[[], None]) -> None:
        self._do(lambda: self._find(request, found, lost))

    def _take_over(
        self, client: Client, management: Management, request: ResumeRequested, found: Resumed
    ) -> None:
        stream = self._stream
        try:
            seq = management.acknowledge(request.handled)
        except StreamError as error:
            stream.fail(error)
            return
        old = client.link
        link = client.link = Link(stream.connection, stream.fail)
        if old is not None and old.connection is not stream.connection:
            old.fail(StreamError(StreamCondition.CONFLICT, "The stream was resumed elsewhere."))
        stream.carry(client)
        self.account = client.account
        self._logins.end_guest()
        client.language = stream.machine.language
        found(client, management)
        stream.flush()
        client.attach(link)
        client.acknowledged(seq)
        stream.log("stream resumed")

    def _has_too_many(self, account: Account, resource: str) -> bool:
        devices = self._stream.hub.environment.services.devices
        most = self._stream.hub.config.max_sessions_per_account
        return devices.named(account, resource) is None and len(devices.of(account)) >= most

    def _enter(self, account: Account, resource: str) -> Client:
        stream = self._stream
        place = stream.hub.place
        jid = Jid(account.name, place.domain, resource)
        client = Client(place, stream.hub.counters, account, jid, Link(stream.connection, stream.fail))
        client.language = stream.machine.language
        client.is_secure = stream.connection.secure
        client.certificate = self._logins.certificate
        if self._logins.guest is account:
            self._logins.guest = None
            client.ended = lambda: place.services.temporary.end(account)
        stream.carry(client)
        place.services.devices.log_in(client)  # RFC 6120 §7.7.2.2: the newer client has the resource
        return client

    # As in XEP-0388

    def authenticate(self, event: Authenticated) -> None:
        """Do what the client asked for with its login, then tell it that it is in."""
        stream = self._stream
        accounts = stream.hub.environment.services.accounts
        account = accounts.find(event.name)
        if account is None or accounts.may_log_in(account) is not None:
            stream.machine.refuse("account-disabled", "")  # RFC 6120 §6.5.2
            return
        self._proven, self._asked = account, event.asked
        # What makes a password is for those who have shown it.
        logins = self._logins
        without = logins.token is not None or logins.certificate is not None or logins.guest is not None
        self._tasks = [] if without else self._missing(account, event.asked.upgrades)
        self._in_turn = True
        self._go_on(account)
        self._in_turn = False

    def _go_on(self, account: Account) -> None:
        """Give the client its next task, or let it in."""
        if account.secrets_no != self._logins.proven_at:
            self._refuse(Refusal.LOGIN_FAILED)
        elif self._tasks:
            self._salt = self._stream.hub.randomness(SALT_BYTES)
            self._stream.machine.send_task(self._tasks[0])
        else:
            self._settle_tokens(account, self._asked)

    def _missing(self, account: Account, upgrades: Sequence[str]) -> list[str]:
        """Return those of the upgrades for whose mechanisms the account is not set up yet."""
        verifier = self._stream.hub.environment.services.accounts.verifier
        return [task for task in upgrades if verifier(account, UPGRADES[task]) is None]

    def begin_task(self) -> None:
        """Tell the client how to make what it is to send (XEP-0480 §3)."""
        self._stream.machine.send_task_data(self._salt, DEFAULT_ITERATIONS)

    def finish_task(self, salted: bytes) -> None:
        """Store what the client has made of its password for a stronger mechanism."""
        services = self._stream.hub.environment.services
        mechanism = UPGRADES[self._tasks.pop(0)]
        account = self._proven
        if account is None or len(salted) != hashlib.new(HASHES[mechanism]).digest_size:
            self._stream.machine.refuse("malformed-request", "")
            return
        services.accounts.add_verifier(
            account,
            mechanism,
            to_bytes(from_salted(salted, mechanism, self._salt, DEFAULT_ITERATIONS)),
            self._logins.proven_at,
            lambda: self._do(lambda: self._go_on(account)),
            lambda refusal: self._do(lambda: self._refuse(refusal)),
        )

    def _do(self, then: Callable[[], None]) -> None:
        """Do something of a login by XEP-0388; if that is not in the turn in which it was asked for, read on then."""
        if self._in_turn:
            then()
        elif not self._stream.connection.closing:
            self._in_turn = True
            then()
            self._in_turn = False
            self._stream.receive(b"")

    def _settle_tokens(self, account: Account, asked: Authentication) -> None:
        logins = self._logins
        if logins.guest is account:
            self._let_in(account, asked, None)  # there is nothing to come back to
            return
        use = Use(
            device=asked.device,
            proven_at=logins.proven_at,
            token=logins.token,
            count=asked.token.count if asked.token is not None and logins.token is not None else 0,
            forget=asked.token is not None and asked.token.forget,
            # XEP-0257 §5.2: a token would outlive the certificate, and pass for a password.
            wanted="" if logins.certificate is not None else asked.wanted_token,
        )
        self._stream.hub.environment.services.tokens.settle(
            account,
            use,
            lambda token: self._do(lambda: self._let_in(account, asked, token)),
            lambda refusal: self._do(lambda: self._refuse(refusal)),
        )

    def _refuse(self, refusal: Refusal) -> None:
        # RFC 6120 §6.5.10, §6.5.11
        condition = "not-authorized" if refusal is Refusal.LOGIN_FAILED else "temporary-auth-failure"
        self._stream.machine.refuse(condition, "")

    def _let_in(self, account: Account, asked: Authentication, token: Token | None) -> None:
        stream = self._stream
        self.log_in(account.name)
        results = "" if token is None else encode_token(token.secret, timestamp(token.expires_ms))
        if asked.resume is None:
            self._bind_too(account, asked, results)
            return
        machine, connection = stream.machine, stream.connection
        # XEP-0198 §9.2: before the resource, and instead of it. If it fails, the resource is bound.
        self._find(
            asked.resume,
            lambda client, management: machine.succeed_resumed(
                management, client.jid, results, connection.now_ms
            ),
            lambda: self._bind_too(account, asked, encode_failed("item-not-found") + results),
        )

    def _bind_too(self, account: Account, asked: Authentication, results: str) -> None:
        """Bind a resource if that was asked for, and let the client in; `results` tell what was done before."""
        stream = self._stream
        machine, now_ms = stream.machine, stream.connection.now_ms
        if asked.bind is None:
            machine.succeed(Jid(account.name, stream.hub.place.domain, ""), results, now_ms)
            return
        binding = asked.bind
        if is_anonymous(account.actor):
            self._bind_now(account, asked, binding, results, "")
            return
        # XEP-0386 §3.2: where the archive ends as the resource is bound; what comes later is shown live.
        describe(
            stream.hub.environment.services.history,
            account,
            lambda archive: self._do(lambda: self._bind_now(account, asked, binding, results, archive)),
        )

    def _bind_now(
        self, account: Account, asked: Authentication, binding: Binding, results: str, archive: str
    ) -> None:
        stream = self._stream
        machine, now_ms = stream.machine, stream.connection.now_ms
        accounts = stream.hub.environment.services.accounts
        if accounts.may_log_in(account) is not None or account.secrets_no != self._logins.proven_at:
            self.account = None
            self._refuse(Refusal.LOGIN_FAILED)
            return
        resource = self._resource(account, asked.device, binding.tag)
        if self._has_too_many(account, resource):
            self.account = None
            machine.refuse("temporary-auth-failure", _TOO_MANY.text)  # RFC 6120 §6.5.11
            return
        client = self._enter(account, resource)
        client.device = asked.device
        self._replace_earlier(client)
        results += encode_bound(self._set_up(client, binding) + archive)
        machine.succeed(client.jid, results, now_ms)
        stream.flush()

    def _resource(self, account: Account, device: str, tag: str) -> str:
        """Return a resource: always the same for the same installation and tag, of which it tells only the tag."""
        hub = self._stream.hub
        if device:
            what = f"resource\0{account.uuid.hex()}\0{device}\0{tag}"
            made = hmac.digest(hub.secret, what.encode(), "sha256")[:_RESOURCE_BYTES]
        else:
            made = hub.randomness(_RESOURCE_BYTES)
        unique = base64.urlsafe_b64encode(made).decode()
        try:
            return prepare_resource(f"{tag}/{unique}") if tag else unique  # XEP-0386 §3.2.1
        except JidSyntaxError:
            return unique

    def _replace_earlier(self, client: Client) -> None:
        """End what the same installation has left of earlier (XEP-0386 §3.2)."""
        if not client.device:
            return
        for session in list(client.place.services.devices.of(client.account)):
            if isinstance(session, Client) and session is not client and session.device == client.device:
                session.end(Refusal.ALREADY_ATTENDING)

    def _set_up(self, client: Client, binding: Binding) -> str:
        """Switch on what was asked for with the resource; return the answers."""
        services = client.place.services
        # XEP-0386 §3.2: what was missed is in the archive, where such a client looks for it.
        services.devices.delivered(client.account, services.delivery.head_seq)
        client.carbons = binding.carbons
        if binding.inactive:
            client.set_active(active=False)
        if not binding.managed:
            return ""
        enabled = self._stream.machine.manage(binding.resume_s)
        self.manage(client)
        return enabled
