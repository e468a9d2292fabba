"""What an operator may do: each command carried out by the services of the core, and answered in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from sabir.admin import commands
from sabir.admin.commands import Answer, Command, Done, Refused
from sabir.core import policy
from sabir.core.errors import Refusal
from sabir.core.model.actor import Account, AccountState, Actor
from sabir.core.model.changes import ReportRow
from sabir.core.model.conversation import Conversation, Membership, Role
from sabir.core.services import Services

MOST_REPORTS: Final = 500
"""Reports in one answer."""
ID_BYTES: Final = 16

Answering = Callable[[Answer], None]

OUTSIDE: Final = frozenset({Membership.BAN, Membership.LEAVE, Membership.KNOCK})
"""Those whom a room remembers, but who do not belong to it."""

ADVICE: Final = {
    Refusal.ACCOUNT_UNKNOWN: "no account has that name; `sabir user list` shows those there are",
    Refusal.ACCOUNT_EXISTS: "that name is taken; `sabir user passwd` gives an account a new password",
    Refusal.NAME_INVALID: "use a small letter, then up to 29 small letters, digits and _; a few are reserved",
    Refusal.BAD_REQUEST: "the password is empty, or holds characters that clients could not send",
    Refusal.ROOM_UNKNOWN: "no room has that name; `sabir room list` shows those there are",
    Refusal.ROOM_EXISTS: "there is a room of that name; `sabir room members` shows who is in it",
    Refusal.STORAGE_FAILED: "the store failed; is the disk full? The log says more",
}
"""Where the operator should be told more than what was refused."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the operator is told of the process itself."""

    version: str
    pid: int
    started_ms: int
    compiled: Sequence[str]
    listeners: Sequence[commands.Listener]
    public_url: str = ""


