"""People of other servers whom an account does not know: how many of them may come to it, and how fast.

Who writes first opens a conversation that is kept, and who asks to see the presence is kept as a contact; a server
may make up any number of people. Those whom the account has among its contacts are no strangers.
"""

from __future__ import annotations

from sabir.core import policy
from sabir.core.directory import Directory
from sabir.core.errors import Refusal
from sabir.core.model.actor import Account, Actor
from sabir.core.pace import Pace
from sabir.core.policy import PolicyConfig
from sabir.core.services.peers import domain_of, is_blocked


class Strangers:
    """Says who may begin with whom."""

    def __init__(self, directory: Directory, config: PolicyConfig, pace: Pace) -> None:
        self._directory = directory
        self._config = config
        self._pace = pace

    def may_write(self, account: Account, peer: Actor) -> Refusal | None:
        """Return why `peer`, with whom there is no conversation yet, may not write to `account`, or None."""
        if is_blocked(self._directory.blocks_of(account), peer):
            return Refusal.BLOCKED
        contact = self._directory.contacts_of(account).get(peer.id)
        if contact is not None and (contact.listed or contact.watched):
            return None
        return policy.may_write_first(self._count(account), self._config) or self._take(account, peer)

    def may_begin(self, account: Account) -> Refusal | None:
        """Return why `account` itself may not begin to write with somebody more of another server, or None."""
        total = self._directory.foreign_directs.get(account.id, 0)
        return Refusal.TOO_MANY if total >= self._config.max_correspondents else None

    def may_ask(self, account: Account, actor: Actor) -> Refusal | None:
        """Return why `actor` may not ask to see the presence of `account`, or None."""
        waiting = sum(contact.asking for contact in self._directory.contacts_of(account).values())
        refusal = policy.may_ask(waiting, self._config)
        return refusal or (self._take(account, actor) if actor.account_id is None else None)

    def _take(self, account: Account, actor: Actor) -> Refusal | None:
        """Let one stranger more of the server of `actor` come to `account`."""
        return self._pace.take(hash((account.id, domain_of(actor))))

    def _count(self, account: Account) -> int:
        """Return with how many strangers `account` has conversations."""
        total = self._directory.foreign_directs.get(account.id, 0)
        if total < self._config.max_strangers:
            return total  # not more in any case
        contacts = self._directory.contacts_of(account).values()
        known = sum(
            (account.id, -each.actor.id) in self._directory.directs for each in contacts if each.listed
        )
        return total - known
