"""The session: between the net, which hands it bytes, and the core, which hands it events.

Order (DATAMODEL 1.5): posts go straight to the log's queue; whatever else follows one that has no outcome yet
waits in the same queue (`_perform`), and while something waits there, posts wait behind it.
"""

from collections.abc import Callable
from typing import Final, assert_never

from sabir.base.clock import MonotonicClock
from sabir.core.errors import Refusal
from sabir.core.model.actor import Account, Actor, ActorKind
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event, Kind
from sabir.core.model.ids import ActorId
from sabir.core.model.presence import OFFLINE, Availability, Presence
from sabir.core.model.signals import Cause, Signal, Typing
from sabir.net.connection import Connection
from sabir.protocols.irc.errors import numeric_for
from sabir.protocols.irc.features import messages
from sabir.protocols.irc.features.channels import enter
from sabir.protocols.irc.features.client import Client, Network, Pending
from sabir.protocols.irc.features.commands import carry_out
from sabir.protocols.irc.features.history import MAX_KEPT, missed
from sabir.protocols.irc.features.login import Login, mechanisms
from sabir.protocols.irc.features.messages import Posting, Reacting
from sabir.protocols.irc.features.presence import unwatch
from sabir.protocols.irc.features.signals import show, show_member
from sabir.protocols.irc.features.welcome import welcome
from sabir.protocols.irc.machine import Limits, Machine, Reply
from sabir.protocols.irc.translate.accept import PROTOCOL
from sabir.protocols.irc.translate.names import nick_of
from sabir.protocols.irc.types.capabilities import BITS, CHATHISTORY, ECHO_MESSAGE
from sabir.protocols.irc.types.line import Line
from sabir.protocols.irc.types.reports import (
    Commanded,
    Composed,
    Ended,
    RegistrationAsked,
    Report,
    SaslAborted,
    SaslAnswered,
    SaslBegun,
)

MAX_KEPT_SIGNALS: Final = 2000
"""Signals kept for a client that reads too slowly; one that needs more is disconnected, as ever on IRC."""

_MEMBER: Final = int(Kind.MEMBER)
_POSTING: Final = frozenset(("PRIVMSG", "NOTICE", "TAGMSG"))
_NOBODY: Final = Actor(ActorId(0), ActorKind.GUEST, "*", None, PROTOCOL, "")


