"""Block lists that other servers keep up to date for all who subscribe (RTBL): nodes of pubsub services.

The name of an item is the SHA-256 of a bare address or of a domain, in hexadecimal; what it holds does not matter. A
list is subscribed to and read as a whole at the start, whenever its server is reached again, and every hour: so what is
missed while a stream is down is missed for that long at most. The core keeps and enforces it
(`core.services.blocklists`).
"""

import re
from collections.abc import Callable
from typing import Final

from sabir.base.log import BoundLogger
from sabir.core.errors import Refusal
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import StanzaError
from sabir.protocols.xmpp.features import rsm
from sabir.protocols.xmpp.features.context import Place
from sabir.protocols.xmpp.features.pubsub.names import EVENT, NAMESPACE
from sabir.protocols.xmpp.jid import Jid, parse_jid
from sabir.protocols.xmpp.machine.peers import Pair
from sabir.wire.xml import Element, escape_text

PAGE: Final = 500
START_MS: Final = 1_000
"""After which our listeners are open: other servers ask there who we are."""
REFRESH_MS: Final = 3_600_000
RETRY_MS: Final = 60_000
"""Until the next try if a list could not be read."""
SETTLE_MS: Final = 1_000
"""Changes are written together: a service that sends very many costs no more than one that sends few."""
PREFIX: Final = "live/"
"""Of the names of these lists, before service and node."""
MOST: Final = 10_000
"""Entries of one list; what goes beyond is not taken."""

_HASH: Final = re.compile(r"[0-9a-f]{64}\Z")


class LiveList:
    """One list."""

    def __init__(self, place: Place, service: str, node: str, log: BoundLogger) -> None:
        self.jid: Final = parse_jid(service)
        self.node: Final = node
        self.source: Final = f"{PREFIX}{service}/{node}".lower()
        self._place: Final = place
        self._log: Final = log
        self._entries: dict[str, None] = {}
        self._read: dict[str, None] | None = None
        """What was read so far, while it is read."""
        self._is_due = False
        """A write is due."""
        self._round = 0

    @property
    def is_reading(self) -> bool:
        """Whether it is being read."""
        return self._read is not None

    def refresh(self) -> None:
        """Subscribe and read the list; then again in an hour, or soon if that fails."""
        if self._read is not None:
            return
        self._round += 1
        self._read = {}
        us = attribute("jid", self._place.domain)
        subscribe = f"<subscribe{attribute('node', self.node)}{us}/>"
        self._place.errands.ask(
            self.jid,
            f"<pubsub xmlns='{NAMESPACE}'>{subscribe}</pubsub>",
            lambda error: self._ask(""),  # without a subscription it is read every hour
        )

    def _ask(self, after: str) -> None:
        where = f"<after>{after}</after>" if after else ""
        page = f"<set xmlns='{rsm.NAMESPACE}'><max>{PAGE}</max>{where}</set>"
        items = f"<items{attribute('node', self.node)}/>"
        self._place.errands.fetch(
            self.jid, f"<pubsub xmlns='{NAMESPACE}'>{items}{page}</pubsub>", self._answered
        )

    def _answered(self, answer: Element | StanzaError) -> None:
        read = self._read
        if read is None:
            return
        if isinstance(answer, StanzaError):
            self._read = None
            self._log.info("block list not read", extra={"list": self.source, "reason": answer.condition})
            self._later(RETRY_MS)
            return
        items = answer.find("items", NAMESPACE)
        found = [] if items is None else items.find_all("item", NAMESPACE)
        before = len(read)
        _add(read, [item.get("id") or "" for item in found])
        page = answer.find("set", rsm.NAMESPACE)
        last = None if page is None else page.child_text("last", rsm.NAMESPACE)
        if last and len(found) >= PAGE and before < len(read) < MOST:
            self._ask(escape_text(last))
            return
        self._entries, self._read = read, None
        self._write()
        self._log.info("block list read", extra={"list": self.source, "entries": len(read)})
        self._later(REFRESH_MS)

    def heard(self, event: Element) -> None:
        """Take in what happened at the node."""
        for what in event.elements():
            if what.get("node") != self.node:
                continue
            for entries in [self._entries, *([] if self._read is None else [self._read])]:
                if what.name == "items":
                    _add(entries, [item.get("id") or "" for item in what.find_all("item", EVENT)])
                    for item in what.find_all("retract", EVENT):
                        entries.pop((item.get("id") or "").lower(), None)
                elif what.name in ("purge", "delete"):
                    entries.clear()
        if not self._is_due:
            self._is_due = True
            self._place.services.scheduler.later(SETTLE_MS, self._write)

    def _write(self) -> None:
        self._is_due = False
        self._place.services.block_lists.replace(self.source, list(self._entries), _nothing, self._refused)

    def _refused(self, refusal: Refusal) -> None:
        if refusal is not Refusal.TARGET_UNKNOWN:  # an empty list that there was none of before
            self._log.warning("block list not kept", extra={"list": self.source, "reason": refusal.value})

    def _later(self, delay_ms: int) -> None:
        self._place.services.scheduler.later(delay_ms, self._again(self._round))

    def _again(self, round_: int) -> Callable[[], None]:
        def again() -> None:
            if self._round == round_:  # not read meanwhile
                self.refresh()

        return again


class LiveLists:
    """All lists that the settings name, as `service/node`. See `links.Watcher`."""

    def __init__(self, place: Place, names: tuple[str, ...], log: BoundLogger) -> None:
        self._place: Final = place
        self._lists: Final[list[LiveList]] = []
        for name in names:
            service, _, node = name.partition("/")
            self._lists.append(LiveList(place, service, node, log))

    def start(self) -> None:
        """Read all lists, and drop those that the settings do not name any more."""
        sources = {each.source for each in self._lists}
        block_lists = self._place.services.block_lists
        for source in block_lists.sizes():
            if source.startswith(PREFIX) and source not in sources:
                block_lists.replace(source, [], _nothing, _nothing)
        for each in self._lists:
            each.refresh()

    def heard(self, sender: Jid, event: Element) -> None:
        """Take in what a service tells the server."""
        for each in self._lists:
            if each.jid == sender:
                each.heard(event)

    def reached(self, pair: Pair) -> None:
        """See `Watcher.reached`: what happened meanwhile was missed."""
        for each in self._lists:
            if pair == Pair(self._place.domain, each.jid.domain) and not each.is_reading:
                self._place.services.scheduler.soon(each.refresh)

    def read_on(self, pair: Pair) -> None:
        """See `Watcher.read_on`."""

    def lost(self, pair: Pair, why: str, *, tried: bool) -> None:
        """See `Watcher.lost`."""


def _add(entries: dict[str, None], ids: list[str]) -> None:
    for id_ in ids:
        if len(entries) < MOST and _HASH.match(id_.lower()):
            entries[id_.lower()] = None


def _nothing(*outcome: object) -> None:
    """Nobody waits for the outcome."""
