"""All that is kept in memory: accounts, actors, conversations, contacts.

Filled from the store, changed by services. Every change is written by the item that makes it (`Log.change`)
and applied here while that item forms; docs/decisions say why the whole directory is in memory.
"""

from __future__ import annotations

import msgspec

from sabir.core.model.actor import Account, AccountState, Actor, ActorKind
from sabir.core.model.changes import AccountRow, ActorRow, ContactRow, ConversationRow, MemberRow, StateRow
from sabir.core.model.conversation import (
    Authority,
    BanMask,
    Conversation,
    ConversationKind,
    Hat,
    Member,
    Membership,
    Role,
    RoomConfig,
    Topic,
    Visibility,
)
from sabir.core.model.ids import AccountId, ActorId, ConversationId
from sabir.core.model.peer import Peer
from sabir.core.model.roster import Contact
from sabir.core.names import fold
from sabir.core.ports import Snapshot

_WATCHES, _WATCHED, _ASKED, _ASKING, _APPROVED, _LISTED = 1, 2, 4, 8, 16, 32


class Directory:
    """Who and what exists."""

    def __init__(self) -> None:
        self.accounts: dict[AccountId, Account] = {}
        self.accounts_by_name: dict[str, Account] = {}
        self.actors: dict[ActorId, Actor] = {}
        self.actors_by_uri: dict[tuple[str, str], Actor] = {}
        self.conversations: dict[ConversationId, Conversation] = {}
        self.rooms: dict[str, Conversation] = {}
        """Rooms that exist, by folded name."""
        self.directs: dict[tuple[int, int], Conversation] = {}
        """Direct conversations by the two account ids, lower first; by account id and negative actor id of a peer."""
        self.foreign_directs: dict[AccountId, int] = {}
        """How many direct conversations an account has with people of other servers."""
        self.peers: dict[tuple[str, str], Peer] = {}
        """Servers to which something waited once, by transport and domain."""
        self.contacts: dict[AccountId, dict[ActorId, Contact]] = {}
        self.blocks: dict[AccountId, dict[str, None]] = {}
        self.promised_names: dict[str, tuple[bytes, int]] = {}
        """Names that an account may be made with by one voucher only: its digest, and until when."""
        self.last_account_id = 0
        self.last_actor_id = 0
        self.last_conversation_id = 0

    def account(self, name: str) -> Account | None:
        """Return the account of that name (lower case)."""
        return self.accounts_by_name.get(name)

    def actor(self, actor_id: int) -> Actor:
        """Return an actor by its id; raises KeyError for one that never was."""
        return self.actors[actor_id]  # type: ignore[index]  # callers hold plain ints from rows

    def conversation(self, conversation_id: int) -> Conversation | None:
        """Return a conversation by its id."""
        return self.conversations.get(conversation_id)  # type: ignore[call-overload, no-any-return]  # as above

    def room(self, name: str) -> Conversation | None:
        """Return the room of that name, without regard to case, unless it was destroyed."""
        return self.rooms.get(fold(name))

    def direct(self, one: Account, other: Account) -> Conversation | None:
        """Return the direct conversation of two accounts, if they ever had one."""
        return self.directs.get(pair_of(one, other))

    def foreign(self, account: Account, peer: Actor) -> Conversation | None:
        """Return the direct conversation of an account with somebody of another server, if there is one."""
        return self.directs.get((account.id, -peer.id))

    def contacts_of(self, account: Account) -> dict[ActorId, Contact]:
        """Return the contact list of an account, to be changed by `services.roster` only."""
        return self.contacts.setdefault(account.id, {})

    def blocks_of(self, account: Account) -> dict[str, None]:
        """Return the addresses that an account has blocked."""
        return self.blocks.setdefault(account.id, {})

    def add_actor(self, actor: Actor) -> None:
        """Put an actor in."""
        self.actors[actor.id] = actor
        self.actors_by_uri[(actor.protocol, actor.uri)] = actor
        self.last_actor_id = max(self.last_actor_id, actor.id)

    def remove_actor(self, actor: Actor) -> None:
        """Take out an actor whom nothing in the store names."""
        del self.actors[actor.id]
        del self.actors_by_uri[(actor.protocol, actor.uri)]

    def add_account(self, account: Account) -> None:
        """Put an account in; its actor must be in already."""
        self.accounts[account.id] = account
        self.accounts_by_name[account.name] = account
        self.last_account_id = max(self.last_account_id, account.id)

    def add_conversation(self, conversation: Conversation) -> None:
        """Put a conversation in."""
        self.conversations[conversation.id] = conversation
        self.last_conversation_id = max(self.last_conversation_id, conversation.id)
        if conversation.is_room:
            if not conversation.destroyed:
                self.rooms[fold(conversation.name)] = conversation
        else:
            self.directs[key_of(conversation)] = conversation
            if conversation.peer is not None:
                account_id = conversation.parties[0].id
                self.foreign_directs[account_id] = self.foreign_directs.get(account_id, 0) + 1

    def remove_conversation(self, conversation: Conversation) -> None:
        """Take out a conversation whose creation failed."""
        del self.conversations[conversation.id]
        if conversation.is_room:
            self.rooms.pop(fold(conversation.name), None)
        else:
            self.directs.pop(key_of(conversation), None)

    def load(self, snapshot: Snapshot) -> None:
        """Fill from the store."""
        for actor_row in snapshot.actors:
            self.add_actor(_actor(actor_row))
        for account_row in snapshot.accounts:
            self.add_account(self._account(account_row))
        for row in snapshot.conversations:
            self.add_conversation(self._conversation(row))
        for conversation_id, head, tail, message_no, pts, generation in snapshot.heads:
            conversation = self.conversations[ConversationId(conversation_id)]
            conversation.head_position, conversation.tail_position = head, tail
            conversation.message_no, conversation.pts, conversation.generation = message_no, pts, generation
        for member in snapshot.members:
            self._load_member(member)
        for state in snapshot.states:
            self._load_state(state)
        for contact in snapshot.contacts:
            account = self.accounts[AccountId(contact.account_id)]
            self.contacts_of(account)[ActorId(contact.actor_id)] = self._contact(contact)
        for block in snapshot.blocks:
            self.blocks.setdefault(AccountId(block.account_id), {})[block.name] = None
        for peer in snapshot.peers:
            self.peers[(peer.transport, peer.domain)] = Peer(peer.id, peer.domain, peer.transport)
        waiting = {peer.id: peer for peer in self.peers.values()}
        for peer_id, count, last in snapshot.waiting:
            waiting[peer_id].waiting, waiting[peer_id].last = count, last

    def _account(self, row: AccountRow) -> Account:
        actor = self.actors_by_uri[("local", row.name)]
        account = Account(
            AccountId(row.id), row.uuid, row.name, AccountState(row.state), actor, row.created_ms
        )
        account.box_head, account.generation = row.box_head, row.generation
        account.delivered_seq, account.display = row.delivered_seq, row.display
        return account

    def _conversation(self, row: ConversationRow) -> Conversation:
        conversation = Conversation(ConversationId(row.id), row.uuid, ConversationKind(row.kind), row.name)
        conversation.authority = Authority(row.authority)
        conversation.visibility = Visibility(row.visibility)
        conversation.encryption = row.encryption
        conversation.state_version = row.state_version
        conversation.destroyed = row.destroyed
        if not conversation.is_room:
            ids = (row.party_lo,) if row.party_lo == row.party_hi else (row.party_lo, row.party_hi)
            conversation.parties = tuple(self.accounts[AccountId(party)] for party in ids)
            conversation.peer = self.actors[ActorId(row.peer)] if row.peer else None
        return conversation

    def _load_member(self, row: MemberRow) -> None:
        conversation = self.conversations[ConversationId(row.conversation_id)]
        actor = self.actors[ActorId(row.actor_id)]
        if actor.kind is ActorKind.GUEST:
            return  # it ended with the server that it was a guest of
        member = Member(actor, Role(row.role), Membership(row.membership), row.nick, row.durable)
        member.reason = row.reason
        member.since = row.since
        conversation.set_member(actor, member)

    def _load_state(self, row: StateRow) -> None:
        conversation = self.conversations[ConversationId(row.conversation_id)]
        if row.type == "config":
            conversation.config = msgspec.msgpack.decode(row.value, type=RoomConfig)
        elif row.type == "topic":
            conversation.topic = msgspec.msgpack.decode(row.value, type=Topic)
        elif row.type == "avatar":
            conversation.avatar = row.value.decode()
        elif row.type == "hat":
            hat = msgspec.msgpack.decode(row.value, type=Hat)
            conversation.hats = {**conversation.hats, hat.uri: hat}
        elif row.type == "hats":
            worn = msgspec.msgpack.decode(row.value, type=tuple[str, ...])
            conversation.wearers = {**conversation.wearers, ActorId(int(row.key)): worn}
        elif row.type == "nick":
            conversation.set_registered(ActorId(int(row.key)), row.value.decode())
        elif row.type == "ban.mask":
            conversation.ban_masks[row.key] = msgspec.msgpack.decode(row.value, type=BanMask)

    def _contact(self, row: ContactRow) -> Contact:
        flags = row.flags
        return Contact(
            self.actors[ActorId(row.actor_id)],
            row.name,
            row.groups,
            watches=bool(flags & _WATCHES),
            watched=bool(flags & _WATCHED),
            asked=bool(flags & _ASKED),
            asking=bool(flags & _ASKING),
            approved=bool(flags & _APPROVED),
            listed=bool(flags & _LISTED),
            request=row.request,
        )


