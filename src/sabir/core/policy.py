"""Who may do what: decided here once for every protocol, before anything is translated.

Functions of the state in memory. They are asked while an item forms, so they see every earlier item applied.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import assert_never

from sabir.core.errors import Refusal
from sabir.core.model.actor import Actor, ActorKind
from sabir.core.model.conversation import Attendee, Conversation, Membership, Role, Whispers


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyConfig:
    """Settings under `[policy]`."""

    create_rooms: bool = True
    """Any account may create a room by joining it."""
    max_message_bytes: int = 262_144
    """The largest message that is accepted, in bytes of its native form."""
    max_attendees: int = 5_000
    """The most people in one room."""
    max_rooms: int = 200
    """The most rooms that one person may attend at a time."""
    max_rooms_owned: int = 1_000
    """The most rooms that one account may own; those that an operator gives it count, but are not refused."""
    posts_per_s: int = 50
    """Lasting rate of messages of one account."""
    posts_burst: int = 500
    """Messages that an account may send at once before `posts_per_s` counts."""
    signals_per_s: int = 100
    """Lasting rate of what else of one account others are told: typing, receipts, private messages in rooms,
    relayed stanzas, invitations, topics, nicks.
    """
    signals_burst: int = 1_000
    """How much of that an account may do at once before `signals_per_s` counts."""
    max_nodes: int = 500
    """The most pubsub nodes of one account: kinds of data that its clients publish about it."""
    max_items: int = 5_000
    """The most items of one node; the oldest gives way to a new one."""
    max_item_bytes: int = 196_608
    """The largest item of a node, in bytes."""
    max_nodes_bytes: int = 10_485_760
    """The most that all nodes of one account may hold, in bytes."""
    max_service_nodes: int = 2_000
    """The most nodes of the pubsub service, whoever made them; `max_nodes` counts for each account there, too."""
    max_service_bytes: int = 104_857_600
    """The most that all nodes of the pubsub service may hold, in bytes."""
    members_invite: bool = False
    """Any account may give others an account here by an invitation (XEP-0401); operators always may. Without it one's
    invitations are to become a contact, with an account of any server.
    """
    invitation_days: int = 7
    """Days for which an invitation is good."""
    token_days: int = 21
    """Days for which a device that does not come back may log in with the token that it was given, instead of the
    password (XEP-0484). One that does gets a new token once a day.
    """
    reports_per_s: int = 1
    """Lasting rate of reports by one account."""
    reports_burst: int = 20
    """Reports that an account may make at once before `reports_per_s` counts."""
    searches_per_s: int = 1
    """Lasting rate of searches of one account."""
    searches_burst: int = 20
    """Searches that an account may make at once before `searches_per_s` counts."""
    max_strangers: int = 1_000
    """The most people of other servers, those among the contacts not counted, who may have written to one account; of
    more, none is let through who never did before.
    """
    max_correspondents: int = 10_000
    """The most people of other servers with whom one account may begin to write."""
    max_requests: int = 200
    """The most requests to see the presence of one account that may wait for its answer."""
    strangers_per_hour: int = 60
    """Lasting rate at which people of one server, unknown to it, may write or send requests to one account."""
    strangers_burst: int = 100
    """How many of them may do so at once before `strangers_per_hour` counts."""
    max_temporary: int = 1_000
    """People at a time who are here without an account of their own, where a protocol lets them in."""
    max_temporary_per_peer: int = 20
    """The same from one IPv4 address or IPv6 /64."""
    big_room: int = 500
    """Above so many attendees, joins and parts are shown to moderators only."""


def default_role(conversation: Conversation) -> Role:
    """Return the role of somebody who joins without being a member."""
    return Role.VISITOR if conversation.config.moderated else Role.MEMBER


def effective_role(conversation: Conversation, actor: Actor) -> Role:
    """Return what `actor` may do in the room: the stored role, or the default of the room."""
    stored = conversation.role_of(actor.id)
    if stored is Role.NONE:
        return default_role(conversation)
    return stored


def is_member(conversation: Conversation, actor: Actor) -> bool:
    """Return whether `actor` belongs to the room.

    By a role, by having joined for good, or by an invitation.
    """
    member = conversation.members.get(actor.id)
    if member is None:
        return False
    return member.role >= Role.MEMBER or member.membership in (Membership.JOIN, Membership.INVITE)


def needs_approval(conversation: Conversation, actor: Actor) -> bool:
    """Return whether an admin must agree to `actor` belonging to the room: others may do less there, or are muted."""
    if is_member(conversation, actor):
        return False
    config = conversation.config
    return config.members_only or config.moderated or conversation.role_of(actor.id) is Role.VISITOR


def is_visible(conversation: Conversation, actor: Actor) -> bool:
    """Return whether `actor` may know that the room exists.

    Anybody may of a listed one; of a hidden one those who are in it, or belong to it.
    """
    return conversation.config.listed or actor.id in conversation.attendees or is_member(conversation, actor)


def mask_of(actor: Actor, domain: str) -> str:
    """Return what ban masks are compared with: nick!user@host, both names the actor's, whatever the nick in use."""
    if actor.kind is ActorKind.REMOTE:
        local, _, host = actor.name.rpartition("@")
        return f"{local}!{local}@{host}"
    return f"{actor.name}!{actor.name}@{domain}"


def is_masked(conversation: Conversation, address: str) -> bool:
    """Return whether a ban mask matches `address` (nick!user@host); masks are matched case-insensitively."""
    folded = address.lower()
    return any(fnmatchcase(folded, mask.lower().replace("[", "[[]")) for mask in conversation.ban_masks)


