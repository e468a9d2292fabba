"""Who is it: SASL, PASS, guests (IRCv3 sasl-3.1, Modern IRC §pass)."""

from collections.abc import Callable
from typing import Final, assert_never

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account, Actor
from sabir.protocols.irc.codec.names import fold, is_nick
from sabir.protocols.irc.features.client import Client, Network
from sabir.protocols.irc.types.reports import RegistrationAsked
from sabir.wire.sasl.credentials import HASHES, from_bytes
from sabir.wire.sasl.server import server_mechanism
from sabir.wire.sasl.types import Challenge, Failure, ScramVerifier, ServerMechanism, Step, Success

_FOR_PASSWORDS: Final = "SCRAM-SHA-256"


def mechanisms(network: Network, *, is_secure: bool) -> str:
    """Return the SASL mechanisms to offer: a password itself travels under TLS only (or where that is off)."""
    return "SCRAM-SHA-256,PLAIN" if is_secure or network.plain_logins else "SCRAM-SHA-256"


class Login:
    """The login of one connection, until it is registered."""

    def __init__(self, client: Client, peer: str, now_ms: Callable[[], int]) -> None:
        self._client: Final = client
        self._network: Final = client.network
        self._peer: Final = peer
        self._now_ms: Final = now_ms
        self._mechanism: ServerMechanism | None = None
        self._tried = ""
        self._won: Success | None = None
        self._account: Account | None = None

    # SASL

    def begin(self, name: str) -> None:
        """Begin an exchange."""
        machine = self._client.machine
        self._won = None
        self._tried = ""
        if machine.is_registered:
            # One does not become another person midway (DATAMODEL 1.3).
            machine.send_sasl_failed()
            return
        base = _FOR_PASSWORDS if name == "PLAIN" else name
        self._mechanism = server_mechanism(
            name,
            lookup=lambda authcid: self._verifier(authcid, base),
            secret=self._network.secret.reveal().encode(),
        )
        if self._mechanism is None:
            machine.send_sasl_failed()
            return
        self._take(self._mechanism.start(None))

    def answer(self, data: bytes) -> None:
        """Take a response."""
        if self._won is not None:
            self._finish(self._won)
        elif self._mechanism is not None:
            self._take(self._mechanism.respond(data))
        else:
            self._client.machine.send_sasl_failed()

    def abort(self) -> None:
        """Forget the exchange."""
        self._mechanism = None
        self._won = None

    def _take(self, step: Step) -> None:
        match step:
            case Challenge():
                self._client.machine.send_challenge(step.data)
            case Success():
                if step.data:
                    self._won = step  # the client answers the server's proof with an empty response
                    self._client.machine.send_challenge(step.data)
                else:
                    self._finish(step)
            case Failure():
                self._fail()
            case _:
                assert_never(step)

    def _finish(self, won: Success) -> None:
        self.abort()
        account = self._network.services.accounts.find(won.authcid)
        if account is None or (won.authzid and won.authzid.lower() != account.name):
            self._fail()
            return
        self._account = account
        mask = self._network.scribe.mask_of(account.actor)
        self._client.machine.send_logged_in(account.name, mask)

    def _fail(self) -> None:
        self.abort()
        self._network.logins.failed(self._peer, fold(self._tried), self._now_ms())
        self._network.counters.refused(Refusal.LOGIN_FAILED)
        self._client.machine.send_sasl_failed()

    def _verifier(self, authcid: str, mechanism: str) -> ScramVerifier | None:
        self._tried = authcid
        accounts = self._network.services.accounts
        if not self._network.logins.may_try(self._peer, fold(authcid), self._now_ms()):
            return None
        account = accounts.find(authcid)
        if account is None or accounts.may_log_in(account) is not None or mechanism not in HASHES:
            return None
        stored = accounts.verifier(account, mechanism)
        return None if stored is None else from_bytes(mechanism, stored)

    # Registration

    def register(self, asked: RegistrationAsked) -> Actor | None:
        """Return who the client is, or None: then it has been told why not, and what to do."""
        if self._account is not None:
            self._client.account = self._account
            return self._account.actor
        if asked.password:
            account = self._with_password(asked)
            if account is None:
                return None
            self._client.account = account
            return account.actor
        return self._guest(asked.nick)

    def _with_password(self, asked: RegistrationAsked) -> Account | None:
        """Check `PASS account:password`, or `PASS password` for the account that NICK names."""
        if not (self._client.is_secure or self._network.plain_logins):
            self._close("Connect with TLS, port 6697 as a rule: passwords are not taken without it")
            return None
        accounts = self._network.services.accounts
        name, colon, password = asked.password.partition(":")
        if not colon or accounts.find(name) is None:
            name, password = asked.nick, asked.password
        mechanism = server_mechanism(
            "PLAIN",
            lookup=lambda authcid: self._verifier(authcid, _FOR_PASSWORDS),
            secret=self._network.secret.reveal().encode(),
        )
        assert mechanism is not None  # there is PLAIN
        step = mechanism.start(f"\0{name}\0{password}".encode())
        account = accounts.find(name)
        if isinstance(step, Success) and account is not None:
            return account
        self._network.logins.failed(self._peer, fold(name), self._now_ms())
        self._network.counters.refused(Refusal.LOGIN_FAILED)
        self._close("Password incorrect: send PASS account:password, or use SASL")
        return None

    def _guest(self, nick: str) -> Actor | None:
        machine = self._client.machine
        if not self._network.config.guests:
            self._network.counters.refused(Refusal.LOGIN_REQUIRED)
            self._close("You need an account here: log in with SASL, or with PASS account:password")
            return None
        if not is_nick(nick):
            machine.send_registration_refused("432", nick[:32] or "*", "Erroneous nickname")
            return None
        actor = self._network.services.accounts.guest("irc", nick)
        if actor is None:
            text = "Nickname is already in use; if it is your account, log in with SASL or PASS"
            machine.send_registration_refused("433", nick, text)
        return actor

    def _close(self, text: str) -> None:
        machine = self._client.machine
        machine.send_registration_refused("464", "", text)
        machine.send_line(f":{self._network.server} NOTICE * :*** {text}")
        machine.send_error(text)
