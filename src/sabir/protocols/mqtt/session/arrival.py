"""How a client is let in: CONNECT, and AUTH where it asks for that (MQTT 5.0 §3.1.4, §4.12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.net.connection import Connection
from sabir.protocols.mqtt.features.login import METHOD, Login, Outcome
from sabir.protocols.mqtt.machine import Broken, Machine
from sabir.protocols.mqtt.session.place import Place
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import Properties
from sabir.protocols.mqtt.types.reasons import Reason


class Arrival:
    """The logins of one connection."""

    def __init__(
        self,
        place: Place,
        connection: Connection,
        machine: Machine,
        let_in: Callable[[p.Connect, Account | None, bytes], None],
    ) -> None:
        """Wait for CONNECT.

        Args:
            place: what all connections share.
            connection: that of the client.
            machine: that of the connection.
            let_in: called with CONNECT, whose account it is, and what the mechanism has to say last.
        """
        self.method = ""
        """The authentication method of CONNECT, empty for a password."""
        self._place: Final = place
        self._broker: Final = place.broker
        self._connection: Final = connection
        self._machine: Final = machine
        self._let_in: Final = let_in
        self._login: Login | None = None
        self._connect: p.Connect | None = None

    def hear(self, packet: p.Packet) -> None:
        """See to a packet that comes before the client is let in."""
        if isinstance(packet, p.Connect):
            self._begin(packet)
        elif isinstance(packet, p.Auth) and self._login is not None and self._connect is not None:
            self._proceed(self._connect, packet)
        elif isinstance(packet, Broken):
            self._machine.fail(packet.reason, packet.what)
        elif packet.kind == p.DISCONNECT:
            self._machine.over = "closed by the client"
        else:
            self._refuse(Reason.PROTOCOL_ERROR, "authentication is not over")  # [MQTT-3.1.2-30]

    def _begin(self, connect: p.Connect) -> None:
        place, machine = self._place, self._machine
        config = self._broker.config
        wanted = connect.keep_alive_s
        longest = config.max_keep_alive_s
        keep_alive_s = longest if longest and (wanted == 0 or wanted > longest) else wanted
        machine.begin(connect, keep_alive_s)
        self._connect = connect
        if config.redirect and connect.version == p.V5:
            properties = Properties()
            properties.texts[ids.SERVER_REFERENCE] = config.redirect  # MQTT 5.0 §4.13
            reason = Reason.SERVER_MOVED if config.redirect_for_good else Reason.USE_ANOTHER_SERVER
            machine.refuse(reason, "use the other server", properties)
            return
        self._login = Login(
            self._broker.services.accounts,
            place.logins,
            place.secret,
            place.domain,
            self._connection.peer,
            place.clock.now_ms,
        )
        self.method = connect.properties.texts.get(ids.AUTH_METHOD, "")
        if self.method:
            self._step(connect, self._login.begin(self.method, connect.properties.data.get(ids.AUTH_DATA)))
        elif connect.username is None:
            if config.anonymous and connect.password is None:
                self._let_in(connect, None, b"")
            else:
                self._refuse(Reason.NOT_AUTHORIZED, "a user name and a password are needed here")
        elif not (self._connection.secure or place.plain_logins):
            self._refuse(Reason.NOT_AUTHORIZED, "passwords are taken over TLS only, as a rule on port 8883")
        else:
            self._step(connect, self._login.with_password(connect.username, connect.password or b""))

    def _proceed(self, connect: p.Connect, packet: p.Auth) -> None:
        method = packet.properties.texts.get(ids.AUTH_METHOD, "")
        if packet.reason != Reason.CONTINUE_AUTHENTICATION or method != self.method:
            # [MQTT-4.12.0-3], [MQTT-4.12.0-5]
            self._refuse(Reason.PROTOCOL_ERROR, "this is not the next step of the authentication")
            return
        assert self._login is not None  # `_begin` made it
        self._step(connect, self._login.answer(packet.properties.data.get(ids.AUTH_DATA, b"")))

    def _step(self, connect: p.Connect, outcome: Outcome) -> None:
        if outcome.is_granted:
            self._connect = None  # and the password with it
            self._let_in(connect, outcome.account, outcome.data)
        elif outcome.reason is not Reason.SUCCESS:
            self._refuse(outcome.reason, outcome.what)
        else:
            self._ask(outcome.data)

    def _ask(self, data: bytes) -> None:
        properties = Properties()
        properties.texts[ids.AUTH_METHOD] = METHOD
        properties.data[ids.AUTH_DATA] = data
        self._machine.send(p.Auth(Reason.CONTINUE_AUTHENTICATION, properties))  # [MQTT-4.12.0-2]

    def again(self, packet: p.Auth, account: Account | None) -> None:
        """Authenticate a client again that is connected, which must prove to be the same."""
        machine, login = self._machine, self._login
        method = packet.properties.texts.get(ids.AUTH_METHOD, "")
        if not self.method or method != self.method or login is None:
            machine.send_disconnect(
                Reason.PROTOCOL_ERROR, "not the method that the client connected with"
            )  # [MQTT-4.12.1-1]
            return
        data = packet.properties.data.get(ids.AUTH_DATA)
        is_first = packet.reason == Reason.REAUTHENTICATE
        outcome = login.begin(method, data) if is_first else login.answer(data or b"")
        if outcome.is_granted and outcome.account is account:
            properties = Properties()
            properties.texts[ids.AUTH_METHOD] = method
            properties.data[ids.AUTH_DATA] = outcome.data
            machine.send(p.Auth(Reason.SUCCESS, properties))
        elif outcome.is_granted or outcome.reason is not Reason.SUCCESS:
            machine.send_disconnect(Reason.NOT_AUTHORIZED, outcome.what)  # [MQTT-4.12.1-2]
        else:
            self._ask(outcome.data)

    def _refuse(self, reason: Reason, what: str) -> None:
        self._broker.counters.refused(Refusal.LOGIN_FAILED)
        self._machine.refuse(reason, what)
