"""What an operator can ask a server, and what it answers: the words of the control socket.

One JSON object a line in each direction; `command` and `answer` name the form. Answers come in the order
asked.
"""

from __future__ import annotations

from typing import Final

import msgspec

MAX_LINE_BYTES: Final = 1 << 20
"""Longest line that is looked at, in either direction but for lists."""


class AddUser(msgspec.Struct, frozen=True, tag_field="command", tag="user.add"):
    """Make an account."""

    name: str
    password: str


class NewUser(msgspec.Struct, frozen=True):
    """An account of an import, with what is stored instead of its password, by mechanism."""

    name: str
    verifiers: list[tuple[str, bytes]]


class ImportUsers(msgspec.Struct, frozen=True, tag_field="command", tag="user.import"):
    """Make many accounts, whose verifiers the one who asks has computed."""

    users: list[NewUser]


class InviteUser(msgspec.Struct, frozen=True, tag_field="command", tag="user.invite"):
    """Make an invitation to an account; `name` empty lets the guest choose, `days` 0 stands for the usual time."""

    name: str = ""
    uses: int = 1
    days: int = 0


class SetPassword(msgspec.Struct, frozen=True, tag_field="command", tag="user.passwd"):
    """Give an account a new password; its sessions have to log in again."""

    name: str
    password: str


class SetEnabled(msgspec.Struct, frozen=True, tag_field="command", tag="user.enable"):
    """Let an account log in, or no longer, which ends its sessions."""

    name: str
    enabled: bool


class DeleteUser(msgspec.Struct, frozen=True, tag_field="command", tag="user.delete"):
    """Delete an account for good. What it said stays; nobody gets its name again."""

    name: str


class Announce(msgspec.Struct, frozen=True, tag_field="command", tag="announce"):
    """Say something to everybody who is connected, whatever their protocol."""

    text: str
    subject: str = ""


class ListUsers(msgspec.Struct, frozen=True, tag_field="command", tag="user.list"):
    """List the accounts."""


class CreateRoom(msgspec.Struct, frozen=True, tag_field="command", tag="room.create"):
    """Make a room that stays, owned by an account."""

    name: str
    owner: str


class ListRooms(msgspec.Struct, frozen=True, tag_field="command", tag="room.list"):
    """List the rooms."""


class ListMembers(msgspec.Struct, frozen=True, tag_field="command", tag="room.members"):
    """List who belongs to a room, and who is there now."""

    room: str


class ListReports(msgspec.Struct, frozen=True, tag_field="command", tag="report.list"):
    """List what people report of others."""


class CloseReport(msgspec.Struct, frozen=True, tag_field="command", tag="report.close"):
    """Forget a report; `id` is as it is listed."""

    id: str


class SetBlockList(msgspec.Struct, frozen=True, tag_field="command", tag="blocklist.set"):
    """Replace the list of a source; without entries it goes."""

    source: str
    entries: list[str]


class ListBlockLists(msgspec.Struct, frozen=True, tag_field="command", tag="blocklist.list"):
    """Show which lists there are."""


class AskStatus(msgspec.Struct, frozen=True, tag_field="command", tag="status"):
    """Ask how the server is."""


Command = (
    AddUser
    | ImportUsers
    | InviteUser
    | SetPassword
    | SetEnabled
    | DeleteUser
    | Announce
    | ListUsers
    | CreateRoom
    | ListRooms
    | ListMembers
    | ListReports
    | CloseReport
    | SetBlockList
    | ListBlockLists
    | AskStatus
)


class Done(msgspec.Struct, frozen=True, tag_field="answer", tag="done"):
    """It is done, and durable."""


class Refused(msgspec.Struct, frozen=True, tag_field="answer", tag="refused"):
    """It was not done; `text` says why, and what to do."""

    text: str


class Imported(msgspec.Struct, frozen=True, tag_field="answer", tag="imported"):
    """How many accounts were made, and why each of the others was not."""

    made: int
    refused: list[tuple[str, str]]


class Invited(msgspec.Struct, frozen=True, tag_field="answer", tag="invited"):
    """An invitation: its secret, and where the server is on the web, if that is known."""

    secret: str
    name: str
    uses: int
    expires_ms: int
    public_url: str


class Announced(msgspec.Struct, frozen=True, tag_field="answer", tag="announced"):
    """How many devices were told."""

    devices: int


class User(msgspec.Struct, frozen=True):
    """An account, as an operator sees it."""

    name: str
    enabled: bool
    created_ms: int
    sessions: list[str]
    """The protocol of each connected device."""


class Users(msgspec.Struct, frozen=True, tag_field="answer", tag="users"):
    """The accounts, by name."""

    users: list[User]


class Room(msgspec.Struct, frozen=True):
    """A room, as an operator sees it."""

    name: str
    title: str
    topic: str
    members: int
    attendees: int
    entries: int
    """The length of its log."""


class Rooms(msgspec.Struct, frozen=True, tag_field="answer", tag="rooms"):
    """The rooms, by name."""

    rooms: list[Room]


class RoomMember(msgspec.Struct, frozen=True):
    """Somebody who belongs to a room, or is there."""

    name: str
    role: str
    nick: str
    """Under which name they are there now; empty for those who are not."""
    protocols: list[str]
    """By which protocols they are there now."""


class Members(msgspec.Struct, frozen=True, tag_field="answer", tag="members"):
    """The people of a room: those who are there first, then by name."""

    members: list[RoomMember]


class Listener(msgspec.Struct, frozen=True):
    """Where the server listens."""

    name: str
    host: str
    port: int
    tls: str


class Status(msgspec.Struct, frozen=True, tag_field="answer", tag="status"):
    """How the server is."""

    version: str
    pid: int
    domain: str
    uptime_s: int
    accounts: int
    rooms: int
    entries: int
    """The number of the last entry of the log."""
    generation: int
    sessions: dict[str, int]
    """Connected devices by protocol."""
    compiled: list[str]
    """The modules that run as machine code."""
    listeners: list[Listener]


class Report(msgspec.Struct, frozen=True):
    """What one account reports of an address; `messages` are ids as clients see them."""

    id: str
    at_ms: int
    reporter: str
    reported: str
    reason: str
    text: str
    messages: list[str]


class Reports(msgspec.Struct, frozen=True, tag_field="answer", tag="reports"):
    """The latest reports, newest first."""

    reports: list[Report]


class BlockLists(msgspec.Struct, frozen=True, tag_field="answer", tag="blocklists"):
    """The number of entries of each list, by source."""

    sizes: dict[str, int]


Answer = (
    Done | Refused | Announced | Imported | Invited | Users | Rooms | Members | Reports | BlockLists | Status
)