class IrcSession:
    """`net.connection.Handler` and `core.ports.Session` of one client."""

    def __init__(
        self, network: Network, connection: Connection, limits: Limits, clock: MonotonicClock
    ) -> None:
        self.protocol = PROTOCOL
        self.account: Account | None = None
        self.actor: Actor = _NOBODY
        self.resource = f"irc-{connection.id}"
        self.presence: Presence = OFFLINE
        self._network: Final = network
        self._connection: Final = connection
        self._clock: Final = clock
        offered = dict.fromkeys(BITS, "")
        offered["sasl"] = mechanisms(network, is_secure=connection.secure)
        config = network.config
        offered["draft/multiline"] = (
            f"max-bytes={config.max_multiline_bytes},max-lines={config.max_multiline_lines}"
        )
        self._machine: Final = Machine(network.server, offered, limits, clock.now_ms())
        self._client: Final = Client(
            network,
            self._machine,
            self,
            connection.put,
            is_secure=connection.secure,
            connected_ms=network.services.clock.now_ms(),
        )
        self._login: Login | None = Login(self._client, connection.peer, clock.now_ms)
        self._waiting = 0
        self._kept: list[Signal] = []

    # The net's side

    def receive(self, data: bytes) -> None:
        """Take bytes of the client."""
        self._connection.frames_in += data.count(b"\n")
        self._take(self._machine.receive(data, self._clock.now_ms()))
        self._client.update_variant()
        self._client.flush()

    def tick(self, now_ms: int) -> None:
        """Do what is due."""
        self._take(self._machine.tick(now_ms))
        self._client.flush()

    def next_deadline_ms(self) -> int:
        """Return when `tick` is due."""
        return self._machine.next_deadline_ms()

    def lag(self) -> None:
        """Become a cursor: the client reads too slowly."""
        self._network.services.delivery.lag(self)

    def catch_up(self) -> None:
        """Read on from the log."""
        if self._network.services.delivery.is_lagging(self):
            self._network.services.delivery.catch_up(self)
        else:
            self.live()

    def shutdown(self) -> None:
        """Say goodbye."""
        self._machine.send_error("Server is shutting down")
        self._client.flush()
        self._connection.close()

    def closed(self, reason: str) -> None:
        """Leave everything, in the order of what was sent before."""
        client, network = self._client, self._network
        client.is_gone = True
        if not self._machine.is_registered:
            return
        unwatch(client)
        own = network.clients[self.actor.id]
        own.remove(client)
        if not own:
            del network.clients[self.actor.id]
            network.whowas.append((nick_of(self.actor), client.realname, network.services.clock.now_ms()))
        client.turnstile.run(self._log_out)
        network.services.rooms.drop(self, Cause.QUIT, self._machine.over or "Connection closed")
        if self.account is None:
            client.turnstile.run(lambda: network.services.accounts.release_guest(self.actor))

    def _log_out(self) -> None:
        self._network.services.presences.change(self, OFFLINE)
        self._network.services.devices.log_out(self)

    # The machine's reports

    def _take(self, reports: list[Report]) -> None:
        while reports:
            is_answered = False
            for report in reports:
                if type(report) is Commanded:
                    self._command(report)
                else:
                    is_answered |= self._handle(report)
            if self._machine.over:
                self._client.flush()
                self._connection.close(0)
                return
            # A report that had to be answered may hold back what came with it.
            reports = self._machine.tick(self._clock.now_ms()) if is_answered else []

    def _handle(self, report: Report) -> bool:
        """See to one report; return whether the machine waited for that."""
        match report:
            case Commanded():
                self._command(report)
            case Composed():
                reply = Reply(self._machine, report.label)
                self._perform(lambda: messages.compose(self._client, report, reply))
            case RegistrationAsked():
                self._register(report)
                return True
            case SaslBegun():
                if self._login is not None:
                    self._login.begin(report.mechanism)
                else:
                    self._machine.send_sasl_failed()
                return True
            case SaslAnswered():
                if self._login is not None:
                    self._login.answer(report.data)
                return True
            case SaslAborted():
                if self._login is not None:
                    self._login.abort()
            case Ended():
                pass  # the connection is closed by `_take`
            case _:
                assert_never(report)
        return False

    def _command(self, report: Commanded) -> None:
        client, line = self._client, report.line
        params = line.params
        if line.command in _POSTING and params and not self._waiting:
            target = params[0]
            conversation = client.targets.get(target)
            if conversation is not None:
                if (
                    line.command == "PRIVMSG"
                    and not line.tags
                    and len(params) == 2
                    and params[1]
                    and params[1][0] != "\x01"
                    and (conversation.is_room or not self._network.aways)
                ):
                    messages.post_text(client, conversation, target, params[1])
                else:
                    messages.say(client, line, Reply(self._machine, report.label))
                return
        self._carry_out(line, report.label)

    def _carry_out(self, line: Line, label: str) -> None:
        client, reply = self._client, Reply(self._machine, label)
        self._perform(lambda: carry_out(client, line, reply))

    def _perform(self, effect: Callable[[], None]) -> None:
        turnstile = self._client.turnstile
        if turnstile.is_free:
            effect()
            return
        self._waiting += 1
        turnstile.run(lambda: self._perform_late(effect))

    def _perform_late(self, effect: Callable[[], None]) -> None:
        self._waiting -= 1
        if not self._client.is_gone:
            effect()
            self._client.flush()

    def _register(self, asked: RegistrationAsked) -> None:
        client, network = self._client, self._network
        actor = None if self._login is None else self._login.register(asked)
        if actor is None:
            return
        self._login = None
        self.account = client.account
        self.actor = client.actor = actor
        client.username, client.realname = asked.username, asked.realname or asked.nick
        network.counters.logins += 1
        others = network.clients_of(actor)
        network.clients.setdefault(actor.id, []).append(client)
        self._machine.send_welcome(nick_of(actor))
        client.update_variant()
        network.services.devices.log_in(self)
        network.services.presences.change(self, Presence(Availability.ONLINE, protocol=PROTOCOL))
        welcome(client)
        rooms = {
            channel.conversation.id: channel.conversation
            for each in others
            for channel in each.channels.values()
        }
        for room in rooms.values():
            enter(client, network.scribe.channel(room), room.config.key, Pending(Reply(self._machine, ""), 1))
        if not client.caps & CHATHISTORY:
            missed(client)

    # The core's side

    def deliver(self, conversation: Conversation, event: Event) -> None:
        """Show a committed event."""
        client = self._client
        if event.kind == _MEMBER:
            show_member(client, conversation, event)
            return
        if client.replaying and conversation.is_room:
            channel = client.channels.get(conversation.id)
            if channel is not None and channel.kept is not None and len(channel.kept) < MAX_KEPT:
                channel.kept.append(event)
                return
        data = event.cache.get(client.variant_key)
        if data is None:
            data = self._network.scribe.live(conversation, event, client.variant)
            event.cache[client.variant_key] = data
        if data:
            self._connection.put(data)
            self._network.counters.messages_out += 1
        if not conversation.is_room and self.account is not None:
            self._network.services.devices.delivered(self.account, event.seq)

    def posted(self, conversation: Conversation, event: Event, token: object) -> None:
        """Acknowledge a post: by an echo where the client wants it (IRCv3 echo-message)."""
        client = self._client
        label = ""
        posting: Posting | None = None
        if isinstance(token, Posting):
            posting = token
            if not posting.is_echoed:
                label = posting.reply.label
        if not isinstance(token, Reacting):
            client.turnstile.leave()
        if not conversation.is_room and self.account is not None:
            self._network.services.devices.delivered(self.account, event.seq)
        if client.replaying and conversation.is_room:
            channel = client.channels.get(conversation.id)
            if channel is not None and channel.kept is not None:
                channel.posted.add(event.seq)
        if client.caps & ECHO_MESSAGE and not client.is_gone:
            data = event.cache.get(client.variant_key)
            if data is None:
                data = self._network.scribe.live(conversation, event, client.variant)
                event.cache[client.variant_key] = data
            if data:
                if label and posting is not None:
                    # IRCv3 labeled-response: on the first line, which opens the batch if there is one
                    head = f"@label={label}".encode()
                    data = head + b";" + data[1:] if data[:1] == b"@" else head + b" " + data
                    posting.is_echoed = True
                    posting.reply.answered()
                self._connection.put(data)
        if posting is not None and not isinstance(token, Reacting):
            posting.pending.one()
            client.flush()

    def refused(self, refusal: Refusal, token: object) -> None:
        """Say that a post was not stored."""
        client = self._client
        client.turnstile.leave()
        if isinstance(token, str):
            reply = Reply(self._machine, "")
            token = Posting(reply, Pending(reply, 1), token, "PRIVMSG")
        if isinstance(token, Posting) and not client.is_gone:
            messages.refuse_post(client, token, refusal)
            client.flush()

    def signal(self, signal: Signal) -> None:
        """Show what is not in the log; while the client is behind, keep it for later."""
        if self._connection.lagging or self._network.services.delivery.is_lagging(self):
            if isinstance(signal, Typing):
                return
            self._kept.append(signal)
            if len(self._kept) > MAX_KEPT_SIGNALS:
                self._kept.clear()
                self._machine.send_error("SendQ exceeded")
                self._client.flush()
                self._connection.close()
            return
        if not self._client.is_gone:
            show(self._client, signal)

    def hold(self) -> None:
        """Stop reading: the log has too much to write."""
        self._connection.pause_reading()

    def release(self) -> None:
        """Read on."""
        self._connection.resume_reading()

    def is_full(self) -> bool:
        """Whether the client is behind."""
        return self._connection.lagging

    def live(self) -> None:
        """Show the signals kept while the client was behind."""
        kept, self._kept = self._kept, []
        for signal in kept:
            if not self._client.is_gone:
                show(self._client, signal)

    def end(self, refusal: Refusal) -> None:
        """Say goodbye: the account was disabled, or something of the kind."""
        self._machine.send_error(numeric_for(refusal)[1])
        self._client.flush()
        self._connection.close()
