"""What clients can do, as far as the server needs it: of which nodes they want to be told (XEP-0163 §4.2).

A presence names a hash (`caps_hash`). One client that names a hash nobody has named before is asked what it stands
for; if the answer has that hash it holds for all who name it (XEP-0115 §5.4), else for the one who answered only.
"""

from collections.abc import Callable, Iterator
from typing import Final

from sabir.core.model.changes import ItemRow
from sabir.core.model.pubsub import Node
from sabir.protocols.xmpp.codec import attribute, element_of
from sabir.protocols.xmpp.features import caps_hash
from sabir.protocols.xmpp.features.caps_hash import Claim
from sabir.protocols.xmpp.features.context import Claimant, Context
from sabir.protocols.xmpp.features.pubsub import bookmarks
from sabir.protocols.xmpp.features.pubsub.notifying import show_last
from sabir.protocols.xmpp.jid import Jid
from sabir.protocols.xmpp.types import Stanza

ID: Final = "caps-"
"""How ids of our questions begin."""
MAX_KNOWN: Final = 1_000
"""Hashes remembered."""
MAX_INTERESTS: Final = 128
"""Nodes of which one client may want to be told."""
PATIENCE_MS: Final = 30_000
"""How long an answer may take before another client is asked."""

_INFO: Final = "http://jabber.org/protocol/disco#info"
_NOTIFY: Final = "+notify"
_NONE: Final[frozenset[str]] = frozenset()

Key = tuple[str, str, str]


class KnownCapabilities:
    """See `context.Capabilities`: what is known of hashes, and who is being asked, for all clients."""

    def __init__(self) -> None:
        self._known: dict[Key, frozenset[str]] = {}
        self._asked: dict[str, tuple[Claimant, Claim]] = {}
        self._waiting: dict[Key, dict[Claimant, Claim]] = {}
        """By hash, those who named it while one of them is asked: the first."""
        self._questions = 0

    def note(self, claimant: Claimant, claim: Claim | None, *, arrived: bool) -> None:
        """See `Capabilities.note`."""
        if claim is None or claim.key == claimant.claimed:
            if arrived:
                claimant.learn(claimant.interests)
            return
        self.forget(claimant)  # one question at a time
        claimant.claimed = claim.key
        if arrived:
            claimant.interests = _NONE
        known = self._known.pop(claim.key, None)
        if known is not None:
            self._known[claim.key] = known  # as the one used last
            _take(claimant, known)
            return
        waiting = self._waiting.setdefault(claim.key, {})
        waiting[claimant] = claim
        if len(waiting) == 1 or not claim.algorithm:
            self._ask(claimant, claim)

    def answered(self, jid: Jid, stanza: Stanza) -> None:
        """See `Capabilities.answered`."""
        asked, claim = self._asked.get(stanza.id.decode(), (None, None))
        if asked is None or asked.jid != jid or claim is None:
            return
        del self._asked[stanza.id.decode()]
        self._waiting.get(claim.key, {}).pop(asked, None)
        info = element_of(stanza).find("query", _INFO) if stanza.type == b"result" else None
        if info is not None:
            features = caps_hash.features_of(info)
            wanted = sorted({name[: -len(_NOTIFY)] for name in features if name.endswith(_NOTIFY)})
            interests = frozenset([name for name in wanted if len(name) <= 256][:MAX_INTERESTS])
            if asked.claimed == claim.key:
                _take(asked, interests)
            if claim.holds(info):
                self._learn(claim, interests)
                return
        self._ask_next(claim.key)

    def forget(self, claimant: Claimant) -> None:
        """See `Capabilities.forget`."""
        if claimant.claimed is None:
            return
        key, claimant.claimed = claimant.claimed, None
        waiting = self._waiting.get(key)
        if waiting is None or waiting.pop(claimant, None) is None:
            return
        for id_, (asked, _) in list(self._asked.items()):
            if asked is claimant:
                del self._asked[id_]
                self._ask_next(key)

    def _learn(self, claim: Claim, interests: frozenset[str]) -> None:
        self._known[claim.key] = interests
        if len(self._known) > MAX_KNOWN:
            del self._known[next(iter(self._known))]
        for other in self._waiting.pop(claim.key, {}):
            if other.claimed == claim.key:
                _take(other, interests)

    def _ask_next(self, key: Key) -> None:
        waiting = self._waiting.get(key, {})
        for claimant, claim in waiting.items():
            if not any(asked is claimant for asked, _ in self._asked.values()):
                self._ask(claimant, claim)
            return
        self._waiting.pop(key, None)

    def _ask(self, claimant: Claimant, claim: Claim) -> None:
        self._questions += 1
        id_ = f"{ID}{self._questions}"
        self._asked[id_] = (claimant, claim)
        place = claimant.place
        query = f"<query xmlns='{_INFO}'{attribute('node', claim.node)}/>"
        addresses = attribute("from", place.domain) + attribute("to", str(claimant.jid))
        place.services.scheduler.later(PATIENCE_MS, self._give_up(id_))
        claimant.send(f"<iq type='get' id='{id_}'{addresses}>{query}</iq>".encode())

    def _give_up(self, id_: str) -> Callable[[], None]:
        def give_up() -> None:
            claimant, claim = self._asked.pop(id_, (None, None))
            if claimant is not None and claim is not None:
                self._waiting.get(claim.key, {}).pop(claimant, None)
                self._ask_next(claim.key)

        return give_up


def _take(claimant: Claimant, interests: frozenset[str]) -> None:
    """Note what a client wants to be told of, and show it what it did not hear of before."""
    added = interests - claimant.interests
    claimant.interests = interests
    if added:
        claimant.learn(added)


def show_wanted(context: Context, names: frozenset[str]) -> None:
    """Show a client what was published last on nodes of these names, if it is there to be shown anything."""
    if names and context.session.presence.is_available:
        show_last(context, _last(context, names))


def _last(context: Context, names: frozenset[str]) -> Iterator[tuple[Node, ItemRow]]:
    yield from context.place.services.pubsub.last_items(context.actor, names)
    if bookmarks.OLD in names:
        yield from bookmarks.last(context.place, context.account)