def pair_of(one: Account, other: Account) -> tuple[int, int]:
    """Return the key of two accounts in `Directory.directs`."""
    return (one.id, other.id) if one.id <= other.id else (other.id, one.id)


def key_of(conversation: Conversation) -> tuple[int, int]:
    """Return the key of a direct conversation in `Directory.directs`."""
    parties, peer = conversation.parties, conversation.peer
    return pair_of(parties[0], parties[-1]) if peer is None else (parties[0].id, -peer.id)


def _actor(row: ActorRow) -> Actor:
    account_id = None if row.account_id is None else AccountId(row.account_id)
    return Actor(ActorId(row.id), ActorKind(row.kind), row.name, account_id, row.protocol, row.uri)


def actor_row(actor: Actor) -> ActorRow:
    """Return the row to store for an actor."""
    return ActorRow(
        id=actor.id,
        kind=actor.kind.value,
        name=actor.name,
        account_id=actor.account_id,
        protocol=actor.protocol,
        uri=actor.uri,
    )


def account_row(account: Account) -> AccountRow:
    """Return the row to store for an account."""
    return AccountRow(
        id=account.id,
        uuid=account.uuid,
        name=account.name,
        state=account.state.value,
        box_head=account.box_head,
        generation=account.generation,
        delivered_seq=account.delivered_seq,
        display=account.display,
        created_ms=account.created_ms,
    )


