"""Message archives (XEP-0313): queries in general, and the archive of a client's account.

The archive is the log. Ids are stanza-ids, pages are log numbers; what arrived by other protocols is shown as in
live delivery, and a message whose body is gone as a tombstone (XEP-0424 §4).
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from sabir.core.model.actor import Account
from sabir.core.model.conversation import Conversation
from sabir.core.model.event import Event, Kind
from sabir.core.ports import Page, PageQuery
from sabir.core.services.history import History
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import (
    BAD_REQUEST,
    FEATURE_NOT_IMPLEMENTED,
    ITEM_NOT_FOUND,
    NOT_ALLOWED,
    Refused,
    stanza_error_for,
)
from sabir.protocols.xmpp.features import chat, forms, rsm
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.foreign import message_id_of
from sabir.protocols.xmpp.features.stamps import stanza_id
from sabir.protocols.xmpp.jid import JidSyntaxError, parse_jid
from sabir.protocols.xmpp.translate import event_id_of, stanza_id_of, timestamp, tombstone
from sabir.protocols.xmpp.translate.native import milliseconds_of
from sabir.wire.xml import Element, escape_attribute

NAMESPACE: Final = "urn:xmpp:mam:2"
DEFAULT_PAGE: Final = 50
MOST_ON_PAGE: Final = 250
"""Messages on one page, whatever the client asks for."""
PAGE_BYTES: Final = 1 << 20
"""A page that would be larger is cut short; the client asks for the rest."""

KINDS: Final = frozenset(
    (int(Kind.MESSAGE), int(Kind.EDIT), int(Kind.DELETE), int(Kind.REACTION), int(Kind.CALL))
)

FULLTEXT: Final = "urn:xmpp:fulltext:0"
_SEARCH: Final = "{urn:xmpp:fulltext:0}fulltext"
_FIELDS: Final = ("with", "start", "end", "before-id", "after-id", "ids")

# XEP-0313 §4.1.5: any id will do (XEP-0122).
_OPEN: Final = (
    "<validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'><open/></validate>"
)

Render = Callable[[Event, Event | None], bytes]
"""Writes a message from `<message` on; the second event took the first one back."""


class Query:
    """What a client asks of an archive (XEP-0313 §4)."""

    __slots__ = (
        "after",
        "before",
        "end_ms",
        "flipped",
        "ids",
        "page",
        "query_id",
        "start_ms",
        "text",
        "with_",
    )

    def __init__(self, payload: Element, *, searchable: bool) -> None:
        """Read a query; `searchable`: it may ask for words (XEP-0431 §2.2).

        Raises:
            Refused: if it makes no sense, or has a field that we do not know.
        """
        form = forms.submitted(payload)
        fields = {} if form is None else forms.read(form)
        if forms.first(fields, forms.FORM_TYPE) not in (None, NAMESPACE):
            raise Refused(BAD_REQUEST)
        known = (*_FIELDS, _SEARCH) if searchable else _FIELDS
        if any(name not in known and name != forms.FORM_TYPE for name in fields):
            raise Refused(FEATURE_NOT_IMPLEMENTED)  # XEP-0313 §4.1.5
        self.text: str = (forms.first(fields, _SEARCH) or "").strip()
        self.with_: str | None = forms.first(fields, "with")
        self.start_ms: int = _time(forms.first(fields, "start"))
        self.end_ms: int = _time(forms.first(fields, "end"))
        self.page: rsm.Request = rsm.read(payload, DEFAULT_PAGE, MOST_ON_PAGE)
        self.after: list[str] = [
            id_ for id_ in (forms.first(fields, "after-id"), self.page.after) if id_ is not None
        ]
        self.before: list[str] = [id_ for id_ in (forms.first(fields, "before-id"), self.page.before) if id_]
        self.ids: list[str] | None = fields.get("ids")
        if self.ids is not None and len(self.ids) > MOST_ON_PAGE:
            raise Refused(BAD_REQUEST)
        self.flipped: bool = payload.find("flip-page") is not None
        self.query_id: str | None = payload.get("queryid")

    def bounds(self, find: Callable[[str], Event], kinds: frozenset[int]) -> PageQuery:
        """Return the page as the log counts; `find` gives the entry of the archive with an id.

        Raises:
            Refused: by `find`, for an unknown id (XEP-0313 §4.1.3, §4.3.2).
        """
        return PageQuery(
            after_seq=max([find(id_).seq for id_ in self.after], default=0),
            before_seq=min([find(id_).seq for id_ in self.before], default=0),
            start_ms=self.start_ms,
            end_ms=self.end_ms,
            limit=self.page.limit,
            newest=self.page.is_backward,
            kinds=kinds,
        )


class Archive:
    """Whose archive it is, as the results of one query show it."""

    __slots__ = ("_context", "_iq", "_query", "_render", "_start")

    def __init__(self, context: Context, iq: Iq, query: Query, address: str, render: Render) -> None:
        self._context = context
        self._iq = iq
        self._query = query
        self._render = render
        named = "" if query.query_id is None else attribute("queryid", query.query_id)
        self._start = (
            f"<message to='{escape_attribute(str(context.jid))}'{attribute('from', address)}>"
            f"<result xmlns='{NAMESPACE}'{named} id='"
        )

    def send(self, page: Page) -> None:
        """Send a page of results, then the answer that ends it (XEP-0313 §4.2)."""
        events = without_repeats(page.events)
        results = [self._result(event, page) for event in events]
        kept = _fitting([len(result) for result in results], newest=self._query.page.is_backward)
        complete = page.complete and len(kept) == len(results)
        events, results = events[kept.start : kept.stop], results[kept.start : kept.stop]
        for result in reversed(results) if self._query.flipped else results:
            self._context.send(result)
        first = stanza_id_of(events[0].event_id) if events else ""
        last = stanza_id_of(events[-1].event_id) if events else ""
        done = " complete='true'" if complete else ""
        self._context.reply(self._iq.stanza, f"<fin xmlns='{NAMESPACE}'{done}>{rsm.write(first, last)}</fin>")

    def _result(self, event: Event, page: Page) -> bytes:
        id_ = stanza_id_of(event.event_id)
        start = (
            f"{self._start}{id_}'><forwarded xmlns='urn:xmpp:forward:0'>"
            f"<delay xmlns='urn:xmpp:delay' stamp='{timestamp(event.at_ms)}'/>"
        )
        message = self._render(event, retraction_of(self._context.place.services.history, event, page))
        return start.encode() + message + b"</forwarded></result></message>"


def retraction_of(history: History, event: Event, page: Page) -> Event | None:
    """Return the entry that took an erased one back."""
    if event.erased:
        for row in page.relations.get(event.seq, ()):
            if row.kind == Kind.DELETE and not row.gone:
                return history.at(row.seq)
    return None


def form(context: Context, iq: Iq) -> None:
    """Say which fields a query may have (XEP-0313 §4.1.5)."""
    types = {"with": "jid-single", "ids": "list-multi"}
    fields = [forms.Field(name, (), types.get(name, "text-single")) for name in _FIELDS]
    fields[-1].extra = _OPEN
    if context.place.services.search.is_on:
        fields.append(forms.Field(_SEARCH, (), "text-single"))
    shown = forms.write("form", NAMESPACE, fields)
    context.reply(iq.stanza, f"<query xmlns='{NAMESPACE}'>{shown}</query>")


def encode_metadata(first: Page, last: Page) -> str:
    """Return where an archive begins and ends (XEP-0313 §5)."""
    ends = ""
    if first.events and last.events:
        for name, event in (("start", first.events[0]), ("end", last.events[-1])):
            ends += f"<{name} id='{stanza_id_of(event.event_id)}' timestamp='{timestamp(event.at_ms)}'/>"
    return f"<metadata xmlns='{NAMESPACE}'>{ends}</metadata>"


def describe(history: History, account: Account, then: Callable[[str], None]) -> None:
    """Say where the archive of an account begins and ends, later or at once."""

    def with_first(first: Page) -> None:
        newest = PageQuery(limit=1, newest=True, kinds=KINDS)
        history.mailbox(account, newest, lambda last: then(encode_metadata(first, last)))

    history.mailbox(account, PageQuery(limit=1, kinds=KINDS), with_first)


def deferred(context: Context, iq: Iq, effect: Callable[[], None]) -> None:
    """Run `effect` after whatever the client sent before; a refusal in it goes to the client."""

    def guarded() -> None:
        try:
            effect()
        except Refused as error:
            context.refuse(iq.stanza, error.error)

    context.run(guarded)


# The archive of an account


def query(context: Context, iq: Iq) -> None:
    """Answer a query of the client's own archive."""
    asked = Query(iq.payload, searchable=context.place.services.search.is_on)
    deferred(context, iq, lambda: _query(context, iq, asked))