def may_join(
    conversation: Conversation, actor: Actor, key: str, address: str, max_attendees: int
) -> Refusal | None:
    """Return why `actor` may not attend the room, or None."""
    if conversation.destroyed:
        return Refusal.ROOM_GONE
    role = conversation.role_of(actor.id)
    if role is Role.BANNED:
        return Refusal.BANNED
    if role < Role.ADMIN:
        if is_masked(conversation, address):
            return Refusal.BANNED
        if conversation.config.members_only and not is_member(conversation, actor):
            return Refusal.MEMBERS_ONLY
        if conversation.config.key and conversation.config.key != key:
            return Refusal.KEY_WRONG
        limit = conversation.config.max_attendees or max_attendees
        if (
            len(conversation.attendees) >= min(limit, max_attendees)
            and actor.id not in conversation.attendees
        ):
            return Refusal.ROOM_FULL
    return None


def may_post(conversation: Conversation, actor: Actor) -> Refusal | None:
    """Return why `actor` may not speak in the conversation, or None."""
    if conversation.is_room:
        if conversation.destroyed:
            return Refusal.ROOM_GONE
        attendee = conversation.attendees.get(actor.id)
        if attendee is None:
            return Refusal.BANNED if conversation.role_of(actor.id) is Role.BANNED else Refusal.NOT_ATTENDING
        if attendee.role is Role.VISITOR and conversation.config.moderated:
            return Refusal.NO_VOICE
    return None


def may_write_first(strangers: int, config: PolicyConfig) -> Refusal | None:
    """Return why somebody of another server may not begin to write to an account, or None.

    `strangers` already have.
    """
    return Refusal.TOO_MANY if strangers >= config.max_strangers else None


def may_ask(waiting: int, config: PolicyConfig) -> Refusal | None:
    """Return why nobody more may ask to see the presence of an account, where `waiting` requests wait, or None."""
    return Refusal.TOO_MANY if waiting >= config.max_requests else None


def may_whisper(conversation: Conversation, attendee: Attendee) -> Refusal | None:
    """Return why `attendee` may not send private messages in the room, or None."""
    match conversation.config.whispers:
        case Whispers.ANYONE:
            return None
        case Whispers.PARTICIPANTS:
            return None if attendee.role >= Role.MEMBER else Refusal.NO_VOICE
        case Whispers.MODERATORS:
            return None if attendee.role >= Role.MODERATOR else Refusal.ROLE_TOO_LOW
        case Whispers.NOBODY:
            return Refusal.ROLE_TOO_LOW
        case _:
            assert_never(conversation.config.whispers)


def may_delete(conversation: Conversation, actor: Actor, author_id: int) -> Refusal | None:
    """Return why `actor` may not delete a message of `author_id`: one's own, or with a moderator's role."""
    if actor.id == author_id:
        return None
    if conversation.is_room and effective_role(conversation, actor) >= Role.MODERATOR:
        return None
    return Refusal.TARGET_FOREIGN


def may_moderate(conversation: Conversation, actor: Actor, target: Actor) -> Refusal | None:
    """Return why `actor` may not kick, mute or ban `target`.

    Never someone of the same or a higher rank (XEP-0045 §5).
    """
    own, other = effective_role(conversation, actor), conversation.role_of(target.id)
    if own < Role.MODERATOR:
        return Refusal.ROLE_TOO_LOW
    if other >= own and other >= Role.ADMIN:
        return Refusal.ROLE_OF_TARGET
    if other is Role.MODERATOR and own is Role.MODERATOR and actor.id != target.id:
        return Refusal.ROLE_OF_TARGET
    return None


def may_set_role(conversation: Conversation, actor: Actor, target: Actor, role: Role) -> Refusal | None:
    """Return why `actor` may not give `target` the stored role `role`.

    Owners may do all (but the last one stays); admins up to moderator; moderators voice, mute and ban
    ordinary people.
    """
    own, old = effective_role(conversation, actor), conversation.role_of(target.id)
    if own is Role.OWNER:
        if old is Role.OWNER and role is not Role.OWNER:
            owners = sum(1 for member in conversation.members.values() if member.role is Role.OWNER)
            if owners == 1:
                return Refusal.LAST_OWNER
        return None
    if actor.id == target.id and role <= old and old is not Role.NONE and role is not Role.BANNED:
        return None
    if own is Role.ADMIN:
        return Refusal.ROLE_OF_TARGET if old >= Role.ADMIN or role >= Role.ADMIN else None
    if own is Role.MODERATOR:
        return Refusal.ROLE_TOO_LOW if old >= Role.MODERATOR or role >= Role.MODERATOR else None
    return Refusal.ROLE_TOO_LOW


def may_invite(conversation: Conversation, actor: Actor) -> Refusal | None:
    """Return why `actor` may not invite into the room."""
    if conversation.destroyed:
        return Refusal.ROOM_GONE
    if conversation.role_of(actor.id) is Role.BANNED:
        return Refusal.BANNED
    if actor.id not in conversation.attendees and not is_member(conversation, actor):
        return Refusal.NOT_ATTENDING
    if conversation.config.members_only and not conversation.config.invites_by_members:
        if effective_role(conversation, actor) < Role.MODERATOR:
            return Refusal.INVITE_DENIED
    return None


def may_set_topic(conversation: Conversation, actor: Actor) -> Refusal | None:
    """Return why `actor` may not set the topic."""
    refusal = may_post(conversation, actor)
    if refusal is None and conversation.config.topic_locked:
        if effective_role(conversation, actor) < Role.MODERATOR:
            return Refusal.ROLE_TOO_LOW
    return refusal
