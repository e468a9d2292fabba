"""The use cases: what sessions call, and nothing else of the core.

Outcomes come through callbacks, in the order asked (`sabir.core.log`); what can be answered from memory
answers at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sabir.core.delivery import Delivery, Sessions
from sabir.core.directory import Directory
from sabir.core.log import Log
from sabir.core.model.keys import KeysConfig
from sabir.core.pace import Pace
from sabir.core.policy import PolicyConfig
from sabir.core.ports import Clock, EventIdSource, LogStore, QueueRows, Scheduler, Verifiers
from sabir.core.services.accounts import Accounts
from sabir.core.services.appearance import Appearance
from sabir.core.services.backfill import Backfill
from sabir.core.services.blocklists import BlockLists
from sabir.core.services.contents import Contents
from sabir.core.services.devices import Devices
from sabir.core.services.history import History
from sabir.core.services.invitations import Invitations
from sabir.core.services.keys import Keys
from sabir.core.services.media import Media, MediaConfig
from sabir.core.services.messaging import Messaging
from sabir.core.services.moderation import Moderation
from sabir.core.services.peers import Peers
from sabir.core.services.people import People
from sabir.core.services.presence import Presences
from sabir.core.services.pubsub import Pubsub
from sabir.core.services.pushes import Pushes
from sabir.core.services.queues import Queues
from sabir.core.services.reads import Reads
from sabir.core.services.registration import Registration
from sabir.core.services.relating import Relating
from sabir.core.services.relays import Relays
from sabir.core.services.reports import Reports
from sabir.core.services.rooms import Rooms
from sabir.core.services.roster import Roster
from sabir.core.services.search import Search
from sabir.core.services.shelves import Shelves
from sabir.core.services.strangers import Strangers
from sabir.core.services.temporary import TemporaryAccounts
from sabir.core.services.tokens import Tokens
from sabir.core.services.vouchers import Vouchers


@dataclass(frozen=True, slots=True)
class Services:
    """All services over one log. A feature takes those that it needs, not this."""

    domain: str
    clock: Clock
    scheduler: Scheduler
    log: Log
    directory: Directory
    delivery: Delivery
    accounts: Accounts
    appearance: Appearance
    block_lists: BlockLists
    contents: Contents
    devices: Devices
    history: History
    invitations: Invitations
    keys: Keys
    media: Media
    messaging: Messaging
    moderation: Moderation
    people: People
    peers: Peers
    presences: Presences
    pubsub: Pubsub
    pushes: Pushes
    queues: Queues
    reads: Reads
    registration: Registration
    relays: Relays
    reports: Reports
    rooms: Rooms
    roster: Roster
    strangers: Strangers
    temporary: TemporaryAccounts
    tokens: Tokens
    search: Search
    vouchers: Vouchers
    backfill: Callable[[], Backfill]
    """Begins an import of what was said elsewhere."""


def _keep(keys: Sequence[str]) -> None:
    """Leave the bytes of files where they are."""


def assemble(
    store: LogStore,
    scheduler: Scheduler,
    clock: Clock,
    ids: Callable[[int], EventIdSource],
    randomness: Callable[[int], bytes],
    verifiers: Verifiers,
    secret: bytes,
    *,
    domain: str = "localhost",
    policy: PolicyConfig | None = None,
    limited: bool = True,
    media: MediaConfig | None = None,
    keys: KeysConfig | None = None,
    discard: Callable[[Sequence[str]], None] = _keep,
) -> Services:
    """Load the store and put the services over it.

    `ids` makes the source of event ids from the time (ms) of the last one given; `secret` (32 bytes, kept
    with the data) keys occupant ids and tokens; `limited` false turns rates off; `discard` deletes the bytes
    of files (`Media`).
    """
    policy = policy or PolicyConfig()
    snapshot = store.load()
    directory = Directory()
    directory.load(snapshot)
    log = Log(store, scheduler, clock, ids(snapshot.last_ms), randomness)
    log.open(snapshot.generation, snapshot.seq, snapshot.leaf, snapshot.last_ms)
    sessions = Sessions()
    delivery = Delivery(sessions, directory, store, scheduler)
    delivery.head_seq = snapshot.seq
    log.answered = delivery.reached
    contents = Contents()
    pushes = Pushes(log, directory, sessions, contents, scheduler, snapshot.pushes)
    delivery.registered, delivery.missed = pushes.registered, pushes.missed
    peers = Peers(log, directory, store)
    delivery.abroad = peers.wake
    presences = Presences(directory, sessions, clock, peers)
    posts = Pace(clock, policy.posts_per_s, policy.posts_burst, limited=limited)
    signals = Pace(clock, policy.signals_per_s, policy.signals_burst, limited=limited)
    shelves = Shelves(store, snapshot.node_owners, snapshot.last_node_id)
    rooms = Rooms(log, directory, sessions, delivery, policy, signals, secret)
    moderation = Moderation(log, directory, sessions, rooms, signals)
    tokens = Tokens(log, store, clock, randomness, secret, policy.token_days)
    history = History(directory, store, domain)
    files = Media(log, directory, store, discard, scheduler, clock, randomness, media or MediaConfig())
    relating = Relating(store, files)
    reports = Pace(clock, policy.reports_per_s, policy.reports_burst, limited=limited)
    searches = Pace(clock, policy.searches_per_s, policy.searches_burst, limited=limited)
    accounts = Accounts(log, directory, sessions, store, verifiers, tokens, clock, rooms.attended_by)
    accounts.locked_out.append(pushes.forget)
    coming = Pace(clock, policy.strangers_per_hour / 3_600, policy.strangers_burst, limited=limited)
    strangers = Strangers(directory, policy, coming)
    roster = Roster(log, directory, sessions, presences, peers, strangers)
    return Services(
        domain=domain,
        clock=clock,
        scheduler=scheduler,
        log=log,
        directory=directory,
        delivery=delivery,
        accounts=accounts,
        appearance=Appearance(log, rooms, store, clock, signals),
        block_lists=BlockLists(log, store),
        contents=contents,
        devices=Devices(log, directory, sessions, delivery, store, scheduler),
        history=history,
        invitations=Invitations(log, rooms, moderation, signals),
        keys=Keys(log, directory, sessions, store.keys, clock, keys or KeysConfig(), domain, limited=limited),
        media=files,
        messaging=Messaging(log, directory, delivery, store, policy, posts, peers, relating),
        moderation=moderation,
        people=People(directory, rooms, domain),
        peers=peers,
        presences=presences,
        pubsub=Pubsub(log, directory, sessions, store, presences, shelves, policy, signals),
        pushes=pushes,
        queues=Queues(log, snapshot.queues or QueueRows()),
        reads=Reads(log, directory, sessions, store, signals, peers),
        registration=Registration(log, rooms, moderation, signals, clock, domain),
        relays=Relays(directory, sessions, signals),
        reports=Reports(log, store, history, reports),
        rooms=rooms,
        roster=roster,
        strangers=strangers,
        temporary=TemporaryAccounts(log, directory, sessions, accounts, randomness, policy),
        tokens=tokens,
        search=Search(log, directory, store, contents, history, scheduler, clock, searches),
        vouchers=Vouchers(log, directory, accounts, roster, clock, randomness, policy, snapshot.vouchers),
        backfill=lambda: Backfill(log, store, relating, ids),
    )
