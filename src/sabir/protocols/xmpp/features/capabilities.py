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
from sabir.protocols.xmpp.features.context import Context
from sabir.protocols.xmpp.features.pubsub import bookmarks
from sabir.protocols.xmpp.features.pubsub.notifying import show_last
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
        self._asked: dict[str, tuple[Context, Claim]] = {}
        self._waiting: dict[Key, dict[Context, Claim]] = {}
        """By hash, those who named it while one of them is asked: the first."""
        self._questions = 0

    def note(self, context: Context, claim: Claim | None, *, arrived: bool) -> None:
        """See `Capabilities.note`."""
        if claim is None or claim.key == context.claimed:
            if arrived:
                show_last(context, _last(context, context.interests))
            return
        context.claimed = claim.key
        if arrived:
            context.interests = _NONE
        known = self._known.pop(claim.key, None)
        if known is not None:
            self._known[claim.key] = known  # as the one used last
            _take(context, known)
            return
        waiting = self._waiting.setdefault(claim.key, {})
        waiting[context] = claim
        if len(waiting) == 1 or not claim.algorithm:
            self._ask(context, claim)

    def answered(self, context: Context, stanza: Stanza) -> None:
        """See `Capabilities.answered`."""
        asked, claim = self._asked.get(stanza.id.decode(), (None, None))
        if asked is not context or claim is None:
            return
        del self._asked[stanza.id.decode()]
        waiting = self._waiting.get(claim.key, {})
        waiting.pop(context, None)
        info = element_of(stanza).find("query", _INFO) if stanza.type == b"result" else None
        if info is not None:
            features = caps_hash.features_of(info)
            wanted = sorted({name[: -len(_NOTIFY)] for name in features if name.endswith(_NOTIFY)})
            interests = frozenset([name for name in wanted if len(name) <= 256][:MAX_INTERESTS])
            if context.claimed == claim.key:
                _take(context, interests)
            if claim.holds(info):
                self._learn(claim, interests)
                return
        self._ask_next(claim.key)

    def forget(self, context: Context) -> None:
        """See `Capabilities.forget`."""
        if context.claimed is None:
            return
        key, context.claimed = context.claimed, None
        waiting = self._waiting.get(key)
        if waiting is None or waiting.pop(context, None) is None:
            return
        for id_, (asked, _) in list(self._asked.items()):
            if asked is context:
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
        for context, claim in waiting.items():
            if not any(asked is context for asked, _ in self._asked.values()):
                self._ask(context, claim)
            return
        self._waiting.pop(key, None)

    def _ask(self, context: Context, claim: Claim) -> None:
        self._questions += 1
        id_ = f"{ID}{self._questions}"
        self._asked[id_] = (context, claim)
        place = context.place
        query = f"<query xmlns='{_INFO}'{attribute('node', claim.node)}/>"
        addresses = attribute("from", place.domain) + attribute("to", str(context.jid))
        context.send(f"<iq type='get' id='{id_}'{addresses}>{query}</iq>".encode())
        place.services.scheduler.later(PATIENCE_MS, self._give_up(id_))

    def _give_up(self, id_: str) -> Callable[[], None]:
        def give_up() -> None:
            context, claim = self._asked.pop(id_, (None, None))
            if context is not None and claim is not None:
                self._waiting.get(claim.key, {}).pop(context, None)
                self._ask_next(claim.key)

        return give_up


def _take(context: Context, interests: frozenset[str]) -> None:
    """Note what a client wants to be told of, and show it what it did not hear of before."""
    added = interests - context.interests
    context.interests = interests
    if added and context.session.presence.is_available:
        show_last(context, _last(context, added))


def _last(context: Context, names: frozenset[str]) -> Iterator[tuple[Node, ItemRow]]:
    if not names:
        return
    yield from context.place.services.pubsub.last_items(context.actor, names)
    if bookmarks.OLD in names:
        yield from bookmarks.last(context.place, context.account)
