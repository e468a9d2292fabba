"""How a client is let in: CONNECT, and AUTH where it asks for that (MQTT 5.0 §3.1.4, §4.12)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.net.connection import Connection
from sabir.protocols.mqtt.features.login import METHOD, Login, Outcome
from sabir.protocols.mqtt.features.replies import response_information
from sabir.protocols.mqtt.features.sessions import NEVER, ClientSession
from sabir.protocols.mqtt.machine import Broken, Machine
from sabir.protocols.mqtt.session.place import Place
from sabir.protocols.mqtt.translate.topics import PRESENCE, is_chat, topic_of_user
from sabir.protocols.mqtt.types import packets as p
from sabir.protocols.mqtt.types import properties as ids
from sabir.protocols.mqtt.types.properties import NONE, Properties
from sabir.protocols.mqtt.types.reasons import Reason

MAX_CLIENT_ID_BYTES: Final = 1024
_MAX_RECEIVE: Final = 65_535
_MAX_ALIASES_OUT: Final = 100


class LetIn:
    """A client that has its session."""

    def __init__(self, session: ClientSession, is_present: bool, properties: Properties) -> None:
        self.session: Final = session
        self.is_present: Final = is_present
        """It was there before."""
        self.properties: Final = properties
        """Those of CONNACK."""


class Arrival:
    """The logins of one connection."""

    def __init__(
        self,
        place: Place,
        connection: Connection,
        machine: Machine,
        let_in: Callable[[LetIn], None],
        end: Callable[[Reason, str], None],
    ) -> None:
        """Wait for CONNECT.

        Args:
            place: what all connections share.
            connection: that of the client.
            machine: that of the connection.
            let_in: called when the client has its session.
            end: ends the connection with DISCONNECT.
        """
        self.method = ""
        """The authentication method of CONNECT, empty for a password."""
        self._place: Final = place
        self._broker: Final = place.broker
        self._connection: Final = connection
        self._machine: Final = machine
        self._let_in: Final = let_in
        self._end: Final = end
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
                self._admit(connect, None, b"")
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
            self._admit(connect, outcome.account, outcome.data)
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

    def _admit(self, connect: p.Connect, account: Account | None, data: bytes) -> None:
        """Give the client its session, unless something that it wants cannot be."""
        broker, machine = self._broker, self._machine
        config = broker.config
        client_id, properties = connect.client_id, Properties()
        if not client_id:
            if connect.version == p.V311 and not connect.clean_start:
                # [MQTT-3.1.3-8] of 3.1.1
                machine.refuse(Reason.CLIENT_ID_NOT_VALID, "a session needs a client identifier")
                return
            client_id = f"sabir-{secrets.token_hex(8)}"
            properties.texts[ids.ASSIGNED_CLIENT_ID] = client_id  # [MQTT-3.2.2-16]
        if len(client_id) > MAX_CLIENT_ID_BYTES:
            machine.refuse(Reason.CLIENT_ID_NOT_VALID, "the client identifier is too long")
            return
        name = "" if account is None else account.name
        will = connect.will
        if will is not None and will.topic == topic_of_user(name, PRESENCE):
            will = None  # one's presence ends with the connection anyway
        elif will is not None and is_chat(will.topic):
            machine.refuse(Reason.TOPIC_NAME_INVALID, "a will is not for rooms")
            return
        if will is not None and not broker.acl.may_write(name, client_id, will.topic):
            machine.refuse(Reason.NOT_AUTHORIZED, "the will is for a topic that is not for this client")
            return
        wanted = connect.properties
        if connect.version == p.V5:
            expiry_s = wanted.number(ids.SESSION_EXPIRY, 0)
        else:
            expiry_s = 0 if connect.clean_start else NEVER
        granted_s = expiry_s
        if expiry_s and not broker.may_keep(account, client_id):
            if connect.version != p.V5:
                machine.refuse(Reason.QUOTA_EXCEEDED, "no room for another session that is kept")
                return
            granted_s = 0
        session, is_present = broker.open(
            account, client_id, clean_start=connect.clean_start, expiry_s=granted_s, will=will
        )
        session.attach(
            self._connection,
            self._end,
            connect.version,
            receive_maximum=min(wanted.number(ids.RECEIVE_MAXIMUM, _MAX_RECEIVE), config.max_inflight),
            maximum_packet_size=machine.maximum_packet_size,
            alias_maximum=min(wanted.number(ids.TOPIC_ALIAS_MAXIMUM, 0), _MAX_ALIASES_OUT),
        )
        if session.expiry_s != expiry_s:
            properties.numbers[ids.SESSION_EXPIRY] = session.expiry_s
        if machine.keep_alive_s != connect.keep_alive_s:
            properties.numbers[ids.SERVER_KEEP_ALIVE] = machine.keep_alive_s  # [MQTT-3.2.2-21]
        properties.numbers[ids.RECEIVE_MAXIMUM] = config.receive_maximum
        properties.numbers[ids.MAXIMUM_PACKET_SIZE] = config.max_packet_bytes
        properties.numbers[ids.TOPIC_ALIAS_MAXIMUM] = config.topic_alias_maximum
        if account is not None and wanted.number(ids.REQUEST_RESPONSE_INFO, 0):
            properties.texts[ids.RESPONSE_INFO] = response_information(session)  # [MQTT-3.1.2-28]
        if self.method:
            properties.texts[ids.AUTH_METHOD] = self.method  # [MQTT-4.12.0-5]
            properties.data[ids.AUTH_DATA] = data
        self._let_in(LetIn(session, is_present, properties if connect.version == p.V5 else NONE))