class Operator:
    """Carries out commands. Whoever calls has made sure that the operator asks."""

    def __init__(self, services: Services, facts: Callable[[], Facts]) -> None:
        self._services = services
        self._facts = facts

    def execute(self, command: Command, answer: Answering) -> None:
        """Carry out `command`; `answer` is called once, when what it did is durable."""
        match command:
            case commands.AddUser(name, password):
                accounts = self._services.accounts
                accounts.create(name, password, lambda _: answer(Done()), _refusing(answer, name))
            case commands.ImportUsers(users):
                self._import(users, answer)
            case commands.InviteUser():
                self._invite(command, answer)
            case commands.SetPassword(name, password):
                self._for_account(name, answer, lambda account: self._set_password(account, password, answer))
            case commands.SetEnabled(name, enabled):
                state = AccountState.ACTIVE if enabled else AccountState.DISABLED
                self._for_account(name, answer, lambda account: self._set_state(account, state, answer))
            case commands.DeleteUser(name):
                self._for_account(name, answer, lambda account: self._delete(account, answer))
            case commands.Announce(text, subject):
                answer(commands.Announced(self._services.devices.announce(text, subject)))
            case commands.ListUsers():
                answer(commands.Users(sorted(map(self._user, self._accounts()), key=lambda user: user.name)))
            case commands.CreateRoom(name, owner):
                self._for_account(owner, answer, lambda account: self._create_room(name, account, answer))
            case commands.ListRooms():
                rooms = map(_room, self._services.rooms.all())
                answer(commands.Rooms(sorted(rooms, key=lambda room: room.name)))
            case commands.ListMembers(room):
                self._list_members(room, answer)
            case commands.ListReports():
                answer(
                    commands.Reports([self._report(row) for row in self._services.reports.open(MOST_REPORTS)])
                )
            case commands.CloseReport(id_):
                self._close_report(id_, answer)
            case commands.SetBlockList(source, entries):
                lists = self._services.block_lists
                lists.replace(source, entries, lambda: answer(Done()), _refusing(answer, source))
            case commands.ListBlockLists():
                answer(commands.BlockLists(self._services.block_lists.sizes()))
            case commands.AskStatus():
                answer(self._status())
            case _:
                assert_never(command)

    def _accounts(self) -> list[Account]:
        return self._services.accounts.all()

    def _for_account(self, name: str, answer: Answering, then: Callable[[Account], None]) -> None:
        account = self._services.accounts.find(name)
        if account is None:
            _refusing(answer, name)(Refusal.ACCOUNT_UNKNOWN)
        else:
            then(account)

    def _invite(self, command: commands.InviteUser, answer: Answering) -> None:
        url = self._facts().public_url
        self._services.vouchers.give(
            None,
            lambda secret, given: answer(
                commands.Invited(secret, given.name, given.uses, given.expires_ms, url)
            ),
            _refusing(answer, command.name or "the invitation"),
            name=command.name,
            uses=command.uses,
            days=command.days,
            registers=True,
            befriends=False,
        )

    def _set_password(self, account: Account, password: str, answer: Answering) -> None:
        accounts = self._services.accounts
        accounts.reset_password(account, password, lambda: answer(Done()), _refusing(answer, account.name))

    def _set_state(self, account: Account, state: AccountState, answer: Answering) -> None:
        accounts = self._services.accounts
        accounts.set_state(account, state, lambda: answer(Done()), _refusing(answer, account.name))

    def _delete(self, account: Account, answer: Answering) -> None:
        accounts = self._services.accounts
        accounts.delete(account, lambda: answer(Done()), _refusing(answer, account.name))

    def _create_room(self, name: str, owner: Account, answer: Answering) -> None:
        rooms = self._services.rooms
        rooms.create(name, owner.actor, lambda _: answer(Done()), _refusing(answer, name))

    def _import(self, users: Sequence[commands.NewUser], answer: Answering) -> None:
        """Queue all, so that they share a few commits, and answer with the last outcome."""
        made: list[str] = []
        refused: list[tuple[str, str]] = []

        def heard() -> None:
            if len(made) + len(refused) == len(users):
                answer(commands.Imported(len(made), refused))

        def take(user: commands.NewUser) -> None:
            def then(account: Account) -> None:
                made.append(account.name)
                heard()

            def refuse(refusal: Refusal) -> None:
                refused.append((user.name, _worded(refusal)))
                heard()

            self._services.accounts.create_with(user.name, user.verifiers, then, refuse)

        for user in users:
            take(user)
        if not users:
            heard()

    def _user(self, account: Account) -> commands.User:
        sessions = self._services.devices.of(account)
        return commands.User(
            account.name,
            account.state is AccountState.ACTIVE,
            account.created_ms,
            sorted(session.protocol for session in sessions),
        )

    def _list_members(self, name: str, answer: Answering) -> None:
        room = self._services.rooms.find(name)
        if room is None:
            _refusing(answer, name)(Refusal.ROOM_UNKNOWN)
        else:
            answer(commands.Members(_members(room)))

    def _report(self, row: ReportRow) -> commands.Report:
        ids = [row.messages[at : at + ID_BYTES].hex() for at in range(0, len(row.messages), ID_BYTES)]
        reporter = self._services.directory.actor(row.reporter).name
        return commands.Report(row.id.hex(), row.at_ms, reporter, row.reported, row.reason, row.text, ids)

    def _close_report(self, id_: str, answer: Answering) -> None:
        try:
            report_id = bytes.fromhex(id_)
        except ValueError:
            report_id = b""
        self._services.reports.close(
            report_id, lambda: answer(Done()), lambda refusal: answer(Refused(f"{id_}: {_worded(refusal)}"))
        )

    def _status(self) -> commands.Status:
        services, facts = self._services, self._facts()
        sessions: dict[str, int] = {}
        for account in self._accounts():
            for session in services.devices.of(account):
                sessions[session.protocol] = sessions.get(session.protocol, 0) + 1
        return commands.Status(
            version=facts.version,
            pid=facts.pid,
            domain=services.domain,
            uptime_s=(services.clock.now_ms() - facts.started_ms) // 1000,
            accounts=len(services.accounts.all()),
            rooms=len(services.rooms.all()),
            entries=services.log.head_seq,
            generation=services.log.generation,
            sessions=sessions,
            compiled=list(facts.compiled),
            listeners=list(facts.listeners),
        )


def _refusing(answer: Answering, about: str) -> Callable[[Refusal], None]:
    return lambda refusal: answer(Refused(f"{about}: {_worded(refusal)}"))


def _worded(refusal: Refusal) -> str:
    return ADVICE.get(refusal, refusal.value)


def _room(room: Conversation) -> commands.Room:
    return commands.Room(
        name=room.name,
        title=room.config.title,
        topic=room.topic.text if room.topic else "",
        members=sum(member.membership not in OUTSIDE for member in room.members.values()),
        attendees=len(room.attendees),
        entries=room.head_position,
    )


def _members(room: Conversation) -> list[commands.RoomMember]:
    present = [
        commands.RoomMember(
            attendee.actor.name,
            _role_of(room, attendee.actor, attendee.role),
            attendee.nick,
            sorted({session.protocol for session in attendee.sessions}),
        )
        for attendee in room.attendees.values()
    ]
    absent = [
        commands.RoomMember(member.actor.name, _role_of(room, member.actor, member.role), "", [])
        for actor_id, member in room.members.items()
        if actor_id not in room.attendees
    ]
    return sorted(present, key=lambda each: each.name) + sorted(absent, key=lambda each: each.name)


def _role_of(room: Conversation, actor: Actor, role: Role) -> str:
    """Return the role in words; whoever joined for good belongs to the room without one."""
    if role is Role.NONE and policy.is_member(room, actor):
        return "member"
    return role.name.lower()
