"""One client and the network it is on, as the commands see them."""

from collections import deque
from collections.abc import Callable
from typing import Final

from sabir.base.secret import Secret
from sabir.core import policy
from sabir.core.errors import Refusal
from sabir.core.model.actor import Account, Actor
from sabir.core.model.conversation import Conversation, RoomConfig
from sabir.core.model.event import Event
from sabir.core.model.presence import Availability
from sabir.core.ports import Session
from sabir.core.services import Services
from sabir.gateway.contract import Counters, Turnstile
from sabir.net.limits import LoginLimits
from sabir.protocols.irc.config import IrcConfig
from sabir.protocols.irc.errors import numeric_for
from sabir.protocols.irc.features.scribe import Scribe
from sabir.protocols.irc.machine import Machine, Reply
from sabir.protocols.irc.translate.names import name_of, nick_of, room_of
from sabir.protocols.irc.translate.render import sender_tags, variant_of

MAX_WHOWAS: Final = 500


class Network:
    """What all connections share."""

    def __init__(
        self,
        config: IrcConfig,
        services: Services,
        counters: Counters,
        *,
        domain: str,
        version: str,
        started_ms: int,
        logins: LoginLimits,
        secret: Secret,
        plain_logins: bool,
    ) -> None:
        self.config: Final = config
        self.services: Final = services
        self.messaging: Final = services.messaging
        self.counters: Final = counters
        self.server: Final = domain
        self.version: Final = version
        self.started_ms: Final = started_ms
        self.logins: Final = logins
        self.secret: Final = secret
        self.plain_logins: Final = plain_logins
        self.scribe: Final = Scribe(services, domain, config.max_fallback_lines)
        self.clients: Final[dict[int, list[Client]]] = {}
        """Registered clients by actor."""
        self.monitors: Final[dict[str, dict[Client, None]]] = {}
        """Who watches which folded nick."""
        self.aways: Final[dict[int, None]] = {}
        """Accounts that are away."""
        self.whowas: Final[deque[tuple[str, str, int]]] = deque(maxlen=MAX_WHOWAS)
        """(nick, real name, time) of those who left, latest last."""
        services.presences.observers.append(self.presence_changed)

    def clients_of(self, actor: Actor) -> list["Client"]:
        """Return the IRC clients of anybody."""
        return self.clients.get(actor.id, [])

    def actor_named(self, nick: str) -> Actor | None:
        """Return whom a nick stands for: an account, or a guest who is here."""
        account = self.services.accounts.find(name_of(nick))
        if account is not None:
            return account.actor
        for clients in self.clients.values():
            if clients[0].actor.account_id is None and clients[0].actor.name.lower() == nick.lower():
                return clients[0].actor
        return None

    def account_of(self, actor: Actor) -> Account | None:
        """Return the account of an actor."""
        return None if actor.account_id is None else self.services.accounts.find(actor.name)

    def is_online(self, actor: Actor) -> bool:
        """Whether an actor has any device here."""
        account = self.account_of(actor)
        if account is None:
            return bool(self.clients_of(actor))
        return self.services.presences.best(account).availability is not Availability.OFFLINE

    def may_see(self, client: "Client", actor: Actor) -> bool:
        """Whether `client` may know that `actor` is here.

        Whoever is on IRC is there to be seen, unless `+i`; people of other protocols show themselves to those
        who share a room with them, or whom they let watch (RFC 6121 §4). Whom they have blocked finds them
        in rooms alone.
        """
        if client.actor is actor or client.shares_room(actor):
            return True
        if self.services.presences.hides(actor, client.actor):
            return False
        if any(not other.is_invisible for other in self.clients_of(actor)):
            return True
        return client.account is not None and self.services.presences.may_see(client.account, actor)

    def away_of(self, actor: Actor) -> str:
        """Return the away message, empty for one who is present."""
        account = self.account_of(actor)
        if account is None:
            return next((other.away for other in self.clients_of(actor)), "")
        best = self.services.presences.best(account)
        if best.availability in (Availability.AWAY, Availability.EXTENDED_AWAY):
            return best.status or "Away"
        return ""

    def realname_of(self, actor: Actor) -> str:
        """Return what a client gave as real name, or the account's display name, or its name."""
        for client in self.clients_of(actor):
            return client.realname
        account = self.account_of(actor)
        return (account.display if account is not None else "") or actor.name

    def presence_changed(self, account: Account, was_here: bool, is_here: bool) -> None:
        """Tell who watches `account` that it came or went (IRCv3 monitor)."""
        if self.away_of(account.actor):
            self.aways[account.actor.id] = None
        else:
            self.aways.pop(account.actor.id, None)
        if was_here == is_here:
            return
        nick = nick_of(account.actor)
        for watcher in list(self.monitors.get(nick.lower(), ())):
            if is_here and self.may_see(watcher, account.actor):
                watcher.line(watcher.machine.numeric("730", "", self.scribe.mask_of(account.actor)))
            elif not is_here:
                watcher.line(watcher.machine.numeric("731", "", nick))
            watcher.flush()