def _query(context: Context, iq: Iq, asked: Query) -> None:
    services = context.place.services
    address = str(context.jid.bare)
    archive = Archive(context, iq, asked, address, lambda event, by: _message(context, event, by))

    def find(id_: str) -> Event:
        event = services.history.find(event_id_of(id_))
        conversation = None if event is None else services.directory.conversation(event.conversation_id)
        if event is None or conversation is None or context.account not in conversation.parties:
            raise Refused(ITEM_NOT_FOUND)
        return event

    if asked.ids is not None:
        archive.send(single(services.history, [find(id_) for id_ in asked.ids]))
        return
    conversation = None
    if asked.with_ is not None:
        conversation = _conversation_with(context, asked.with_)
        if conversation is None:
            archive.send(Page([], True))
            return
    bounds = asked.bounds(find, KINDS)
    if asked.text:
        refusal = services.search.mailbox(context.account, asked.text, bounds, archive.send, conversation)
        if refusal is not None:
            raise Refused(stanza_error_for(refusal))
    else:
        services.history.mailbox(context.account, bounds, archive.send, conversation)


def metadata(context: Context, iq: Iq) -> None:
    """Say where the client's own archive begins and ends."""
    history = context.place.services.history
    describe(history, context.account, lambda described: context.reply(iq.stanza, described))


