"""People who log in without saying who they are: each has an account for one session (RFC 4505, XEP-0175).

Such an account can be written to and be in rooms; it owns nothing. The store hears of it when something first names
it, an entry or a conversation: then it is deleted at its end, as accounts are. Of the others nothing is left.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sabir.core.delivery import Sessions
from sabir.core.directory import Directory, account_row, actor_row
from sabir.core.errors import Refusal
from sabir.core.log import Log, Operation
from sabir.core.model.actor import Account, AccountState, Actor, ActorKind
from sabir.core.model.ids import AccountId, ActorId
from sabir.core.policy import PolicyConfig
from sabir.core.services.accounts import Accounts

PREFIX: Final = "guest_"
NAME_BYTES: Final = 10
"""Of randomness in a name: nobody can guess who will come."""


class TemporaryAccounts:
    """The accounts that are for one session only."""

    def __init__(
        self,
        log: Log,
        directory: Directory,
        sessions: Sessions,
        accounts: Accounts,
        randomness: Callable[[int], bytes],
        policy: PolicyConfig,
    ) -> None:
        self._log = log
        self._directory = directory
        self._sessions = sessions
        self._accounts = accounts
        self._randomness = randomness
        self._policy = policy
        self._here: dict[int, str] = {}
        """Where each comes from, by the id of the account."""
        self._from: dict[str, int] = {}
        """How many there are from each address."""
        for account in list(directory.accounts.values()):
            if account.state is AccountState.TEMPORARY:  # the server stopped before it ended
                accounts.delete(account, _nothing, _nothing)

    def admit(self, address: str) -> Account | Refusal:
        """Return a new account for somebody at a network address, to be ended by `end`."""
        policy, directory = self._policy, self._directory
        if (
            len(self._here) >= policy.max_temporary
            or self._from.get(address, 0) >= policy.max_temporary_per_peer
        ):
            return Refusal.TOO_MANY
        name = PREFIX + self._randomness(NAME_BYTES).hex()
        if directory.account(name) is not None:
            return Refusal.ACCOUNT_EXISTS
        account_id = AccountId(directory.last_account_id + 1)
        actor_id = ActorId(directory.last_actor_id + 1)
        actor = Actor(actor_id, ActorKind.TEMPORARY, name, account_id, "local", name)
        log = self._log
        account = Account(account_id, log.new_id(), name, AccountState.TEMPORARY, actor, log.now_ms)
        account.generation = log.generation
        account.delivered_seq = log.head_seq
        directory.add_actor(actor)
        directory.add_account(account)
        log.newcomers[actor.id] = (actor_row(actor), account_row(account))
        log.new_accounts[account.id] = actor.id
        self._here[account.id] = address
        self._from[address] = self._from.get(address, 0) + 1
        return account

    def end(self, account: Account) -> None:
        """End an account whose session is over, or never began."""
        address = self._here.pop(account.id, None)
        if address is None:
            return
        self._from[address] -= 1
        if not self._from[address]:
            del self._from[address]

        def form(log: Log) -> Refusal | None:
            log.new_accounts.pop(account.id, None)
            if log.newcomers.pop(account.actor.id, None) is not None:
                self._remove(account)
            return None

        def done() -> None:
            if account.state is AccountState.TEMPORARY:
                self._accounts.delete(account, _nothing, _nothing)

        # In its turn: the rooms are left before.
        self._log.append(Operation(form, done, _nothing))

    def _remove(self, account: Account) -> None:
        """Take out an account that nothing in the store names."""
        directory = self._directory
        account.state = AccountState.DELETED
        for key in [key for key in directory.directs if account.id in key]:
            directory.remove_conversation(directory.directs[key])
        directory.contacts.pop(account.id, None)
        directory.blocks.pop(account.id, None)
        del directory.accounts[account.id]
        del directory.accounts_by_name[account.name]
        directory.remove_actor(account.actor)


def _nothing(*outcome: object) -> None:
    """Nobody waits for the outcome."""
