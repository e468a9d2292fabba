"""Deleting an account: changes to memory while an item forms, and how to take them back."""

from __future__ import annotations

from sabir.core.directory import Directory, account_row, contact_row
from sabir.core.log import Log
from sabir.core.model.actor import Account, AccountState
from sabir.core.model.changes import ForgetAccount
from sabir.core.model.conversation import Membership, Role
from sabir.core.model.roster import Contact
from sabir.core.services.membership import end_membership

BELONGING = frozenset({Membership.JOIN, Membership.INVITE, Membership.KNOCK})


Tie = tuple[Account, Contact]
"""Somebody who had the deleted account among the contacts, and how."""


def delete_account(log: Log, directory: Directory, account: Account) -> list[Tie]:
    """Delete `account` while an item forms; returns whose contact it was.

    A ban outlives it, as every ban outlives a membership. A room whose only owner goes stays without one.
    """
    before = account.state
    account.state = AccountState.DELETED
    log.undo(lambda: setattr(account, "state", before))
    log.change(account_row(account))
    for room in directory.rooms.values():
        member = room.members.get(account.actor.id)
        if member is not None and member.membership in BELONGING:
            end_membership(log, room, member, member.nick, "", Role.NONE)
    ties = _end_subscriptions(log, directory, account)
    contacts = directory.contacts.pop(account.id, {})
    blocks = directory.blocks.pop(account.id, {})

    def put_back() -> None:
        directory.contacts[account.id], directory.blocks[account.id] = contacts, blocks

    log.undo(put_back)
    log.change(ForgetAccount(account_id=account.id))
    return ties


def _end_subscriptions(log: Log, directory: Directory, account: Account) -> list[Tie]:
    ties: list[Tie] = []
    for actor_id in directory.contacts_of(account):
        owner_id = directory.actor(actor_id).account_id
        other = None if owner_id is None else directory.accounts.get(owner_id)
        if other is None or other is account:
            continue
        contacts = directory.contacts_of(other)
        old = contacts.get(account.actor.id)
        if old is None:
            continue
        new = old.with_(watches=False, watched=False, asked=False, asking=False, approved=False, request=b"")
        row = contact_row(other, new)
        if new.listed:
            contacts[account.actor.id] = new
        else:
            del contacts[account.actor.id]
            row.gone = True
        log.change(row)
        ties.append((other, old))

    def put_back() -> None:
        for other, old in ties:
            directory.contacts_of(other)[account.actor.id] = old

    log.undo(put_back)
    return ties