def preferences(context: Context, iq: Iq) -> None:
    """Say what is archived: everything (XEP-0441 §3)."""
    context.reply(iq.stanza, f"<prefs xmlns='{NAMESPACE}' default='always'><always/><never/></prefs>")


def set_preferences(context: Context, iq: Iq) -> None:
    """Take what is the case already; anything else is refused, for the log is what all protocols read."""
    never = iq.payload.find("never")
    if iq.payload.get("default") != "always" or (never is not None and never.elements()):
        raise Refused(NOT_ALLOWED)
    preferences(context, iq)


def _conversation_with(context: Context, address: str) -> Conversation | None:
    """Return the conversation with the account of that address, None if there never was one."""
    directory = context.place.services.directory
    try:
        jid = parse_jid(address)
    except JidSyntaxError:
        raise Refused(BAD_REQUEST) from None
    if jid.domain != context.place.domain:
        peer = directory.actors_by_uri.get(("xmpp", str(jid.bare)))
        return None if peer is None else directory.foreign(context.account, peer)
    account = directory.account(jid.local)
    return None if account is None else directory.direct(context.account, account)


def _message(context: Context, event: Event, retraction: Event | None) -> bytes:
    place = context.place
    conversation = place.services.directory.conversation(event.conversation_id)
    assert conversation is not None  # it is in the mailbox
    to = place.address_of(conversation.other_than(event.actor_id))
    start = f"<message xmlns='jabber:client'{attribute('to', to)}"
    if event.erased:
        author = place.services.directory.actor(event.actor_id)
        origin = attribute("from", place.address_of(author)) + attribute("id", message_id_of(event))
        return f"{start}{origin} type='chat'>{_tombstone(retraction)}</message>".encode()
    native = chat.native_of(place, conversation, event)
    return start.encode() + chat.insert(native, stanza_id(str(context.jid.bare), event.event_id))


def _tombstone(retraction: Event | None) -> str:
    return tombstone(retraction, "" if retraction is None else message_id_of(retraction))


def single(history: History, events: Iterable[Event]) -> Page:
    """Return entries fetched by their ids as a page (XEP-0313 §4.1.3)."""
    ordered = sorted({event.seq: event for event in events}.values(), key=lambda event: event.seq)
    page = Page(ordered, True)
    for row in history.relations([event.seq for event in ordered if event.erased]):
        page.relations.setdefault(row.target_seq, []).append(row)
    return page


def without_repeats(events: Sequence[Event]) -> list[Event]:
    """Leave out all but the last entry of those that one set of reactions became: they have one stanza."""
    kept: list[Event] = []
    for event in events:
        before = kept[-1] if kept else None
        if (
            before is not None
            and event.kind == before.kind == Kind.REACTION
            and event.protocol == "xmpp"
            and event.native == before.native
            and event.actor_id == before.actor_id
            and event.at_ms == before.at_ms
        ):
            kept.pop()
        kept.append(event)
    return kept


def _fitting(sizes: Sequence[int], *, newest: bool) -> range:
    """Return which of the results go onto a page: all, or as many as fit, from the end that was asked for."""
    total, count = 0, 0
    for size in reversed(sizes) if newest else sizes:
        total += size
        if total > PAGE_BYTES and count:
            break
        count += 1
    return range(len(sizes) - count, len(sizes)) if newest else range(count)


def _time(text: str | None) -> int:
    if text is None:
        return 0
    at_ms = milliseconds_of(text.strip())
    if at_ms is None:
        raise Refused(BAD_REQUEST)
    return max(at_ms, 1)