class Channel:
    """A room that a client attends."""

    def __init__(self, conversation: Conversation) -> None:
        self.conversation: Final = conversation
        self.config: RoomConfig = conversation.config
        """As the client was last told."""
        self.kept: list[Event] | None = None
        """What is said while the client is still being shown what was said before it joined."""
        self.posted: Final[set[int]] = set()
        """Log numbers of what the client itself says meanwhile."""


class Client:
    """A connection that has registered, or is about to."""

    def __init__(
        self,
        network: Network,
        machine: Machine,
        session: Session,
        put: Callable[[bytes], None],
        *,
        is_secure: bool,
        connected_ms: int,
    ) -> None:
        self.network: Final = network
        self.machine: Final = machine
        self.session: Final = session
        self.put: Final = put
        self.is_secure: Final = is_secure
        self.connected_ms: Final = connected_ms
        self.active_ms = connected_ms
        self.turnstile: Final = Turnstile(network.services.log)
        self.account: Account | None = None
        self.actor: Actor = session.actor
        self.username = ""
        self.realname = ""
        self.away = ""
        self.is_invisible = False
        self.is_bot = False
        self.is_gone = False
        self.channels: Final[dict[int, Channel]] = {}
        self.replaying = 0
        """Channels whose history is still to come."""
        self.targets: Final[dict[str, Conversation]] = {}
        """Conversations by the name that the client speaks to them; forgotten when a room is left."""
        self.monitored: Final[dict[str, str]] = {}
        """Watched nicks, by their folded form."""
        self.aways: Final[dict[int, str]] = {}
        """The away messages that the client was told of, by actor."""
        self.quitting: Final[dict[int, None]] = {}
        """Actors whose QUIT was shown: it stands for all their rooms, until they come back."""
        self.banned = (0, 0)
        """(room, actor) of the ban that was shown last, whose entry in the log follows."""
        self.variant = 0
        self.variant_key = "irc0"
        self._known_caps = 0

    @property
    def mask(self) -> str:
        """One's own `nick!user@host`."""
        return self.network.scribe.mask_of(self.actor)

    @property
    def caps(self) -> int:
        """The capabilities in force."""
        return self.machine.caps

    def update_variant(self) -> None:
        """Take note of changed capabilities."""
        caps = self.machine.caps
        if caps != self._known_caps:
            self._known_caps = caps
            self.variant = variant_of(caps)
            self.variant_key = f"irc{self.variant}"

    def line(self, text: str, tags: str = "") -> None:
        """Send one line with the next `flush`."""
        self.machine.send_line(text, tags)

    def flush(self) -> None:
        """Give what was sent to the connection."""
        data = self.machine.drain()
        if data:
            self.put(data)

    def event_line(self, actor: Actor, text: str) -> None:
        """Send a line about what `actor` did just now, with time and account where the client wants them."""
        scribe = self.network.scribe
        tags = sender_tags(self.network.services.clock.now_ms(), scribe.account_of(actor), self.variant)
        self.line(f":{scribe.mask_of(actor)} {text}", tags)

    def server_line(self, text: str) -> None:
        """Send a line of the server itself."""
        self.line(f":{self.network.server} {text}")

    def room(self, channel: str) -> Conversation | None:
        """Return the room that a channel shows, unless nobody may tell this client that there is one."""
        room = self.network.services.rooms.find(room_of(channel))
        return room if room is not None and policy.is_visible(room, self.actor) else None

    def attends(self, conversation: Conversation) -> bool:
        """Whether this client is on the channel."""
        return conversation.id in self.channels

    def shares_room(self, actor: Actor) -> bool:
        """Whether `actor` is in a room that this client attends."""
        return any(actor.id in channel.conversation.attendees for channel in self.channels.values())

    def refuse(self, reply: Reply, refusal: Refusal, context: str) -> None:
        """Answer a command with the core's refusal; `context` is the numeric's parameter."""
        number, text = numeric_for(refusal)
        reply.numeric(number, context, text)
        self.network.counters.refused(refusal)

    def outcome(
        self, reply: Reply, context: str, done: Callable[[], None] | None = None
    ) -> tuple[Callable[[], None], Callable[[Refusal], None]]:
        """Return the callbacks of a queued operation that answers one command."""
        self.turnstile.enter()

        def then() -> None:
            self.turnstile.leave()
            if done is not None:
                done()
            reply.end()
            self.flush()

        def refused(refusal: Refusal) -> None:
            self.turnstile.leave()
            self.refuse(reply, refusal, context)
            reply.end()
            self.flush()

        return then, refused


class Pending:
    """Ends a reply when the last part of its command has its outcome."""

    def __init__(self, reply: Reply, parts: int) -> None:
        self.reply: Final = reply
        self._parts = parts
        if parts == 0:
            reply.end()

    def one(self) -> None:
        """One part is done."""
        self._parts -= 1
        if self._parts == 0:
            self.reply.end()
