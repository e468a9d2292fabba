"""Waking devices that are not connected, or asleep.

A device is told once that there is something, and again when it neither came nor was told for `AGAIN_MS`; what
came meanwhile is counted. So there is at most one notice a device under way or waiting: the queue needs no other
bound. A service that fails is asked again later and later, and forgotten after `MAX_FAILURES` in a row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from sabir.core.delivery import Sessions
from sabir.core.directory import Directory
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Account
from sabir.core.model.changes import PushRow
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import ENCRYPTED, UNREAD, Event, Kind
from sabir.core.model.ids import AccountId
from sabir.core.model.plain import plain_text
from sabir.core.model.push import PushNotice, PushOutcome
from sabir.core.ports import Handle, PushGateway, Scheduler, Session
from sabir.core.services.contents import Contents

MAX_DEVICES: Final = 20
"""Registrations of one account."""
MAX_UNDER_WAY: Final = 32
"""Notices that services have not answered, of all devices."""
AGAIN_MS: Final = 10_000
"""How soon a device that did not come is told of further messages."""
RETRY_MS: Final = 5_000
"""After the first failure of a service; twice as long after each further one."""
MAX_RETRY_MS: Final = 3_600_000
MAX_FAILURES: Final = 60
"""In a row, about two days: then the device is forgotten."""

_CALL: Final = int(Kind.CALL)


class Device:
    """One registration, and how far its waking is."""

    __slots__ = ("conversation", "count", "event", "failures", "is_busy", "row", "timer")

    def __init__(self, row: PushRow) -> None:
        self.row = row
        self.count = 0
        """Messages since it was awake."""
        self.conversation: Conversation | None = None
        self.event: Event | None = None
        """The latest that it has not been told of."""
        self.failures = 0
        self.is_busy = False
        """It waits for a place, or its service for an answer."""
        self.timer: Handle | None = None
        """Set while it may not be told again."""


class Pushes:
    """Registrations of devices, and their waking."""

    def __init__(
        self,
        log: Log,
        directory: Directory,
        sessions: Sessions,
        contents: Contents,
        scheduler: Scheduler,
        rows: Iterable[PushRow],
    ) -> None:
        self._log = log
        self._directory = directory
        self._sessions = sessions
        self._contents = contents
        self._scheduler = scheduler
        self.registered: dict[int, list[Device]] = {}
        """By account id; only accounts that have some."""
        for row in rows:
            self.registered.setdefault(row.account_id, []).append(Device(row))
        self.gateways: dict[str, PushGateway] = {}
        """By the protocol that registers devices with it."""
        self.shows_text = False
        """Whether notices have the text of messages."""
        self._asleep: dict[Session, None] = {}
        self._waiting: dict[Device, None] = {}
        self._under_way = 0
        self.sent = 0
        self.failed = 0

    def of(self, account: Account) -> list[PushRow]:
        """Return the registrations of an account."""
        return [device.row for device in self.registered.get(account.id, ())]

    def register(self, row: PushRow, then: Callable[[], None], refused: Callable[[Refusal], None]) -> None:
        """Register a device, in the place of an earlier registration with the same service and node."""

        def form(log: Log) -> Refusal | None:
            devices = self.registered.get(row.account_id, [])
            old = _named(devices, row)
            if old is None and len(devices) >= MAX_DEVICES:
                return Refusal.TOO_MANY
            kept = [device for device in devices if device is not old]
            self.registered[row.account_id] = [*kept, Device(row)]
            log.undo(lambda: self._put(row.account_id, devices))
            log.change(row)
            if old is not None:
                self._rest(old)
            return None

        self._log.append(Operation(form, then, refused))

    def remove(
        self,
        account: Account,
        protocol: str,
        service: str,
        node: str | None,
        then: Callable[[], None],
        refused: Callable[[Refusal], None],
    ) -> None:
        """End the registration with a service and node, or all with the service where `node` is None."""

        def form(log: Log) -> Refusal | None:
            devices = self.registered.get(account.id, [])
            ended = [
                each
                for each in devices
                if (each.row.protocol, each.row.service) == (protocol, service)
                and node in (None, each.row.node)
            ]
            self._put(account.id, [each for each in devices if each not in ended])
            log.undo(lambda: self._put(account.id, devices))
            for device in ended:
                log.change(_gone(device.row))
                self._rest(device)
            return None

        self._log.append(Operation(form, then, refused))

    def forget(self, log: Log, account: Account) -> None:
        """End all registrations of an account, while an item forms."""
        devices = self.registered.get(account.id, [])
        if devices:
            self._put(account.id, [])
            log.undo(lambda: self._put(account.id, devices))
        for device in devices:
            log.change(_gone(device.row))
            self._rest(device)

    # Who is asleep

    def fell_asleep(self, session: Session) -> None:
        """Note that a session's client cannot be expected to show what it is sent."""
        self._asleep[session] = None

    def woke_up(self, session: Session) -> None:
        """Note that a client is there again, or gone for good."""
        self._asleep.pop(session, None)
        account = session.account
        if account is not None:
            for device in self.registered.get(account.id, ()):
                if device.row.resource == session.resource:
                    device.count = 0
                    device.event = None

    # What they miss

    def missed(self, account_id: int, conversation: Conversation, event: Event) -> None:
        """Wake the devices of an account that are not connected."""
        if event.flags & UNREAD or event.kind == _CALL:
            for device in self.registered.get(account_id, ()):
                if self._sessions.named(account_id, device.row.resource) is None:
                    self._tell(device, conversation, event)

    def slept_through(self, session: Session, conversation: Conversation, event: Event) -> None:
        """Wake the device of a session that is asleep."""
        account = session.account
        if account is None or event.actor_id == session.actor.id:
            return
        if event.flags & UNREAD or event.kind == _CALL:
            for device in self.registered.get(account.id, ()):
                if device.row.resource == session.resource:
                    self._tell(device, conversation, event)

    def _tell(self, device: Device, conversation: Conversation, event: Event) -> None:
        device.count += 1
        device.conversation, device.event = conversation, event
        self._start(device)

    def _start(self, device: Device) -> None:
        """Wake a device now, unless that is under way, or was done a moment ago."""
        if device.is_busy or device.timer is not None or device.event is None:
            return
        device.is_busy = True
        self._waiting[device] = None
        self._next()

    def _next(self) -> None:
        while self._waiting and self._under_way < MAX_UNDER_WAY:
            device = next(iter(self._waiting))
            del self._waiting[device]
            self._send(device)

    def _send(self, device: Device) -> None:
        account = self._directory.accounts.get(AccountId(device.row.account_id))
        conversation, event = device.conversation, device.event
        gateway = self.gateways.get(device.row.protocol)
        if gateway is None or account is None or conversation is None or event is None:
            device.is_busy = False
            return
        device.event = None
        text = ""
        if self.shows_text and not event.erased and not event.flags & ENCRYPTED:
            text = plain_text(self._contents.of(event))
        urgent = not conversation.is_room or event.kind == _CALL
        notice = PushNotice(account, conversation, event, device.count, text, urgent)
        self._under_way += 1
        gateway.push(device.row, notice, lambda outcome: self._done(device, event, outcome))

    def _done(self, device: Device, event: Event, outcome: PushOutcome) -> None:
        self._under_way -= 1
        device.is_busy = False
        if device in self.registered.get(device.row.account_id, ()):
            if outcome is PushOutcome.TAKEN:
                self.sent += 1
                device.failures = 0
                self._pause(device, AGAIN_MS)
            elif outcome is PushOutcome.LATER and device.failures < MAX_FAILURES:
                self.failed += 1
                device.event = device.event or event
                self._pause(device, min(RETRY_MS << min(device.failures, 20), MAX_RETRY_MS))
                device.failures += 1
            else:
                self.failed += 1
                self._end(device)
        self._next()

    def _pause(self, device: Device, delay_ms: int) -> None:
        def over() -> None:
            device.timer = None
            if self._is_asleep(device):
                self._start(device)

        device.timer = self._scheduler.later(delay_ms, over)

    def _is_asleep(self, device: Device) -> bool:
        session = self._sessions.named(device.row.account_id, device.row.resource)
        return session is None or session in self._asleep

    def _end(self, device: Device) -> None:
        """Forget a device that its service does not know any more."""
        account_id = device.row.account_id

        def form(log: Log) -> Refusal | None:
            devices = self.registered.get(account_id, [])
            if device in devices:
                self._put(account_id, [each for each in devices if each is not device])
                log.undo(lambda: self._put(account_id, devices))
                log.change(_gone(device.row))
            return None

        self._log.append(Operation(form, _nothing, _nothing))

    def _rest(self, device: Device) -> None:
        """Tell a device nothing more."""
        device.event = None
        self._waiting.pop(device, None)
        if device.timer is not None:
            device.timer.cancel()
            device.timer = None

    def _put(self, account_id: int, devices: list[Device]) -> None:
        if devices:
            self.registered[account_id] = devices
        else:
            self.registered.pop(account_id, None)


def _named(devices: list[Device], row: PushRow) -> Device | None:
    """Return the device whose registration `row` takes the place of."""
    for device in devices:
        old = device.row
        if (old.protocol, old.service, old.node) == (row.protocol, row.service, row.node):
            return device
    return None


def _gone(row: PushRow) -> PushRow:
    return PushRow(
        account_id=row.account_id,
        protocol=row.protocol,
        service=row.service,
        node=row.node,
        resource=row.resource,
        options={},
        at_ms=row.at_ms,
        gone=True,
    )


def _nothing(*outcome: object) -> None:
    """Nobody waits for the outcome: a device that stays is told to go again."""