def conversation_row(conversation: Conversation) -> ConversationRow:
    """Return the row to store for a conversation."""
    parties = conversation.parties
    return ConversationRow(
        id=conversation.id,
        uuid=conversation.uuid,
        kind=conversation.kind.value,
        name=conversation.name,
        authority=conversation.authority.value,
        visibility=conversation.visibility.value,
        encryption=conversation.encryption,
        state_version=conversation.state_version,
        generation=conversation.generation,
        destroyed=conversation.destroyed,
        party_lo=min(party.id for party in parties) if parties else 0,
        party_hi=max(party.id for party in parties) if parties else 0,
        peer=0 if conversation.peer is None else conversation.peer.id,
    )


def member_row(conversation: Conversation, member: Member) -> MemberRow:
    """Return the row to store for a member."""
    return MemberRow(
        conversation_id=conversation.id,
        actor_id=member.actor.id,
        membership=member.membership.value,
        role=int(member.role),
        nick=member.nick,
        durable=member.durable,
        reason=member.reason,
        since=member.since,
    )


def contact_row(account: Account, contact: Contact) -> ContactRow:
    """Return the row to store for a contact."""
    flags = (
        _WATCHES * contact.watches
        | _WATCHED * contact.watched
        | _ASKED * contact.asked
        | _ASKING * contact.asking
        | _APPROVED * contact.approved
        | _LISTED * contact.listed
    )
    return ContactRow(
        account_id=account.id,
        actor_id=contact.actor.id,
        name=contact.name,
        groups=contact.groups,
        flags=flags,
        request=contact.request,
    )
